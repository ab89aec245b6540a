"""Registries, specs and the dataclasses of options: what is accepted, what is passed on, what an error names."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gumbelzoo.data
import gumbelzoo.models
import numpy as np
import pytest
from gumbelzoo.registry import Registry, Spec, from_options, plain, unknown_arguments, unknown_name


def shapes() -> Registry[Callable[..., Any]]:
    """Functions of a ``scale``, which is context, and options; each returns all that it was given."""
    registry: Registry[Callable[..., Any]] = Registry("shape", context=("scale",))

    @registry.register("triangle")
    def triangle(scale: int, sides: tuple[int, ...] = (3, 4, 5)) -> tuple[str, int, tuple[int, ...]]:
        return "triangle", scale, sides

    @registry.register("square")
    def square(side: float = 1.0, name: str = "", scale: int = 1) -> tuple[str, int, float]:
        return "square", scale, side

    return registry


@dataclass(frozen=True)
class PaintConfig:
    """Options of a group, one of them a group again."""

    colour: str = "red"
    layers: tuple[int, ...] = (1, 2)
    total: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.colour == "none":
            raise ValueError("paint.colour must be a colour")


# -- names ------------------------------------------------------------------------------------------------------------


def test_names_are_sorted_and_match_patterns() -> None:
    registry = shapes()
    assert list(registry) == registry.names() == ["square", "triangle"]
    assert registry.names("tri*") == ["triangle"] and registry.names("x*") == []
    assert "square" in registry and "circle" not in registry


def test_unknown_name_names_the_nearest() -> None:
    message = r"unknown shape: 'sqare'; did you mean 'square'\? known: square, triangle"
    with pytest.raises(ValueError, match=message):
        shapes()["sqare"]
    with pytest.raises(ValueError, match=message):
        shapes().read("sqare")


def test_unknown_name_without_a_near_one() -> None:
    assert unknown_name("shape", "zzz", ["square"]) == "unknown shape: 'zzz'; known: square"
    assert unknown_name("shape", "zzz", []) == "unknown shape: 'zzz'; known: none"


def test_name_registered_twice_raises() -> None:
    with pytest.raises(ValueError, match="shape 'square' is registered twice"):
        shapes().register("square")(print)


def test_part_of_a_user_extends_the_base_class() -> None:
    """Every registry of classes has a base: all of them refuse a function, and a class of another kind."""
    assert gumbelzoo.models and gumbelzoo.data
    bases = {registry.kind: registry for registry in Registry.everyone if registry.base}
    assert {"estimator", "quantizer", "objective", "attention", "model", "data module"} <= bases.keys()
    for kind, registry in bases.items():
        message = f"{kind} 'own' must be a class that extends {registry.base.__name__}"  # type: ignore[union-attr]
        for entry in (print, PaintConfig):
            with pytest.raises(ValueError, match=message):
                registry.register("own")(entry)
        assert "own" not in registry


# -- specs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "name", "options"),
    [
        ("square", "square", {}),
        ({"name": "square"}, "square", {}),
        ({"name": "square", "side": 2.0}, "square", {"side": 2.0}),
        ({"sides": [1, 2], "name": "triangle"}, "triangle", {"sides": [1, 2]}),
    ],
)
def test_read_splits_a_spec(spec: Spec, name: str, options: dict[str, Any]) -> None:
    before = dict(spec) if isinstance(spec, dict) else spec
    assert shapes().read(spec) == (name, options)
    assert spec == before  # it belongs to the caller


@pytest.mark.parametrize("spec", [{}, {"side": 2.0}, {"name": 3}, {"name": {"name": "square"}}])
def test_spec_without_a_name_raises(spec: Spec) -> None:
    with pytest.raises(ValueError, match=r"shape must be a name or \{name: \.\.\., options\}, such as square; got"):
        shapes().read(spec)


def test_spec_for_an_empty_registry() -> None:
    with pytest.raises(ValueError, match="such as NAME; got"):
        Registry("shape").read({})


@pytest.mark.parametrize("key", ["sides", "scale"])
def test_unknown_option_raises(key: str) -> None:
    """Options of another entry, and the context, which only the caller gives."""
    with pytest.raises(ValueError, match=rf"unknown argument of shape 'square': '{key}'; .*known: name, side$"):
        shapes().read({"name": "square", key: 2})


def test_unknown_option_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"argument of shape 'triangle': 'side'; did you mean 'sides'\?"):
        shapes().build({"name": "triangle", "side": 2}, scale=1)


def test_build_passes_options_and_context() -> None:
    registry = shapes()
    assert registry.build("triangle", scale=7) == ("triangle", 7, (3, 4, 5))
    assert registry.build({"name": "square", "side": 2.0}, scale=7) == ("square", 7, 2.0)
    assert registry.context == ("scale",)


def test_arguments_without_context() -> None:
    def paint(colour: str, layers: int = 1) -> None: ...

    unknown_arguments("paint", paint, ["colour", "layers"])
    with pytest.raises(ValueError, match=r"unknown argument of paint: 'color'; did you mean 'colour'\?"):
        unknown_arguments("paint", paint, ["color"])
    with pytest.raises(ValueError, match=r"unknown argument of paint: 'colour'; .*known: layers"):
        unknown_arguments("paint", paint, ["colour"], context=["colour"])


# -- dataclasses ------------------------------------------------------------------------------------------------------


def test_plain_is_json() -> None:
    """Dataclasses and mappings become dicts, tuples lists; fields that a constructor does not take are left out."""
    value = {"paint": PaintConfig("blue"), "sizes": ((1, 2), [3]), "none": None, "rate": 0.5}
    expected = {"paint": {"colour": "blue", "layers": [1, 2]}, "sizes": [[1, 2], [3]], "none": None, "rate": 0.5}
    assert plain(value) == expected == json.loads(json.dumps(plain(value)))
    assert plain(PaintConfig) is PaintConfig  # a class is no instance
    numbers = plain([np.int64(3), np.float32(0.5), np.float64(0.25)])  # a size or a rate that NumPy computed
    assert numbers == [3, 0.5, 0.25] and [type(number) for number in numbers] == [int, float, float]


def test_options_of_a_dataclass() -> None:
    built = from_options(PaintConfig, {"colour": "blue", "layers": [3]})
    assert built == PaintConfig("blue", [3])  # type: ignore[arg-type]
    assert from_options(PaintConfig, built) is built
    assert from_options(PaintConfig, {}) == PaintConfig()
    assert from_options(PaintConfig, plain(PaintConfig("blue"))).colour == "blue"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color": "blue"}, r"unknown argument of paint: 'color'; did you mean 'colour'\?"),
        ({"total": 3}, "unknown argument of paint: 'total'"),
        ({"colour": "none"}, "paint.colour must be a colour"),
    ],
)
def test_bad_options_of_a_dataclass_raise(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_options(PaintConfig, options)
