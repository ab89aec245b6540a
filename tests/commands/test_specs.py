"""Overrides of parts, their defaults, and the check of every option against its constructor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from gumbelzoo.commands.parsing.specs import Constructor, parse_option
from gumbelzoo.registry import Registry, Spec

ENGINES: Registry[Any] = Registry("engine")
WHEELS: Registry[Any] = Registry("wheel", context=("load",))


@dataclass(frozen=True)
class Tyre:
    """Rubber.

    Args:
        width: of it.
        name_of_maker: of it.
    """

    width: float = 2.0
    name_of_maker: str = "nobody"


@WHEELS.register("spoked")
class Spoked:
    parts: ClassVar[Mapping[str, Any]] = {"tyre": Tyre}

    def __init__(
        self, load: float, spokes: int = 32, tyre: Tyre | dict = Tyre(width=3.0), weights: Sequence[int] = (1,)
    ) -> None: ...


@WHEELS.register("solid")
def solid(load: float, *, grade: str, tight: bool = False) -> None: ...


@ENGINES.register("diesel")
class Diesel:
    parts: ClassVar[Mapping[str, Any]] = {"flywheel": WHEELS}

    def __init__(self, flywheel: Spec = "spoked", cylinders: int = 4) -> None: ...


class Car:
    parts: ClassVar[Mapping[str, Any]] = {"engine": ENGINES, "wheel": WHEELS, "spare": WHEELS, "tyre": Tyre}

    def __init__(
        self,
        engine: Spec = "diesel",
        wheel: float | Spec = 1.0,
        spare: Spec | None = None,
        tyre: Tyre | dict = Tyre(),
        seats: int = 5,
    ) -> None: ...


CAR = Constructor(Car)


def override(options: Mapping[str, Any], *overrides: str) -> dict[str, Any]:
    """Options after ``a.b=value`` texts, checked."""
    merged = dict(options)
    for text in overrides:
        path, _, value = text.partition("=")
        merged = CAR.override(merged, path.split("."), parse_option(value))
    return CAR.check_parts(merged, "car")


@pytest.mark.parametrize(
    ("options", "overrides", "expected"),
    [
        ({}, ["wheel=spoked", "wheel.spokes=8"], {"wheel": {"name": "spoked", "spokes": 8}}),
        ({}, ["engine.cylinders=6"], {"engine": {"name": "diesel", "cylinders": 6}}),
        ({"wheel": "spoked"}, ["wheel.spokes=8"], {"wheel": {"name": "spoked", "spokes": 8}}),
        ({"wheel": {"name": "spoked", "spokes": 9}}, ["wheel=spoked"], {"wheel": "spoked"}),
        (
            {"wheel": {"name": "spoked", "spokes": 9}},
            ["wheel={weights: ['2', 3]}"],
            {"wheel": {"name": "spoked", "spokes": 9, "weights": [2, 3]}},
        ),
        (
            {"wheel": {"name": "spoked", "spokes": 9}},
            ["wheel={name: solid, grade: fine}", "wheel.tight=yes"],
            {"wheel": {"name": "solid", "grade": "fine", "tight": True}},
        ),
        (
            {},
            ["engine.flywheel.tyre.width=1e-3"],
            {
                "engine": {
                    "name": "diesel",
                    "flywheel": {"name": "spoked", "tyre": {"width": 1e-3, "name_of_maker": "nobody"}},
                }
            },
        ),
        ({}, ["tyre={width: 4}"], {"tyre": {"width": 4.0, "name_of_maker": "nobody"}}),
        ({"tyre": {"width": 9}}, ["tyre.name_of_maker=me"], {"tyre": {"width": 9.0, "name_of_maker": "me"}}),
        ({}, ["wheel=0.5"], {"wheel": 0.5}),
        ({}, ["spare=null"], {"spare": None}),
        ({"engine": {"name": "diesel"}}, [], {"engine": "diesel"}),
        ({"seats": "left to the parser"}, [], {"seats": "left to the parser"}),
    ],
)
def test_override(options: dict[str, Any], overrides: list[str], expected: dict[str, Any]) -> None:
    """A text or a mapping with a name replaces a part, all else is merged into it or into the default."""
    assert override(options, *overrides) == expected


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["wheel=spoked", "wheel.spokes=a"], "car.wheel.spokes: expected int, got 'a'"),
        (["wheel=spoked", "wheel.spokes=1.5"], "car.wheel.spokes: expected int, got '1.5'"),
        (["wheel=spoked", "wheel.weights=[a]"], "car.wheel.weights: expected int, got 'a'"),
        (["engine.flywheel.tyre.width=a"], "car.engine.flywheel.tyre.width: expected float, got 'a'"),
        (["wheel=spoked", "wheel.spoke=1"], "unknown key 'car.wheel.spoke'; did you mean 'car.wheel.spokes'?"),
        (["engine.flywheel.load=1"], "unknown key 'car.engine.flywheel.load'"),
        (["tyre.widht=1"], "unknown key 'car.tyre.widht'; did you mean 'car.tyre.width'?"),
        (["cylinders=1"], "unknown key 'car.cylinders'; did you mean 'car.engine.cylinders'?"),
        (["wheel=spokd"], "car.wheel: unknown wheel: 'spokd'; did you mean 'spoked'?"),
        (["wheel={name: [spoked]}"], "car.wheel: wheel must be a name or {name: ..., options}"),
        (["spare.spokes=1"], "car.spare: wheel must be a name or {name: ..., options}"),
        (["wheel=solid"], "car.wheel.grade is missing"),
        (["wheel={name: solid, grade: null}"], "car.wheel.grade must not be null; it has no default, so give a value"),
        (["wheel={name: spoked, spokes: null}"], "car.wheel.spokes must not be null; leave it out for its default"),
        (["tyre=round"], "car.tyre is a mapping of width, name_of_maker; got 'round'"),
        (["engine=diesel", "engine.flywheel=[1]"], "car.engine.flywheel: expected str or dict, got '[1]'"),
        (
            ["wheel={name: spoked, spokes: 8}", "wheel.name=solid"],
            "'solid' has no spokes, which 'spoked' was given; leave out '.name' to take its defaults",
        ),
    ],
)
def test_refused(overrides: list[str], message: str) -> None:
    """One line with the full key."""
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        override({}, *overrides)
    assert "\n" not in str(error.value)


def test_leaves_follow_the_choice() -> None:
    leaves = set(CAR.leaves({"wheel": "solid"}, "car"))
    assert {"car.wheel.grade", "car.engine.flywheel.tyre.width", "car.seats"} <= leaves
    assert not leaves & {"car.wheel.spokes", "car.wheel.load", "car.spare.spokes"}


@pytest.mark.parametrize("text", ["{a: 1", "[1", "{a: 1, a: 2}"])
def test_malformed_value_raises(text: str) -> None:
    with pytest.raises(ValueError, match=r"no YAML|twice"):
        parse_option(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("{a: 1}", {"a": 1}), ("[1, b]", [1, "b"]), ("8", "8"), ("off", "off"), ("a: b: c", "a: b: c"), ("", "")],
)
def test_parse_option(text: str, value: Any) -> None:
    """Only lists and mappings are parsed; the type check converts all else."""
    assert parse_option(text) == value
