"""Time and memory of the vector quantizer, compared with another package and with one-hot products.

``python benchmarks/speed/quantizers.py`` prints a table and writes ``quantizers.md``. It measures forward and backward
pass of a training step of ``vector`` (moving averages, straight-through, commitment), of ``VectorQuantize`` in
vector-quantize-pytorch (``pip install 'gumbelzoo[bench]'``), and of the paper's formulas with one-hot codes. All are
timed in turns in one process on one thread. Each turn gives a ratio of processor times.
"""

from __future__ import annotations

import importlib.metadata
import statistics
import sys
from collections.abc import Callable

import torch
import torch.nn.functional as F
from gumbelzoo.benchmarks.common.command import parse_nothing
from gumbelzoo.benchmarks.common.measure import describe_machine, interleaved_times, peak_memory
from gumbelzoo.benchmarks.common.pages import markdown_row, markdown_table, write_page
from gumbelzoo.models.quantizers import QUANTIZERS
from torch import Tensor, nn

try:
    from vector_quantize_pytorch import VectorQuantize
except ModuleNotFoundError:
    sys.exit("this benchmark compares with vector-quantize-pytorch: pip install 'gumbelzoo[bench]'")

TITLE = "# Quantizers compared with another package and one-hot products"
D = 64
SIZES = [(8192, k) for k in (512, 1024, 2048, 4096, 8192, 16384)] + [(n, 8192) for n in (2048, 4096, 16384)]
TURNS = 3
COMMITMENT, DECAY = 0.25, 0.99
HEADER = ["rows", "codes", "package ms", "one-hot ms", "ours ms", "time: package / ours", "time: one-hot / ours"]
HEADER += ["package MiB", "one-hot MiB", "ours MiB", "memory: package / ours", "memory: one-hot / ours"]

NOTES = """\
A training step of one quantizer: codes, straight-through vectors, commitment loss, the gradient of the input and the
moving averages of the codebook, for rows of width 64 in float32 on one thread of a CPU. There is no k-means; only ours
looks for dead codes. Times are medians of processor times over three turns, ratios are medians of the turns' ratios.
Memory is the peak of a step, without its arguments and the codebook. `package`: VectorQuantize with its defaults except
for decay 0.99, commitment 0.25 and no rotation trick, since ours uses the straight-through gradient here. `one-hot`:
pairwise distances and products with one-hot codes, as in the paper's formulas. Goal at 8192 x 8192, compared with the
package: time >= 3, memory >= 3."""


class OneHot(nn.Module):
    """The paper's formulas: ``n k`` distances, ``n k`` one-hot codes, and products with them."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(k, D) / D**0.5)
        self.register_buffer("counts", torch.ones(k))
        self.register_buffer("sums", self.weight.clone())

    weight: Tensor
    counts: Tensor
    sums: Tensor

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors ``n d`` and loss for rows ``n d``."""
        distances = z.square().sum(-1, keepdim=True) - 2 * z @ self.weight.T + self.weight.square().sum(-1)
        codes = F.one_hot(distances.argmin(-1), len(self.weight)).to(z.dtype)  # n k
        chosen = codes @ self.weight
        with torch.no_grad():
            self.counts.lerp_(codes.sum(0), 1 - DECAY)
            self.sums.lerp_(codes.T @ z, 1 - DECAY)
            self.weight.copy_(self.sums / self.counts[:, None])
        return z + (chosen - z).detach(), COMMITMENT * F.mse_loss(z, chosen)


def main() -> None:
    """Measure, print and write the page."""
    torch.set_num_threads(1)
    versions = f"vector-quantize-pytorch {importlib.metadata.version('vector-quantize-pytorch')}"
    machine = f"{describe_machine().rstrip('.')}; {versions}."
    rows = []
    for size in SIZES:
        rows.append(compare(*size))
        print(markdown_row(rows[-1]), flush=True)
    write_page(__file__, [TITLE, machine, markdown_table(HEADER, rows), NOTES])


def compare(n: int, k: int) -> list[str]:
    """Measure n rows and k codes; return a row of the table."""
    steps = [make(n, k) for make in (package_step, one_hot_step, our_step)]
    seconds = interleaved_times(steps, TURNS)
    memory = [peak_memory(step) / 2**20 for step in steps]
    milliseconds = [f"{1e3 * statistics.median(turns):.0f}" for turns in seconds]
    speed = [statistics.median(a / b for a, b in zip(other, seconds[2], strict=True)) for other in seconds[:2]]
    saved = [other / memory[2] for other in memory[:2]]
    cells = [str(n), str(k), *milliseconds, *(f"{ratio:.1f}" for ratio in speed)]
    return [*cells, *(f"{mebibytes:.0f}" for mebibytes in memory), *(f"{ratio:.1f}" for ratio in saved)]


def package_step(n: int, k: int) -> Callable[[], None]:
    """Return a training step of the other package."""
    quantizer = VectorQuantize(dim=D, codebook_size=k, decay=DECAY, commitment_weight=COMMITMENT, rotation_trick=False)

    def run(z: Tensor) -> Tensor:
        vectors, _, loss = quantizer(z[None])
        return vectors.square().mean() + loss.sum()

    return repeated(run, n)


def one_hot_step(n: int, k: int) -> Callable[[], None]:
    """Return a training step of the formulas."""
    quantizer = OneHot(k)

    def run(z: Tensor) -> Tensor:
        vectors, loss = quantizer(z)
        return vectors.square().mean() + loss

    return repeated(run, n)


def our_step(n: int, k: int) -> Callable[[], None]:
    """Return a training step of ours."""
    options = {"codebook_size": k, "decay": DECAY, "commitment": COMMITMENT, "kmeans_batches": 0}
    quantizer = QUANTIZERS.build({"name": "vector", **options}, dim=D, positions=None)

    def run(z: Tensor) -> Tensor:
        quantized = quantizer(z)
        return quantized.vectors.square().mean() + quantized.loss

    return repeated(run, n)


def repeated(run: Callable[[Tensor], Tensor], n: int) -> Callable[[], None]:
    """Return a function that runs forward and backward pass on the same rows each time."""
    z = torch.randn(n, D, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def step() -> None:
        run(z).backward()
        z.grad = None

    return step


if __name__ == "__main__":
    parse_nothing(__doc__)
    main()
