"""The form that every set of pairs is read into, and the registry of their readers.

Axes: ``b`` pairs, ``s`` places of a source, ``t`` steps of a target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ...interfaces import Batch, Cells
from ...registry import Registry
from ...vocabulary import Vocabulary
from ..storage import Folders


@dataclass(frozen=True)
class Pairs:
    """Padded sources ``b s`` and targets ``b t``, their lengths ``b``, and the place of each target token, ``b t``.

    Lengths count the EOS of both sides. A place is -1 where there is none: at EOS and in the padding. The alignment is
    None where it is not known. Sources that are pictures have the number of a cell's picture in each place.
    """

    source: Tensor
    source_length: Tensor
    target: Tensor
    target_length: Tensor
    alignment: Tensor | None = None

    def tensors(self) -> Batch:
        """Return all pairs by batch key."""
        known = {} if self.alignment is None else {"alignment": self.alignment}
        return {
            "source": self.source,
            "source_length": self.source_length,
            "target": self.target,
            "target_length": self.target_length,
            **known,
        }

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class PairSplits:
    """A set of pairs as it was read or drawn.

    Attributes:
        source_vocabulary, target_vocabulary: the tokens of both sides, or the cells of sources that are pictures.
        train, valid, test: pairs, all of the same widths s and t.
        source: where they come from.
        entropy: nats per target token of the distribution that the pairs were drawn from; None if it is not known.
        metadata: further facts printed with results.
        pictures: uint8 levels ``n h w`` of the cells by number; None for sources of tokens.
    """

    source_vocabulary: Vocabulary | Cells
    target_vocabulary: Vocabulary
    train: Pairs
    valid: Pairs
    test: Pairs
    source: str
    entropy: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    pictures: Tensor | None = None


PairReader = Callable[[Folders, int], PairSplits]  # the number is the seed of what is drawn
PAIR_SETS: Registry[PairReader] = Registry("set of pairs", context=("folders", "seed"))


def pair_set(name: str) -> Callable[[PairReader], PairReader]:
    """Register the reader of a set of pairs under ``name``."""
    return PAIR_SETS.register(name)
