"""Adversarial matching of the codes of all sentences to the prior: Makhzani et al. 2016 (arXiv:1511.05644).

A critic D learns the log-ratio of q(z), that of a random sentence, and p(z). The encoder pays weight * D(z), in the
same expectation as -log p(x | z): so E[D(z)] estimates KL(q(z) || p(z)) (Mescheder et al. 2017, arXiv:1701.04722), and
codes may be categorical, through any estimator. Axes: ``b`` batch, ``w`` width of z.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call

from ....ranges import check_positive, check_sizes, check_weights
from ...relaxed.surrogate import Cost
from .critic import build_critic, critic_loss, two_sample_accuracy
from .latent import Latent
from .matching import MATCHINGS, Matching, warmed_up

MAX_HIDDEN = 10_000
DRAWS = 8  # of each sentence's code, of which the critic learns: its ratio is less noisy, and a draw costs little


@MATCHINGS.register("adversarial")
class Adversarial(Matching):
    """E[-log p(x | z) + weight * D(z)], and the critic's own loss, which moves nothing else.

    The critic learns from exact draws. It reads relaxed z too, for the gradient of the encoder. It takes one step with
    each of the model's, and must learn faster: an encoder that is ahead of it ends at one code for all sentences, whose
    posterior no gradient reaches any more. A schedule lowers the model's rate alone, so that the critic catches up in
    the end. ``best.ckpt`` has the lowest ``val/objective``, that expectation with the critic of its time.

    Args:
        width: w of z.
        weight: of the critic's logit.
        warmup: optimizer steps over which the weight grows from 0, while the critic learns already.
        hidden: width of the critic's two layers.
        learning_rate: its learning rate, several times the model's.

    Raises:
        ValueError: a negative weight, a width below 1 or above ``MAX_HIDDEN``, steps that are not whole, or a learning
            rate that is not > 0.
    """

    trains_prior = False  # the critic sees samples of it
    monitor = "val/objective"

    def __init__(
        self, width: int, weight: float = 1.0, warmup: int = 0, hidden: int = 256, learning_rate: float = 1e-2
    ) -> None:
        super().__init__(width)
        check_weights(weight=weight)
        check_sizes(hidden=hidden)
        if hidden > MAX_HIDDEN:
            raise ValueError(f"hidden must be at most {MAX_HIDDEN}, got {hidden}")
        check_sizes(0, warmup=warmup)
        check_positive(learning_rate=learning_rate)
        self.weight, self.warmup, self.learning_rate = weight, warmup, learning_rate
        self.critic = build_critic(width, hidden)

    def metrics(self, latent: Latent, posterior: Tensor, cost: Cost, step: int) -> dict[str, Tensor]:
        """Return ``loss``, and the critic's ``critic_loss`` and mean logit ``ratio`` of sentences, in nats."""
        grown = warmed_up(step, self.warmup)

        def full_cost(z: Tensor) -> Tensor:
            return cost(z) + grown * self.penalty(z)

        value = latent.expectation(posterior, full_cost).mean()
        with torch.no_grad():
            z = latent.draw(posterior, DRAWS)[0].flatten(0, 1)
            prior = latent.embed(latent.sample_prior(len(z))).to(z.dtype)
        logits = self.critic(z)
        loss = critic_loss(logits, self.critic(prior))
        return {"loss": value + loss, "critic_loss": loss, "ratio": logits.mean()}

    def penalty(self, z: Tensor) -> Tensor:
        """Return weight * D(z), ``... w -> ...``, without gradient for the critic."""
        frozen = {name: value.detach() for name, value in self.critic.named_parameters()}
        return self.weight * functional_call(self.critic, frozen, (z,)).squeeze(-1)

    def figures(self, latent: Latent, posterior: Tensor) -> dict[str, Tensor]:
        """Return ``critic_accuracy``: that of a fresh critic on codes that it has not seen; 0.5 is chance.

        Sentences are drawn into the two halves, since a file may be sorted. A single one cannot be halved.
        """
        if len(posterior) < 2:
            return {}
        z = latent.draw(posterior, 1)[0][0]
        z = z[torch.randperm(len(z), device=z.device)]
        prior = latent.embed(latent.sample_prior(len(z))).to(z.dtype)
        return {"critic_accuracy": torch.tensor(two_sample_accuracy(z, prior), device=z.device)}
