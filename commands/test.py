"""Test what was trained: the metrics on the test set of its data."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

if TYPE_CHECKING:
    from .source import Source

# options that say where and on what to test; any other gives figures that the model's card could not repeat
SAME_FIGURES = (
    *("--data.root", "--data.path", "--data.test_path", "--seed_everything", "--trainer.enable_progress_bar"),
    *("--trainer.accelerator", "--trainer.devices", "--trainer.num_nodes", "--trainer.strategy"),
)


def test_source(name: str, rest: list[str]) -> None:
    """``gumbelzoo test NAME [options]``, where NAME is a release, a hub id, a run or one of its checkpoints.

    The figures of a run are kept in its ``test.json``, unless an option changes what they are figures of.

    Raises:
        ValueError: nothing of that name, or a damaged file.
    """
    from .source import open_source

    source = open_source(name)
    tested = measure(source, rest)
    if source.run is not None:
        _keep(source, tested, ["test", name, *rest])


@rank_zero_only
def _keep(source: Source, tested: dict[str, Any], arguments: list[str]) -> None:
    from . import runs

    assert source.run is not None and source.checkpoint is not None
    options = [argument.partition("=")[0] for argument in arguments if argument.startswith("-")]
    if others := [option for option in options if option not in SAME_FIGURES]:
        print(f"\nnot kept, because of {', '.join(others)}: a release could not give these figures again")
        return
    content = {
        **tested,
        "checkpoint": source.checkpoint.name,
        "batches": runs.batches_trained(runs.read_checkpoint(source.checkpoint)),
        "command": runs.command_line(arguments),
    }
    runs.write_json(source.run / "test.json", content)
    run = shlex.quote(str(source.run))
    print(f"\nwritten to {source.run / 'test.json'}; next:\n  {runs.program()} export {run} checkpoints/NAME")


def measure(source: Source, rest: Sequence[str] = ()) -> dict[str, Any]:
    """Test the model as it is in memory, on its data and with its seed, and print the figures.

    Returns:
        ``metrics``, ``data``, ``seed``, ``minutes``, and the circumstances.

    Raises:
        ValueError: no data or an unknown data class, or an option that neither trainer, data nor model has.
        FileNotFoundError: the data are not there.
    """
    from .trainer import ZooCLI

    return ZooCLI(["test", *rest], source).tested
