"""Time and memory of the relaxed-sampling layer, beside PyTorch's own functions and the machine's limit.

``python benchmarks/speed/sampling.py`` prints a table and writes ``sampling.md``. It times forward and backward pass of
``layer(logits)``, of ``torch.nn.functional.gumbel_softmax`` and of the parts that no sampler can do without
(``floor.py``); and ``layer.sample`` beside ``torch.distributions.Categorical``. All are timed in turns in one process,
and each turn gives a ratio. Their median is robust to other work on the machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from gumbelzoo.benchmarks.common.command import parse_nothing
from gumbelzoo.benchmarks.common.measure import DEVICE, allocator, describe_machine, peak_memory
from gumbelzoo.benchmarks.common.pages import markdown_row, markdown_table, write_page
from gumbelzoo.benchmarks.speed.floor import Floor
from gumbelzoo.models.relaxed import RelaxedCategorical
from torch import Tensor

SIZES = [(2000, 10), (3136, 512), (1280, 5000)]
TEMPERATURE = 0.7
TURNS = 21
HEADER = ["sample", "rows x classes", "threads", "mode", "floor ms", "torch ms", "layer ms"]
HEADER += ["torch / layer", "range", "goal", "layer / floor", "range", "goal", "torch MiB", "layer MiB"]
HEADER += ["forward / copy"] if DEVICE.type == "cuda" else []


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
    title = "# Sampling: the layer, PyTorch, and the machine's limit"
    write_page(__file__, [title, f"{describe_machine()} {allocator()}.", markdown_table(HEADER, rows), NOTES])


NOTES = """\
Relaxed samples are timed with forward and backward pass (`soft`: Gumbel-Softmax, `hard`: straight-through), codes with
the forward pass. The floor is a step of the parts that cannot be left out, on buffers that are kept: random bits, two
logarithms, PyTorch's softmax and its gradient; for `hard` also an argmax and a scatter. It is eager and on a CPU. A
sampler can be below it: where PyTorch's softmax is slow (few classes), or where blocks of rows stay in the cache.
Ratios are medians and ranges over the turns. Memory is the peak of one call, without its arguments and without NumPy's
buffer for random bits (at most 256 KiB), which the profiler does not count. On a GPU the last column is the time of a
forward pass relative to reading the logits and writing the sample once, the limit of its memory bandwidth."""


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
        floor = Floor(size, hard) if DEVICE.type == "cpu" else None

        def torch_sample(logits: Tensor, hard: bool = hard) -> Tensor:
            return F.gumbel_softmax(logits, TEMPERATURE, hard=hard)

        for mode in ("eager", "compiled"):
            theirs, ours = torch_sample, layer
            if mode == "compiled":
                torch._dynamo.reset()
                theirs = torch.compile(torch_sample, dynamic=False)
                ours = torch.compile(layer, fullgraph=True, dynamic=False)  # type: ignore[assignment]
            goals = (1.0 if size == SIZES[0] else {"eager": 1.5, "compiled": 2.0}[mode], FLOOR_GOALS[size])
            row = compare([kind, size_name(size), str(threads), mode], floor, step(theirs), step(ours), goals)
            if DEVICE.type == "cuda":
                row.append(over_copy(ours, logits.detach()))
            rows.append(row)
    return rows


FLOOR_GOALS = dict(zip(SIZES, (1.5, 1.3, 1.3), strict=True))


def index_row(size: tuple[int, int], threads: int) -> list[str]:
    """Time exact codes, eager; return a row of the table."""
    logits, layer = torch.randn(size, device=DEVICE), RelaxedCategorical()

    def theirs() -> Tensor:
        return torch.distributions.Categorical(logits=logits, validate_args=False).sample()

    goals = (4.0 if size == SIZES[-1] else 1.0, 0.0)
    row = compare(["codes", size_name(size), str(threads), "eager"], None, theirs, lambda: layer.sample(logits), goals)
    return [*row, over_copy(layer.sample, logits)] if DEVICE.type == "cuda" else row


def size_name(size: tuple[int, int]) -> str:
    """Rows and classes, for the table."""
    return f"{size[0]} x {size[1]}"


def compare(
    head: list[str],
    floor: Callable[[], object] | None,
    theirs: Callable[[], object],
    ours: Callable[[], object],
    goals: tuple[float, float],
) -> list[str]:
    """Measure a peer, the layer and their floor in turns; return a row of the table.

    Args:
        head: first cells of the row.
        floor: limit of the machine; None leaves its cells empty.
        theirs: the peer.
        ours: the layer.
        goals: smallest ratio of peer to layer, largest of layer to floor.
    """
    functions = [theirs, ours] if floor is None else [theirs, ours, floor]
    seconds = timed(*functions)
    milliseconds = [f"{1e3 * statistics.median(s):.2f}" for s in seconds]
    over_torch = [*ratio(seconds[0], seconds[1]), f">= {goals[0]}"]
    over_floor = ["", "", ""] if floor is None else [*ratio(seconds[1], seconds[2]), f"<= {goals[1]}"]
    memory = [f"{peak_memory(f) / 2**20:.1f}" for f in (theirs, ours)]
    times = [milliseconds[2] if floor is not None else "", *milliseconds[:2]]
    return [*head, *times, *over_torch, *over_floor, *memory]


def ratio(numerator: list[float], denominator: list[float]) -> list[str]:
    """Return median and range of the ratios, turn by turn."""
    ratios = [a / b for a, b in zip(numerator, denominator, strict=True)]
    return [f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} .. {max(ratios):.2f}"]


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
    parse_nothing(__doc__)
    main()
