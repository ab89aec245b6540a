"""Cluttered digits: scenes against a loop in Python, fixed and fresh ones, and what is refused."""

from __future__ import annotations

import pytest
import torch
from gumbelzoo.data import ClutterData
from gumbelzoo.data.clutter.scenes import compose
from gumbelzoo.data.keyed_random import uniform

SMALL = {"side": 20, "pieces": 3, "piece": 4}


def small(**options: object) -> ClutterData:
    return ClutterData("digits", **{**SMALL, "batch_size": 50, **options})


def test_scenes_equal_loop() -> None:
    """Each pixel is the clipped sum of a digit and pieces of other digits at their places."""
    generator = torch.Generator().manual_seed(0)
    digits = torch.randint(0, 256, (30, 1, 6, 7), generator=generator, dtype=torch.uint8)
    others = torch.randint(0, 256, (9, 1, 6, 7), generator=generator, dtype=torch.uint8)
    images, corner = compose(digits, others, (77, 1), side=12, pieces=3, piece=4)
    drawn = uniform((30, 17), (77, 1)).tolist()
    for number, u in enumerate(drawn):
        canvas = [[0] * 12 for _ in range(12)]
        parts = [(digits[number, 0], int(u[0] * 7), int(u[1] * 6))]
        assert corner[number].tolist() == list(parts[0][1:])
        for p in range(3):
            which, top, left, row, column = (u[2 + 5 * p + i] for i in range(5))
            cut = others[int(which * 9), 0, int(top * 3) : int(top * 3) + 4, int(left * 4) : int(left * 4) + 4]
            parts.append((cut, int(row * 9), int(column * 9)))
        for part, row, column in parts:
            for i, line in enumerate(part.tolist()):
                for j, level in enumerate(line):
                    canvas[row + i][column + j] += level
        assert images[number, 0].tolist() == [[min(255, level) for level in line] for line in canvas]


def test_training_scenes_are_drawn_anew() -> None:
    """From seed, epoch and step: the same again with the same seed, others in the next epoch."""
    loaders = [small(seed=seed).train_dataloader() for seed in (0, 0, 1)]
    first, again, other = (next(iter(loader)) for loader in loaders)
    assert torch.equal(first["image"], again["image"]) and not torch.equal(first["image"], other["image"])
    assert first["image"].shape == (50, 1, 20, 20) and first["image"].dtype == torch.float32
    assert float(first["image"].max()) <= 1 and set(first) == {"image", "label", "centre"}
    data = small(pieces=0)
    loader = data.train_dataloader()
    epochs = [torch.cat([batch["centre"] for batch in loader]) for _ in range(2)]
    assert not torch.equal(*epochs) and float(epochs[0].min()) == 4 and float(epochs[0].max()) == 16
    centres = epochs[0].mean(0)
    z = (centres - 10) / (14**0.5 / len(epochs[0]) ** 0.5)  # uniform over 13 places
    assert float(z.abs().max()) < 4


def test_test_scenes_are_fixed() -> None:
    """Whatever the seed and the batches; validation has others; the digit alone is in the scene at its centre."""
    sets = []
    for data in (small(), small(seed=5, eval_batch_size=33)):
        batches = list(data.test_dataloader())
        sets.append({key: torch.cat([batch[key] for batch in batches]) for key in batches[0]})
    for key in ("image", "label", "centre", "digit"):
        assert torch.equal(sets[0][key], sets[1][key]) and len(sets[0][key]) == 200
    image, digit = sets[0]["image"], sets[0]["digit"]
    assert bool((digit <= image).all()) and not torch.equal(digit, image)
    clean = small(pieces=0)
    test = next(iter(clean.test_dataloader()))
    assert torch.equal(test["image"], test["digit"])
    row, column = (test["centre"][0] - 4).long().tolist()
    source = clean.splits.test.rows["digit"][0].float() / 255
    assert torch.equal(test["image"][0, :, row : row + 8, column : column + 8], source)


def test_splits_share_no_digit() -> None:
    """Pieces and digits of validation and test are from their own split."""
    data = small()
    rows = [
        split.rows["image" if number == 0 else "digit"].flatten(1)
        for number, split in enumerate((data.splits.train, data.splits.valid, data.splits.test))
    ]
    assert [len(part) for part in rows] == [1397, 200, 200]
    assert data.classes == 10 and data.shape == (1, 20, 20)
    facts = data.metadata()
    assert facts["canvas"].startswith("20 x 20") and "3 pieces of 4 x 4" in facts["clutter"]
    assert torch.equal(data.rows("test", torch.tensor([3]))["image"][0], next(iter(data.test_dataloader()))["image"][3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 7}, "side must be from 8"),
        ({"piece": 9}, "piece at most 8"),
        ({"pieces": -1}, "pieces"),
        ({"name": "cifar10"}, "grey digits"),
        ({"name": "folder"}, "grey digits"),
    ],
)
def test_clutter_that_does_not_fit(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClutterData(**{"name": "digits", **SMALL, **options})
