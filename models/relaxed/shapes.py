"""Shape annotations such as ``Float[Tensor, "*b k"]``: checked in tests, never evaluated otherwise."""

from __future__ import annotations

try:
    from jaxtyping import Bool, Float, Int
except ModuleNotFoundError:  # only development installs it
    Bool = Float = Int = None  # type: ignore[assignment]

__all__ = ["Bool", "Float", "Int"]
