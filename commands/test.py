"""Test a released model or a run: the metrics on the test set of its data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .source import Source


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
        checkpoint = runs.find_checkpoint(path)
        ZooCLI(["test", "--config", str(run / runs.CONFIG), "--ckpt_path", str(checkpoint), *rest])
    else:
        measure(open_source(name), rest)


def measure(source: Source, rest: Sequence[str] = ()) -> dict[str, Any]:
    """Test the model as it is in memory, on its data and with its seed, and print the figures.

    Returns:
        What ``test.json`` of a run would have of it: ``metrics``, ``data`` and ``minutes`` among others.

    Raises:
        ValueError: an unknown data class.
        FileNotFoundError: the data are not there.
    """
    from .source import data_class
    from .trainer import ZooCLI

    model = type(source.model)
    config: dict[str, Any] = {
        "seed_everything": source.seed,
        "model": {"class_path": f"{model.__module__}.{model.__name__}", "init_args": dict(source.model.hparams)},
    }
    if source.data:
        found = data_class(source.data)
        arguments = source.data.get("arguments", {})
        config["data"] = {"class_path": f"{found.__module__}.{found.__name__}", "init_args": arguments}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "release.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        return ZooCLI(["test", "--config", str(file), *rest], weights=source.model.state_dict()).tested
