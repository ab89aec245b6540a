"""Models under their names: what ``create_model``, released checkpoints and ``gumbelzoo list`` call them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..registry import Registry

if TYPE_CHECKING:
    from .base import ZooModel

M = TypeVar("M", bound="type[ZooModel]")

MODELS: Registry[type[ZooModel]] = Registry("model")


def register_model(name: str) -> Callable[[M], M]:
    """Class decorator that files a model under ``name`` and tells the class its own name."""

    def add(model: M) -> M:
        model.registry_name = name
        MODELS.register(name)(model)
        return model

    return add
