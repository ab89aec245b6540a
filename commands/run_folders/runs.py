"""Run folders, ``runs/<configuration>/<number or name>/``: choice, comparison, records and their environment.

A run has config.yaml, metrics.csv, checkpoints/, figures/, fit.json and, once tested, test.json.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ...pretrained.config import PLACES as DATA_PLACES
from ...pretrained.paths import whole_file
from ...pretrained.run_files import BEGUN, CONFIG, checkpoint_path
from .names import check_name

PLACES = (*DATA_PLACES, "vqvae", "init_from")  # arguments that name files or folders
PACKAGE = Path(__file__).resolve().parents[2]


def new_run(parent: Path, name: str | None = None) -> Path:
    """Make the named, or the next numbered, folder below ``parent`` and return it.

    Two unnamed runs that are started together get two folders.

    Raises:
        ValueError: the name is taken.
        PermissionError: the folder cannot be written.
    """
    parent.mkdir(parents=True, exist_ok=True)
    if name is not None:
        try:
            (parent / name).mkdir(parents=True)
        except FileExistsError:
            check_free(parent, name)
            raise
        return parent / name
    number = max(_numbers(parent), default=0) + 1
    while True:
        run = parent / str(number)
        try:
            run.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return run


def check_free(parent: Path, name: str) -> None:
    """Check that a new run can be made by this name, which is not taken, else ValueError."""
    check_name(name)
    if os.path.lexists(parent / name):
        raise ValueError(f"{parent / name} exists; go on with it by --ckpt_path last, or give another --name")
    if name.isdecimal():
        raise ValueError(f"--name {name}: runs without a name are numbered; give a name that is no number")


def find_run(parent: Path, name: str | None, checkpoint: str) -> Path:
    """Return the run of a name, or the newest one without a name; errors are those of ``newest_run``."""
    if name is None:
        return newest_run(parent, checkpoint)
    check_name(name)
    if not (parent / name).is_dir():
        raise FileNotFoundError(f"there is no run {parent / name}; there are: {', '.join(_names(parent)) or 'none'}")
    if not checkpoint_path(parent / name, checkpoint).is_file():
        raise FileNotFoundError(f"{parent / name} has not written {checkpoint}.ckpt; remove it, or give another --name")
    return parent / name


def remove_unused(run: Path) -> None:
    """Remove a new run that ended before training, which has nothing but its configuration, data and job.

    The folder of the configuration goes with its only run.
    """
    if run.is_dir() and {path.name for path in run.rglob("*") if path.is_file()} <= set(BEGUN):
        shutil.rmtree(run, ignore_errors=True)
        with suppress(OSError):  # it has other runs
            run.parent.rmdir()


def newest_run(parent: Path, checkpoint: str) -> Path:
    """Return the newest numbered run below ``parent``.

    Raises:
        FileNotFoundError: there is none, or it has no ``checkpoints/<checkpoint>.ckpt``. An older run is not taken in
            its place, since it may have other options; nor is one that has a name.
    """
    if not _numbers(parent):
        if names := _names(parent):
            raise FileNotFoundError(f"every run in {parent} has a name; give one: --name {' or '.join(names[:5])}")
        raise FileNotFoundError(f"there is no run in {parent}; train one with `fit` first")
    run = parent / str(max(_numbers(parent)))
    if checkpoint_path(run, checkpoint).is_file():
        return run
    older = [path for number in sorted(_numbers(parent)) if (path := parent / str(number)) != run]
    other = next((path for path in reversed(older) if checkpoint_path(path, checkpoint).is_file()), None)
    remedy = f", or name an older run's: {checkpoint_path(other, checkpoint)}" if other else ""
    raise FileNotFoundError(f"{run} has not written {checkpoint}.ckpt; remove it if it was stopped before{remedy}")


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """List the differences of two flat configurations in model, data, seed and averages, as ``name=value, not value``.

    Paths of files are not compared.
    """
    names = [name for name in sorted({*one, *other}) if name.startswith(("model", "data", "seed_everything", "ema"))]
    return [
        f"{name}={one.get(name)}, not {other.get(name)}"
        for name in names
        if name.rpartition(".")[2] not in PLACES and one.get(name) != other.get(name)
    ]


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write readable JSON, whole or not at all; ValueError for numbers that JSON has not, infinity and NaN."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    with whole_file(path) as file:
        file.write(text.encode("utf-8"))


def program() -> str:
    """Return the program as the user called it, for messages that name a command."""
    return "python train.py" if Path(sys.argv[0]).name == "train.py" else "gumbelzoo"


def command_line(arguments: list[str]) -> str:
    """Return the command as typed."""
    return f"{program()} {shlex.join(arguments)}"


def environment() -> dict[str, Any]:
    """Return the versions, commit and hardware behind a result."""
    return {
        "versions": {name: version(name) for name in ("gumbelzoo", "torch", "lightning")},
        "commit": _commit(),
        "hardware": _hardware(),
    }


def _commit() -> str | None:
    """Commit of this checkout, with ``+changes`` if files differ from it; None outside of one."""
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
    """Accelerator, or processor with cores and threads."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {os.cpu_count()} CPU cores, {torch.get_num_threads()} threads"


def _numbers(parent: Path) -> list[int]:
    """Numbers of the runs below a folder."""
    if not parent.is_dir():
        return []
    return [int(folder.name) for folder in parent.iterdir() if folder.name.isdecimal()]


def _names(parent: Path) -> list[str]:
    """Names and numbers of the runs below a folder."""
    return sorted(path.parent.name for path in parent.glob(f"*/{CONFIG}"))
