"""Classifier of images behind gates on frequency channels.

Xu et al. 2020, "Learning in the frequency domain" (arXiv:2002.12416), section 3.3. Axes: ``b`` batch, ``c h w`` image,
``n`` frequency channels, ``s`` samples, ``y`` classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ...interfaces import Batch
from ...ranges import check_sizes
from ...registry import Spec
from ..base import ModelCard, OptimizerConfig, Part, register_model
from ..inputs import check_image_shape, check_images
from ..networks.image_classifier import ImageClassifier
from ..relaxed.surrogate import upcast
from .base import GATES
from .costs import GATE_COSTS
from .dct import block_dct
from .objective import gated_metrics
from .pruning import flops, gated_inputs, kept_outputs
from .selectors import SELECTORS

SCALE = 4.0  # of coefficients: pixels in [0, 1] have a small variance


@register_model("frequency_gate")
class FrequencyGate(ImageClassifier):
    """Block DCT, a gate for each frequency channel, and a small CNN of the open ones.

    In eval mode gates are not drawn. Without drawn gates nothing is normalised by the statistics of a batch. The best
    checkpoint is that of the lowest cross-entropy with the gates of evaluation, without their cost.

    Args:
        image_shape: ``c h w`` of the images; the block divides both sides.
        classes: number of classes y.
        block: side p of a block: n = c p^2 channels of h/p x w/p.
        widths: output channels of the convolutions; all but the first have stride 2.
        gates: bernoulli, hard_concrete, exactly_k, scale or fixed; or with options, such as ``{name: bernoulli,
            estimator: disarm}``.
        selector: static (the same gates for all inputs) or dynamic (chosen by the input), with options.
        cost: penalty, budget or none, with options. Channels have equal prices, and so have their operations.
        optimizer: AdamW and its learning-rate schedule; options of ``OptimizerConfig``.

    Raises:
        ValueError: an unknown name or option (the nearest known one is named), a size below 1, a block that does not
            divide the images.

    Example:
        >>> model = FrequencyGate((1, 32, 32), gates={"name": "exactly_k", "k": 4}, cost="none")
        >>> model.open_channels(torch.rand(2, 1, 32, 32)).sum(-1)  # b n -> b
        tensor([4., 4.])
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: which frequencies a classifier needs, and what the others cost.",
        limits="`open` is the share of open channels, `frozen_accuracy` the accuracy with the gates that are open "
        "for most inputs: where it is as high, the input is of no use to the gates.",
        example="model.open_channels(images)  # b n, for images b c h w in [0, 1]",
        pictures=("views",),
        metrics=("accuracy", "open", "frozen_accuracy", "loss"),
        task="image-classification",
    )
    parts: ClassVar[Mapping[str, Part]] = {
        "gates": GATES,
        "selector": SELECTORS,
        "cost": GATE_COSTS,
        "optimizer": OptimizerConfig,
    }
    openness: Tensor

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 32, 32),
        classes: int = 10,
        block: int = 4,
        widths: Sequence[int] = (32, 32),
        gates: Spec = "bernoulli",
        selector: Spec = "static",
        cost: Spec = "penalty",
        optimizer: OptimizerConfig | dict = ImageClassifier.optimizer_config,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.use_optimizer(optimizer)
        self.image_shape, self.classes = check_image_shape(image_shape), classes
        check_sizes(classes=classes, block=block, widths=widths)
        channels, height, width = self.image_shape
        if height % block or width % block:
            raise ValueError(f"block must divide the sides of the images, got {block} for {height} x {width}")
        n, height, width = channels * block**2, height // block, width // block
        self.dct = block_dct(channels, block)
        self.gates = GATES.build(gates, channels=n)
        self.selector = SELECTORS.build(selector, channels=n)
        self.selector.requires_grad_(self.gates.uses_logits)
        self.cost = GATE_COSTS.build(cost, prices=torch.full((n,), 1 / n))
        layers: list[nn.Module] = []
        for before, after in pairwise([n, *widths]):
            layers += [nn.Conv2d(before, after, kernel_size=3, stride=2 if layers else 1, padding=1), nn.ReLU()]
            if len(layers) > 2:
                height, width = (height + 1) // 2, (width + 1) // 2
        self.network = nn.Sequential(*layers, nn.Flatten(), nn.Linear([n, *widths][-1] * height * width, classes))
        self.register_buffer("openness", torch.zeros(n))  # share of validation images, of each channel
        self._opened, self._rows = torch.zeros(n), 0

    # -- parts --------------------------------------------------------------------------------------------------------

    def channels(self, x: Tensor) -> Tensor:
        """Return frequency channels of images, ``b c h w -> b n h/p w/p``; ValueError for images of another shape."""
        check_images(x, self.image_shape)
        return SCALE * self.dct(x - 0.5)

    @torch.no_grad()
    def open_channels(self, x: Tensor) -> Tensor:
        """Return the gates of evaluation of images, ``b c h w -> b n``; 0 is a closed channel."""
        return self.gates.mode(self.selector(self.channels(x))).expand(len(x), -1)

    @torch.no_grad()
    def views(self, x: Tensor) -> dict[str, Tensor]:
        """Return the open frequencies of images as squares, the lowest top left, and what they hold, ``b c h w``.

        A square is as dark as its gate is closed.
        """
        channels, gates = self.channels(x), self.open_channels(x)
        held = F.conv_transpose2d(channels * gates[..., None, None] / SCALE, self.dct.weight, stride=self.dct.stride)
        side = self.dct.kernel_size[0]
        squares = rearrange(gates, "b (c u v) -> b c u v", u=side, v=side)
        return {"open": F.interpolate(squares, x.shape[-2:]).clamp(0, 1), "held": (held + 0.5).clamp(0, 1)}

    def logits(self, x: Tensor) -> Tensor:
        """Return unnormalised log-probabilities of the classes with the gates of evaluation, ``b c h w -> b y``."""
        channels = self.channels(x)
        return self.classify(channels, self.gates.mode(self.selector(channels)))

    def classify(self, channels: Tensor, gates: Tensor) -> Tensor:
        """Compute class logits of channels ``b n h w`` with gates ``... b n`` or ``... 1 n``, ``... b y``."""
        gated = channels * gates[..., None, None]
        return self.network(gated.flatten(0, -4)).unflatten(0, gated.shape[:-3])

    # -- training -----------------------------------------------------------------------------------------------------

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Return ``loss`` (cross-entropy plus the gates' cost), ``nll``, and ``open`` where it costs.

        Raises:
            ValueError: data without labels, or with labels outside [0, classes).
        """
        label, channels = self.labels(batch), self.channels(batch["image"])
        logits = self.selector(channels)  # b n, or 1 n
        return gated_metrics(self.gates, self.cost, logits, lambda gates: self.classify(channels, gates), label)

    # -- evaluation ---------------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Forget the sums of the last pass."""
        self._opened, self._rows = torch.zeros_like(self.openness), 0

    def on_validation_epoch_end(self) -> None:
        """Keep the share of inputs that each channel is open for: ``frozen_accuracy`` freezes the gates to it."""
        total = self.trainer.strategy.reduce(self._opened, reduce_op="sum")
        rows = torch.tensor(float(self._rows), device=self.device)
        self.openness.copy_(total / self.trainer.strategy.reduce(rows, reduce_op="sum"))

    def evaluate(self, batch: Batch, stage: str) -> dict[str, Tensor]:
        """Return loss, accuracy and openness with the gates of evaluation, and the share of planted channels found."""
        label, channels = self.labels(batch), self.channels(batch["image"])
        gates = self.gates.mode(self.selector(channels)).expand(len(label), -1)
        scores, opened = upcast(self.classify(channels, gates)), gates != 0
        metrics = {
            "loss": F.cross_entropy(scores, label),
            "accuracy": (scores.argmax(-1) == label).float().mean(),
            "open": opened.float().mean(),
        }
        if stage == "val":
            self._opened, self._rows = self._opened + opened.sum(0), self._rows + len(label)
        elif self.selector.dynamic and self.openness.any():
            frozen = self.classify(channels, self.frozen_gates()[None])
            metrics["frozen_accuracy"] = (frozen.argmax(-1) == label).float().mean()
        if "planted" in batch:
            planted = batch["planted"]
            metrics |= {"found": opened[planted].float().mean(), "false": opened[~planted].float().mean()}
        return metrics

    def frozen_gates(self) -> Tensor:
        """Return gates that do not depend on the input, ``n``: as many of the most open as are open on average."""
        number = max(1, round(float(self.openness.sum())))
        return torch.zeros_like(self.openness).index_fill(0, self.openness.topk(number).indices, 1.0)

    # -- removal ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def removed(self) -> nn.Sequential:
        """Build the network without closed channels, ``b c h w -> b y``, whose outputs are those of ``logits``.

        Raises:
            ValueError: gates that depend on the input, or no open channel.
        """
        if self.selector.dynamic:
            raise ValueError("the gates depend on the input, so no channel can be removed; use selector 'static'")
        gates = self.gates.mode(self.selector(self.openness[None, :, None, None]))[0]
        dct = kept_outputs(self.dct, gates)
        dct.weight.mul_(SCALE)
        first, *others = deepcopy(self.network)
        assert isinstance(first, nn.Conv2d)
        return nn.Sequential(Centre(), dct, gated_inputs(first, gates), *others)

    def flops(self) -> int:
        """Count the operations of one image in the network without closed channels; errors are those of ``removed``."""
        return flops(self.removed(), next(self.parameters()).new_zeros(1, *self.image_shape))


class Centre(nn.Module):
    """Moves pixels in [0, 1] to [-1/2, 1/2]."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x - 1/2."""
        return x - 0.5
