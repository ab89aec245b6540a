"""Structured output prediction: the lower half of an image from the upper half, through stacked categorical layers.

The stochastic feed-forward network of Raiko, Berglund, Alain & Dinh 2015 (arXiv:1406.2989) in the form of Jang, Gu &
Poole 2017 (arXiv:1611.01144, section 4.1): x -> z_1 -> ... -> z_L -> y. Each arrow is an affine map, each z_i is ``n``
latents of ``k`` categories (200 of 2 are Jang's Bernoulli form), and the last arrow gives Bernoulli pixels. Bounds are
in nats of the lower half, upper bounds on -log p(y | x): lower is better. Axes: ``b`` batch, ``n`` latents, ``k``
categories, ``s`` samples, ``c h w`` half an image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...interfaces import Batch
from ...ranges import check_sizes
from ...registry import Spec
from ..base import ModelCard, OptimizerConfig, Part, register_model
from ..inputs import check_image_shape, check_images
from ..relaxed import ESTIMATORS, SCHEDULES, RelaxedCategorical
from ..relaxed.bounds import importance_weighted_bound
from ..relaxed.sampling import one_hot
from .binary_images import BinaryImageModel, bernoulli_nll


@register_model("structured_prediction")
class StructuredPrediction(BinaryImageModel):
    """Predicts the lower half of an image from the upper half, through stacked layers of categorical latents.

    The layers are trained through any estimator of ``RelaxedCategorical``.

    Args:
        image_shape: ``c h w`` of whole images; the height must be even.
        latents: number of latents n of each stochastic layer.
        categories: number of categories k of each latent.
        layers: number of stochastic layers.
        hidden: widths of deterministic ReLU layers before every stochastic layer and before the pixels; none in the
            paper.
        estimator: gradient estimator, a name of ``gumbelzoo list estimator`` or ``{name: reinforce, samples: 8}``.
        temperature: a number, or a schedule such as ``{name: exponential, initial: 1.0, minimum: 0.5, rate: 1.0e-4}``.
        optimizer: AdamW and its learning-rate schedule; options of ``OptimizerConfig``.
        bound_samples: m of the importance-weighted bound at test.
        val_samples: m of the bound at validation, which selects the best checkpoint.

    Raises:
        ValueError: an unknown name or option (the nearest known one is named), a value out of range, an odd height.

    Example:
        >>> model = StructuredPrediction((1, 28, 28), latents=20, categories=10, estimator="reinmax")
        >>> images = torch.rand(4, 1, 28, 28).round()  # b c h w, 0 or 1
        >>> loss = model.training_metrics({"image": images})["loss"]
        >>> completed = model.complete(images, samples=3)  # s b c h w
        >>> bounds = model.importance_weighted_bound(images, samples=50)  # b nats of the lower half
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: the lower half of an image from its upper half, through stacked categories.",
        limits="It completes images and generates none without an upper half. It models images of its data set only. "
        "Bounds are of the lower half, and comparable only under the same binarization and the same number of "
        "samples m.",
        example="# images: b c h w\ncompleted = model.complete(images, samples=4)  # s b c h w",
        metrics=("bound", "elbo"),
        task="image-to-image",
    )
    parts: ClassVar[Mapping[str, Part]] = {**BinaryImageModel.parts, "estimator": ESTIMATORS, "temperature": SCHEDULES}
    monitor = "val/bound"

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        latents: int = 20,
        categories: int = 10,
        layers: int = 2,
        hidden: Sequence[int] = (),
        estimator: Spec = "gumbel_softmax",
        temperature: float | Spec = 1.0,
        optimizer: OptimizerConfig | dict = BinaryImageModel.optimizer_config,
        bound_samples: int = 1000,
        val_samples: int = 50,
    ) -> None:
        c, h, w = check_image_shape(image_shape)
        if h % 2:
            raise ValueError(f"an image is split into two halves, so its height must be even, got {h} rows")
        check_sizes(latents=latents, layers=layers, val_samples=val_samples, hidden=hidden)
        check_sizes(2, categories=categories)
        super().__init__(image_shape, optimizer, bound_samples)
        self.save_hyperparameters()
        self.half_shape, self.val_samples = (c, h // 2, w), val_samples
        event = (latents, categories)
        self.relaxed = nn.ModuleList(RelaxedCategorical(estimator, temperature, event) for _ in range(layers))
        shapes = [self.half_shape, *[event] * layers, self.half_shape]
        self.links = nn.ModuleList(build_link(before, hidden, after) for before, after in pairwise(shapes))

    # -- distributions ------------------------------------------------------------------------------------------------

    def halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Split whole images into upper and lower halves, ``b c h w`` each.

        Raises:
            ValueError: images of another shape than ``image_shape``.
        """
        check_images(x, self.image_shape)
        upper, lower = x.chunk(2, dim=-2)
        return upper, lower

    def first_logits(self, upper: Tensor) -> Tensor:
        """Return logits of p(z_1 | x), ``b c h w -> b n k``.

        Raises:
            ValueError: images of another shape than an upper half.
        """
        if upper.shape[1:] != self.half_shape:
            raise ValueError(f"upper halves have shape {self.half_shape}, got {tuple(upper.shape[1:])}")
        return self.links[0](upper - self.base_rate.chunk(2, dim=-2)[0])

    def pixel_logits(self, output: Tensor) -> Tensor:
        """Return Bernoulli logits of p(y | z_L) for outputs of the last link, ``... c h w``."""
        return output + torch.logit(self.base_rate.chunk(2, dim=-2)[1], eps=1e-3)

    def nll(self, lower: Tensor, output: Tensor) -> Tensor:
        """Compute -log p(y | z_L) of lower halves from outputs of the last link, ``b c h w, ... b c h w -> ... b``."""
        return bernoulli_nll(self.pixel_logits(output), lower)

    def expected_nll(self, lower: Tensor, logits: Tensor, depth: int = 0) -> Tensor:
        """Estimate E[-log p(y | z_L)] over the layers from ``depth`` on, whose logits are ``... b n k``, ``-> ... b``.

        The cost of each layer is the expectation over the next one.
        """
        if depth == len(self.relaxed):
            return self.nll(lower, logits)
        layer, link = self.relaxed[depth], self.links[depth + 1]
        assert isinstance(layer, RelaxedCategorical)
        return layer.expectation(logits, lambda z: self.expected_nll(lower, link(z), depth + 1))

    def chain(self, logits: Tensor, choose: Callable[[RelaxedCategorical, Tensor], Tensor]) -> Tensor:
        """Return the output of the last link for codes ``choose(layer, logits)``, ``... b n k -> ... b c h w``."""
        for layer, link in zip(self.relaxed, self.links[1:], strict=True):
            assert isinstance(layer, RelaxedCategorical)
            logits = link(one_hot(choose(layer, logits), logits.shape[-1], logits.dtype))
        return logits

    def log_weights(self, lower: Tensor, logits: Tensor, s: int, generator: torch.Generator | None) -> Tensor:
        """Return log p(y | z) at s exact draws of z for lower halves and logits of z_1, ``s b`` nats."""
        return -self.nll(lower, self._draw(logits, s, generator))

    def _draw(self, logits: Tensor, samples: int, generator: torch.Generator | None) -> Tensor:
        repeated = logits.expand(samples, -1, -1, -1)  # s b n k
        return self.chain(repeated, lambda layer, logits: layer.sample(logits, generator=generator))

    # -- training and evaluation --------------------------------------------------------------------------------------

    def is_new(self) -> bool:
        """True before the first training step."""
        return bool(self.relaxed_layers()[0].step == 0)

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Return E[-log p(y | z)] as ``loss``: the paper's bound on -log p(y | x)."""
        upper, lower = self.halves(batch["image"])
        return {"loss": self.expected_nll(lower, self.first_logits(upper)).mean()}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the bounds with ``val_samples`` samples and with one."""
        self._log_bounds(batch, "val", self.val_samples)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the bounds with ``bound_samples`` samples and with one."""
        self._log_bounds(batch, "test", self.bound_samples)

    def _log_bounds(self, batch: Batch, stage: str, samples: int) -> None:
        x = batch["image"]
        upper, lower = self.halves(x)
        elbo = self.expected_nll(lower, self.first_logits(upper)).mean()
        named = {f"{stage}/bound": self.importance_weighted_bound(x, samples).mean(), f"{stage}/elbo": elbo}
        self.log_dict(named, on_epoch=True, batch_size=len(x), sync_dist=True)

    @torch.no_grad()
    def importance_weighted_bound(
        self, x: Tensor, samples: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Compute the m-sample bound on -log p(y | x) of whole images, ``b c h w -> b`` nats, in float32 at least.

        The proposal of every layer is the model's own p(z_i | z_(i-1)), so a weight is p(y | z_L).

        Args:
            x: images, upper and lower half.
            samples: m; ``bound_samples`` by default.
            generator: source of the draws.

        Raises:
            ValueError: fewer than 1 sample, or images of another shape.
        """
        m = self.bound_samples if samples is None else samples
        upper, lower = self.halves(x)
        log_weights = partial(self.log_weights, generator=generator)
        return importance_weighted_bound(log_weights, m, lower, self.first_logits(upper))

    # -- images -------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def predict(self, upper: Tensor, samples: int = 1, *, generator: torch.Generator | None = None) -> Tensor:
        """Return pixel probabilities of lower halves for upper halves, ``b c h w -> s b c h w``, one draw of z each."""
        return self.pixel_logits(self._draw(self.first_logits(upper), samples, generator)).sigmoid()

    def complete(self, x: Tensor, samples: int = 1, *, generator: torch.Generator | None = None) -> Tensor:
        """Replace the lower halves of images by predictions, ``b c h w -> s b c h w``."""
        upper, _ = self.halves(x)
        lower = self.predict(upper, samples, generator=generator)
        return torch.cat([upper.expand_as(lower), lower], dim=-2)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Replace the lower halves of images by predictions from the modes of all layers, ``b c h w -> b c h w``."""
        upper, _ = self.halves(x)
        output = self.chain(self.first_logits(upper), lambda layer, logits: layer.mode(logits))
        return torch.cat([upper, self.pixel_logits(output).sigmoid()], dim=-2)


def build_link(before: Sequence[int], hidden: Sequence[int], after: Sequence[int]) -> nn.Module:
    """Build a map from one shape to logits of another, ``... before -> ... after``: affine, or an MLP if ``hidden``."""
    widths = [math.prod(before), *hidden, math.prod(after)]
    first, *others = (nn.Linear(*pair) for pair in pairwise(widths))
    layers = [first, *(layer for linear in others for layer in (nn.ReLU(), linear))]
    return nn.Sequential(nn.Flatten(-len(before)), *layers, nn.Unflatten(-1, tuple(after)))
