"""The interface of the latents of recurrent VAEs, by name in ``LATENTS``.

Every KL and log-probability is in nats. Axes: ``b`` batch, ``n`` latents, ``s`` samples, ``f`` features, ``w`` width of
z as the decoder reads it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ....registry import Registry
from ...relaxed.surrogate import Cost


class Latent(nn.Module):
    """Base class of latents: posterior, prior, and codes.

    Args:
        latents: n.
        features: width f of the encoder's output.
        width: w.
    """

    def __init__(self, latents: int, features: int, width: int) -> None:
        super().__init__()
        self.latents, self.features, self.width = latents, features, width

    # -- distributions ------------------------------------------------------------------------------------------------

    def posterior(self, features: Tensor) -> Tensor:
        """Return the parameters of q(z | x), ``b f -> b ...``."""
        raise NotImplementedError

    def expectation(self, posterior: Tensor, cost: Cost) -> Tensor:
        """Estimate E[cost(z)] with its gradients, ``b``; the cost maps z ``... b w`` to ``... b``."""
        raise NotImplementedError

    def kl(self, posterior: Tensor) -> Tensor:
        """Compute KL(q || p) of each latent, ``b n``; without the ``correction``, if there is one."""
        raise NotImplementedError

    def correction(self, z: Tensor) -> Tensor | None:
        """Return what the sum of ``kl`` lacks at z, ``... w -> ...``; None for a prior of independent latents."""
        return None

    def draw(self, posterior: Tensor, s: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw z exactly, and return it, ``s b w``, with log p(z) - log q(z | x), ``s b``."""
        raise NotImplementedError

    def pairwise_log_prob(self, posterior: Tensor, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) of draws ``i w`` and posteriors of ``j`` sentences, ``i j``."""
        raise NotImplementedError

    def prior_parameters(self) -> Iterator[nn.Parameter]:
        """Return the parameters of a prior that is learned; none otherwise."""
        return iter(())

    # -- codes --------------------------------------------------------------------------------------------------------

    def mode(self, posterior: Tensor) -> Tensor:
        """Return the codes ``b n`` of sentences; nothing is drawn."""
        raise NotImplementedError

    def sample_prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw codes from the prior, ``-> n latents``."""
        raise NotImplementedError

    def embed(self, codes: Tensor) -> Tensor:
        """Return z of codes, ``... n -> ... w``; ValueError for codes of another kind, number or range."""
        raise NotImplementedError

    def path(self, start: Tensor, end: Tensor, steps: int) -> Tensor:
        """Return codes on the way from one posterior to another, both included, ``b steps n``."""
        raise NotImplementedError

    def usage(self, posterior: Tensor) -> dict[str, Tensor]:
        """Return what the codes of all sentences say of the latents, by name."""
        return {}


LATENTS: Registry[type[Latent]] = Registry("latent", base=Latent)
