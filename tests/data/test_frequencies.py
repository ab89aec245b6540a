"""Planted frequencies: what is drawn, and how hard it is."""

import pytest
import torch
from gumbelzoo.data.frequencies.datamodule import FrequencyData
from gumbelzoo.data.frequencies.textures import FIRST, Textures, to_coefficients, to_images


def among(*channels: int) -> torch.Tensor:
    return torch.zeros(16, dtype=torch.bool).index_fill(0, torch.tensor(channels), True)


def test_frequencies_are_pictures() -> None:
    data = FrequencyData(batch_size=64)
    batch = next(iter(data.train_dataloader()))
    assert set(batch) == {"image", "label"} and batch["image"].shape == (64, 1, 32, 32)
    assert batch["image"].min() >= 0 and batch["image"].max() <= 1 and batch["label"].dtype == torch.int64
    test = next(iter(data.test_dataloader()))
    assert test["planted"].dtype == torch.bool and torch.equal(test["planted"][0], data.textures.planted)


def test_frequencies_are_a_function_of_the_seed() -> None:
    """Training pictures are new in every epoch, and the same in every run; validation pictures never change."""
    first, again, other = (FrequencyData(seed=seed).train_dataloader() for seed in (0, 0, 1))
    one, two, three = (next(iter(loader))["image"] for loader in (first, again, other))
    assert torch.equal(one, two) and not torch.equal(one, three)
    assert not torch.equal(next(iter(first))["image"], one)
    valid = [FrequencyData(seed=seed)._drawn(1, torch.arange(9)).rows["image"] for seed in (0, 1)]
    assert torch.equal(*valid)
    assert not torch.equal(FrequencyData(number=1).textures.patterns, FrequencyData().textures.patterns)


def test_coefficients_come_back() -> None:
    coefficients = 0.5 * torch.randn(4, 16, 8, 8)
    torch.testing.assert_close(to_coefficients(to_images(coefficients)), coefficients, atol=2e-5, rtol=0)


@pytest.mark.parametrize("number", [0, 1])
def test_planted_frequencies_are_hard_to_guess(number: int) -> None:
    """Four are planted; the first of the zigzag order and the loudest say nothing, and a random four say much less."""
    data = FrequencyData(number=number)
    planted, labels = data.textures.planted, torch.arange(2000) % 10
    coefficients = data.textures.coefficients(labels, (1, number))

    def accuracy(channels: torch.Tensor) -> float:
        return (data.textures.classify(coefficients, channels) == labels).double().mean().item()

    assert planted.sum() == 4 and not planted[list(FIRST)].any()
    variance = coefficients.var((0, 2, 3))
    loudest = variance.topk(4).indices.tolist()
    best = accuracy(torch.ones(16, dtype=torch.bool))
    assert 0.95 < best == accuracy(planted) < 0.995
    for channels in (FIRST, loudest):
        assert accuracy(among(*channels)) < 0.13
    generator = torch.Generator().manual_seed(0)
    random = [accuracy(among(*torch.randperm(16, generator=generator)[:4].tolist())) for _ in range(20)]
    assert sum(random) / 20 < best - 0.1
    for channel in planted.nonzero().flatten().tolist():  # every planted channel counts
        assert accuracy(planted & ~among(channel)) < best - 0.01


def test_other_channels_look_alike() -> None:
    """A channel that is not planted has the patterns of a class too, one that is drawn for each picture."""
    textures = Textures.draw(0)
    labels = torch.zeros(2000, dtype=torch.int64)
    coefficients = textures.coefficients(labels, (1, 2))
    products = torch.einsum("bnhw,nyhw->bny", coefficients, textures.patterns)
    share = (products.argmax(-1) == 0).double().mean(0)
    assert (share[textures.planted] > 0.5).all() and (share[~textures.planted] < 0.2).all()
    spread = products.amax(-1).mean(0)
    assert (spread[~textures.planted] > 0.95 * spread[textures.planted].min()).all()


def test_frequencies_metadata() -> None:
    metadata = FrequencyData().metadata()
    assert "4 of 16 hold the class" in metadata["frequencies"] and float(metadata["best accuracy"][:6]) > 0.95


def test_negative_set_raises() -> None:
    with pytest.raises(ValueError, match="number must be a whole number >= 0"):
        FrequencyData(number=-1)
