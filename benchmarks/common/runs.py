"""Training runs of a table: ordinary run folders. Finished runs are kept, interrupted ones are resumed."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gumbelzoo.train import main as gumbelzoo


def finish(root: Path, config: str, options: Sequence[str], test: bool) -> Path:
    """Train (and test) a configuration in ``<root>/<config>/1``, and return this run folder.

    Raises:
        RuntimeError: a command failed; its output is in ``<root>/log.txt``.
    """
    run = root / config / "1"
    arguments = ["--config", config, f"--trainer.default_root_dir={root}", *options]
    if not fit_record(run).get("finished"):  # one that was interrupted has a record too
        started = (run / "checkpoints" / "last.ckpt").is_file()
        if run.is_dir() and not started:  # interrupted before its first checkpoint
            shutil.rmtree(run)
        _call(["fit", *arguments, *(["--ckpt_path=last"] if started else [])], root)
    if test and not (run / "test.json").is_file():
        _call(["test", str(run)], root)
    return run


def reopen(run: Path) -> None:
    """Let ``finish`` train a finished run further, to more steps than before, and test it again."""
    for name in ("fit.json", "test.json"):
        (run / name).unlink(missing_ok=True)


def row_folder(out: Path, row: str) -> Path:
    """Return the folder for the runs of a table's row: its name, with ``_`` for what a shell would interpret."""
    return out / re.sub(r"[^\w.-]+", "_", row)


def _call(arguments: Sequence[str], root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    with (root / "log.txt").open("a", encoding="utf-8") as log:
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            code = gumbelzoo(list(arguments))
    if code in (130, 143):  # SIGINT, SIGTERM
        raise KeyboardInterrupt
    if code:
        raise RuntimeError(f"{root}: {' '.join(arguments)} failed; see {root / 'log.txt'}")


def test_metrics(run: Path) -> dict[str, float]:
    """Return the metrics in a run's ``test.json``."""
    return json.loads((run / "test.json").read_text(encoding="utf-8"))["metrics"]


def fit_record(run: Path) -> dict[str, Any]:
    """Return a run's ``fit.json`` (command, seed, minutes, hardware, versions, commit); empty without one."""
    path = run / "fit.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def environment(fits: Sequence[Mapping[str, Any]]) -> str:
    """Return the machines, versions and commits of several ``fit_record`` in one line."""
    machines = sorted({fit["hardware"] for fit in fits})
    versions = sorted({", ".join(f"{name} {number}" for name, number in fit["versions"].items()) for fit in fits})
    commits = sorted({fit["commit"] or "none" for fit in fits})
    return f"{'; '.join(machines)}; {'; '.join(versions)}; commit {', '.join(commits)}."
