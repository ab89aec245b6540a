"""Base class of models of binary images: Bernoulli likelihood, and an input that is centred at the mean training image.

Every likelihood and bound is in nats, on -log p: lower is better. Axes: ``b`` batch, ``c h w`` image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor

from ...ranges import check_sizes
from ..base import OptimizerConfig, ZooModel
from ..inputs import check_binary, check_image_shape, training_pixels
from ..relaxed.surrogate import upcast


class BinaryImageModel(ZooModel):
    """Model of binary images that starts from the mean training image. A subclass defines ``is_new``.

    Args:
        image_shape: ``c h w`` of the images.
        optimizer: AdamW and its learning-rate schedule.
        bound_samples: m of the importance-weighted bound at test.

    Attributes:
        base_rate: mean training image ``c h w``; 0.5 everywhere without one.

    Raises:
        ValueError: fewer than 1 sample, or an image without extent.
    """

    base_rate: Tensor
    batch_key = "image"

    def __init__(self, image_shape: Sequence[int], optimizer: OptimizerConfig | dict, bound_samples: int) -> None:
        super().__init__()
        check_sizes(bound_samples=bound_samples)
        self.image_shape, self.bound_samples = check_image_shape(image_shape), bound_samples
        self.use_optimizer(optimizer)
        self.register_buffer("base_rate", torch.full(self.image_shape, 0.5))

    def is_new(self) -> bool:
        """True if nothing was trained or loaded, so that the mean training image may replace the base rate."""
        raise NotImplementedError

    def setup(self, stage: str) -> None:
        """Take the mean training image from the data before the first step of a new model."""
        if stage == "fit" and self.is_new() and self.source is not None:
            mean = training_pixels(self.source, "mean").mean
            if mean.shape == self.image_shape:
                self.initialise(mean)

    def _check_first(self, batch: Any) -> None:
        super()._check_first(batch)
        check_binary(batch["image"])

    @torch.no_grad()
    def initialise(self, mean: Tensor) -> None:
        """Centre the input at the mean training image ``c h w`` and start the output from it."""
        self.base_rate.copy_(mean)


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """Compute -log p(x) from pixel logits ``... b c h w`` for images ``b c h w``, ``-> ... b`` nats, in float32."""
    logits = upcast(logits)
    nll = F.binary_cross_entropy_with_logits(logits, x.to(logits.dtype).expand_as(logits), reduction="none")
    return reduce(nll, "... c h w -> ...", "sum")
