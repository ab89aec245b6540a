"""Gaussian latents, the continuous reference. Axes: ``b`` batch, ``n`` latents, ``s`` samples.

Kingma & Welling 2014 (arXiv:1312.6114), section 2.4 and appendix B; for sentences Bowman et al. 2016
(arXiv:1511.06349).
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from ....ranges import check_sizes
from ...base import lerp_path
from ...relaxed.latent_usage import ACTIVE_NATS
from ...relaxed.surrogate import Cost, upcast
from .latent import LATENTS, Latent

ROWS = 100  # draws that are compared with all posteriors at a time


@LATENTS.register("gaussian")
class Gaussian(Latent):
    """A diagonal Gaussian posterior, and a standard normal prior.

    Args:
        latents: number of dimensions n of z.

    Raises:
        ValueError: fewer than 1 latent.
    """

    origin: Tensor

    def __init__(self, latents: int = 32) -> None:
        check_sizes(latents=latents)
        super().__init__(latents, 2 * latents, latents)
        self.register_buffer("origin", torch.zeros(latents), persistent=False)  # where samples are drawn

    # -- distributions ------------------------------------------------------------------------------------------------

    def posterior(self, features: Tensor) -> Tensor:
        """Return mean and log standard deviation of q(z | x), ``b f -> b 2 n``."""
        return rearrange(features, "b (two n) -> b two n", two=2)

    def expectation(self, posterior: Tensor, cost: Cost) -> Tensor:
        """Estimate E[cost(z)] at one reparameterised draw, ``b``."""
        return cost(_normal(posterior).rsample().to(posterior.dtype))

    def kl(self, posterior: Tensor) -> Tensor:
        """Compute KL(q || p) of each latent, ``b n``."""
        return kl_divergence(_normal(posterior), Normal(0.0, 1.0))

    def draw(self, posterior: Tensor, s: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw z, ``s b n``, with log p(z) - log q(z | x), ``s b``."""
        q = _normal(posterior)
        noise = torch.randn(s, *q.loc.shape, device=q.loc.device, dtype=q.loc.dtype, generator=generator)
        z = q.loc + q.scale * noise  # s b n
        return z.to(posterior.dtype), (Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)).sum(-1)

    def pairwise_log_prob(self, posterior: Tensor, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) of draws ``i n`` and posteriors ``j 2 n``, ``i j``."""
        q = _normal(posterior)
        return torch.cat([q.log_prob(part[:, None]).sum(-1) for part in upcast(z).split(ROWS)])

    # -- codes --------------------------------------------------------------------------------------------------------

    def mode(self, posterior: Tensor) -> Tensor:
        """Return the means, ``b 2 n -> b n``."""
        return posterior[:, 0].contiguous()

    def sample_prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw z from the prior, ``-> n latents``."""
        where, dtype = self.origin.device, self.origin.dtype
        return torch.randn(n, self.latents, generator=generator, device=where, dtype=dtype)

    def embed(self, codes: Tensor) -> Tensor:
        """Return z itself, ``... n``; ValueError for whole numbers, or another number of latents."""
        if not codes.is_floating_point() or codes.shape[-1] != self.latents:
            raise ValueError(
                f"codes must be floating with shape (..., {self.latents}), got {codes.dtype} {tuple(codes.shape)}"
            )
        return codes.to(self.origin)

    def path(self, start: Tensor, end: Tensor, steps: int) -> Tensor:
        """Return the straight line between the means, ``b steps n``."""
        return lerp_path(self.mode(start), self.mode(end), steps)

    def usage(self, posterior: Tensor) -> dict[str, Tensor]:
        """Return ``active_latents``: those whose mean KL exceeds 0.01 nats."""
        return {"active_latents": (self.kl(posterior).mean(0) > ACTIVE_NATS).float().sum()}


def _normal(posterior: Tensor) -> Normal:
    mean, log_scale = upcast(posterior).unbind(1)
    return Normal(mean, log_scale.exp(), validate_args=False)
