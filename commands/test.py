"""Test a released model or a run: the metrics on the test set of its data."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any


def test_source(name: str, rest: list[str]) -> None:
    """``gumbelzoo test NAME [options]``, where NAME is a release, a hub id, a run or one of its checkpoints.

    Raises:
        ValueError: nothing of that name, or a damaged file.
    """
    from . import runs
    from .source import open_source
    from .trainer import ZooCLI

    path = Path(name)
    run = runs.run_of(path) if path.suffix == ".ckpt" else path
    if run and runs.is_run(run):
        checkpoint = path if path.suffix == ".ckpt" else runs.checkpoint_path(run, "best")
        if not checkpoint.is_file():
            checkpoint = runs.checkpoint_path(run, "last")
        ZooCLI(["test", "--config", str(run / runs.CONFIG), "--ckpt_path", str(checkpoint), *rest])
        return
    source = open_source(name)
    model = type(source.model)
    config: dict[str, Any] = {
        "model": {"class_path": f"{model.__module__}.{model.__name__}", "init_args": dict(source.model.hparams)},
    }
    if source.data:
        config["data"] = {"class_path": source.data["class"], "init_args": source.data["arguments"]}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "release.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        ZooCLI(["test", "--config", str(file), *rest], weights=source.model.state_dict())
