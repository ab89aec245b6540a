"""n categorical latents of k categories, trained through any estimator. Axes: ``b`` batch, ``n``, ``k``, ``s`` samples.

Jang, Gu & Poole 2017 (arXiv:1611.01144); for sentences Zhao, Lee & Eskenazi 2018 (DI-VAE, arXiv:1804.08069).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from einops import rearrange
from torch import Tensor, nn

from ....ranges import check_sizes
from ....registry import Spec
from ...base import lerp_path
from ...relaxed import ESTIMATORS, SCHEDULES, RelaxedCategorical
from ...relaxed.checks import check_code_range
from ...relaxed.latent_usage import LatentUsage
from ...relaxed.sampling import one_hot
from ...relaxed.softmax import log_softmax
from ...relaxed.surrogate import Cost
from .latent import LATENTS, Latent
from .priors import PRIORS


@LATENTS.register("categorical")
class Categorical(Latent):
    """Categorical latents.

    Args:
        latents: number of latents n.
        categories: number of categories k of each latent.
        prior: uniform, learned (independent latents), autoregressive, or ``{name: autoregressive, hidden: 64}``.
        estimator: gradient estimator, a name of ``gumbelzoo list estimator`` or ``{name: reinforce, samples: 8}``.
        temperature: a number > 0, or the name or spec of a schedule.

    Raises:
        ValueError: an unknown name or option, fewer than 1 latent or 2 categories.
    """

    parts: ClassVar[Mapping[str, Any]] = {"prior": PRIORS, "estimator": ESTIMATORS, "temperature": SCHEDULES}

    def __init__(
        self,
        latents: int = 20,
        categories: int = 10,
        prior: Spec = "uniform",
        estimator: Spec = "gumbel_softmax",
        temperature: float | Spec = 1.0,
    ) -> None:
        check_sizes(latents=latents)
        check_sizes(2, categories=categories)
        super().__init__(latents, latents * categories, latents * categories)
        self.categories = categories
        self.relaxed = RelaxedCategorical(estimator, temperature, (latents, categories))
        self.prior = PRIORS.build(prior, latents=latents, categories=categories)

    # -- distributions ------------------------------------------------------------------------------------------------

    def posterior(self, features: Tensor) -> Tensor:
        """Return logits of q(z | x), ``b f -> b n k``."""
        return rearrange(features, "b (n k) -> b n k", n=self.latents)

    def expectation(self, posterior: Tensor, cost: Cost) -> Tensor:
        """Estimate E[cost(z)] with the estimator's gradient, ``b``."""
        return self.relaxed.expectation(posterior, lambda z: cost(z.flatten(-2)))

    def kl(self, posterior: Tensor) -> Tensor:
        """Compute KL(q || p) of each latent, ``b n``; of an autoregressive prior, that from the uniform one."""
        return self.relaxed.kl(posterior, self.prior.logits)

    def correction(self, z: Tensor) -> Tensor | None:
        """Return what the KL lacks at z, ``... w -> ...``; None unless the prior is autoregressive."""
        return self.prior.correction(z.unflatten(-1, (self.latents, self.categories)))

    def draw(self, posterior: Tensor, s: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw one-hot z exactly, ``s b w``, with log p(z) - log q(z | x), ``s b``."""
        codes = self.relaxed.sample(posterior.expand(s, *posterior.shape), generator=generator)  # s b n
        z = one_hot(codes, self.categories, posterior.dtype)  # s b n k
        log_q = log_softmax(posterior).expand(s, *posterior.shape).gather(-1, codes[..., None]).sum((-1, -2))
        return z.flatten(-2), self.prior.log_prob(z) - log_q

    def pairwise_log_prob(self, posterior: Tensor, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) of one-hot draws ``i w`` and logits ``j n k``, ``i j``."""
        return z @ log_softmax(posterior).flatten(1).T.to(z.dtype)

    def prior_parameters(self) -> Iterator[nn.Parameter]:
        """Return the parameters of a learned or autoregressive prior."""
        return self.prior.parameters()

    # -- codes --------------------------------------------------------------------------------------------------------

    def mode(self, posterior: Tensor) -> Tensor:
        """Return the most probable categories, ``b n k -> b n``."""
        return self.relaxed.mode(posterior)

    def sample_prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw codes from the prior, ``-> n latents``."""
        return self.prior.sample(n, generator)

    def embed(self, codes: Tensor) -> Tensor:
        """Return one-hot z, ``... n -> ... w``; ValueError for codes that are no whole numbers in [0, k)."""
        whole = check_code_range(codes, self.latents, self.categories)
        return one_hot(whole, self.categories, self.prior.logits.dtype).flatten(-2)

    def path(self, start: Tensor, end: Tensor, steps: int) -> Tensor:
        """Return modes along the line between two logits, ``b steps n``: each latent switches at a point of its own."""
        return self.relaxed.mode(lerp_path(start, end, steps))

    def usage(self, posterior: Tensor) -> dict[str, Tensor]:
        """Return active latents, share of the categories that are used, and perplexity; see ``LatentUsage``.

        Where the prior is autoregressive, the KL of a latent is that from its conditional given a draw of those before.
        """
        kl = self.kl(posterior)
        if not self.prior.independent:
            z = self.draw(posterior, 1)[0][0].unflatten(-1, (self.latents, self.categories))  # b n k
            kl = self.relaxed.kl(posterior, self.prior.conditional_logits(z))
        usage = LatentUsage(self.latents, self.categories).to(posterior.device)
        usage.update(self.mode(posterior), kl)
        return usage.compute()
