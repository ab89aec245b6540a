"""Captions of scenes: what they name is in the scene, at the place that is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from gumbelzoo.data import ImageData, PairData
from gumbelzoo.data.pairs import scenes
from gumbelzoo.interfaces import Cells


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> PairData:
    monkeypatch.setattr(scenes, "SIZES", (300, 50, 60))
    return PairData("scenes_digits", batch_size=7, eval_batch_size=60)


def read_scene(source: torch.Tensor) -> list[tuple[int, int]]:
    """Column and place of each cell with ink, from left to right."""
    inked = (source.flatten(1).amax(1) > 0).nonzero().flatten().tolist()
    return sorted((place % scenes.GRID, place) for place in inked)


def test_captions_describe_the_scene(data: PairData) -> None:
    """By hand: from left to right, each word at the cell of a picture of its class; nothing else has ink."""
    digits = ImageData("digits", binarization="none").splits
    batch = next(iter(data.test_dataloader()))
    own = {image.numpy().tobytes(): int(label) for image, label in zip(*digits.test.tensors().values(), strict=True)}
    numbers = set()
    for source, target, length, places in zip(
        *(batch["source"], batch["target"].tolist(), batch["target_length"].tolist(), batch["alignment"].tolist()),
        strict=True,
    ):
        found = read_scene(source)
        classes = [own[source[place].numpy().tobytes()] for _, place in found]
        numbers.add(len(found))
        words = " left of ".join(map(str, classes)).split()
        assert [scenes.WORDS.tokens[token] for token in target[: length - 1]] == words
        assert not any(target[length - 1 :]) and len(set(classes)) == len(classes)
        assert len({column for column, _ in found}) == len(found)
        expected = [-1] * len(target)
        expected[: length - 1 : 3] = [place for _, place in found]
        assert places == expected
    assert numbers == {1, 2, 3} and (batch["source"][:, -1] == 0).all()
    assert data.entropy == 0.0 and "entropy is 0" in data.metadata()["captions"]


def test_scene_batches(data: PairData) -> None:
    """Levels in the place of numbers, in training as in a test; the same for rows."""
    batch = next(iter(data.train_dataloader()))
    assert {key: tuple(value.shape) for key, value in batch.items()} == {
        "source": (7, 37, 8, 8), "source_length": (7,), "target": (7, 8), "target_length": (7,), "alignment": (7, 8)
    }  # fmt: skip
    assert batch["source"].dtype == torch.uint8 and batch["source"].max() > 200
    assert data.source_vocabulary == Cells(6, 6, 8, 8) and data.max_lengths == (37, 8)
    rows = data.rows("test", torch.tensor([3, 4]))
    assert torch.equal(rows["source"], next(iter(data.test_dataloader()))["source"][3:5])


def test_test_scenes_are_fixed(data: PairData) -> None:
    """A seed moves the training scenes only; digits of a split are in no other."""
    other = PairData("scenes_digits", seed=1)
    for split, same in (("train", False), ("valid", True), ("test", True)):
        first, second = getattr(data.splits, split), getattr(other.splits, split)
        assert torch.equal(first.source, second.source) == torch.equal(first.target, second.target) == same
    digits = [set(part.source.unique().tolist()) - {0} for part in (data.splits.train, data.splits.valid)]
    test = set(data.splits.test.source.unique().tolist()) - {0}
    assert not digits[0] & digits[1] and not (digits[0] | digits[1]) & test
    assert max(digits[0]) <= 1_397 < min(digits[1]) and max(digits[1]) <= 1_597 < min(test)


def test_scene_captions_are_scored(data: PairData) -> None:
    """Against the caption of the same picture: a wrong word is a wrong caption."""
    batch = next(iter(data.test_dataloader()))
    written = batch["target"].clone()
    order = torch.arange(60).flip(0)
    assert data.score(batch["source"][order], written[order]) == {"sequence_error": 0.0, "token_error": 0.0}
    written[:15, 0] = written[:15, 0] % 10 + 1
    assert data.score(batch["source"], written)["sequence_error"] == 0.25


def test_classes_and_columns_are_uniform() -> None:
    """Of 3,000 scenes, within five standard errors."""
    pairs = scenes.draw(torch.arange(10).repeat(20), 1, 3_000, (9, 9))
    named, places = pairs.target[:, 0], pairs.alignment[:, 0]
    assert (named.bincount(minlength=11)[1:] - 300).abs().max() < 5 * 300**0.5
    assert ((places // 6).bincount(minlength=6) - 500).abs().max() < 5 * 500**0.5
    assert (pairs.target_length.bincount()[[2, 5, 8]] - 1_000).abs().max() < 5 * 1_000**0.5
    every = pairs.alignment[pairs.alignment >= 0] % 6
    assert (every.bincount(minlength=6) - len(every) / 6).abs().max() < 5 * (len(every) / 6) ** 0.5


def test_cells_of_pictures() -> None:
    """Their length and text; a picture that is too large is refused."""
    cells = Cells(2, 3, 4, 5)
    source = torch.zeros(2, *cells.shape, dtype=torch.uint8)
    source[0, 4, 1, 1] = source[0, 0, 3, 4] = 1
    assert cells.shape == (7, 4, 5) and cells.lengths(source).tolist() == [7, 7]
    assert [cells.decode(row) for row in source] == ["ink at (1, 1), (2, 2)", "ink at no cell"]
    assert Cells(**cells.config()) == cells
    with pytest.raises(ValueError, match="a picture must have at most 262,144 pixels, got 400,000,000"):
        Cells(10_000, 10_000, 2, 2)
    with pytest.raises(ValueError, match="rows must be a whole number >= 1"):
        Cells(0, 1, 1, 1)


@pytest.mark.real_data
def test_real_digits_of_scenes(real: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "SIZES", (30, 20, 20))
    data = PairData("scenes", root=real("MNIST"))
    batch = next(iter(data.test_dataloader()))
    assert batch["source"].shape == (20, 37, 14, 14) and data.splits.pictures.shape == (70_001, 14, 14)
    assert [len(read_scene(source)) for source in batch["source"]] == ((batch["target_length"] + 1) // 3).tolist()
