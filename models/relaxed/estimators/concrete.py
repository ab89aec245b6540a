"""The Concrete relaxation: both the cost and the KL of the objective are relaxed; evaluation is discrete.

Maddison, Mnih & Teh 2017 (arXiv:1611.00712), section 3.3 and appendix C.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..densities import concrete_log_prob
from ..estimator import ESTIMATORS, NoiseSource, full_precision
from ..sampling import align_temperature
from .gumbel_softmax import GumbelSoftmax


@ESTIMATORS.register("concrete")
class Concrete(GumbelSoftmax):
    """Samples as Gumbel-Softmax does; the KL is one between Concrete densities, so the relaxed bound is a true bound.

    Posterior and prior temperatures that worked in the paper: 2/3 and 1/2 for two categories, 1 and 2/3 for four, 2/3
    and 2/5 for eight. The layer's temperature is the posterior's.

    Between equal temperatures, whichever they are, this KL is near a uniform prior k^2 / (k + 1) times that of the
    categories, and more away from it, so that a model with many categories may never leave the prior. A sharper prior
    flattens it: with 20 latents of 10 categories on MNIST, 1 and 2/5 learn where 1 and 1, 2/3 and 2/3, 2/3 and 2/5 had
    not begun after 4,000 steps.

    Args:
        samples: draws of z per example.
        prior_temperature: of the prior's Concrete density, a number > 0.
    """

    def __init__(self, samples: int = 1, prior_temperature: float = 0.4) -> None:
        super().__init__(samples)
        if not prior_temperature > 0:
            raise ValueError(f"prior_temperature must be > 0, got {prior_temperature}; 0.4 is a good start")
        self.prior_temperature = prior_temperature

    def kl(
        self, logits: Tensor, prior_logits: Tensor | None, temperature: Tensor | float, source: NoiseSource
    ) -> Tensor:
        """log q(y) - log p(y) at one relaxed sample y of each row, ``... k -> ...``; its mean is the KL in nats.

        A class that q masks takes its probability from the prior, as in the KL of categories, and one that only the
        prior masks makes the KL infinite.
        """
        masked = logits.isneginf()
        prior = torch.zeros_like(logits) if prior_logits is None else prior_logits.expand_as(logits)
        log_p = full_precision(prior).log_softmax(-1).masked_fill(masked, -torch.inf)
        scores = (full_precision(logits) + source(logits)).masked_fill(masked, 0.0)
        log_y = (scores / align_temperature(temperature, logits)).masked_fill(masked, -torch.inf).log_softmax(-1)
        posterior = concrete_log_prob(log_y, logits, temperature)
        relaxed_prior = concrete_log_prob(log_y, log_p, self.prior_temperature) + log_p.logsumexp(-1)
        return (posterior - relaxed_prior).masked_fill((log_p.isneginf() & ~masked).any(-1), torch.inf)
