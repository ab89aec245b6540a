"""What Lightning costs: a training step through ``fit`` against the same step in a bare loop.

Both train the same network on the same batches, one after the other, several times in turn; the ratio of the medians is
printed with its spread. ``fit`` runs as the command line runs it: checkpoints, logs, pictures, guard and bar included.

    python benchmarks/speed/training_step.py [--config catvae_mnist] [--data digits]
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
from gumbelzoo.commands.trainer import ZooCLI
from lightning.pytorch import Callback
from torch import Tensor


class Clock(Callback):
    """Seconds between the first and the last batch, the first ``warm_up`` batches and validation left out."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self.start = self.seconds = 0.0
        self.batches = 0

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """Start, once everything is warm."""
        if trainer.fit_loop.total_batch_idx == self.warm_up:
            self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Stop at the last batch of the run."""
        self.batches = trainer.fit_loop.total_batch_idx + 1 - self.warm_up
        self.seconds = time.perf_counter() - self.start


class TimedCLI(ZooCLI):
    """``fit`` with a clock."""

    clock: Clock

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Put the clock last."""
        trainer: Any = super().instantiate_trainer(**kwargs)
        trainer.callbacks.append(self.clock)
        return trainer


def fit(arguments: list[str], warm_up: int) -> float:
    """Seconds per step through the trainer."""
    TimedCLI.clock = Clock(warm_up)
    TimedCLI(arguments)
    return TimedCLI.clock.seconds / TimedCLI.clock.batches


def bare(arguments: list[str], warm_up: int, steps: int) -> float:
    """Seconds per step of the same batches, the same loss and the same optimizer in a loop of its own."""
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
    parser.add_argument("--config", default="catvae_mnist")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--warm-up", type=int, default=100)
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
