"""The interface of domain rewards: black-box scores in [0, 1] of whole sentences. Axes: ``n`` sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar, SupportsFloat

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

    # Cached properties: a subclass need not call an ``__init__`` for them.
    @cached_property
    def _forms(self) -> dict[str, str | None]:
        """Canonical forms by sentence."""
        return {}

    @cached_property
    def _scores(self) -> dict[str, float]:
        """Scores by canonical form."""
        return {}

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
        """Return the canonical forms of sentences.

        Raises:
            ValueError: ``canonical`` fails, or returns what is no text.
        """
        if len(self._forms) + len(sentences) > KEPT:
            self._forms, self._scores = {}, {}
        for sentence in sentences:
            if sentence not in self._forms:
                form = self._run(self.canonical, sentence)
                if not (form is None or isinstance(form, str)):
                    raise ValueError(f"{type(self).__name__}.canonical must return text or None, got {form!r}")
                self._forms[sentence] = form
        return [self._forms[sentence] for sentence in sentences]

    def _run(self, method: Callable[[str], Any], text: str) -> Any:
        """Return what a method returns, which may be a user's; ValueError that names it and the text if it fails."""
        try:
            return method(text)
        except Exception as error:
            place = f"{type(self).__name__}.{method.__name__}"
            raise ValueError(f"{place} fails for {text!r}: {type(error).__name__}: {error}") from error

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """Return the scores of sentences, float32 ``n``.

        Raises:
            ValueError: a score that is no number in [0, 1], NaN included; ``score`` or ``canonical`` fails.
        """
        return torch.tensor([0.0 if form is None else self._known(form) for form in self.forms(sentences)])

    def _known(self, form: str) -> float:
        if form not in self._scores:
            score = self._run(self.score, form)
            if not (isinstance(score, SupportsFloat) and 0 <= float(score) <= 1):
                raise ValueError(f"{type(self).__name__} gives {score} to {form!r}; a domain reward is in [0, 1]")
            self._scores[form] = float(score)
        return self._scores[form]


DOMAIN_REWARDS: Registry[type[DomainReward]] = Registry("domain reward", base=DomainReward)
