"""The ELBO with its devices against a posterior that ignores the sentence. Axes: ``b`` batch, ``w`` width of z.

KL warm-up: Bowman et al. 2016 (arXiv:1511.06349). Free bits: Kingma et al. 2016 (arXiv:1606.04934), here of all latents
together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ....ranges import check_sizes, check_weights
from ...relaxed.surrogate import Cost
from .latent import Latent
from .matching import MATCHINGS, Matching, warmed_up


@MATCHINGS.register("kl")
class KL(Matching):
    """E[-log p(x | z)] + weight * max(KL, free_bits), the KL being the mean of a batch.

    Args:
        width: w of z.
        weight: of the KL; 1 is the ELBO, 0 an autoencoder.
        warmup: optimizer steps over which the weight grows from 0.
        free_bits: nats of KL per sentence that cost nothing.

    Raises:
        ValueError: a negative number, or steps that are not whole.
    """

    def __init__(self, width: int, weight: float = 1.0, warmup: int = 0, free_bits: float = 0.0) -> None:
        super().__init__(width)
        check_weights(weight=weight, free_bits=free_bits)
        check_sizes(0, warmup=warmup)
        self.weight, self.warmup, self.free_bits = weight, warmup, free_bits
        self.monitor = "val/elbo" if weight else "val/reconstruction"
        self.trains_prior = weight > 0

    def metrics(self, latent: Latent, posterior: Tensor, cost: Cost, step: int) -> dict[str, Tensor]:
        """Return ``loss``, the negative ELBO ``elbo``, and ``kl``."""
        beta = self.weight * warmed_up(step, self.warmup)
        kl = latent.kl(posterior).sum(-1).mean()
        with torch.no_grad():
            z, _ = latent.draw(posterior, 1)
            correction = latent.correction(z)
            estimate = 0.0 if correction is None else correction.mean()
        # Below the free bits neither the KL nor its correction has a gradient.
        paid = beta * (kl.detach() + estimate > self.free_bits) if self.free_bits else beta

        def full_cost(z: Tensor) -> Tensor:
            extra = latent.correction(z)
            return cost(z) if extra is None else cost(z) + paid * extra

        value = latent.expectation(posterior, full_cost).mean()
        loss = value + paid * kl + (beta - paid) * self.free_bits
        found = kl.detach() + estimate
        return {"loss": loss, "elbo": value.detach() + found - paid * estimate, "kl": found}
