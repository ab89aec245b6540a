"""Structured output prediction: the lower half of an image from the upper half, through stacked categorical layers.

The stochastic feed-forward network of Raiko, Berglund, Alain & Dinh 2015 (arXiv:1406.2989) as Jang, Gu & Poole 2017
(arXiv:1611.01144, section 4.1) have it: x -> z_1 -> ... -> z_L -> y, where each arrow is an affine map, each z_i is
``n`` latents of ``k`` categories (200 of 2 are Jang's Bernoulli form) and the last arrow gives Bernoulli pixels. Every
bound is in nats of the lower half, an upper bound on -log p(y | x): lower is better. Axes: ``b`` batch, ``n`` latents,
``k`` categories, ``s`` samples, ``c h w`` half an image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor, nn

from ..base import Batch, ZooModel, check_images
from ..registry import register_model
from ..relaxed import RelaxedCategorical
from ..relaxed.estimator import full_precision
from ..relaxed.sampling import one_hot

BOUND_ROWS = 2000  # half images predicted at once by the m-sample bound: a few MB, whatever m is


@register_model("structured_prediction")
class StructuredPrediction(ZooModel):
    """Predicts lower halves; the layers above the pixels are sampled through any estimator of ``RelaxedCategorical``.

    Args:
        image_shape: ``c h w`` of the whole images; the height must be even.
        latents: number of latents n of each stochastic layer.
        categories: categories of each, k.
        layers: number of stochastic layers.
        hidden: widths of deterministic ReLU layers before every stochastic layer and before the pixels; none is the
            paper's network.
        estimator: how gradients pass the samples, a name of ``gumbelzoo list``.
        temperature: a number, or a schedule such as ``{name: exponential, initial: 1.0, minimum: 0.5, rate: 1.0e-4}``.
        estimator_options: arguments of the estimator, such as ``{samples: 4}``.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        lr_schedule: ``constant``, or ``cosine`` (to 0 over the whole run).
        lr_warmup: training steps over which the learning rate rises from 0.
        bound_samples: m of the bound at test.
        val_samples: m of the bound at validation, which chooses the best checkpoint.
    """

    monitor = "val/bound"

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        latents: int = 20,
        categories: int = 10,
        layers: int = 2,
        hidden: Sequence[int] = (),
        estimator: str = "gumbel_softmax",
        temperature: float | Mapping[str, Any] = 1.0,
        estimator_options: Mapping[str, Any] | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: str = "constant",
        lr_warmup: int = 0,
        bound_samples: int = 1000,
        val_samples: int = 50,
    ) -> None:
        super().__init__()
        c, h, w = image_shape
        if h % 2:
            raise ValueError(f"an image is split into two halves, so its height must be even, got {h} rows")
        if min(latents, layers, bound_samples, val_samples) < 1 or categories < 2:
            raise ValueError("latents, layers, bound_samples and val_samples must be >= 1 and categories >= 2")
        self.save_hyperparameters()
        self.image_shape, self.half_shape = tuple(image_shape), (c, h // 2, w)
        self.bound_samples, self.val_samples = bound_samples, val_samples
        self.configure_learning(learning_rate, weight_decay, lr_schedule, lr_warmup)

        event = (latents, categories)
        self.relaxed = nn.ModuleList(
            RelaxedCategorical(estimator, temperature, estimator_options, event) for _ in range(layers)
        )
        shapes = [self.half_shape, *[event] * layers, self.half_shape]
        self.links = nn.ModuleList(link(before, hidden, after) for before, after in pairwise(shapes))
        self.register_buffer("base_rate", torch.full(self.image_shape, 0.5))

    base_rate: Tensor

    # -- the distributions ------------------------------------------------------------------------------------------

    def halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The upper and the lower half of whole images, ``b c h w`` each.

        Raises:
            ValueError: images of another shape than ``image_shape``.
        """
        check_images(x, self.image_shape)
        upper, lower = x.chunk(2, dim=-2)
        return upper, lower

    def first_logits(self, upper: Tensor) -> Tensor:
        """Logits of p(z_1 | x), ``b c h w -> b n k``.

        Raises:
            ValueError: anything but upper halves.
        """
        if upper.shape[1:] != self.half_shape:
            raise ValueError(f"upper halves have shape {self.half_shape}, got {tuple(upper.shape[1:])}")
        return self.links[0](upper - self.base_rate.chunk(2, dim=-2)[0])

    def pixel_logits(self, last: Tensor) -> Tensor:
        """Bernoulli logits of p(y | z_L) from the output of the last link, ``... c h w``."""
        return last + torch.logit(self.base_rate.chunk(2, dim=-2)[1], eps=1e-3)

    def nats(self, lower: Tensor, last: Tensor) -> Tensor:
        """-log p(y | z_L) for lower halves ``b c h w`` and outputs of the last link ``... b c h w``, ``-> ... b``."""
        logits = full_precision(self.pixel_logits(last))
        nats = F.binary_cross_entropy_with_logits(logits, lower.to(logits.dtype).expand_as(logits), reduction="none")
        return reduce(nats, "... c h w -> ...", "sum")

    def expected_nats(self, lower: Tensor, logits: Tensor, depth: int = 0) -> Tensor:
        """E[-log p(y | z_L)] over the layers from ``depth`` on, whose logits are ``... b n k``, ``-> ... b``.

        The cost of each layer is the expectation of the next one.
        """
        if depth == len(self.relaxed):
            return self.nats(lower, logits)
        layer, link = self.relaxed_layers()[depth], self.links[depth + 1]
        return layer.expectation(logits, lambda z: self.expected_nats(lower, link(z), depth + 1))

    def chain(self, logits: Tensor, choose: Callable[[RelaxedCategorical, Tensor], Tensor]) -> Tensor:
        """Output of the last link, ``... b n k -> ... b c h w``, with the codes ``choose(layer, logits)``."""
        for layer, link in zip(self.relaxed_layers(), self.links[1:], strict=True):
            logits = link(one_hot(choose(layer, logits), logits.shape[-1], logits.dtype))
        return logits

    # -- training and evaluation ------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Before the first step of a new model, take the mean training image from the data."""
        mean = getattr(getattr(self.trainer, "datamodule", None), "mean", None)
        if stage == "fit" and mean is not None and self.relaxed[0].step == 0 and mean.shape == self.image_shape:
            self.initialise(mean)

    @torch.no_grad()
    def initialise(self, mean: Tensor) -> None:
        """Centre the input at, and let the output start from, the mean training image ``c h w``."""
        self.base_rate.copy_(mean)

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """E[-log p(y | z)] as ``loss``: a bound on -log p(y | x), the one of the paper."""
        upper, lower = self.halves(batch["image"])
        return {"loss": self.expected_nats(lower, self.first_logits(upper)).mean()}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the bounds with m = ``val_samples`` and with one sample."""
        self._log_bounds(batch, "val", self.val_samples)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the bounds with m = ``bound_samples`` and with one sample."""
        self._log_bounds(batch, "test", self.bound_samples)

    def _log_bounds(self, batch: Batch, stage: str, samples: int) -> None:
        x = batch["image"]
        upper, lower = self.halves(x)
        elbo = self.expected_nats(lower, self.first_logits(upper)).mean()
        named = {f"{stage}/bound": self.bound(x, samples).mean(), f"{stage}/elbo": elbo}
        self.log_dict(named, on_epoch=True, batch_size=len(x), sync_dist=True)

    @torch.no_grad()
    def bound(self, x: Tensor, samples: int | None = None, generator: torch.Generator | None = None) -> Tensor:
        """The m-sample bound on -log p(y | x), whole images ``b c h w -> b`` nats, in chunks of bounded memory.

        -log 1/m sum_i p(y | z_i), every z_i drawn discretely through all layers, in float32 at least.

        Raises:
            ValueError: fewer than 1 sample.
        """
        m = self.bound_samples if samples is None else samples
        if m < 1:
            raise ValueError(f"samples must be >= 1, got {m}")
        rows = max(1, BOUND_ROWS // m)
        upper, lower = self.halves(x)
        chunks = zip(self.first_logits(upper).split(rows), lower.split(rows), strict=True)
        return torch.cat([self._bound(*chunk, m, generator) for chunk in chunks])

    def _bound(self, logits: Tensor, lower: Tensor, m: int, generator: torch.Generator | None) -> Tensor:
        log_p = []
        for start in range(0, m, BOUND_ROWS):
            s = min(BOUND_ROWS, m - start)
            log_p.append(-self.nats(lower, self._draw(logits, s, generator)))  # s b
        return math.log(m) - torch.cat(log_p).logsumexp(0)

    def _draw(self, logits: Tensor, samples: int, generator: torch.Generator | None) -> Tensor:
        repeated = logits.expand(samples, -1, -1, -1)  # s b n k
        return self.chain(repeated, lambda layer, logits: layer.sample(logits, generator=generator))

    # -- images -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def predict(self, upper: Tensor, samples: int = 1, *, generator: torch.Generator | None = None) -> Tensor:
        """Pixel probabilities of lower halves for upper halves, ``b c h w -> s b c h w``, one draw of z each."""
        return self.pixel_logits(self._draw(self.first_logits(upper), samples, generator)).sigmoid()

    def complete(self, x: Tensor, samples: int = 1, *, generator: torch.Generator | None = None) -> Tensor:
        """Whole images with predictions in the place of their lower halves, ``b c h w -> s b c h w``."""
        upper, _ = self.halves(x)
        lower = self.predict(upper, samples, generator=generator)
        return torch.cat([upper.expand_as(lower), lower], dim=-2)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Whole images, their lower halves predicted from the modes of all layers, ``b c h w -> b c h w``."""
        upper, _ = self.halves(x)
        last = self.chain(self.first_logits(upper), lambda layer, logits: layer.mode(logits))
        return torch.cat([upper, self.pixel_logits(last).sigmoid()], dim=-2)


def link(before: Sequence[int], hidden: Sequence[int], after: Sequence[int]) -> nn.Module:
    """From points of one shape to logits of another, ``... before -> ... after``: affine, or an MLP with ``hidden``."""
    widths = [math.prod(before), *hidden, math.prod(after)]
    first, *others = (nn.Linear(*pair) for pair in pairwise(widths))
    layers = [first, *(layer for linear in others for layer in (nn.ReLU(), linear))]
    return nn.Sequential(nn.Flatten(-len(before)), *layers, nn.Unflatten(-1, tuple(after)))
