"""Training runs for the tables: each is an ordinary run folder, what is finished is not run again, the rest goes on."""

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
    """Train (and test) a configuration of the zoo in ``<root>/<config>/1``; the run folder.

    Raises:
        RuntimeError: a command failed; its output is in ``<root>/log.txt``.
    """
    run = root / config / "1"
    arguments = ["--config", config, f"--trainer.default_root_dir={root}", *options]
    if not (run / "fit.json").is_file():
        started = (run / "checkpoints" / "last.ckpt").is_file()
        if run.is_dir() and not started:  # killed before its first checkpoint
            shutil.rmtree(run)
        _call(["fit", *arguments, *(["--ckpt_path=last"] if started else [])], root)
    if test and not (run / "test.json").is_file():
        _call(["test", str(run)], root)
    return run


def row_folder(out: Path, row: str) -> Path:
    """Where the runs of a table's row are: its name, without what a shell minds."""
    return out / re.sub(r"[^\w.-]+", "_", row)


def _call(arguments: Sequence[str], root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    with (root / "log.txt").open("a", encoding="utf-8") as log:
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            code = gumbelzoo(list(arguments))
    if code in (130, 143):  # Ctrl-C, or asked to end
        raise KeyboardInterrupt
    if code:
        raise RuntimeError(f"{root}: {' '.join(arguments)} failed; see {root / 'log.txt'}")


def test_metrics(run: Path) -> dict[str, float]:
    """What ``gumbelzoo test`` found."""
    return json.loads((run / "test.json").read_text(encoding="utf-8"))["metrics"]


def fit_facts(run: Path) -> dict[str, Any]:
    """What ``fit`` says of a run that ended: command, seed, minutes, hardware, versions, commit; else nothing."""
    path = run / "fit.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def environment(fits: Sequence[Mapping[str, Any]]) -> str:
    """Machine, versions and commits of runs, each what ``fit_facts`` said of it, in one line."""
    machines = sorted({fit["hardware"] for fit in fits})
    versions = sorted({", ".join(f"{name} {number}" for name, number in fit["versions"].items()) for fit in fits})
    commits = sorted({fit["commit"] for fit in fits})
    return f"{'; '.join(machines)}; {'; '.join(versions)}; commit {', '.join(commits)}."
