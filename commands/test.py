"""Test a trained model: its metrics on the test set of its data."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

if TYPE_CHECKING:
    from .source import Source

# Options of where and on what device to test. With any other, a release could not repeat the metrics of its card.
NEUTRAL_OPTIONS = (
    *("--data.root", "--data.path", "--data.test_path", "--seed_everything", "--trainer.enable_progress_bar"),
    *("--trainer.accelerator", "--trainer.devices", "--trainer.num_nodes", "--trainer.strategy"),
)


def test_source(name: str, rest: list[str]) -> None:
    """Run ``gumbelzoo test NAME [options]``, where NAME is a release, a hub id, a run or one of its checkpoints.

    The metrics of a run are written to its ``test.json``, unless an option changes them.

    Raises:
        ValueError: nothing of that name, or a damaged file.
    """
    from .source import resolve_source

    source = resolve_source(name)
    tested = measure(source, rest)
    if source.run is not None:
        _write_record(source, tested, ["test", name, *rest])


def measure(source: Source, rest: Sequence[str] = ()) -> dict[str, Any]:
    """Test the model as it is in memory, on its data and with its seed, and print the metrics.

    Returns:
        ``metrics``, ``data``, ``seed``, ``minutes``, and the environment.

    Raises:
        ValueError: no data or unknown data, or an option that neither trainer, data nor model has.
        FileNotFoundError: the data are not there.
    """
    from .trainer import ZooCLI

    return ZooCLI(["test", *rest], source).tested


@rank_zero_only
def _write_record(source: Source, tested: dict[str, Any], arguments: list[str]) -> None:
    """Write ``test.json`` of a run, unless an option makes the metrics those of something else."""
    from ..pretrained.untrusted import printable
    from . import runs

    assert source.run is not None and source.checkpoint is not None
    options = [argument.partition("=")[0] for argument in arguments if argument.startswith("-")]
    if others := [option for option in options if option not in NEUTRAL_OPTIONS]:
        print(f"\nnot kept, because of {', '.join(others)}: a release could not repeat these metrics")
        return
    content = {
        **tested,
        "checkpoint": source.checkpoint.name,
        "batches": source.batches,
        "command": runs.command_line(arguments),
    }
    runs.write_json(source.run / "test.json", content)
    run = shlex.quote(str(source.run))
    print()
    print(printable(f"written to {source.run / 'test.json'}; next:"))
    print(printable(f"  {runs.program()} export {run} checkpoints/NAME"))
