"""How fast the vector quantizer is, and how much memory it takes, beside a package and beside one-hot products.

``python benchmarks/speed/quantizers.py`` prints a table and writes ``quantizers.md``. Forward and backward
of a training step of ``vector`` (moving averages, straight-through, commitment) against ``VectorQuantize`` of
vector-quantize-pytorch (``pip install 'gumbelzoo[bench]'``) and against the textbook's formulas with one-hot codes. All
take turns in the same process on one thread, and each turn gives one ratio of processor times.
"""

from __future__ import annotations

import importlib.metadata
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from gumbelzoo.benchmarks.common.measure import facts, in_turns, line, peak
from gumbelzoo.models.quantizers import QUANTIZERS
from torch import Tensor, nn

try:
    from vector_quantize_pytorch import VectorQuantize
except ModuleNotFoundError:
    sys.exit("this benchmark compares with vector-quantize-pytorch: pip install 'gumbelzoo[bench]'")

D = 64
SIZES = [(8192, k) for k in (512, 1024, 2048, 4096, 8192, 16384)] + [(n, 8192) for n in (2048, 4096, 16384)]
TURNS = 3
COMMITMENT, DECAY = 0.25, 0.99
HEADER = ["rows", "codes", "package ms", "one-hot ms", "ours ms", "time: package / ours", "time: one-hot / ours"]
HEADER += ["package MiB", "one-hot MiB", "ours MiB", "memory: package / ours", "memory: one-hot / ours"]

NOTES = """\
A training step of one quantizer: codes, straight-through vectors, commitment loss, the gradient for the input and the
moving averages of the codebook, for rows of width 64 in float32 on one thread of a CPU. No k-means; unused codes are
looked for in ours only. Times are processor times, medians over three turns; the ratios of times are medians of the
turns' ratios. Memory is the most that a step allocates on top of its arguments and of the codebook. `package`:
VectorQuantize with its defaults but for decay 0.99, commitment 0.25 and its rotation trick, which is off: ours passes
the gradient straight through here. `one-hot`: pairwise distances and products with one-hot codes, as in the paper's
formulas. Goal at 8192 x 8192 beside the package: time >= 3, memory >= 3."""


class OneHot(nn.Module):
    """The formulas as they stand: n x k distances, n x k codes, and products with them."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(k, D) / D**0.5)
        self.register_buffer("counts", torch.ones(k))
        self.register_buffer("sums", self.weight.clone())

    weight: Tensor
    counts: Tensor
    sums: Tensor

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors and loss."""
        distances = z.square().sum(-1, keepdim=True) - 2 * z @ self.weight.T + self.weight.square().sum(-1)
        codes = F.one_hot(distances.argmin(-1), len(self.weight)).to(z.dtype)  # n k
        chosen = codes @ self.weight
        with torch.no_grad():
            self.counts.lerp_(codes.sum(0), 1 - DECAY)
            self.sums.lerp_(codes.T @ z, 1 - DECAY)
            self.weight.copy_(self.sums / self.counts[:, None])
        return z + (chosen - z).detach(), COMMITMENT * F.mse_loss(z, chosen)


def main() -> None:
    """Measure, print and write the table."""
    torch.set_num_threads(1)
    versions = f"vector-quantize-pytorch {importlib.metadata.version('vector-quantize-pytorch')}"
    head = f"{facts().rstrip('.')}; {versions}."
    rows = [HEADER, ["---"] * len(HEADER)]
    print(head, *map(line, rows), sep="\n")
    for size in SIZES:
        rows.append(compare(*size))
        print(line(rows[-1]), flush=True)
    text = f"# Quantizers: beside a package and one-hot products\n\n{head}\n\n" + "\n".join(map(line, rows))
    Path(__file__).with_suffix(".md").write_text(f"{text}\n\n{NOTES}\n")


def compare(n: int, k: int) -> list[str]:
    """One row of the table."""
    steps = [make(n, k) for make in (package_step, one_hot_step, our_step)]
    seconds = in_turns(steps, TURNS)
    memory = [peak(step) / 2**20 for step in steps]
    milliseconds = [f"{1e3 * statistics.median(turns):.0f}" for turns in seconds]
    speed = [statistics.median(a / b for a, b in zip(other, seconds[2], strict=True)) for other in seconds[:2]]
    saved = [other / memory[2] for other in memory[:2]]
    cells = [str(n), str(k), *milliseconds, *(f"{ratio:.1f}" for ratio in speed)]
    return [*cells, *(f"{mebibytes:.0f}" for mebibytes in memory), *(f"{ratio:.1f}" for ratio in saved)]


def package_step(n: int, k: int) -> Callable[[], None]:
    """The package's."""
    quantizer = VectorQuantize(dim=D, codebook_size=k, decay=DECAY, commitment_weight=COMMITMENT, rotation_trick=False)

    def run(z: Tensor) -> Tensor:
        vectors, _, loss = quantizer(z[None])
        return vectors.square().mean() + loss.sum()

    return repeated(run, n)


def one_hot_step(n: int, k: int) -> Callable[[], None]:
    """The formulas'."""
    quantizer = OneHot(k)

    def run(z: Tensor) -> Tensor:
        vectors, loss = quantizer(z)
        return vectors.square().mean() + loss

    return repeated(run, n)


def our_step(n: int, k: int) -> Callable[[], None]:
    """Ours."""
    options = {"codebook_size": k, "decay": DECAY, "commitment": COMMITMENT, "kmeans_batches": 0}
    quantizer = QUANTIZERS.build({"name": "vector", **options}, dim=D, positions=None)

    def run(z: Tensor) -> Tensor:
        quantized = quantizer(z)
        return quantized.vectors.square().mean() + quantized.loss

    return repeated(run, n)


def repeated(run: Callable[[Tensor], Tensor], n: int) -> Callable[[], None]:
    """Forward and backward on the same rows each time."""
    z = torch.randn(n, D, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def step() -> None:
        run(z).backward()
        z.grad = None

    return step


if __name__ == "__main__":
    main()
