"""Sweep files of Weights & Biases, for sweeps without it: their command, parameters, method and metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...pretrained.paths import user_path
from ...pretrained.plain_yaml import read_yaml
from ...registry import unknown_name
from ..parsing.configs import FOLDER
from ..run_folders.records import Metric
from .grid import Range, Values, check_values

METHODS = ("grid", "random")
LARGEST = 1e15  # bound of a range
KEYS = {"program", "project", "entity", "name", "description", "method", "metric", "command", "parameters", "run_cap"}
RANGES: dict[str, dict[str, bool]] = {
    "uniform": {},
    "int_uniform": {"whole": True},
    "log_uniform_values": {"log": True},
}


@dataclass(frozen=True)
class SweepFile:
    """Content of a file.

    Attributes:
        arguments: options of ``fit`` in its command, without those of wandb.
        parameters: by option.
        random: whether points are drawn.
        count: ``run_cap``, the number of runs; None if not given.
        metric: to select the best run by; None if not given.
    """

    arguments: list[str]
    parameters: dict[str, Values | Range]
    random: bool
    count: int | None
    metric: Metric | None


def find_sweep(value: str) -> Path:
    """Return a file of the user's, else the packaged one of that name; ValueError naming the nearest if neither."""
    path = user_path(value)
    if path.is_file():
        return path
    known = sorted(path.stem for path in FOLDER.glob("sweep*.yaml"))
    if value not in known:
        raise ValueError(unknown_name("sweep", value, known))
    return FOLDER / f"{value}.yaml"


def read_sweep(path: Path) -> SweepFile:
    """Read a file; its command is not run, only its options of ``fit`` are taken.

    Raises:
        ValueError: another form, or a method, a key or a distribution that wandb alone has.
    """
    content = read_yaml(path)
    try:
        return _read(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _read(content: Mapping[str, Any]) -> SweepFile:
    if others := sorted(set(content) - KEYS):
        raise ValueError(f"'{others[0]}' is wandb's alone; start this sweep with `wandb sweep`, or leave it out")
    method, parameters, count = content.get("method"), content.get("parameters"), content.get("run_cap")
    if method not in METHODS:
        raise ValueError(f"method must be {' or '.join(METHODS)}, got '{method}'; others need `wandb sweep`")
    if not isinstance(parameters, dict):
        raise ValueError("parameters must map options of fit to {values: [...]}")
    if count is not None and (type(count) is not int or count < 1):
        raise ValueError(f"run_cap must be a whole number >= 1, got '{count}'")
    read = {name: _read_parameter(name, entry) for name, entry in parameters.items()}
    if method == "grid" and count is not None:
        raise ValueError("run_cap goes with method: random")
    return SweepFile(_read_command(content.get("command")), read, method == "random", count, _read_metric(content))


def _read_command(command: Any) -> list[str]:
    """Options behind ``fit``. Logging to wandb is left to who starts the sweep."""
    if not isinstance(command, list) or not all(isinstance(part, str) for part in command) or "fit" not in command:
        raise ValueError("its command must be a list with `fit` and its options")
    options = [part for part in command[command.index("fit") + 1 :] if part != "${args}"]
    if macros := [part for part in options if "${" in part]:
        raise ValueError(f"its command has {macros[0]}, which is wandb's alone")
    return [part for part in options if not part.startswith("--wandb=")]


def _read_metric(content: Mapping[str, Any]) -> Metric | None:
    metric = content.get("metric")
    if metric is None:
        return None
    goal = metric.get("goal", "minimize") if isinstance(metric, dict) else None
    if goal not in ("minimize", "maximize") or not isinstance(metric.get("name"), str):
        raise ValueError("metric must be {name: NAME, goal: minimize or maximize}")
    return Metric(metric["name"], goal == "minimize")


def _read_parameter(name: str, entry: Any) -> Values | Range:
    """Read ``{values: [...]}``, ``{value: ...}``, or ``{min: ..., max: ...}`` with a distribution."""
    if not isinstance(entry, dict):
        raise ValueError(f"'{name}' must be {{values: [...]}}, {{value: ...}} or {{min: ..., max: ...}}")
    keys = set(entry) - {"distribution"}
    if keys == {"values"}:
        return check_values(name, entry["values"])
    if keys == {"value"}:
        return Values([entry["value"]])
    bounds: list[Any] = [entry.get("min"), entry.get("max")]
    if keys != {"min", "max"} or not all(type(bound) in (int, float) and abs(bound) < LARGEST for bound in bounds):
        raise ValueError(f"'{name}' must have values, a value, or the numbers min and max, and has {sorted(entry)}")
    default = "int_uniform" if all(type(bound) is int for bound in bounds) else "uniform"
    distribution = entry.get("distribution", default)
    if distribution not in RANGES:
        raise ValueError(f"'{name}': distribution must be {', '.join(RANGES)}, got '{distribution}'")
    try:
        return Range(float(bounds[0]), float(bounds[1]), **RANGES[distribution])
    except ValueError as error:
        raise ValueError(f"'{name}': {error}") from None
