"""The picture of where a model looks in pictures: tints in proportion to the probability, frames at known places."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from gumbelzoo.callbacks import Figures
from gumbelzoo.callbacks.alignments import alignment_picture
from gumbelzoo.callbacks.grids import MARK
from gumbelzoo.callbacks.scenes import LINE, TINT
from gumbelzoo.data import PairData
from gumbelzoo.data.pairs import scenes
from gumbelzoo.models import AttentionSeq2Seq
from lightning import Trainer
from torch import Tensor

SCALE = 3  # of cells of 8 pixels, so that six of them have at least 110


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> PairData:
    monkeypatch.setattr(scenes, "SIZES", (64, 20, 20))
    return PairData("scenes_digits", batch_size=16)


def looking(data: PairData, share: float) -> Any:
    """A model that looks at the right place with probability ``share``, and at the end otherwise."""

    def attend(batch: dict[str, Tensor]) -> Tensor:
        right = torch.nn.functional.one_hot(batch["alignment"].clamp(min=0), 37) * (batch["alignment"] >= 0)[..., None]
        end = torch.nn.functional.one_hot(torch.tensor(36), 37)
        return share * right + (1 - share * right.sum(-1, keepdim=True)) * end

    sides = SimpleNamespace(source=data.source_vocabulary, target=data.target_vocabulary)
    return SimpleNamespace(attend=attend, sides=sides)


def count(picture: Tensor, colour: Tensor) -> int:
    return int((picture - colour[:, None, None]).abs().amax(0).lt(1e-4).sum())


def test_scene_picture_shows_the_probabilities(data: PairData) -> None:
    """Lines between cells have the tint of the cell's probability; a frame is as wide as a pixel of the picture."""
    batch = data.rows("test", torch.tensor([0]))
    words, digits = int(batch["target_length"]), int((batch["alignment"] >= 0).sum())
    tint, found = torch.tensor(TINT), {key: value for key, value in batch.items() if key != "alignment"}
    for share in (1.0, 0.25):
        model = looking(data, share)
        attended = model.attend(batch)
        model.attend = lambda batch, attended=attended: attended
        picture = alignment_picture(model, found)
        line = 8 * SCALE * 2 - 1  # pixels at the upper and left side of a cell
        assert count(picture, LINE * (1 - share * (1 - tint))) == digits * line
        assert count(picture, torch.full((3,), LINE)) == (36 * words - digits) * line
    framed = alignment_picture(model, batch)
    assert count(framed, LINE * (1 - share * (1 - tint))) == 0  # below the frames
    assert count(framed, torch.tensor(MARK)) == digits * ((8 * SCALE) ** 2 - (6 * SCALE) ** 2)


def test_scene_pictures_of_a_batch(data: PairData) -> None:
    """The first six, a row for each and a panel for each word, the same each time."""
    batch = data.rows("test", torch.arange(20))
    model = AttentionSeq2Seq(data.source_vocabulary, data.target_vocabulary, data.max_lengths, encoder="cells", width=8)
    picture = alignment_picture(model, batch)
    six = {key: value[:6] for key, value in batch.items()}
    side = 6 * 8 * SCALE
    assert torch.equal(picture, alignment_picture(model, six)) and picture.shape[0] == 3
    assert picture.shape[1] > 6 * side and picture.shape[2] > int(six["target_length"].max()) * side


def test_run_writes_scenes(data: PairData, tmp_path: Path) -> None:
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(accelerator="cpu", max_steps=2, callbacks=Figures(tmp_path), enable_model_summary=False, **quiet)
    trainer.fit(AttentionSeq2Seq(encoder="cells", width=8), data)
    assert (tmp_path / "alignments.png").is_file()
