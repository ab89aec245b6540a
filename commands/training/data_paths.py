"""Paths of a user's own files and folders among the arguments of our data modules."""

from __future__ import annotations

from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule

from ...data.base import InMemoryData
from ...pretrained.config import PLACES
from ...pretrained.paths import user_path


def given_paths(kind: type[LightningDataModule], arguments: Any) -> dict[str, str]:
    """Return the paths that are given, by argument; none of a user's own class, which may mean anything by them."""
    if not issubclass(kind, InMemoryData):
        return {}
    given = {name: arguments.get(name) for name in PLACES if name != "root"}  # missing data sets are downloaded there
    return {name: path for name, path in given.items() if path}


def make_absolute(kind: type[LightningDataModule], arguments: Namespace) -> None:
    """Make the paths absolute, so that a run finds its data from any working folder."""
    for name, path in given_paths(kind, arguments).items():
        arguments[name] = str(user_path(path).absolute())


def check_there(kind: type[LightningDataModule], arguments: Namespace) -> None:
    """Check that the paths exist, else FileNotFoundError."""
    for name, path in given_paths(kind, arguments).items():
        if not user_path(path).exists():
            raise FileNotFoundError(f"--data.{name}: there is no '{path}'")
