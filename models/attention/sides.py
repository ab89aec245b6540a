"""What both sides of pairs are made of, tokens or the cells of pictures, and the longest of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...interfaces import Cells
from ...ranges import check_sizes
from ...registry import from_options
from ...vocabulary import Vocabulary, read_vocabulary

MAX_VOCABULARY, MAX_WIDTH = 200_000, 10_000


@dataclass(frozen=True)
class Sides:
    """Source and target.

    Args:
        source: tokens, with EOS as id 0, or the cells of pictures.
        target: tokens, with EOS as id 0.
        max_lengths: places of a source and steps of a target at most, EOS included.

    Raises:
        ValueError: another id of EOS, a size out of range, another number of places than pictures have.
    """

    source: Vocabulary | Cells
    target: Vocabulary
    max_lengths: tuple[int, int]

    def __post_init__(self) -> None:
        if max(self.max_lengths) > MAX_WIDTH:
            raise ValueError(f"max_lengths must be at most {MAX_WIDTH}, got {self.max_lengths}")
        for side in (self.source, self.target):
            if isinstance(side, Vocabulary) and (side.eos != 0 or len(side) > MAX_VOCABULARY):
                raise ValueError(f"both vocabularies need <eos> as id 0, and at most {MAX_VOCABULARY} tokens")
        if isinstance(self.source, Cells) and self.max_lengths[0] != self.source.shape[0]:
            raise ValueError(f"these pictures have {self.source.shape[0]} places, got max_lengths {self.max_lengths}")

    @classmethod
    def read(
        cls,
        source: Vocabulary | Cells | Mapping[str, Any],
        target: Vocabulary | Mapping[str, Any],
        max_lengths: Sequence[int],
    ) -> Sides:
        """Read vocabularies and cells, or their configurations; ValueError for other keys or numbers."""
        if isinstance(source, Mapping):
            source = from_options(Cells, source) if "rows" in source else read_vocabulary(source)
        check_sizes(max_lengths=list(max_lengths))
        if len(max_lengths) != 2:
            raise ValueError(f"max_lengths must be two numbers, of sources and targets, got {list(max_lengths)}")
        return cls(source, read_vocabulary(target), (max_lengths[0], max_lengths[1]))

    def empty_sources(self, n: int) -> Tensor:
        """Return n sources without a token or ink, ``b s`` or ``b s h w``."""
        if isinstance(self.source, Cells):
            return torch.zeros(n, *self.source.shape, dtype=torch.uint8)
        return torch.zeros(n, self.max_lengths[0], dtype=torch.int64)

    def config(self) -> dict[str, Any]:
        """Return plain arguments of ``read``, by the names that a model has for them."""
        return {
            "source_vocabulary": self.source.config(),
            "target_vocabulary": self.target.config(),
            "max_lengths": list(self.max_lengths),
        }

    def check_sources(self, sources: Tensor) -> None:
        """Check that sources are token ids ``b s`` that fit and end in EOS, or cells ``b s h w``, else ValueError."""
        if not isinstance(sources, Tensor):
            raise ValueError(f"sources must be a tensor, got {type(sources).__name__}; use torch.as_tensor(sources)")
        longest, found = self.max_lengths[0], f"got {sources.dtype} {tuple(sources.shape)}"
        if isinstance(self.source, Cells):
            if sources.dtype != torch.uint8 or sources.shape[1:] != self.source.shape:
                sizes = " ".join(map(str, self.source.shape))
                raise ValueError(f"sources must be uint8 levels b {sizes}, cells row by row and a blank one, {found}")
            return
        whole = sources.dtype in (torch.int32, torch.int64)
        if not whole or sources.ndim != 2 or not len(sources) or not 1 <= sources.shape[1] <= longest:
            raise ValueError(f"sources must be token ids b s, int64, b at least 1 and s at most {longest}, {found}")
        least, most = (int(value) for value in sources.aminmax())
        if least < 0 or most >= len(self.source):
            raise ValueError(f"token ids of sources must be in [0, {len(self.source)}), got [{least}, {most}]")
        if not bool((sources == 0).any(1).all()):
            raise ValueError("a source must end in <eos>: append id 0 to the ids of its tokens")
