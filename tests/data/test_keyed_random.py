"""Draws are pure functions of their key, with the right distribution."""

import pytest
import torch
from gumbelzoo.data.keyed_random import bernoulli, normal, permutation, uniform


def test_bernoulli_frequencies_match_the_levels():
    levels = torch.arange(256, dtype=torch.uint8).repeat(20_000, 1)
    ones = bernoulli(levels, (0,))
    probability = torch.arange(256) / 255
    deviation = (probability * (1 - probability) / 20_000).sqrt()
    z = (ones.float().mean(0) - probability)[1:-1] / deviation[1:-1]
    assert ones.dtype == torch.uint8
    assert z.abs().max() < 4.5
    assert 0.8 < z.var() < 1.2


def test_bernoulli_is_exact_at_black_and_white():
    """Half a million pixels each: an error of one in 65,536 would show in 7 of them."""
    assert bernoulli(torch.zeros(500_000, dtype=torch.uint8), (2,)).sum() == 0
    assert bernoulli(torch.full((500_000,), 255, dtype=torch.uint8), (3,)).all()


def test_bernoulli_neighbours_are_independent():
    ones = bernoulli(torch.full((1000, 1001), 128, dtype=torch.uint8), (1,)).float() - 128 / 255
    for lag in (1, 2, 3, 4, 8):
        assert (ones[:, lag:] * ones[:, :-lag]).mean().abs() < 0.25 * 4 / 1000


def test_streams_never_change():
    """Results on file depend on these values, the same with every NumPy and on every machine."""
    assert permutation(8, (1, 2)).tolist() == [5, 6, 3, 2, 1, 0, 4, 7]
    ones = bernoulli(torch.full((16,), 100, dtype=torch.uint8), (1, 2))
    assert "".join(map(str, ones.tolist())) == "0010001011100111"
    assert uniform((2,), (1, 2)).tolist() == [0.44841514333227195, 0.4308819875443376]


def test_uniform_and_normal_distributions():
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


@pytest.mark.parametrize("draw", [uniform, normal])
def test_draws_depend_on_the_whole_key(draw):
    assert torch.equal(draw((3,), (7, 7)), draw((3,), (7, 7)))
    assert not torch.equal(draw((3,), (7, 7)), draw((3,), (7, 8)))
