"""Figures on a GPU: the layer and codebooks beside PyTorch's functions and the bandwidth's floor, and training steps.

    benchmarks/gpu_check.sh                      # the tests of devices first; less than eight minutes
    python benchmarks/gpu_check.py [--max-steps 300] [--small]

The floor is a copy of the logits: reading them and writing a sample of their size once is the least that a sampler
does. ``vqvae_cifar10_gumbel`` trains on random images of its shape, since only its rate is measured. Without a GPU the
sizes are small, and the page says so. It prints tables and writes ``gpu_check.md``.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from gumbelzoo.benchmarks.common.measure import DEVICE, describe_machine, now, peak_memory
from gumbelzoo.benchmarks.common.pages import ROOT, markdown_table, write_page
from gumbelzoo.models import MODELS, ZooModel
from gumbelzoo.models.quantizers import QUANTIZERS
from gumbelzoo.models.relaxed import RelaxedCategorical
from torch import Tensor

SIZES, SMALL_SIZES = [(3136, 512), (1280, 5000), (100_000, 512)], [(64, 16)]
CODEBOOKS, SMALL_CODEBOOKS = [(8192, 1024), (8192, 8192), (65536, 8192)], [(64, 16)]
DIM, TEMPERATURE, TURNS, WARM_UP, STEPS = 64, 0.7, 21, 3, 250_000
LAYER_HEADER = ["sample", "rows x classes", "mode", "copy us", "torch us", "layer us", "torch / layer", "layer / copy"]
LAYER_HEADER += ["torch MiB", "layer MiB"]
CODES_HEADER = ["rows", "codes", "copy us", "cdist us", "nearest us", "cdist / nearest", "training step us", "MiB"]
STEP_HEADER = ["configuration", "batch", "ms a step", "range", "images/s", "MiB", "whole run"]


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--max-steps", type=int, default=300, help="of vqvae_cifar10_gumbel (default: 300)")
    parser.add_argument("--small", action="store_true", help="small sizes; always so without a GPU")
    options = parser.parse_args()
    small = options.small or DEVICE.type == "cpu"
    layer = [row for size in (SMALL_SIZES if small else SIZES) for row in layer_rows(size, compiled=not small)]
    codes = [codebook_row(*size) for size in (SMALL_CODEBOOKS if small else CODEBOOKS)]
    batches = (4, 2) if small else (128, 128)
    steps = [
        step_row("vqvae_mnist_ema", batches[0], min(options.max_steps, 100)),
        step_row("vqvae_cifar10_gumbel", batches[1], options.max_steps),
    ]
    measured = "" if DEVICE.type == "cuda" else "**Not measured on a GPU.** The figures only show that the script runs."
    parts = ["# Figures on a GPU", describe_machine(), measured, NOTES, "## The layer"]
    parts += [markdown_table(LAYER_HEADER, layer), "## Codebooks", markdown_table(CODES_HEADER, codes)]
    parts += ["## Training", markdown_table(STEP_HEADER, steps)]
    write_page(__file__, [part for part in parts if part])


NOTES = f"""\
`benchmarks/gpu_check.sh` writes this page. Times are medians of {TURNS} turns in one process, by the wall clock once
the device has finished. `copy` reads the logits (or vectors) and writes their size once: the limit of the memory's
bandwidth. Layer: forward and backward pass, except the ratio to the copy, which is that of the forward pass.
Codebooks: vectors of width {DIM}; `nearest` is `quantizer.encode`, `cdist` is `torch.cdist(...).argmin`, a training
step is that of `vector` with moving averages. Training: random images, so only the rates mean something; a whole run
is {STEPS:,} steps."""


def timed(*functions: Callable[[], object], turns: int = 0) -> list[list[float]]:
    """Time functions in turns, after some calls of each; return the seconds of each turn."""
    seconds: list[list[float]] = [[] for _ in functions]
    for turn in range(-WARM_UP, turns or TURNS):
        for function, record in zip(functions, seconds, strict=True):
            start = now()
            function()
            if turn >= 0:
                record.append(now() - start)
    return seconds


def over(numerator: Sequence[float], denominator: Sequence[float]) -> str:
    """Format the median ratio of the turns."""
    return f"{statistics.median(a / b for a, b in zip(numerator, denominator, strict=True)):.2f}"


def microseconds(seconds: Sequence[float]) -> str:
    """Format a median."""
    return f"{1e6 * statistics.median(seconds):.0f}"


def layer_rows(size: tuple[int, int], compiled: bool) -> list[list[str]]:
    """Measure soft and straight-through samples, eager and compiled."""
    logits, weight = torch.randn(size, device=DEVICE, requires_grad=True), torch.randn(size, device=DEVICE)
    plain, target = logits.detach(), torch.empty(size, device=DEVICE)

    def step(sample: Callable[[Tensor], Tensor]) -> Callable[[], None]:
        def run() -> None:
            sample(logits).backward(weight)
            logits.grad = None

        return run

    rows = []
    for kind, estimator in (("soft", "gumbel_softmax"), ("hard", "straight_through_gumbel_softmax")):
        layer: Any = RelaxedCategorical(estimator, TEMPERATURE).to(DEVICE)

        def theirs(logits: Tensor, hard: bool = kind == "hard") -> Tensor:
            return F.gumbel_softmax(logits, TEMPERATURE, hard=hard)

        for mode in ("eager", "compiled")[: 1 + compiled]:
            peer, ours = theirs, layer
            if mode == "compiled":
                torch._dynamo.reset()
                peer, ours = torch.compile(theirs, dynamic=False), torch.compile(layer, dynamic=False)
            both = step(peer), step(ours)
            seconds = timed(*both, partial(ours, plain), lambda: target.copy_(plain))
            times = [microseconds(seconds[i]) for i in (3, 0, 1)]
            ratios = [over(seconds[0], seconds[1]), over(seconds[2], seconds[3])]
            memory = [f"{peak_memory(function) / 2**20:.1f}" for function in both]
            rows.append([kind, f"{size[0]} x {size[1]}", mode, *times, *ratios, *memory])
    return rows


def codebook_row(n: int, k: int) -> list[str]:
    """Measure the nearest of k codes for n vectors, and a training step."""
    quantizer = QUANTIZERS.build({"name": "vector", "codebook_size": k, "kmeans_batches": 0}, dim=DIM, positions=1)
    quantizer.to(DEVICE)
    z, target = torch.randn(n, 1, DIM, device=DEVICE), torch.empty(n, 1, DIM, device=DEVICE)
    table = quantizer.decode(torch.arange(k, device=DEVICE)[:, None])  # k d
    leaf = z.clone().requires_grad_()

    def step() -> None:
        quantized = quantizer(leaf)
        (quantized.vectors.square().mean() + quantized.loss).backward()
        leaf.grad = None

    copy, cdist, nearest = timed(
        lambda: target.copy_(z), lambda: torch.cdist(z[:, 0], table).argmin(-1), lambda: quantizer.encode(z)
    )
    times = [microseconds(record) for record in (copy, cdist, nearest)]
    memory = f"{peak_memory(step) / 2**20:.1f}"
    return [str(n), str(k), *times, over(cdist, nearest), microseconds(timed(step)[0]), memory]


def configured(name: str) -> ZooModel:
    """Build the model of a configuration."""
    section = yaml.safe_load((ROOT / f"configs/{name}.yaml").read_text(encoding="utf-8"))["model"]
    return MODELS[section["class_path"]](**section["init_args"]).to(DEVICE)


def step_row(config: str, batch: int, steps: int) -> list[str]:
    """Train on random images; return a row of the table."""
    torch.manual_seed(0)
    model = configured(config).train()
    images = torch.rand(batch, *model.config()["image_shape"], device=DEVICE)
    images = (255 * images).round() / 255  # levels of pixels
    optimizer = torch.optim.AdamW(model.parameters(), lr=model.optimizer_config.learning_rate, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        model.training_metrics({"image": images})["loss"].backward()
        optimizer.step()
        for layer in model.relaxed_layers():
            layer.advance()

    (seconds,) = timed(step, turns=steps)
    middle = statistics.median(seconds)
    spread = f"{1e3 * min(seconds):.1f} .. {1e3 * max(seconds):.1f}"
    memory = f"{peak_memory(step) / 2**20:.0f}"
    whole = f"{middle * STEPS / 3600:.1f} h" if config == "vqvae_cifar10_gumbel" and DEVICE.type == "cuda" else ""
    return [config, str(batch), f"{1e3 * middle:.1f}", spread, f"{batch / middle:.0f}", memory, whole]


if __name__ == "__main__":
    main()
