"""Folder of a released model: ``config.json``, ``model.safetensors`` and a card, ``README.md``.

Such a folder is untrusted input. Only JSON and safetensors are read. Names, types and shapes are checked before any
weight is allocated, nothing in the folder is executed, and each fault is one ValueError that names the file.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..models.base import MODELS, ZooModel
from ..registry import unknown_arguments
from .budget import Budget
from .config import CONFIG, ReleaseConfig, read_config
from .untrusted import first_line
from .weights import Weights

CARD = "README.md"


class Release:
    """A release folder; each of its files is read once, at first use.

    Args:
        folder: of the release.

    Example:
        >>> from gumbelzoo.pretrained.api import find
        >>> release = find("catvae-digits")
        >>> bound = release.config.metrics["test/bound"]  # reads config.json, not the weights
        >>> model = release.load_model()
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def config(self) -> ReleaseConfig:
        """Content of ``config.json``; errors are those of ``read_config``."""
        return read_config(self.folder)

    @cached_property
    def weights(self) -> Weights:
        """The opened ``model.safetensors``; errors are those of ``Weights``."""
        return Weights(self.folder)

    @property
    def data(self) -> dict[str, Any]:
        """Data of the test metrics, ``{"class": name, "arguments": {...}}``, or empty."""
        return self.config.data

    @property
    def seed(self) -> int:
        """Seed of the test behind the metrics."""
        return self.config.test.get("seed", 0)

    def load_model(self, **changes: Any) -> ZooModel:
        """Build the model in eval mode, with some constructor arguments changed.

        Raises:
            ValueError: the folder is damaged, or the weights do not fit the arguments.
        """
        name, arguments, weights = self.config.model, {**self.config.arguments, **changes}, self.weights
        unknown_arguments(name, MODELS[name], arguments)
        changed = f" with {', '.join(f'{key}={value!r}' for key, value in changes.items())}" if changes else ""
        try:
            # On the device meta nothing is allocated: first see whether the weights fit, then build for real.
            with Budget(len(weights.shapes), weights.elements), torch.device("meta"):
                skeleton = MODELS[name](**arguments)
            weights.check(skeleton.state_dict())
            model = MODELS[name](**arguments)
        except ValueError as error:
            raise ValueError(f"{self.folder}{changed}: {first_line(error)}") from None
        except Exception as error:  # whatever a constructor does with arguments of the wrong type
            raise ValueError(
                f"{self.folder / CONFIG}{changed}: {name} refuses these arguments: {first_line(error)}"
            ) from error
        model.load_state_dict(weights.tensors())
        return model.eval()
