"""Metrics of molecules for text sets of SMILES, and thirds of logP as their labels, where rdkit is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...evaluation.molecules import INSTALL, has_rdkit, log_p, molecule_metrics, parse
from .labels import describe
from .splits import Sequences, TextSplits

LOG_P = "log_p"
THIRDS = ("low", "middle", "high")


def with_molecules(splits: TextSplits) -> TextSplits:
    """Add the metrics of ``molecule_metrics`` to those of a text set of SMILES, or the way to get them.

    Molecules of training and validation are known to ``novel``.
    """
    if not has_rdkit():
        return replace(splits, metadata={**splits.metadata, "molecules": INSTALL})

    def score(samples: Tensor) -> dict[str, float]:
        written = _lines(splits, samples)
        known = [*_lines(splits, splits.train.tokens), *_lines(splits, splits.valid.tokens)]
        return {**splits.score(samples), **molecule_metrics(written, known, _lines(splits, splits.test.tokens))}

    return replace(splits, score=score)


def with_labels(splits: TextSplits, labels: str | None) -> TextSplits:
    """Label each molecule with the third of logP that it is in, ``THIRDS``, cut at the thirds of training molecules.

    The metric of samples and their labels is ``conditional_accuracy``: the share of valid samples whose logP is in the
    third that was asked for.

    Args:
        splits: of SMILES.
        labels: log_p, or None for none.

    Raises:
        ValueError: other labels, no rdkit, or text that is no molecule.
    """
    if labels is None:
        return splits
    if labels != LOG_P:
        raise ValueError(f"labels of molecules are {LOG_P}, thirds of logP, got {labels!r}; or leave labels out")
    parts = [splits.train, splits.valid, splits.test]
    found = [_log_p(_lines(splits, part.tokens)) for part in parts]
    cuts = found[0].quantile(torch.tensor([1 / 3, 2 / 3], dtype=torch.float64))
    train, valid, test = (
        Sequences(part.tokens, part.lengths, torch.bucketize(values, cuts))
        for part, values in zip(parts, found, strict=True)
    )

    def label_metrics(samples: Tensor, asked: Tensor) -> dict[str, float]:
        molecules = map(parse, _lines(splits, samples))
        pairs = [(log_p(molecule), label) for molecule, label in zip(molecules, asked, strict=True) if molecule]
        if not pairs:
            return {}
        values, wanted = torch.tensor([value for value, _ in pairs]), torch.stack([label for _, label in pairs])
        return {"conditional_accuracy": float((torch.bucketize(values.double(), cuts) == wanted).float().mean())}

    low, high = cuts.tolist()
    facts = {"labels": f"{describe(THIRDS)}; thirds of logP, cut at {low:.3f} and {high:.3f}"}
    return replace(
        splits,
        train=train,
        valid=valid,
        test=test,
        classes=len(THIRDS),
        class_names=THIRDS,
        label_metrics=label_metrics,
        metadata={**splits.metadata, **facts},
    )


def _lines(splits: TextSplits, tokens: Tensor) -> list[str]:
    return [splits.vocabulary.decode(row) for row in tokens]


def _log_p(lines: Sequence[str]) -> Tensor:
    """LogP of molecules, float64 ``b``."""
    molecules = [parse(line) for line in lines]
    if None in molecules:
        line = lines[molecules.index(None)]
        raise ValueError(f"labels={LOG_P} needs molecules, and {line[:40]!r} is none; a lower min_count may help")
    return torch.tensor([log_p(molecule) for molecule in molecules], dtype=torch.float64)
