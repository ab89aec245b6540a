"""Priors of categorical latents, by name in ``PRIORS``: independent latents, uniform or learned.

Log-probabilities are in nats. Axes: ``n`` latents, ``k`` categories, ``m`` samples.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ....registry import Registry
from ...relaxed.sampling import categorical_sample
from ...relaxed.softmax import log_softmax


class Prior(nn.Module):
    """Base class of priors, and the uniform one.

    Args:
        latents: n.
        categories: k.

    Attributes:
        independent: the latents do not depend on each other.
        logits: of independent latents, ``n k``; uniform, if the latents depend on each other.
    """

    independent: ClassVar[bool] = True
    logits: Tensor

    def __init__(self, latents: int, categories: int) -> None:
        super().__init__()
        self.register_buffer("logits", torch.zeros(latents, categories), persistent=False)

    def correction(self, z: Tensor) -> Tensor | None:
        """Return the log-ratio of ``logits`` and the prior at z, ``... n k -> ...``; None where they are the same."""
        return None

    def conditional_logits(self, z: Tensor) -> Tensor:
        """Return the logits of each latent given those before it, ``... n k -> ... n k``."""
        return self.logits.expand(z.shape)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log p(z), ``... n k -> ...``; linear in each latent where z is relaxed."""
        return (z * log_softmax(self.logits)).sum((-1, -2))

    def sample(self, m: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw codes, ``-> m n``."""
        return categorical_sample(self.logits.expand(m, -1, -1), generator=generator)


PRIORS: Registry[type[Prior]] = Registry("prior of codes", context=("latents", "categories"), base=Prior)
PRIORS.register("uniform")(Prior)


@PRIORS.register("learned")
class Learned(Prior):
    """One learned categorical distribution for each latent."""

    def __init__(self, latents: int, categories: int) -> None:
        super().__init__(latents, categories)
        self.logits = nn.Parameter(torch.zeros(latents, categories))
