"""Overhead of Lightning: a training step of ``fit`` compared with the same step in a bare loop.

    python benchmarks/speed/training_step.py [--config catvae_mnist] [--data.name=digits ...]

Both train the same network on the same batches, in turns. It prints median and range of the ratio. ``fit`` runs as on
the command line, with checkpoints, logs, pictures, checks and progress bar. Further options are those of ``fit``.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from typing import Any

import lightning
import torch
from gumbelzoo.commands.training.trainer import ZooCLI
from lightning.pytorch import Callback
from torch import Tensor


class Clock(Callback):
    """Seconds from the first batch after ``warm_up`` batches to the end of the last one, with validation in between."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self.start = self.seconds = 0.0
        self.batches = 0

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """Start after the warm-up."""
        if trainer.fit_loop.total_batch_idx == self.warm_up:
            self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Record the time so far; the last batch's stays."""
        self.batches = trainer.fit_loop.total_batch_idx + 1 - self.warm_up
        self.seconds = time.perf_counter() - self.start


class TimedCLI(ZooCLI):
    """``fit`` with a clock."""

    clock: Clock

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Add the clock as the last callback."""
        trainer: Any = super().instantiate_trainer(**kwargs)
        trainer.callbacks.append(self.clock)
        return trainer


def fit(arguments: list[str], warm_up: int) -> float:
    """Train with Lightning; return seconds per step."""
    TimedCLI.clock = Clock(warm_up)
    TimedCLI(arguments)
    return TimedCLI.clock.seconds / TimedCLI.clock.batches


def bare(arguments: list[str], warm_up: int, steps: int) -> float:
    """Train on the same batches with the same loss and optimizer in a bare loop; return seconds per step."""
    cli = TimedCLI([*arguments, "--trainer.fast_dev_run=1"])
    model, data = cli.model, cli.datamodule
    model.train()
    config = model.optimizer_config
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    loader = data.train_dataloader()
    done, start = 0, 0.0
    while True:
        for batch in loader:
            if done == warm_up:
                start = time.perf_counter()
            loss: Tensor = model.training_metrics(batch)["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            for layer in model.relaxed_layers():
                layer.advance()
            done += 1
            if done == warm_up + steps:
                return (time.perf_counter() - start) / steps


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="catvae_mnist", help="configuration (default: catvae_mnist)")
    parser.add_argument("--repeats", type=int, default=5, help="turns (default: 5)")
    parser.add_argument("--steps", type=int, default=1000, help="timed steps of a turn (default: 1000)")
    parser.add_argument("--warm-up", type=int, default=100, help="steps before them (default: 100)")
    options, rest = parser.parse_known_args()
    sys.argv = sys.argv[:1]
    with tempfile.TemporaryDirectory() as scratch:
        common = ["fit", "--config", options.config, f"--trainer.default_root_dir={scratch}"]
        common += [f"--trainer.max_steps={options.steps + options.warm_up}", "--trainer.max_epochs=-1", *rest]
        TimedCLI.clock = Clock(0)
        through, loop = [], []
        for _ in range(options.repeats):
            through.append(fit(common, options.warm_up))
            loop.append(bare(common, options.warm_up, options.steps))
    ratios = [one / other for one, other in zip(through, loop, strict=True)]
    cores = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    print(f"\n{options.config} {' '.join(rest)}")
    print(f"{platform.machine()}, {cores}, torch {torch.__version__}, lightning {lightning.__version__}")
    print(f"bare loop   {1e3 * statistics.median(loop):7.3f} ms a step")
    print(f"trainer     {1e3 * statistics.median(through):7.3f} ms a step")
    print(f"ratio       {statistics.median(ratios):7.3f} (from {min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
