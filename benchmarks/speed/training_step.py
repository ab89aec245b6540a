"""Overhead of training: a step of ``fit``, of a bare ``lightning.Trainer``, and of a loop without any trainer.

    python benchmarks/speed/training_step.py [--configs catvae_digits vqvae_digits_ema] [--data.batch_size=100 ...]

All train the same model on the same loaders, in turns in one process, by processor time. ``fit`` runs as on the command
line, with checkpoints, logs, pictures, checks and progress bar. The bare Trainer has none of them, and validates as
often. The loop does not validate. It prints a table and writes ``training_step.md``. Further options are those of
``fit``, for all configurations.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import lightning
import torch
from gumbelzoo.benchmarks.common.measure import describe_machine, now
from gumbelzoo.benchmarks.common.pages import markdown_row, markdown_table, write_page
from gumbelzoo.commands.training.trainer import ZooCLI
from lightning.pytorch import Callback, Trainer
from torch import Tensor

HEADER = ["configuration", "loop ms", "Trainer ms", "fit ms", "fit / Trainer", "range", "goal", "fit / loop", "range"]
GOALS = {"catvae_digits": "<= 1.1", "vqvae_digits_ema": "<= 1.1"}
QUIET = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
KEPT = ("max_steps", "max_epochs", "check_val_every_n_epoch", "gradient_clip_val", "accelerator")  # of the Trainer


class Clock(Callback):
    """Seconds from the first batch after ``warm_up`` batches to the end of the last one, with validation in between."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self.start = self.seconds = 0.0
        self.batches = 0

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """Start after the warm-up."""
        if trainer.fit_loop.total_batch_idx == self.warm_up:
            self.start = now()

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Record the time so far; the last batch's stays."""
        self.batches = trainer.fit_loop.total_batch_idx + 1 - self.warm_up
        self.seconds = now() - self.start

    def per_step(self) -> float:
        """Seconds of a step."""
        return self.seconds / self.batches


class TimedCLI(ZooCLI):
    """``fit`` with a clock."""

    clock: Clock

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Add the clock as the last callback."""
        trainer: Any = super().instantiate_trainer(**kwargs)
        trainer.callbacks.append(self.clock)
        return trainer


def fit(arguments: list[str], warm_up: int) -> float:
    """Train with ``fit``; return seconds per step."""
    TimedCLI.clock = Clock(warm_up)
    TimedCLI(arguments)
    return TimedCLI.clock.per_step()


def built(arguments: list[str]) -> TimedCLI:
    """Build model and data of the same command; a single batch passes through them."""
    TimedCLI.clock = Clock(0)
    return TimedCLI([*arguments, "--trainer.fast_dev_run=1"])


def bare_trainer(arguments: list[str], warm_up: int) -> float:
    """Train with Lightning alone; return seconds per step."""
    cli, clock = built(arguments), Clock(warm_up)
    options = {name: cli.config.fit.trainer[name] for name in KEPT}
    trainer = Trainer(**options, **QUIET, callbacks=[clock])  # type: ignore[arg-type]
    trainer.fit(cli.model, cli.datamodule)
    return clock.per_step()


def bare_loop(arguments: list[str], warm_up: int, steps: int) -> float:
    """Train with the same loss and optimizer in a loop; return seconds per step."""
    cli = built(arguments)
    model, loader = cli.model, cli.datamodule.train_dataloader()
    model.train()
    config = model.optimizer_config
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    done, start = 0, 0.0
    while True:
        for batch in loader:
            if done == warm_up:
                start = now()
            loss: Tensor = model.training_metrics(batch)["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            for layer in model.relaxed_layers():
                layer.advance()
            done += 1
            if done == warm_up + steps:
                return (now() - start) / steps


def compare(config: str, rest: list[str], turns: int, steps: int, warm_up: int) -> list[str]:
    """Measure a configuration in turns; return a row of the table."""
    times: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        arguments = ["fit", "--config", config, f"--trainer.default_root_dir={scratch}"]
        arguments += [f"--trainer.max_steps={steps + warm_up}", "--trainer.max_epochs=-1", *rest]
        for _ in range(turns):
            loop, trainer = bare_loop(arguments, warm_up, steps), bare_trainer(arguments, warm_up)
            times.append((loop, trainer, fit(arguments, warm_up)))
    milliseconds = [f"{1e3 * statistics.median(column):.3f}" for column in zip(*times, strict=True)]
    over_trainer, over_loop = ([turn[2] / turn[way] for turn in times] for way in (1, 0))
    return [config, *milliseconds, *ratio(over_trainer), GOALS.get(config, ""), *ratio(over_loop)]


def ratio(ratios: Sequence[float]) -> list[str]:
    """Format median and range."""
    return [f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} .. {max(ratios):.2f}"]


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", nargs="+", default=list(GOALS), help="configurations (default: both of digits)")
    parser.add_argument("--turns", type=int, default=5, help="turns (default: 5)")
    parser.add_argument("--steps", type=int, default=1000, help="timed steps of a turn (default: 1000)")
    parser.add_argument("--warm-up", type=int, default=100, help="steps before them (default: 100)")
    options, rest = parser.parse_known_args()
    sys.argv = sys.argv[:1]  # Lightning reads them too
    torch.set_num_threads(1)
    rows = []
    for config in options.configs:
        rows.append(compare(config, rest, options.turns, options.steps, options.warm_up))
        print(markdown_row(rows[-1]), flush=True)
    given = f" with `{' '.join(rest)}`" if rest else ""
    notes = (
        f"Processor time of a step, median of {options.turns} turns of {options.steps} steps after {options.warm_up}, "
        "all in one process. `loop`: loss, backward pass, optimizer, and the temperature's step; no validation. "
        "`Trainer`: Lightning with the same module and loaders and with validation, without logger, checkpoints, "
        f"progress bar and callbacks. `fit`: the command line{given}. Ratios are medians and ranges over the turns."
    )
    machine = f"{describe_machine().rstrip('.')}; lightning {lightning.__version__}."
    write_page(__file__, ["# Overhead of a training step", machine, markdown_table(HEADER, rows), notes])


if __name__ == "__main__":
    main()
