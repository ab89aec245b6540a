"""The sequence-to-sequence model: training, its exact figures, and what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.data import PairData, TextData
from gumbelzoo.data.pairs import cipher, scenes
from gumbelzoo.interfaces import Cells
from gumbelzoo.models import AttentionSeq2Seq
from gumbelzoo.models.attention.attentions import ATTENTIONS
from gumbelzoo.models.attention.encoders import ENCODERS
from gumbelzoo.vocabulary import Vocabulary
from lightning import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

LETTERS = Vocabulary(["<eos>", "a", "b", "c"], level="character")
MAX_LENGTHS = (4, 5)
CELLS = Cells(1, 3, 4, 4)  # as many places
encoders = pytest.mark.parametrize("encoder", ENCODERS.names())


def make(encoder: str = "embedding", **options: Any) -> AttentionSeq2Seq:
    torch.manual_seed(0)
    source = CELLS if isinstance(ENCODERS[encoder].smallest, Cells) else LETTERS
    return AttentionSeq2Seq(source, LETTERS, MAX_LENGTHS, encoder=encoder, width=8, **options)


def batch_of(model: AttentionSeq2Seq) -> dict[str, Tensor]:
    source, target = torch.tensor([[1, 2, 0, 0], [3, 2, 1, 0]]), torch.tensor([[1, 0, 0, 0, 0], [2, 1, 3, 1, 0]])
    if model.sides.source == CELLS:
        draw = torch.Generator().manual_seed(0)
        source = torch.randint(256, (2, *CELLS.shape), generator=draw, dtype=torch.uint8)
        source[0, 1] = source[:, -1] = 0
    lengths = model.sides.source.lengths(source), LETTERS.lengths(target)
    return {"source": source, "source_length": lengths[0], "target": target, "target_length": lengths[1]}


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> PairData:
    monkeypatch.setattr(scenes, "SIZES", (64, 20, 20))
    return PairData("scenes_digits", batch_size=16)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> PairData:
    monkeypatch.setattr(cipher, "SIZES", (64, 20, 20))
    return PairData("cipher", batch_size=16)


def trainer(**options: Any) -> Trainer:
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(accelerator="cpu", enable_model_summary=False, **quiet, **options)


@encoders
@pytest.mark.parametrize("attention", ATTENTIONS.names())
def test_every_trained_parameter_gets_gradient(attention: str, encoder: str) -> None:
    """Controls have the same parameters, but do not train those of the scores: several processes would wait for it."""
    model = make(attention=attention, encoder=encoder)
    model.training_metrics(batch_of(model))["loss"].backward()
    without = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    query = {"network.query.weight", "network.query.bias"}
    assert without == (query if attention in ("uniform", "fixed") else set())
    assert without == {name for name, p in model.named_parameters() if not p.requires_grad}


@encoders
def test_padding_changes_nothing(encoder: str) -> None:
    """Neither of the source nor of the target."""
    model = make(encoder=encoder)
    batch = batch_of(model)
    scores, values, log_prob, steps = model.network(batch)
    whole = model.network.attention.log_likelihood(scores, values, log_prob)[0, : batch["target_length"][0]]
    places = int(batch["source_length"][0])
    short = {**batch, "source": batch["source"][:, :places], "target": batch["target"][:, :2]}
    row = {key: value[:1] for key, value in short.items()}
    scores, values, log_prob, _ = model.network(row)
    torch.testing.assert_close(model.network.attention.log_likelihood(scores, values, log_prob)[0], whole)
    assert steps.sum(1).tolist() == batch["target_length"].tolist()


@pytest.mark.parametrize("attention", ATTENTIONS.names())
def test_writing_agrees_with_the_likelihood(attention: str) -> None:
    """Stepwise log-probabilities of the written tokens are those of teacher forcing, and each step sums to 1."""
    model = make(attention=attention).eval()
    batch = batch_of(model)
    found: list[Tensor] = []

    def choose(log_p: Tensor) -> Tensor:
        torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(2))
        forced = batch["target"][:, len(found)]
        found.append(log_p.gather(1, forced[:, None]).squeeze(1))
        return forced

    written = model.network.write(batch["source"], batch["source_length"], MAX_LENGTHS[1], choose)
    assert torch.equal(written, batch["target"])
    scores, values, log_prob, steps = model.network(batch)
    expected = model.network.attention.log_likelihood(scores, values, log_prob)
    torch.testing.assert_close(torch.stack(found, 1)[steps], expected[steps])  # the others are padding


def test_figures_are_weighted_by_tokens(small: PairData) -> None:
    """Batches of other sizes give the same figures, and they are those of a plain loop."""
    model = AttentionSeq2Seq(width=8)
    runs = []
    for size in (20, 3):
        small.eval_batch_size = size
        runs.append(trainer().test(model, small, verbose=False)[0])
    assert runs[0] == pytest.approx(runs[1], rel=1e-5)
    total, number, wrong = 0.0, 0, []
    for row in range(20):
        batch = {key: value[row : row + 1] for key, value in small.splits.test.tensors().items()}
        length = int(batch["target_length"])
        with torch.no_grad():
            scores, values, log_prob, _ = model.network(batch)
            total -= float(model.network.attention.log_likelihood(scores, values, log_prob)[0, :length].sum())
        number += length
        wrong += [int(scores[0, t].argmax()) != int(batch["alignment"][0, t]) for t in range(length - 1)]
    assert runs[0]["test/nll"] == pytest.approx(total / number, rel=1e-5)
    assert runs[0]["test/alignment_error"] == pytest.approx(sum(wrong) / len(wrong))
    assert runs[0]["test/entropy"] == pytest.approx(small.entropy)


def test_translations_end(small: PairData) -> None:
    model = AttentionSeq2Seq(width=8)
    trainer(max_steps=2).fit(model, small)
    targets = model.translate(small.splits.test.source, temperature=1.0)
    ended = (targets == 0).cumsum(1) > 0
    assert ((targets == 0) == ended).all()
    lines = model.sample(5, generator=torch.Generator().manual_seed(0))
    assert lines == model.sample(5, generator=torch.Generator().manual_seed(0))
    kept = {small.source_vocabulary.decode(row) for row in small.splits.train.source}
    assert len(lines) == 5 and all(line.partition(" -> ")[0] in kept for line in lines)


def test_captions_of_pictures(pictures: PairData, tmp_path: Path) -> None:
    """They are scored against those of the same picture, and a saved model writes the same."""
    model = AttentionSeq2Seq(encoder="cells", width=8)
    trainer(max_steps=2).fit(model, pictures)
    found = trainer().test(model, pictures, verbose=False)[0]
    assert {"test/sequence_error", "test/alignment_error", "test/nll"} <= found.keys() and found["test/entropy"] == 0
    source = pictures.rows("test", torch.arange(20))["source"]
    again = gumbelzoo.load(str(gumbelzoo.save_pretrained(model, tmp_path / "saved")))
    assert again.config() == model.config() and again.config()["source_vocabulary"]["rows"] == 6
    assert torch.equal(again.translate(source), model.eval().translate(source))
    assert all(line.startswith("ink at (") and " -> " in line for line in again.sample(3))
    right = pictures.score(source, pictures.splits.test.target)
    assert right == {"sequence_error": 0.0, "token_error": 0.0} and found["test/sequence_error"] > 0


def test_saved_model_is_the_same(small: PairData, tmp_path: Path) -> None:
    model = AttentionSeq2Seq(attention={"name": "bound", "estimator": "reinmax"}, encoder="bilstm", width=8)
    trainer(max_steps=2).fit(model, small)
    again = gumbelzoo.load(str(gumbelzoo.save_pretrained(model, tmp_path / "saved")))
    assert again.config() == model.config()
    source = small.splits.test.source
    assert torch.equal(again.translate(source), model.eval().translate(source))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "hard"}, "unknown attention: 'hard'"),
        ({"encoder": "gru"}, "unknown encoder of pairs: 'gru'"),
        ({"attention": {"name": "bound", "estimator": "reinmx"}}, "did you mean 'reinmax'"),
        ({"encoder": "bilstm", "width": 7}, "the width of a bilstm must be even"),
        ({"width": 0}, "width must be a whole number >= 1"),
        ({"max_lengths": (3, 3)}, "come together: give all, or none"),
        (
            {"source_vocabulary": LETTERS, "target_vocabulary": LETTERS, "max_lengths": (3,)},
            "max_lengths must be two numbers",
        ),
        ({"source_vocabulary": LETTERS, "target_vocabulary": Vocabulary(["a"]), "max_lengths": (3, 3)}, "need <eos>"),
        (
            {"source_vocabulary": CELLS, "target_vocabulary": LETTERS, "max_lengths": (3, 3), "encoder": "cells"},
            "these pictures have 4 places",
        ),
        (
            {"source_vocabulary": {"words": ["a"]}, "target_vocabulary": LETTERS, "max_lengths": (3, 3)},
            "vocabulary must have 'tokens'",
        ),
        (
            {"source_vocabulary": {**CELLS.config(), "depth": 2}, "target_vocabulary": LETTERS, "max_lengths": (3, 3)},
            "unknown argument of cells: 'depth'",
        ),
        ({"width": 10**9}, "width must be at most 10000, got 1000000000"),
    ],
)
def test_wrong_arguments_raise(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AttentionSeq2Seq(**options)


def test_wrong_data_or_sources_raise(small: PairData, pictures: PairData) -> None:
    with pytest.raises(ValueError, match="this model learns from pairs: use --data=pairs"):
        trainer(max_steps=1).fit(AttentionSeq2Seq(width=8), TextData("grammar"))
    with pytest.raises(ValueError, match=r"'bilstm' does not read pictures: use --model.encoder=cells"):
        trainer(max_steps=1).fit(AttentionSeq2Seq(encoder="bilstm", width=8), pictures)
    with pytest.raises(ValueError, match=r"does not read tokens: use --model.encoder=bilstm or embedding"):
        trainer(max_steps=1).fit(AttentionSeq2Seq(encoder="cells", width=8), small)
    for wrong in (torch.zeros(1, 4, 4, 5, dtype=torch.uint8), torch.zeros(1, 4, 4, 4)):
        with pytest.raises(ValueError, match="sources must be uint8 levels b 4 4 4, cells row by row and a blank one"):
            make("cells").translate(wrong)
    with pytest.raises(ValueError, match="the model was made for other pairs"):
        trainer(max_steps=1).fit(make(), small)
    loader = DataLoader([{key: value[0] for key, value in batch_of(make()).items()}])
    trainer(max_steps=1).fit(make(), loader, loader)  # a model with sizes needs no data module
    with pytest.raises(ValueError, match="has no vocabulary yet"):
        AttentionSeq2Seq(width=8).sample(1)
    with pytest.raises(ValueError, match="a source must end in <eos>"):
        make().translate(torch.ones(1, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="temperature must be > 0"):
        make().translate(torch.ones(1, 4, dtype=torch.int64), temperature=0.0)
    for wrong in (torch.zeros(1, 9).long(), torch.zeros(0, 4).long(), torch.zeros(1, 4).bool()):
        with pytest.raises(ValueError, match="sources must be token ids"):
            make("bilstm").translate(wrong)
    for outside in (-1, 4):
        with pytest.raises(ValueError, match=r"token ids of sources must be in \[0, 4\)"):
            make().translate(torch.tensor([[outside, 0]]))
