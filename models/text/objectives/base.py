"""The interface of training objectives of text generators, by name in ``OBJECTIVES``.

A likelihood objective subclasses ``Objective``, an adversarial one ``adversarial.Adversarial``. One decorated class is
all it takes: ``TextGAN`` trains, saves and loads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from ....interfaces import Batch, TextSource
from ....registry import Registry
from ....vocabulary import Vocabulary
from ..generators.base import LanguageModel


class Objective(nn.Module):
    """Base class of objectives. A subclass writes ``generator_metrics``.

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: longest sentence in tokens.
    """

    adversarial: ClassVar[bool] = False
    likelihood: ClassVar[bool] = True  # is the held-out NLL a metric to select a model by?
    parts: ClassVar[Mapping[str, Any]] = {}  # options that are specs or dataclasses

    def __init__(self, vocabulary: Vocabulary, max_length: int) -> None:
        super().__init__()
        self.vocab_size, self.max_length, self.eos_id = len(vocabulary), max_length, vocabulary.eos

    def attach(self, generator: LanguageModel) -> None:
        """Build what depends on the generator, once, before training."""

    def generator_metrics(self, generator: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """Named scalars of a batch; the generator descends ``loss``."""
        raise NotImplementedError

    def generator_parameters(self) -> list[nn.Parameter]:
        """Parameters of the objective that descend the generator's loss, such as a learned temperature."""
        return list(self.parameters())

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """Parameters of the discriminator; empty without one."""
        return []

    def learn(self, source: TextSource | None) -> None:
        """Read what the objective needs of the data, before training and before test; a mere loader has no source."""

    def sample_metrics(self, tokens: Tensor) -> dict[str, float]:
        """Return the objective's own metrics of test samples ``n t``, by name."""
        return {}

    def advance(self) -> None:
        """Count one optimizer step; the model advances ``RelaxedCategorical`` layers itself."""


OBJECTIVES: Registry[type[Objective]] = Registry("objective", context=("vocabulary", "max_length"), base=Objective)
