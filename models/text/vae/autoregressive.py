"""An autoregressive prior of codes: p(z) = prod_i p(z_i | z_1 .. z_(i-1)), by a GRU over the latents.

Log-probabilities are in nats. Axes: ``n`` latents, ``k`` categories, ``m`` samples, ``h`` hidden width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ....ranges import check_sizes
from ...relaxed.sampling import categorical_sample, one_hot
from ...relaxed.softmax import log_softmax
from .priors import PRIORS, Prior


@PRIORS.register("autoregressive")
class Autoregressive(Prior):
    """A GRU that reads the earlier latents.

    Its KL has no closed form: it is that of a uniform prior and a ``correction`` in the cost of z.

    Args:
        latents: n.
        categories: k.
        hidden: width h of the GRU.

    Raises:
        ValueError: a width below 1.
    """

    independent = False

    def __init__(self, latents: int, categories: int, hidden: int = 64) -> None:
        check_sizes(hidden=hidden)
        super().__init__(latents, categories)
        self.value = nn.Linear(categories, hidden, bias=False)
        self.place = nn.Parameter(0.1 * torch.randn(latents, hidden))  # the first is the input before any latent
        self.cells = nn.GRU(hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, categories)

    def conditional_logits(self, z: Tensor) -> Tensor:
        """Return the logits of each latent given those before it, ``... n k -> ... n k``."""
        before = torch.cat([torch.zeros_like(z[..., :1, :]), z[..., :-1, :]], -2).to(self.place.dtype)
        x = self.value(before) + self.place  # ... n h
        return self.head(self.cells(x.reshape(-1, *x.shape[-2:]))[0]).reshape(z.shape)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log p(z), ``... n k -> ...``."""
        return (z * log_softmax(self.conditional_logits(z))).sum((-1, -2))

    def correction(self, z: Tensor) -> Tensor:
        """Return -n log k - log p(z), ``... n k -> ...``: from a uniform prior to this one."""
        return -z.shape[-2] * math.log(z.shape[-1]) - self.log_prob(z)

    def sample(self, m: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw codes one latent after the other, ``-> m n``."""
        n, k = self.logits.shape
        z = self.place.new_zeros(m, n, k)
        codes: list[Tensor] = []
        for latent in range(n):
            codes.append(categorical_sample(self.conditional_logits(z)[:, latent], generator=generator))
            z[:, latent] = one_hot(codes[-1], k, z.dtype)
        return torch.stack(codes, -1)
