"""The table behind every name: what is known, what is near, what is there already."""

import pytest
from gumbelzoo.registry import Registry


def shapes() -> Registry[int]:
    registry: Registry[int] = Registry("shape")
    registry.register("triangle")(3)
    registry.register("square")(4)
    return registry


def test_names_are_listed_in_order_and_by_pattern() -> None:
    registry = shapes()
    assert list(registry) == registry.names() == ["square", "triangle"]
    assert registry.names("tri*") == ["triangle"]
    assert "square" in registry and "circle" not in registry


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    assert shapes()["square"] == 4
    with pytest.raises(ValueError, match=r"unknown shape: 'sqare'; did you mean 'square'\? known: square, triangle"):
        shapes()["sqare"]


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="shape 'square' is registered twice"):
        shapes().register("square")(5)
