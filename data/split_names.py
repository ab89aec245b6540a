"""Names of splits, as users spell them in files and folders."""

from __future__ import annotations

SPELLINGS = {
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation"),
    "test": ("test", "testing"),
}
PARTS = tuple(SPELLINGS)
SPLITS = {name: split for split, names in SPELLINGS.items() for name in names}


def split_of(name: str) -> str | None:
    """Return the split that a file without its ending, or a folder, is named for, if any; capitals do not matter."""
    return SPLITS.get(name.casefold())
