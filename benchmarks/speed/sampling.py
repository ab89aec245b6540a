"""Time and memory of the relaxed-sampling layer, compared with PyTorch's own functions.

``python benchmarks/speed/sampling.py`` prints a table and writes ``sampling.md``. It compares forward and backward pass
of ``layer(logits)`` with ``torch.nn.functional.gumbel_softmax``, and ``layer.sample`` with
``torch.distributions.Categorical``. Both are timed in turns in one process, and each turn gives a ratio. Their median
is robust to other work on the machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from gumbelzoo.benchmarks.common.measure import DEVICE, describe_machine, peak_memory
from gumbelzoo.benchmarks.common.pages import markdown_row, markdown_table, write_page
from gumbelzoo.models.relaxed import RelaxedCategorical
from torch import Tensor

SIZES = [(2000, 10), (3136, 512), (1280, 5000)]
TEMPERATURE = 0.7
TURNS = 21
HEADER = ["sample", "rows x classes", "threads", "mode", "torch ms", "layer ms", "ratio", "range", "goal"]
HEADER += ["torch MiB", "layer MiB", *(["forward / copy"] if DEVICE.type == "cuda" else [])]


def main() -> None:
    """Measure, print and write the page."""
    threads = sorted({1, torch.get_num_threads()}) if DEVICE.type == "cpu" else [torch.get_num_threads()]
    rows = []
    for count in threads:
        torch.set_num_threads(count)
        torch._inductor.config.cpp.threads = count
        for size in SIZES:
            for row in [*relaxed_rows(size, count), index_row(size, count)]:
                rows.append(row)
                print(markdown_row(row), flush=True)
    title = "# Sampling: the layer compared with PyTorch"
    write_page(__file__, [title, describe_machine(), markdown_table(HEADER, rows), NOTES])


NOTES = """\
Relaxed samples are timed with forward and backward pass (`soft`: Gumbel-Softmax, `hard`: straight-through), codes with
the forward pass. The ratio is torch / layer, median and range over the turns: more than 1 is faster. Memory is the peak
of one call, without its arguments. On a CPU it includes NumPy's buffer for random bits (at most 4 MiB), which the
profiler does not count. On a GPU the last column is the time of a forward pass relative to reading the logits and
writing the sample once, the limit of its memory bandwidth."""


def relaxed_rows(size: tuple[int, int], threads: int) -> list[list[str]]:
    """Time forward and backward pass, soft and hard, eager and compiled; return four rows of the table."""
    logits, weight = torch.randn(size, device=DEVICE, requires_grad=True), torch.randn(size, device=DEVICE)

    def step(sample: Callable[[Tensor], Tensor]) -> Callable[[], None]:
        def run() -> None:
            sample(logits).backward(weight)
            logits.grad = None

        return run

    rows = []
    for kind, estimator in (("soft", "gumbel_softmax"), ("hard", "straight_through_gumbel_softmax")):
        layer, hard = RelaxedCategorical(estimator, TEMPERATURE), kind == "hard"
        layer.to(DEVICE)

        def torch_sample(logits: Tensor, hard: bool = hard) -> Tensor:
            return F.gumbel_softmax(logits, TEMPERATURE, hard=hard)

        for mode in ("eager", "compiled"):
            theirs, ours = torch_sample, layer
            if mode == "compiled":
                torch._dynamo.reset()
                theirs = torch.compile(torch_sample, dynamic=False)
                ours = torch.compile(layer, fullgraph=True, dynamic=False)  # type: ignore[assignment]
            goal = 1.0 if size == SIZES[0] else {"eager": 1.5, "compiled": 3.0}[mode]
            row = compare(kind, size, threads, mode, step(theirs), step(ours), goal)
            if DEVICE.type == "cuda":
                row.append(over_copy(ours, logits.detach()))
            rows.append(row)
    return rows


def index_row(size: tuple[int, int], threads: int) -> list[str]:
    """Time exact codes, eager; return a row of the table."""
    logits, layer = torch.randn(size, device=DEVICE), RelaxedCategorical()

    def theirs() -> Tensor:
        return torch.distributions.Categorical(logits=logits, validate_args=False).sample()

    goal = 4.0 if size == SIZES[-1] else 1.0
    row = compare("codes", size, threads, "eager", theirs, lambda: layer.sample(logits), goal)
    return [*row, over_copy(layer.sample, logits)] if DEVICE.type == "cuda" else row


def compare(
    kind: str,
    size: tuple[int, int],
    threads: int,
    mode: str,
    theirs: Callable[[], object],
    ours: Callable[[], object],
    goal: float,
) -> list[str]:
    """Measure two functions; return a row of the table."""
    seconds = timed(theirs, ours)
    ratios = [a / b for a, b in zip(*seconds, strict=True)]
    milliseconds = [f"{1e3 * statistics.median(s):.2f}" for s in seconds]
    spread = f"{min(ratios):.2f} .. {max(ratios):.2f}"
    memory = [f"{peak_memory(f) / 2**20:.1f}" for f in (theirs, ours)]
    if DEVICE.type == "cpu":
        memory[1] = f"{float(memory[1]) + min(4.0, 4 * size[0] * size[1] / 2**20):.1f}"
    head = [kind, f"{size[0]} x {size[1]}", str(threads), mode]
    return [*head, *milliseconds, f"{statistics.median(ratios):.2f}", spread, f">= {goal}", *memory]


def timed(*functions: Callable[[], object]) -> list[list[float]]:
    """Time functions in turns; return the seconds per call of each, one number per turn of at least 5 ms."""
    repeats = []
    for function in functions:
        function()  # compiles
        start = now()
        function()
        repeats.append(max(1, int(5e-3 / (now() - start))))
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(TURNS):
        for function, repeat, record in zip(functions, repeats, seconds, strict=True):
            start = now()
            for _ in range(repeat):
                function()
            record.append((now() - start) / repeat)
    return seconds


def over_copy(sample: Callable[[Tensor], Tensor], logits: Tensor) -> str:
    """Return the time of a forward pass relative to a copy of the logits."""
    target = torch.empty_like(logits)
    passes, copies = timed(lambda: sample(logits), lambda: target.copy_(logits))
    return f"{statistics.median(a / b for a, b in zip(passes, copies, strict=True)):.1f}"


def now() -> float:
    """Return seconds of the wall clock, once the device has finished."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
