"""Gumbel-Rao: straight-through Gumbel-Softmax with its gradient averaged over noise that gives the same sample.

Paulus, Maddison & Krause 2021 (arXiv:2010.04838), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ....ranges import is_whole
from ..estimator import ESTIMATORS, Estimator
from ..noise import NoiseFn
from ..sampling import gumbel_max, gumbel_softmax, one_hot
from ..surrogate import expand_temperature, straight_through
from .conditional_noise import conditional_noise


@ESTIMATORS.register("gumbel_rao")
class GumbelRao(Estimator):
    """Mean gradient of straight-through Gumbel-Softmax, with less variance at the same number of cost evaluations.

    The conditional noise is a constant for the gradient. The noise of the sample is the first of the inner samples, so
    with one inner sample this is straight-through Gumbel-Softmax. Worked in the literature: temperature 0.5-1. Most
    accurate per cost evaluation in benchmarks/estimators: 0.1, then 0.3, where 10 inner samples help most.

    Args:
        samples: draws of z per example.
        inner_samples: draws of the noise given z.

    Raises:
        ValueError: fewer than 1 inner sample.
    """

    unbiased = False
    pathwise = True

    def __init__(self, samples: int = 1, inner_samples: int = 10, event_shape: Sequence[int] | None = None) -> None:
        super().__init__(samples, event_shape)
        if not is_whole(inner_samples) or inner_samples < 1:
            raise ValueError(f"estimator 'gumbel_rao' needs a whole number inner_samples >= 1, got {inner_samples!r}")
        self.noise_draws = inner_samples

    def sample(self, logits: Tensor, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Draw a one-hot sample ``... k``; given noise is ``i ... k`` for i > 1 inner samples."""
        if self.noise_draws == 1:
            noise = noise_fn(logits)[None]
        else:
            noise = noise_fn(logits.expand(self.noise_draws, *logits.shape))  # i ... k
        codes = gumbel_max(logits, noise=noise[0])
        noise = torch.cat([noise[:1], conditional_noise(logits, codes, noise[1:])])
        soft = gumbel_softmax(logits.expand(noise.shape), expand_temperature(temperature), noise=noise).mean(0)
        return straight_through(one_hot(codes, logits.shape[-1], logits.dtype), soft)
