"""Gaussian pixels of one variance, and their special case, the mean squared error."""

from __future__ import annotations

import math

import torch
from einops import reduce
from torch import Tensor, nn

from ....ranges import check_positive
from ...relaxed.surrogate import upcast
from .base import LIKELIHOODS, Likelihood


@LIKELIHOODS.register("gaussian")
class Gaussian(Likelihood):
    """Normal pixels around the decoder's outputs, all with the same variance.

    Args:
        channels: c of the images.
        noise: variance of a pixel relative to the variance of the data; None learns it.

    Raises:
        ValueError: a noise that is not > 0.
    """

    def __init__(self, channels: int, noise: float | None = None) -> None:
        super().__init__(channels)
        if noise is not None:
            check_positive(noise=noise)
        initial = torch.tensor(math.log(noise or 1.0))
        self.log_noise = nn.Parameter(initial, requires_grad=noise is None)

    def mean(self, outputs: Tensor) -> Tensor:
        """Scale the outputs to pixels: they are in standard deviations of the data from its mean."""
        return upcast(self.data_mean) + upcast(self.data_variance).sqrt() * outputs

    def nll(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Compute -log of the density at x in nats, ``-> b``; it may be negative."""
        variance = upcast(self.data_variance) * upcast(self.log_noise).exp()
        nll = gaussian_nll(x, self.mean(upcast(outputs)), variance)
        return reduce(nll, "b c h w -> b", "sum")


@LIKELIHOODS.register("mse")
class MeanSquaredError(Gaussian):
    """The Gaussian of half the data's variance: its nats per dimension are the NMSE plus a constant.

    ``loss`` is the NMSE itself: the mean squared error over the variance of all training pixels around their one mean,
    as the VQ-VAEs of Sonnet and Keras report it.
    """

    unit = "nmse"

    def __init__(self, channels: int) -> None:
        super().__init__(channels, noise=0.5)

    def loss(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Compute the NMSE, ``-> b``."""
        return reduce((x - self.mean(upcast(outputs))).square(), "b c h w -> b", "mean") / self.data_variance


def gaussian_nll(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Compute -log N(x; mean, variance) in nats, elementwise."""
    return 0.5 * ((x - mean).square() / variance + torch.log(2 * math.pi * variance))
