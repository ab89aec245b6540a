"""Draws are pure functions of their key, with the right law."""

import pytest
import torch
from gumbelzoo.data.images.binarization import BINARIZATIONS, fixed_draw, fresh_draw
from gumbelzoo.data.keyed_random import bernoulli, normal, permutation, uniform


def test_bernoulli_has_the_levels_frequencies():
    levels = torch.arange(256, dtype=torch.uint8).repeat(20_000, 1)
    ones = bernoulli(levels, (0,))
    probability = torch.arange(256) / 255
    deviation = (probability * (1 - probability) / 20_000).sqrt()
    z = (ones.float().mean(0) - probability)[1:-1] / deviation[1:-1]
    assert ones.dtype == torch.uint8
    assert z.abs().max() < 4.5
    assert 0.8 < z.var() < 1.2


def test_black_and_white_are_never_drawn_otherwise():
    """Half a million pixels each: a fault of one in 65,536 would show in 7 of them."""
    assert bernoulli(torch.zeros(500_000, dtype=torch.uint8), (2,)).sum() == 0
    assert bernoulli(torch.full((500_000,), 255, dtype=torch.uint8), (3,)).all()


def test_neighbouring_pixels_are_independent():
    ones = bernoulli(torch.full((1000, 1001), 128, dtype=torch.uint8), (1,)).float() - 128 / 255
    for lag in (1, 2, 3, 4, 8):
        assert (ones[:, lag:] * ones[:, :-lag]).mean().abs() < 0.25 * 4 / 1000


def test_the_fixed_streams_never_change():
    """Committed figures depend on these values; they are the same with every NumPy and on every machine."""
    assert permutation(8, (1, 2)).tolist() == [5, 6, 3, 2, 1, 0, 4, 7]
    assert bernoulli(torch.full((16,), 100, dtype=torch.uint8), (1, 2)).tolist() == [
        0,
        0,
        1,
        0,
        0,
        0,
        1,
        0,
        1,
        1,
        1,
        0,
        0,
        1,
        1,
        1,
    ]


def test_draws_depend_on_all_of_the_key_and_on_nothing_else():
    batch = {"image": torch.full((4, 1, 8, 8), 90, dtype=torch.uint8), "label": torch.arange(4)}
    keys = [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
    images = [fresh_draw(batch, key)["image"] for key in keys]
    torch.manual_seed(5)
    assert torch.equal(images[0], fresh_draw(batch, keys[0])["image"])
    assert len({image.numpy().tobytes() for image in images}) == len(keys)
    assert images[0].dtype == torch.float32
    assert batch["image"].eq(90).all()


def test_a_second_fixed_draw_changes_nothing():
    levels = torch.randint(0, 256, (10, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    once = fixed_draw(levels, 0)
    assert once.unique().tolist() == [0, 255]
    assert torch.equal(fixed_draw(once, 1), once)
    assert not torch.equal(fixed_draw(levels, 1), once)


@pytest.mark.parametrize("name", BINARIZATIONS.names())
def test_every_rule_gives_float_images_from_levels(name):
    rule = BINARIZATIONS[name]
    levels = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8)
    assert rule.fact
    for stored in (rule.train(levels, 0), rule.evaluation(levels, 1)):
        assert stored.dtype == torch.uint8
        image = rule.batch({"image": stored}, (0, 0, 0, 0))["image"]
        assert image.dtype == torch.float32
        assert (image.min(), image.max()) == (0, 1)
        assert name == "none" or image.unique().tolist() == [0, 1]


def test_uniform_and_normal_numbers_have_their_laws():
    numbers = uniform((200, 500), (7, 7))
    assert numbers.dtype == torch.float64
    assert numbers.min() > 0 and numbers.max() < 1
    gaps = numbers.flatten().sort().values - (torch.arange(100_000) + 0.5) / 100_000
    assert gaps.abs().max() * 100_000**0.5 < 1.95  # Kolmogorov-Smirnov, p = 0.001
    values = normal((200, 500), (7, 7))
    assert values.dtype == torch.float32
    assert abs(values.mean()) < 4 / 100_000**0.5
    assert abs(values.std() - 1) < 4 / 200_000**0.5
    assert torch.equal(values > 0, numbers > 0.5)
    assert not torch.equal(uniform((3,), (7, 7)), uniform((3,), (7, 8)))
