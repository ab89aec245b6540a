"""The laws of exactly k of n, by the name that an estimator states as its ``law``."""

from __future__ import annotations

from torch import Tensor

from . import conditional_bernoulli, plackett_luce
from .top_k import k_hot


class Law:
    """Base class of distributions of k of n items, as functions of logits ``... n``."""

    def sample(self, logits: Tensor, k: int, noise: Tensor) -> Tensor:
        """Draw k-hot samples from Gumbel noise, ``... n`` twice ``-> ... n``, in the dtype of the logits."""
        raise NotImplementedError

    def log_prob(self, logits: Tensor, draw: Tensor, k: int) -> Tensor:
        """Compute log-probabilities of draws in nats, ``...``."""
        raise NotImplementedError

    def kl(self, logits: Tensor, prior_logits: Tensor | None, k: int) -> Tensor:
        """Compute KL(q || prior) in nats per row, ``... n -> ...``."""
        raise NotImplementedError

    def marginals(self, logits: Tensor, k: int) -> Tensor:
        """Compute the probability that each item is drawn, ``... n -> ... n``."""
        raise NotImplementedError


class ConditionalBernoulli(Law):
    """Independent Bernoulli variables, given that k of them are 1."""

    def sample(self, logits: Tensor, k: int, noise: Tensor) -> Tensor:
        """Draw k-hot samples, ``... n``."""
        return conditional_bernoulli.sample(logits, k, noise=noise)

    def log_prob(self, logits: Tensor, draw: Tensor, k: int) -> Tensor:
        """Compute log p of k-hot draws ``... n``."""
        return conditional_bernoulli.log_prob(logits, draw, k)

    def kl(self, logits: Tensor, prior_logits: Tensor | None, k: int) -> Tensor:
        """Compute the KL analytically."""
        return conditional_bernoulli.kl(logits, prior_logits, k)

    def marginals(self, logits: Tensor, k: int) -> Tensor:
        """Compute the marginals by recursion."""
        return conditional_bernoulli.marginals(logits, k)


class PlackettLuce(Law):
    """k choices one after the other, without replacement."""

    def sample(self, logits: Tensor, k: int, noise: Tensor) -> Tensor:
        """Draw k-hot samples, ``... n``."""
        return k_hot(plackett_luce.sample(logits, k, noise=noise), logits.shape[-1], logits.dtype)

    def log_prob(self, logits: Tensor, draw: Tensor, k: int) -> Tensor:
        """Compute log p of ordered draws, codes ``... k``."""
        return plackett_luce.log_prob(logits, draw, k)

    def kl(self, logits: Tensor, prior_logits: Tensor | None, k: int) -> Tensor:
        """Raise a ValueError: the KL of sets is a sum over all orders."""
        raise ValueError(_sum_over_orders("kl"))

    def marginals(self, logits: Tensor, k: int) -> Tensor:
        """Raise a ValueError: a marginal is a sum over all orders."""
        raise ValueError(_sum_over_orders("marginals"))


def _sum_over_orders(name: str) -> str:
    return (
        f"{name} of a Plackett-Luce law would be a sum over the k! orders of every set; use an estimator of the "
        "conditional Bernoulli law, such as 'simple', or average layer.sample"
    )


LAWS: dict[str, Law] = {"conditional_bernoulli": ConditionalBernoulli(), "plackett_luce": PlackettLuce()}
