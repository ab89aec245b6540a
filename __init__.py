"""gumbelzoo: discrete-latent generative models in PyTorch Lightning, on one relaxed-sampling layer.

``gumbelzoo.load("catvae-mnist").sample(16)`` draws images; ``gumbelzoo.list_models()`` names the models.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .commands.notebook import export, fit, test
    from .models.relaxed import RelaxedCategorical
    from .pretrained.api import create_model, from_pretrained, list_models, list_pretrained, load
    from .pretrained.hub import push_to_hub
    from .pretrained.saving import save_pretrained

__version__ = "0.1.0"
_HOMES = {
    "RelaxedCategorical": ".models.relaxed",
    "create_model": ".pretrained.api",
    "export": ".commands.notebook",
    "fit": ".commands.notebook",
    "from_pretrained": ".pretrained.api",
    "list_models": ".pretrained.api",
    "list_pretrained": ".pretrained.api",
    "load": ".pretrained.api",
    "push_to_hub": ".pretrained.hub",
    "save_pretrained": ".pretrained.saving",
    "test": ".commands.notebook",
}
__all__ = [
    "RelaxedCategorical",
    "create_model",
    "export",
    "fit",
    "from_pretrained",
    "list_models",
    "list_pretrained",
    "load",
    "push_to_hub",
    "save_pretrained",
    "test",
]


def __getattr__(name: str) -> Any:
    """Import torch and the models at first use; ``import gumbelzoo`` alone stays fast."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module(".models", __name__)  # all of them, so that every name is registered
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name], __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
