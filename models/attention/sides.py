"""The two vocabularies of pairs, and the longest sequences of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...ranges import check_sizes
from ...vocabulary import Vocabulary

MAX_VOCABULARY, MAX_WIDTH = 200_000, 10_000


@dataclass(frozen=True)
class Sides:
    """Source and target.

    Args:
        source, target: tokens, with EOS as id 0.
        max_lengths: places of a source and steps of a target at most, EOS included.

    Raises:
        ValueError: another id of EOS, a size out of range.
    """

    source: Vocabulary
    target: Vocabulary
    max_lengths: tuple[int, int]

    def __post_init__(self) -> None:
        if max(self.max_lengths) > MAX_WIDTH:
            raise ValueError(f"max_lengths must be at most {MAX_WIDTH}, got {self.max_lengths}")
        if self.source.eos != 0 or self.target.eos != 0 or max(self.sizes) > MAX_VOCABULARY:
            raise ValueError(f"both vocabularies need <eos> as id 0, and at most {MAX_VOCABULARY} tokens")

    @classmethod
    def read(
        cls, source: Vocabulary | Mapping[str, Any], target: Vocabulary | Mapping[str, Any], max_lengths: Sequence[int]
    ) -> Sides:
        """Read vocabularies or their configurations."""
        first, second = (side if isinstance(side, Vocabulary) else Vocabulary(**side) for side in (source, target))
        check_sizes(max_lengths=list(max_lengths))
        if len(max_lengths) != 2:
            raise ValueError(f"max_lengths must be two numbers, of sources and targets, got {list(max_lengths)}")
        return cls(first, second, (max_lengths[0], max_lengths[1]))

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of tokens of the source and of the target."""
        return len(self.source), len(self.target)

    def config(self) -> dict[str, Any]:
        """Plain arguments of ``read``, by the names that a model has for them."""
        return {
            "source_vocabulary": self.source.config(),
            "target_vocabulary": self.target.config(),
            "max_lengths": list(self.max_lengths),
        }

    def check_sources(self, tokens: Tensor) -> None:
        """Check that sources are token ids ``b s`` that fit and end in EOS, else ValueError."""
        longest = self.max_lengths[0]
        if tokens.ndim != 2 or tokens.is_floating_point() or not 1 <= tokens.shape[1] <= longest:
            raise ValueError(
                f"sources must be token ids b s, s at most {longest}, got {tokens.dtype} {tuple(tokens.shape)}"
            )
        if not bool((tokens == 0).any(1).all()):
            raise ValueError("a source must end in <eos>: append id 0 to the ids of its tokens")
