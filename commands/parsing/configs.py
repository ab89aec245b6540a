"""The configurations that come with the package, by name."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

from ...pretrained.paths import user_path
from ...registry import unknown_name

FOLDER = Path(__file__).resolve().parents[2] / "configs"
LISTED = "`list configs` names all"  # they would fill a page
CONFIG_KINDS = ("config", "configs")  # words of ``list`` for them


def config_names() -> list[str]:
    """Return the names that ``--config`` takes; sweeps are wandb's, not ours."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml") if not path.stem.startswith("sweep"))


def config_header(name: str) -> list[str]:
    """Return the lines of comment at the top of a packaged configuration: what it trains, how, and the figure expected.

    Raises:
        ValueError: an unknown name; the nearest one is given.
    """
    if name not in config_names():
        raise ValueError(unknown_name("configuration", name, config_names(), LISTED))
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("#").removeprefix(" ") for line in takewhile(lambda line: line.startswith("#"), lines)]


def find_config(value: str) -> Path:
    """Return the file that ``--config`` means: a file of the user's, else the packaged one of that name.

    Raises:
        FileNotFoundError: a path at which there is no file.
        ValueError: a folder or a pipe, or neither a file nor a name; the nearest name is given.
    """
    path = user_path(value)
    if path.is_file():
        return path
    if path.exists() and value not in config_names():
        raise ValueError(
            f"'{value}' is {'a folder' if path.is_dir() else 'no regular file'}; --config takes a YAML file"
        )
    if path.name != value and path.stem not in config_names():
        raise FileNotFoundError(f"there is no file '{value}'; `list configs` names what comes with gumbelzoo")
    if path.stem not in config_names():
        raise ValueError(unknown_name("configuration", value, config_names(), LISTED))
    if value != path.stem:
        raise ValueError(
            f"there is no file '{value}' here; `--config {path.stem}` takes the one that comes with gumbelzoo"
        )
    return FOLDER / f"{value}.yaml"
