"""The Gumbel-Softmax GAN: the discriminator's gradient reaches the generator through relaxed samples.

Kusner & Hernandez-Lobato 2016 (arXiv:1611.04051); Nie, Narodytska & Patel 2019 (RelGAN).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...base import Batch
from ...relaxed import RelaxedCategorical
from ..generators.base import FEEDBACKS, Generator
from .adversarial import Adversarial
from .base import OBJECTIVES


@OBJECTIVES.register("gumbel")
class GumbelGAN(Adversarial):
    """Every token is a sample of one ``RelaxedCategorical``, whatever its estimator, as long as that is pathwise.

    Args:
        size, length, end, discriminator, discriminator_options, loss, reward: see the base class.
        estimator, temperature, estimator_options: of the layer.
        feedback: what the generator is fed of its samples, see ``Generator.rollout``.

    Raises:
        ValueError: an unknown name; an estimator without a pathwise gradient.
    """

    def __init__(
        self,
        size: int,
        length: int,
        end: int | None = None,
        discriminator: str = "cnn",
        discriminator_options: Mapping[str, Any] | None = None,
        loss: str = "standard",
        reward: str = "learned",
        estimator: str = "gumbel_softmax",
        temperature: float | Mapping[str, Any] = 1.0,
        estimator_options: Mapping[str, Any] | None = None,
        feedback: str = "soft",
    ) -> None:
        super().__init__(size, length, end, discriminator, discriminator_options, loss, reward)
        self.relaxed = RelaxedCategorical(estimator, temperature, estimator_options)
        if not self.relaxed.estimator.pathwise:
            raise ValueError(
                f"estimator '{estimator}' has no pathwise gradient for objective 'gumbel'; use one such as "
                "'straight_through_gumbel_softmax', or objective 'seqgan'"
            )
        FEEDBACKS[feedback]  # tells of an unknown name
        self.feedback = feedback

    def generator_metrics(self, generator: Generator, batch: Batch) -> dict[str, Tensor]:
        """``loss`` and the mean score of the samples."""
        points = generator.rollout(len(batch["tokens"]), self.relaxed, self.feedback)  # b t v
        if points.requires_grad:
            points.register_hook(self.reward.of_gradient)
        fake = self.discriminator(points)
        with torch.no_grad():
            real = self.discriminator(batch["tokens"])
        return {"loss": self.loss.generator(real, fake), "score": fake.mean()}

    def imitate(self, generator: Generator, n: int) -> Tensor:
        """Exact samples where the estimator's are one-hot, which is much cheaper, else relaxed ones."""
        if self.relaxed.estimator.exact_value:
            return generator.sample(n)
        return generator.rollout(n, self.relaxed, self.feedback)
