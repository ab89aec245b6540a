"""Trial of a ``fit`` before it begins: its options are parsed, and its model, data and trainer are built."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...pretrained.plain_yaml import parse_yaml
from ..run_folders.names import ROOT
from ..run_folders.records import flatten
from .data_paths import check_there
from .trainer import ZooCLI


@dataclass(frozen=True)
class Trial:
    """A ``fit`` that has not begun.

    Attributes:
        parent: folder of all runs of its configuration.
        options: as ``Record.options`` has them.
        monitor: metric that selects its ``best.ckpt``, lower is better; None if there is none.
    """

    parent: Path
    options: dict[str, Any]
    monitor: str | None


class _TrialCLI(ZooCLI):
    """``fit`` without a run folder, up to its first batch."""

    def before_instantiate_classes(self) -> None:
        """Check the options as for a fast development run, which keeps nothing."""
        options = self.config.fit
        for name in ("name", "ckpt_path"):
            if options[name] is not None:
                raise ValueError(f"--{name} is given by the sweep, to each of its runs")
        if options.trainer.fast_dev_run:
            raise ValueError("--trainer.fast_dev_run keeps no run, and a sweep compares runs")
        options.trainer.fast_dev_run = 1
        super().before_instantiate_classes()
        check_there(self.configuration.sections["data"].kind, options.data.init_args)
        options.trainer.fast_dev_run = False

    def _run_subcommand(self, subcommand: str) -> None:
        """Nothing: this is where training would begin."""


def try_fit(arguments: Sequence[str]) -> Trial:
    """Try the options of ``fit``; what it would say on stderr is not shown.

    Raises:
        ValueError: as ``fit``.
    """
    with contextlib.redirect_stderr(io.StringIO()):
        command = _TrialCLI(["fit", *arguments])
    options = command.config.fit
    parent = Path(options.trainer.default_root_dir or ROOT) / command.configuration.name
    return Trial(parent, dict(flatten(parse_yaml(command._dump(options)))), command.model.monitor)
