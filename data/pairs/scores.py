"""Errors of written targets against all references of their source: of whole sequences, and of tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from torch import Tensor


def score(written: Tensor, source: Tensor, references: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Return ``sequence_error`` and ``token_error``, both as shares.

    A source counts once, with the reference that is nearest to what was written for it. The token error is the summed
    edit distance divided by the summed length of these references, EOS not counted.

    Args:
        written: targets ``b t``.
        source: their sources ``b ...``, of any form.
        references: sources and targets of pairs in which each of these sources has one target or more.
    """
    known = defaultdict(list)
    for row, target in zip(_bytes(references[0]), _cut(references[1]), strict=True):
        known[row].append(target)
    answers = dict(zip(_bytes(source), _cut(written), strict=True))
    wrong, distance, length = 0, 0, 0
    for row, answer in answers.items():
        nearest, size = min((edit_distance(answer, target), len(target)) for target in known[row])
        wrong, distance, length = wrong + (nearest > 0), distance + nearest, length + size
    return {"sequence_error": wrong / len(answers), "token_error": distance / max(length, 1)}


def edit_distance(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the least number of insertions, deletions and substitutions that make ``a`` to ``b`` (Levenshtein)."""
    if a == b:
        return 0
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def _bytes(sources: Tensor) -> list[bytes]:
    """Rows as keys: equal sources have equal bytes."""
    return [row.numpy().tobytes() for row in sources]


def _cut(tokens: Tensor) -> list[tuple[int, ...]]:
    """Rows up to their first EOS, id 0."""
    return [tuple(row[: row.index(0)] if 0 in row else row) for row in tokens.tolist()]
