"""Base class of likelihoods: the distribution of an image's pixels given the outputs of a decoder.

Axes: ``b`` batch, ``c h w`` image, ``o`` decoder outputs per pixel position. Images have values in [0, 1]. An ``nll``
is in nats, summed over an image. Only discrete pixels have bits per dimension: a density has no lower bound on its nll.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ....registry import Registry
from ...relaxed.checks import eager

LEVELS = 256


class Likelihood(nn.Module):
    """p(x | outputs of a decoder). Subclasses write ``nll`` and ``mean``.

    Args:
        channels: c of the images.
    """

    levels: ClassVar[int | None] = None  # number of values of a discrete pixel; None for a density
    unit: ClassVar[str] = "nats_per_dim"  # unit of ``loss``
    data_mean: Tensor
    data_variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        # Those of uniform noise, until the data is known.
        self.register_buffer("data_mean", torch.tensor(0.5))
        self.register_buffer("data_variance", torch.tensor(1 / 12))

    @property
    def outputs(self) -> int:
        """Decoder outputs per pixel position, o."""
        return self.channels

    def nll(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Compute -log p(x) in nats, for outputs ``b o h w`` and images ``b c h w``, ``-> b``."""
        raise NotImplementedError

    def mean(self, outputs: Tensor) -> Tensor:
        """Compute the expected image, ``b o h w -> b c h w``."""
        raise NotImplementedError

    def loss(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Compute the reconstruction loss of a training objective in nats per dimension; arguments as for ``nll``."""
        return self.nll(outputs, x) / x[0].numel()

    def check_levels(self, x: Tensor) -> None:
        """Check that discrete pixels have one of their levels, else ValueError."""
        # On an accelerator the check waits for the device, so training skips it there.
        if self.levels is None or not eager() or (self.training and x.device.type != "cpu"):
            return
        level = x * (self.levels - 1)
        if not bool(((level - level.round()).abs() < 1e-3).all()) or x.min() < 0 or x.max() > 1:
            raise ValueError(
                f"this likelihood is of pixels with {self.levels} levels in [0, 1]; use data that has them (binary "
                "images: --data.binarization=static), or the likelihood 'gaussian'"
            )


LIKELIHOODS: Registry[type[Likelihood]] = Registry("likelihood", context=("channels",), base=Likelihood)
