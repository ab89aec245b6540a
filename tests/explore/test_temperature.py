"""Draws and gradients of one choice: equal to the layer's, and to the exact gradient where an estimator is unbiased."""

from __future__ import annotations

import math

import pytest
import torch
from gumbelzoo.explore.temperature import (
    COSTS,
    NOT_SHOWN,
    Draws,
    Gradients,
    draw,
    estimators,
    exact_gradient,
    gradients,
    relax,
)
from gumbelzoo.models.relaxed import ESTIMATORS
from gumbelzoo.models.relaxed.noise import gumbel_noise

LOGITS = [1.5, 0.5, -0.5]


def test_draws_are_those_of_one_noise() -> None:
    """Straight-through is the argmax of the relaxed draw, at any temperature."""
    for temperature in (0.1, 5.0):
        found = draw(LOGITS, temperature, 500, seed=3)
        assert found.soft.sum(-1).allclose(torch.ones(500)) and found.hard.sum(-1).eq(1).all()
        assert found.hard.argmax(-1).equal(found.soft.argmax(-1))
        assert found.hard.equal(draw(LOGITS, 1.0, 500, seed=3).hard)


def test_temperature_moves_draws_to_the_corners() -> None:
    sharp, flat = (draw(LOGITS, temperature, 500).soft.amax(-1).mean() for temperature in (0.1, 5.0))
    assert sharp > 0.95 and flat < 0.5


def test_relax_is_the_formula_of_the_paper() -> None:
    noise = gumbel_noise((5, 3), generator=torch.Generator().manual_seed(0))
    found: Draws = relax(torch.tensor(LOGITS), 0.7, noise)
    torch.testing.assert_close(found.soft, ((torch.tensor(LOGITS) + noise) / 0.7).softmax(-1))


def test_frequency_is_near_the_softmax() -> None:
    """Within four standard errors of 10,000 draws."""
    found = draw(LOGITS, 1.0, 10_000)
    error = (found.probabilities * (1 - found.probabilities) / 10_000).sqrt()
    assert ((found.frequency - found.probabilities).abs() < 4 * error).all()


@pytest.mark.parametrize("cost", COSTS)
def test_exact_gradient_is_by_hand(cost: str) -> None:
    """p_i (c_i - E[c]) for a softmax."""
    p, values = torch.tensor(LOGITS).softmax(-1), COSTS[cost](torch.eye(3))
    torch.testing.assert_close(exact_gradient(torch.tensor(LOGITS), cost), p * (values - p @ values))


@pytest.mark.parametrize("k", [2, 3, 6])
def test_every_estimator_of_k_categories_is_shown(k: int) -> None:
    shown = set(estimators(k))
    assert set(ESTIMATORS) - shown - {*NOT_SHOWN} == (set() if k == 2 else {"disarm"})


@pytest.mark.parametrize("name", estimators(2))
def test_unbiased_estimators_reach_the_exact_gradient(name: str) -> None:
    """Each coordinate within four standard errors; the spread of a coordinate is at most that of the row."""
    for logits in ([0.8, 0.0], LOGITS):
        if name not in estimators(len(logits)):
            continue
        for cost in COSTS:
            found: Gradients = gradients(logits, 0.5, cost, name, 4000, seed=5)
            if ESTIMATORS[name].unbiased:
                assert found.bias <= 4 * found.standard_error + 1e-6, (cost, found)
    print(f"{name}: bias {found.bias:.4f} +- {found.standard_error:.4f}")


def test_bias_of_a_relaxation_shows() -> None:
    """And falls with the temperature, while the spread grows."""
    hot, cold = (gradients(LOGITS, tau, "quadratic", "gumbel_softmax", 4000) for tau in (2.0, 0.1))
    assert hot.bias > 8 * hot.standard_error and cold.bias < hot.bias / 2 and cold.spread > 2 * hot.spread


def test_error_is_that_of_the_first_draws() -> None:
    few, many = (gradients(LOGITS, 1.0, "linear", "reinforce", draws) for draws in (1, 1000))
    assert many.counts[:3] == (1, 2, 4) and many.counts[-2:] == (512, 1000)
    assert many.error[-1] == pytest.approx(many.bias) and math.isnan(few.spread) and few.counts == (1,)
    assert many.standard_error == pytest.approx(many.spread / math.sqrt(1000))


def test_noise_leaves_other_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    gradients(LOGITS, 1.0, "steep", "relax", 10)
    assert torch.get_rng_state().equal(before)


def test_no_gradient_mode_is_no_obstacle() -> None:
    with torch.no_grad():
        assert gradients(LOGITS, 1.0, "linear", "gumbel_softmax", 10).mean.shape == (3,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": [1.0]}, "give 2 to 10 logits"),
        ({"logits": [1.0] * 11}, "give 2 to 10 logits"),
        ({"logits": [1.0, math.nan]}, "logits must lie between -20 and 20"),
        ({"temperature": 0.0}, "temperature must lie between 0.01 and 100, got 0"),
        ({"temperature": math.nan}, "temperature must lie between"),
        ({"draws": 0}, "the number of draws must lie between 1 and 20,000"),
        ({"draws": 10**9}, "the number of draws must lie between 1 and 20,000"),
        ({"cost": "liner"}, "unknown cost: 'liner'; did you mean 'linear'"),
        ({"estimator": "disarm"}, "unknown estimator for 3 categories: 'disarm'"),
        ({"estimator": "exact"}, "unknown estimator for 3 categories: 'exact'"),
    ],
)
def test_wrong_input_is_a_sentence(change: dict, message: str) -> None:
    given = {"logits": LOGITS, "temperature": 1.0, "cost": "linear", "estimator": "reinforce", "draws": 10, **change}
    with pytest.raises(ValueError, match=message) as error:
        gradients(**given)
    assert "\n" not in str(error.value)
