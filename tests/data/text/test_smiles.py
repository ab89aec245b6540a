"""Thirds of logP as labels of molecules, and the metric of samples that were asked for one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.data.text import smiles
from gumbelzoo.data.text.smiles import THIRDS, with_labels
from gumbelzoo.evaluation.molecules import INSTALL

CHAINS = [f"{'C' * i}{tail}" for i in range(1, 41) for tail in ("", "O", "N", "F", "OC", "NC", "Cl", "Br")]


def chains(**options: Any) -> TextData:
    """Chains of carbon, whose logP grows with their length."""
    data = TextData.from_lines(CHAINS, level="character", **options)
    data.splits = with_labels(data.splits, "log_p")
    return data


@pytest.fixture(autouse=True)
def _rdkit() -> None:
    pytest.importorskip("rdkit", reason="extra chem")


def test_thirds_of_training_molecules() -> None:
    """Classes are as many as each other in training, in the order of logP, and the splits share the cuts."""
    data = chains()
    assert data.class_names == THIRDS and data.classes == 3
    train = data.splits.train
    shares = torch.bincount(train.labels) / len(train)
    assert (shares - 1 / 3).abs().max() < 0.02
    carbons = torch.tensor([data.vocabulary.decode(row).count("C") for row in train.tokens]).double()
    means = [carbons[train.labels == third].mean() for third in range(3)]
    assert means[0] < means[1] < means[2]
    known = {data.vocabulary.decode(row): int(label) for row, label in zip(train.tokens, train.labels, strict=True)}
    for part in (data.splits.valid, data.splits.test):
        for row, label in zip(part.tokens, part.labels, strict=True):
            assert known.get(data.vocabulary.decode(row), label) == label
    assert data.metadata()["labels"].startswith("3 classes: 0 low, 1 middle, 2 high; thirds of logP, cut at ")
    assert set(next(iter(data.train_dataloader()))) == {"tokens", "length", "label"}


def test_conditional_accuracy_of_samples() -> None:
    """It is 1 for molecules with their own label, that of valid ones only, and missing without any."""
    data = chains()
    tokens, labels = data.splits.test.tokens, data.splits.test.labels
    assert data.label_metrics(tokens, labels) == {"conditional_accuracy": 1.0}
    wrong = labels.clone()
    wrong[:10] = (wrong[:10] + 1) % 3
    share = 1 - 10 / len(labels)
    assert data.label_metrics(tokens, wrong)["conditional_accuracy"] == pytest.approx(share)
    row = torch.full_like(tokens[:1], data.vocabulary.pad)
    row[0, 0] = data.vocabulary.unk  # no molecule
    both = torch.cat([tokens, row]), torch.cat([wrong, torch.tensor([0])])
    assert data.label_metrics(*both)["conditional_accuracy"] == pytest.approx(share)
    assert data.label_metrics(row, torch.tensor([0])) == {}
    with pytest.raises(ValueError, match=r"a label for each of the \d+ samples, got \(1,\)"):
        data.label_metrics(tokens, labels[:1])


def test_labels_of_other_sets() -> None:
    """Other text has no such metric, and another name of labels is refused."""
    data = TextData("grammar")
    assert data.label_metrics(data.splits.test.tokens, torch.zeros(len(data.splits.test), dtype=torch.int64)) == {}
    with pytest.raises(ValueError, match="labels of molecules are log_p, thirds of logP, got 'qed'"):
        with_labels(chains().splits, "qed")
    with pytest.raises(ValueError, match="'names' takes no labels"):
        TextData("names", labels="log_p")
    with pytest.raises(ValueError, match=r"labels=log_p needs molecules, and 'CC\?C"):
        with_labels(TextData.from_lines([f"CC?C{line}" for line in CHAINS], level="character").splits, "log_p")


def test_labels_need_rdkit(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(line: str) -> None:
        raise ValueError(INSTALL)

    splits = TextData.from_lines(CHAINS, level="character").splits
    monkeypatch.setattr(smiles, "parse", missing)
    with pytest.raises(ValueError, match=r"pip install 'gumbelzoo\[chem\]'"):
        with_labels(splits, "log_p")


@pytest.mark.real_data
def test_thirds_of_qm9(real: Any) -> None:
    """The cuts of the real molecules."""
    data = TextData("smiles_qm9", labels="log_p", root=real("text/smiles/organ_qm9_5k.csv"))
    assert torch.bincount(data.splits.train.labels).max() <= 1348
    assert data.metadata()["labels"].endswith("cut at -0.159 and 0.657")
