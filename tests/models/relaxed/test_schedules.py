"""Temperature schedules against their formulas, and the step that drives them."""

import math
from functools import partial

import pytest
import torch
from gumbelzoo.models.relaxed import SCHEDULES, RelaxedCategorical
from gumbelzoo.models.relaxed.schedules import Schedule, read_temperature

FORMULAS = {
    "constant": ({"initial": 0.7}, lambda t: 0.7),
    "learned": ({"initial": 0.7}, lambda t: 0.7),
    "exponential": (
        {"initial": 1.0, "minimum": 0.5, "rate": 1e-3, "every": 100},
        lambda t: max(0.5, math.exp(-1e-3 * (t // 100 * 100))),
    ),
    "linear": ({"initial": 5.0, "final": 1.0, "steps": 1000}, lambda t: 5.0 - 4.0 * min(t / 1000, 1)),
    "cosine": (
        {"initial": 1.0, "final": 0.0625, "steps": 1000},
        lambda t: 0.0625 + 0.9375 * 0.5 * (1 + math.cos(math.pi * min(t / 1000, 1))),
    ),
    "multiplicative": ({"initial": 2.0, "minimum": 0.5, "decay": 0.999}, lambda t: max(0.5, 2.0 * 0.999**t)),
    "piecewise": (
        {"values": [1.0, 0.7, 0.5], "boundaries": [100, 1000]},
        lambda t: 1.0 if t < 100 else 0.7 if t < 1000 else 0.5,
    ),
}


def schedule_of(name: str) -> Schedule:
    read, arguments = read_temperature({"name": name, **FORMULAS[name][0]})
    return partial(SCHEDULES[read], **arguments)


@pytest.mark.parametrize("name", SCHEDULES.names())
@pytest.mark.parametrize("step", [0, 1, 99, 100, 101, 650, 999, 1000, 100_000])
def test_schedule_equals_its_formula(name: str, step: int) -> None:
    temperature = schedule_of(name)(torch.tensor(step))
    assert temperature.shape == ()
    assert temperature.dtype == torch.float32
    assert temperature.item() == pytest.approx(FORMULAS[name][1](step), rel=1e-5)


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_schedule_is_pure(name: str) -> None:
    """Reading it often or in another order changes nothing."""
    schedule = schedule_of(name)
    steps = [torch.tensor(step) for step in (0, 500, 1000, 2000)]
    forward = [schedule(step).item() for step in steps]
    for _ in range(10):
        schedule(steps[1])
    backward = [schedule(step).item() for step in reversed(steps)]
    assert forward == backward[::-1]


@pytest.mark.parametrize("name", sorted(set(SCHEDULES.names()) - {"constant", "learned"}))
def test_schedule_falls(name: str) -> None:
    schedule = schedule_of(name)
    assert schedule(torch.tensor(5000)).item() < schedule(torch.tensor(0)).item()


def test_temperature_survives_a_reload() -> None:
    spec = {"name": "exponential", "initial": 1.0, "minimum": 0.1, "rate": 1e-2}
    layer = RelaxedCategorical("gumbel_softmax", spec)
    for _ in range(30):
        layer.advance()
    assert layer.current_temperature().item() == pytest.approx(math.exp(-0.3), rel=1e-5)
    fresh = RelaxedCategorical("gumbel_softmax", spec)
    fresh.load_state_dict(layer.state_dict())
    assert fresh.current_temperature().item() == layer.current_temperature().item()


def test_learned_temperature() -> None:
    layer = RelaxedCategorical("gumbel_softmax", {"name": "learned", "initial": 0.5})
    assert layer.current_temperature().item() == pytest.approx(0.5)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    for _ in range(5):
        optimizer.zero_grad()
        layer(torch.randn(8, 5)).square().sum().neg().backward()
        assert all(p.grad is not None and p.grad.abs() > 0 for p in layer.parameters())
        optimizer.step()
    assert layer.current_temperature().item() > 0
    assert layer.current_temperature().item() != pytest.approx(0.5)


@pytest.mark.parametrize(
    ("temperature", "message"),
    [
        (0.0, "must be > 0|needs initial > 0"),
        (-1.0, "> 0"),
        (math.nan, "> 0"),
        ({"name": "exponentail"}, "did you mean 'exponential'"),
        ({"name": "exponential", "minimun": 0.5}, "did you mean 'minimum'"),
        ({"name": "exponential", "minimum": 0}, "minimum > 0"),
        ({"name": "linear", "steps": "many"}, "plain numbers for steps"),
        ({"name": "linear", "steps": True}, "plain numbers for steps"),
        ({"initial": 1.0}, "needs a name"),
        ("exponentail", "did you mean 'exponential'"),
        ({"name": "exponential", "step": 3}, "argument of temperature schedule 'exponential': 'step'"),
        ({"name": "piecewise", "values": [1.0], "boundaries": [3]}, "one value more"),
        ({"name": "piecewise", "values": [1.0, 0.5, 0.2], "boundaries": [30, 3]}, "increasing"),
        ({"name": "piecewise", "values": 1.0}, "a list for one number, or one number for a list"),
        ({"name": "piecewise", "boundaries": 5}, "a list for one number, or one number for a list"),
        ({"name": "linear", "initial": [1.0, 0.5]}, "a list for one number, or one number for a list"),
        ({"name": "learned", "initial": 0.0}, "> 0"),
        ({"name": "multiplicative", "decay": 1.1}, "needs decay < 1, got 1.1"),
    ],
)
def test_bad_temperature_raises(temperature: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RelaxedCategorical("gumbel_softmax", temperature)  # type: ignore[arg-type]
