"""The interface of domain rewards: black-box scores in [0, 1] of whole sentences. Axes: ``n`` sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ....registry import Registry

KEPT = 200_000  # sentences whose scores are remembered


class DomainReward:
    """Base class of domain rewards. A subclass writes ``score``, and may write ``canonical`` and ``learn``.

    A score is of one sentence alone, so it does not depend on the batch that the sentence is in. Scores are remembered
    by canonical form: a sentence that is sampled again costs nothing.

    Example:
        >>> from gumbelzoo.models.text.domain_rewards import DOMAIN_REWARDS
        >>> @DOMAIN_REWARDS.register("brevity")
        ... class Brevity(DomainReward):
        ...     def score(self, sentence: str) -> float:
        ...         return 1 / (1 + len(sentence.split()))
        >>> DOMAIN_REWARDS.build("brevity")(["a man", "a man sits"])
        tensor([0.3333, 0.2500])
        >>> DOMAIN_REWARDS.forget(["brevity"]) if "brevity" in DOMAIN_REWARDS.plugins else None
    """

    needs_training_text: ClassVar[bool] = False  # has ``learn`` something to do?

    def __init__(self) -> None:
        self._forms: dict[str, str | None] = {}  # by sentence
        self._scores: dict[str, float] = {}  # by canonical form

    def learn(self, sentences: Sequence[str]) -> None:
        """Take the training sentences; scores that were given before are forgotten, since they may depend on them."""
        self._scores = {}

    def canonical(self, sentence: str) -> str | None:
        """Return a form that all ways to write the same thing share, or None of what is invalid and scores 0."""
        return sentence

    def score(self, sentence: str) -> float:
        """Return the score in [0, 1] of a valid sentence in canonical form."""
        raise NotImplementedError

    def forms(self, sentences: Sequence[str]) -> list[str | None]:
        """Return the canonical forms of sentences."""
        if len(self._forms) + len(sentences) > KEPT:
            self._forms, self._scores = {}, {}
        for sentence in sentences:
            if sentence not in self._forms:
                self._forms[sentence] = self.canonical(sentence)
        return [self._forms[sentence] for sentence in sentences]

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """Return the scores of sentences, float32 ``n``.

        Raises:
            ValueError: a score that is not in [0, 1], NaN included.
        """
        return torch.tensor([0.0 if form is None else self._known(form) for form in self.forms(sentences)])

    def _known(self, form: str) -> float:
        if form not in self._scores:
            score = float(self.score(form))
            if not 0 <= score <= 1:
                raise ValueError(f"{type(self).__name__} gives {score} to {form!r}; a domain reward is in [0, 1]")
            self._scores[form] = score
        return self._scores[form]


DOMAIN_REWARDS: Registry[type[DomainReward]] = Registry("domain reward")
