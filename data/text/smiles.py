"""Metrics of molecules for text sets of SMILES, where rdkit is installed."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from ...evaluation.molecules import INSTALL, has_rdkit, molecule_metrics
from .splits import Sequences, TextSplits


def with_molecules(splits: TextSplits) -> TextSplits:
    """Add the metrics of ``molecule_metrics`` to those of a text set of SMILES, or the way to get them."""
    if not has_rdkit():
        return replace(splits, metadata={**splits.metadata, "molecules": INSTALL})

    def lines(part: Sequences) -> list[str]:
        return [splits.vocabulary.decode(row) for row in part.tokens]

    def score(samples: Tensor) -> dict[str, float]:
        written = [splits.vocabulary.decode(row) for row in samples]
        known = [*lines(splits.train), *lines(splits.valid)]
        return {**splits.score(samples), **molecule_metrics(written, known, lines(splits.test))}

    return replace(splits, score=score)
