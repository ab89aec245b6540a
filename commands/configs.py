"""The configurations that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

from ..registry import unknown_name

FOLDER = Path(__file__).resolve().parent.parent / "configs"


def config_names() -> list[str]:
    """Names that ``--config`` takes; sweeps are wandb's, not ours."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml") if not path.stem.startswith("sweep"))


def named_configs(arguments: list[str]) -> list[str]:
    """The command line with ``--config NAME`` replaced by the packaged file, unless a file of that name is there.

    Raises:
        ValueError: neither a file nor a name; the nearest name is given.
    """
    replaced = list(arguments)
    for i, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option not in ("--config", "-c"):
            continue
        if equals:
            replaced[i] = f"{option}={_path(value)}"
        elif i + 1 < len(arguments):
            replaced[i + 1] = _path(arguments[i + 1])
    return replaced


def _path(value: str) -> str:
    if Path(value).is_file():
        return value
    name = Path(value).stem
    if name not in config_names():
        raise ValueError(unknown_name("configuration", value, config_names()))
    if value != name:
        raise ValueError(f"there is no file '{value}' here; `--config {name}` takes the one that comes with gumbelzoo")
    return str(FOLDER / f"{name}.yaml")
