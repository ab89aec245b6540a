"""gumbelzoo: discrete-latent generative models in PyTorch Lightning, on one relaxed-sampling layer.

``gumbelzoo.load("catvae-mnist").sample(16)`` draws images; ``gumbelzoo.list_models()`` says what there is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .models.pretrained import create_model, list_models, list_pretrained, load, save_pretrained
    from .models.relaxed import RelaxedCategorical

__version__ = "0.1.0"
__all__ = [
    "RelaxedCategorical",
    "create_model",
    "list_models",
    "list_pretrained",
    "load",
    "save_pretrained",
]


def __getattr__(name: str) -> Any:
    """Import torch and the models on first use only: ``import gumbelzoo`` alone stays fast."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = ".models.relaxed" if name == "RelaxedCategorical" else ".models.pretrained"
    return getattr(importlib.import_module(home, __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
