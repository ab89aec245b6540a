"""Run folders: ``runs/<configuration>/<number>/`` with config.yaml, metrics.csv, checkpoints/, figures/, test.json."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ..pretrained import config as release
from ..pretrained.run import CONFIG, checkpoint_path, find_checkpoint, is_run, read_checkpoint, run_of

__all__ = ["CONFIG", "checkpoint_path", "find_checkpoint", "is_run", "read_checkpoint", "run_of"]

ROOT = Path("runs")
PLACES = (*release.PLACES, "vqvae", "start")  # arguments that name files or folders
PACKAGE = Path(__file__).resolve().parent.parent


def new_run(parent: Path) -> Path:
    """Make and return the next numbered folder below ``parent``; two runs started together get two folders.

    Raises:
        PermissionError: the folder cannot be written.
    """
    parent.mkdir(parents=True, exist_ok=True)
    number = max(_numbers(parent), default=0) + 1
    while True:
        run = parent / str(number)
        try:
            run.mkdir()
        except FileExistsError:
            number += 1
        else:
            return run


def remove_unused(run: Path) -> None:
    """Remove a new run that ended before it began: it holds nothing but its configuration."""
    if run.is_dir() and {path.name for path in run.rglob("*") if path.is_file()} <= {CONFIG}:
        shutil.rmtree(run, ignore_errors=True)


def newest_run(parent: Path, checkpoint: str) -> Path:
    """The newest run below ``parent``, which must have written ``checkpoints/<checkpoint>.ckpt``.

    Raises:
        FileNotFoundError: there is none, or it has not: an older one may be of other options.
    """
    if not _numbers(parent):
        raise FileNotFoundError(f"there is no run in {parent}; train one with `fit` first")
    run = parent / str(max(_numbers(parent)))
    if checkpoint_path(run, checkpoint).is_file():
        return run
    older = [path for number in sorted(_numbers(parent)) if (path := parent / str(number)) != run]
    other = next((path for path in reversed(older) if checkpoint_path(path, checkpoint).is_file()), None)
    remedy = f", or name an older run's: {checkpoint_path(other, checkpoint)}" if other else ""
    raise FileNotFoundError(f"{run} has not written {checkpoint}.ckpt; remove it if it was stopped before{remedy}")


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """``name=value, not value`` for what two flat configurations say differently of model, data and seed.

    Where files lie is no difference.
    """
    names = [name for name in sorted({*one, *other}) if name.startswith(("model", "data", "seed_everything"))]
    return [
        f"{name.replace('.init_args', '')}={one.get(name)}, not {other.get(name)}"
        for name in names
        if name.rpartition(".")[2] not in PLACES and one.get(name) != other.get(name)
    ]


def batches_trained(checkpoint: dict[str, Any]) -> int:
    """Training batches behind a checkpoint, whatever the number of optimizers."""
    return checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["ready"]


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write readable JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    scratch = path.with_suffix(".tmp")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def program() -> str:
    """How the user called us, for what to type next."""
    return "python train.py" if Path(sys.argv[0]).name == "train.py" else "gumbelzoo"


def command_line(arguments: list[str]) -> str:
    """The command as typed."""
    return f"{program()} {shlex.join(arguments)}"


def circumstances() -> dict[str, Any]:
    """Versions, commit and hardware behind a figure."""
    return {
        "versions": {name: version(name) for name in ("gumbelzoo", "torch", "lightning")},
        "commit": _commit(),
        "hardware": _hardware(),
    }


def _commit() -> str | None:
    git = ["git", "-C", str(PACKAGE)]
    try:
        top = subprocess.run([*git, "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=True)
        if Path(top.stdout.strip()).resolve() != PACKAGE:  # installed inside somebody's repository
            return None
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


def _hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {os.cpu_count()} CPU cores, {torch.get_num_threads()} threads"


def _numbers(parent: Path) -> list[int]:
    if not parent.is_dir():
        return []
    return [int(folder.name) for folder in parent.iterdir() if folder.name.isdecimal()]
