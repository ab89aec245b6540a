"""The Gumbel-Softmax GAN: the discriminator's gradient reaches the generator through relaxed samples.

Kusner & Hernandez-Lobato 2016 (arXiv:1611.04051); Nie, Narodytska & Patel 2019 (RelGAN). Axes: ``b`` batch, ``n``
samples, ``t`` time, ``v`` vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from ....interfaces import Batch
from ....registry import Spec
from ....vocabulary import Vocabulary
from ...relaxed import RelaxedCategorical
from ..generators.base import LanguageModel
from ..generators.feedback import FEEDBACKS
from .adversarial import DEFAULT_ADVERSARY, Adversarial, Adversary
from .base import OBJECTIVES


@OBJECTIVES.register("gumbel")
class GumbelGAN(Adversarial):
    """Samples every token through one ``RelaxedCategorical`` with a pathwise estimator.

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: longest sentence in tokens.
        adversary: options of ``Adversary``.
        estimator: a pathwise estimator of ``gumbelzoo list``.
        temperature: a number, or a schedule; it counts the optimizer steps of this phase. A learned one trains with the
            generator.
        feedback: input of the generator's next step: soft, straight_through or detached; see ``LanguageModel.rollout``.

    Raises:
        ValueError: an unknown name; an estimator without a pathwise gradient.

    Example:
        >>> objective = {"name": "gumbel", "estimator": "reinmax", "adversary": {"loss": "hinge"}}
        >>> gan = OBJECTIVES.build(objective, vocabulary=Vocabulary(["<eos>", "a", "b"]), max_length=5)
    """

    parts: ClassVar[Mapping[str, Any]] = {**Adversarial.parts, **RelaxedCategorical.parts}

    def __init__(
        self,
        vocabulary: Vocabulary,
        max_length: int,
        adversary: Adversary | dict = DEFAULT_ADVERSARY,
        estimator: Spec = "gumbel_softmax",
        temperature: float | Spec = 1.0,
        feedback: str = "soft",
    ) -> None:
        super().__init__(vocabulary, max_length, adversary)
        self.relaxed = RelaxedCategorical(estimator, temperature)
        if not self.relaxed.estimator.pathwise:
            raise ValueError(
                f"estimator '{self.relaxed.name}' has no pathwise gradient for objective 'gumbel'; use one such as "
                "'straight_through_gumbel_softmax', or objective 'seqgan'"
            )
        FEEDBACKS[feedback]  # an unknown name is an error
        self.feedback = feedback

    def generator_metrics(self, generator: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """``loss``, and ``score``, the mean score of the samples."""
        relaxed_tokens = generator.rollout(len(batch["tokens"]), self.relaxed, self.feedback)  # b t v
        if relaxed_tokens.requires_grad:
            relaxed_tokens.register_hook(partial(self.reward.generator_gradient, pack=self.discriminator.pack))
        fake = self.discriminator(relaxed_tokens)
        with torch.no_grad():
            real = self.discriminator(batch["tokens"])
        return {"loss": self.loss.generator(real, fake), "score": fake.mean()}

    def sample_fake(self, generator: LanguageModel, n: int) -> Tensor:
        """Roll-outs ``n t v``, or exact samples ``n t`` where they have the same distribution and cost less."""
        if self.relaxed.estimator.exact_value:
            return generator.sample(n)
        return generator.rollout(n, self.relaxed, self.feedback)
