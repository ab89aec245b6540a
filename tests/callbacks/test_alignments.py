"""The picture of where a model looks: it shows the probabilities, and a training run writes it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from gumbelzoo.callbacks import Figures
from gumbelzoo.callbacks.alignments import CELL, PAIRS, alignment_picture
from gumbelzoo.callbacks.grids import GAP, MARK
from gumbelzoo.data import PairData
from gumbelzoo.data.pairs import cipher
from gumbelzoo.models import AttentionSeq2Seq
from lightning import Trainer
from torch import Tensor


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> PairData:
    monkeypatch.setattr(cipher, "SIZES", (64, 20, 20))
    return PairData("cipher", batch_size=16)


def looking(data: PairData, share: float) -> Any:
    """A model that looks at the right place with probability ``share``, and at all others equally."""

    def attend(batch: dict[str, Tensor]) -> Tensor:
        places = batch["source"].shape[1]
        right = torch.nn.functional.one_hot(batch["alignment"].clamp(min=0), places)
        return share * right + (1 - share) / (places - 1) * (1 - right)

    sides = SimpleNamespace(source=data.source_vocabulary, target=data.target_vocabulary)
    return SimpleNamespace(attend=attend, sides=sides)


def test_alignment_picture_shows_the_probabilities(data: PairData) -> None:
    """Cells are grey levels, dark where the model looks; the true places, and only these, are framed."""
    batch = {key: value[:1] for key, value in data.splits.test.tensors().items()}
    t, s = int(batch["target_length"]), int(batch["source_length"])
    for share in (0.75, 0.4):
        picture = alignment_picture(looking(data, share), batch)
        for level, number in ((1 - share, t), (1 - (1 - share) / (batch["source"].shape[1] - 1), t * s - t)):
            assert (picture - level).abs().amax(0).lt(1e-6).sum() == number * CELL**2
    frames = (picture - torch.tensor(MARK)[:, None, None]).abs().amax(0) < 1e-6
    assert frames.sum() == (t - 1) * ((CELL + 2 * GAP) ** 2 - CELL**2)


def test_alignment_pictures_of_a_batch(data: PairData) -> None:
    """The first six pairs, wide enough to read, the same each time; without known places there are no frames."""
    batch = data.splits.test.tensors()
    six, three = (alignment_picture(looking(data, 0.9), {k: v[:n] for k, v in batch.items()}) for n in (6, 3))
    assert torch.equal(six, alignment_picture(looking(data, 0.9), batch)) and three.shape[1] < six.shape[1]
    assert six.shape[0] == 3 and six.shape[2] >= 800 and PAIRS == 6
    model = AttentionSeq2Seq(data.source_vocabulary, data.target_vocabulary, data.max_lengths, width=8)
    without = alignment_picture(model, {key: value for key, value in batch.items() if key != "alignment"})
    assert (without - without.mean(0)).abs().max() < 1e-6  # grey


def test_run_writes_alignments(data: PairData, tmp_path: Path) -> None:
    """After validation, with the first pairs."""
    model = AttentionSeq2Seq(width=8)
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(accelerator="cpu", max_steps=2, callbacks=Figures(tmp_path), enable_model_summary=False, **quiet)
    trainer.fit(model, data)
    assert (tmp_path / "alignments.png").is_file()
    batch = data.splits.valid.tensors()
    attended = model.attend(batch)
    torch.testing.assert_close(attended.sum(-1), torch.ones(attended.shape[:2]))
    lengths = torch.arange(attended.shape[2])[None] >= batch["source_length"][:, None]
    assert (attended.movedim(1, 2)[lengths] == 0).all()
