"""Every quantizer in one VQ-VAE: the network and the optimizer of ``vqvae_mnist_ema``, with other codes.

    python benchmarks/vqvae/vqvae_quantizers.py --out runs/quantizers     # the same command resumes

It trains what is not finished, and writes ``vqvae_quantizers.md`` and its picture. Each row is an ordinary run folder,
``<out>/<row>/vqvae_mnist_ema/1``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gumbelzoo.benchmarks.common.measure import interleaved_times, peak_memory
from gumbelzoo.benchmarks.common.pages import markdown_table, write_page
from gumbelzoo.benchmarks.common.runs import environment, finish, fit_record, row_folder, test_metrics
from gumbelzoo.benchmarks.vqvae.picture import draw
from gumbelzoo.commands.files.source import build_data, resolve_source

CONFIG, EPOCHS, TURNS = "vqvae_mnist_ema", 5, 7
SCHEDULE = {"name": "exponential", "initial": 2.0, "minimum": 0.3, "rate": 1.2e-3}
VECTOR = {"name": "vector", "codebook_size": 128}
GUMBEL = {"name": "gumbel", "codebook_size": 128, "kl_weight": 0.05, "dead_code_threshold": 0.0}
PAIR = {"codebooks": 2, "quantizer": {"name": "vector", "codebook_size": 11}}
ROWS: dict[str, dict[str, Any]] = {
    "nearest, loss": {**VECTOR, "update": "loss"},
    "nearest, moving averages": VECTOR,
    "nearest, cosine": {**VECTOR, "cosine": True},
    "nearest, rotation trick": {**VECTOR, "gradient": "rotation"},
    "Gumbel, soft": {**GUMBEL, "temperature": SCHEDULE},
    "Gumbel, straight-through": {
        **GUMBEL,
        "estimator": "straight_through_gumbel_softmax",
        "temperature": SCHEDULE,
    },
    "ReinMax": {**GUMBEL, "estimator": "reinmax", "temperature": 1.0},
    "FSQ, levels 8 4 4": {"name": "fsq", "levels": [8, 4, 4]},
    "SimVQ": {"name": "sim_vq", "codebook_size": 128},
    "product, 2 x 11": {"name": "product", **PAIR},
    "residual, 2 x 11": {"name": "residual", **PAIR},
}
HEADER = ["quantizer", "NMSE", "usage", "perplexity", "rate", "step", "MiB"]
PICTURE = "![Rate and distortion](vqvae_quantizers.png)"
HEAD = f"""\
Greyscale MNIST, test set, deterministic codes, seed 0. The network is that of `configs/{CONFIG}.yaml` (49k parameters),
with 7 x 7 positions and 128 codes of width 16, or 121 pairs of two codebooks of 11; {EPOCHS} epochs of 391 steps of 128
images, with the same learning rate for all. NMSE: squared error over the variance of the pixels. Usage and perplexity:
of the codes over the test set, averaged over codebooks. Rate: nats per position in the objective, log(codes) for
deterministic codes; that of a Gumbel row is of drawn codes, which reconstruct worse than the most probable ones, whose
NMSE it is (releases: [drawn codes](reconstruction.md)). Step: processor time of a training step relative to `nearest,
moving averages`, medians of {TURNS} turns. MiB: peak memory of a training step, without the model. Gumbel rows:
kl_weight 0.05, no resets of dead codes, temperature from 2 to 0.3; ReinMax at 1.
`python benchmarks/vqvae/vqvae_quantizers.py` writes this page."""


def main() -> None:
    """Train what is not finished, measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/quantizers"))
    out = parser.parse_args().out.resolve()
    sys.argv = sys.argv[:1]
    torch.set_num_threads(1)
    runs = {}
    for name in ROWS:
        runs[name] = finish(row_folder(out, name), CONFIG, command_options(name), test=True)
        print(name, test_metrics(runs[name]), flush=True)
    steps = {name: training_step(run) for name, run in runs.items()}
    seconds = dict(zip(steps, map(statistics.median, interleaved_times(list(steps.values()), TURNS)), strict=True))
    base = seconds["nearest, moving averages"]
    rows = [
        [name, *cells(test_metrics(run)), f"{seconds[name] / base:.2f}", f"{peak_memory(steps[name]) / 2**20:.0f}"]
        for name, run in runs.items()
    ]
    machine = environment([fit_record(run) for run in runs.values()])
    write_page(__file__, ["# Quantizers in one VQ-VAE", PICTURE, HEAD, machine, markdown_table(HEADER, rows)])
    page = Path(__file__).with_suffix(".md")
    draw(page.read_text(encoding="utf-8"), page.with_suffix(".png"))


def command_options(name: str) -> list[str]:
    """Return a row's options in addition to the configuration."""
    return [f"--model.quantizer={json.dumps(ROWS[name])}", f"--trainer.max_epochs={EPOCHS}"]


def cells(metrics: dict[str, float]) -> list[str]:
    """Return the cells of the test metrics."""
    return [
        f"{metrics['test/nmse']:.4f}",
        f"{100 * metrics['test/usage']:.0f}%",
        f"{metrics['test/perplexity']:.1f}",
        f"{metrics['test/rate']:.2f}",
    ]


def training_step(run: Path) -> Callable[[], None]:
    """Return a training step of a run's model on one batch, with a negligible learning rate."""
    source = resolve_source(str(run))
    data = build_data(source.data)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    model = source.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-9, weight_decay=0.0, fused=True)

    def step() -> None:
        loss = model.training_metrics(batch)["loss"]
        if not math.isfinite(loss):
            raise ValueError(f"{run} has a loss of {loss}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
