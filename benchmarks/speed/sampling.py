"""How fast the relaxed-sampling layer is, and how much memory it takes, beside PyTorch's own functions.

``python benchmarks/speed/sampling.py`` prints a table and writes ``sampling.md``. Forward and backward of
``layer(logits)`` against ``torch.nn.functional.gumbel_softmax``, and ``layer.sample`` against
``torch.distributions.Categorical``. Both are timed in turns in the same process, and each turn gives one ratio: the
table has their median and range, which holds on a machine that does other work as well.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from gumbelzoo.benchmarks.common.measure import DEVICE, facts, line, peak
from gumbelzoo.models.relaxed import RelaxedCategorical
from torch import Tensor

SIZES = [(2000, 10), (3136, 512), (1280, 5000)]
TEMPERATURE = 0.7
TURNS = 21
HEADER = ["sample", "rows x classes", "threads", "mode", "torch ms", "layer ms", "ratio", "range", "goal"]
HEADER += ["torch MiB", "layer MiB", *(["forward / copy"] if DEVICE.type == "cuda" else [])]


def main() -> None:
    """Measure, print and write the table."""
    threads = sorted({1, torch.get_num_threads()}) if DEVICE.type == "cpu" else [torch.get_num_threads()]
    rows = [HEADER, ["---"] * len(HEADER)]
    print(facts(), *map(line, rows), sep="\n")
    for count in threads:
        torch.set_num_threads(count)
        torch._inductor.config.cpp.threads = count
        for size in SIZES:
            for row in [*relaxed_rows(size, count), index_row(size, count)]:
                rows.append(row)
                print(line(row), flush=True)
    text = f"# Sampling: the layer beside PyTorch\n\n{facts()}\n\n" + "\n".join(map(line, rows)) + f"\n\n{NOTES}\n"
    Path(__file__).with_suffix(".md").write_text(text)


NOTES = """\
Relaxed samples are timed forward and backward (`soft`: Gumbel-Softmax, `hard`: straight-through), codes forward.
The ratio is torch / layer, so more than 1 is faster: median and range over the turns. Peak memory is what one call
allocates on top of its arguments; on a CPU, NumPy's buffer for random bits (4 MiB at most) is not seen by the counter
and is added. On a GPU the last column is the time of a forward pass over that of reading the logits and writing the
sample once, the best that its memory allows."""


def relaxed_rows(size: tuple[int, int], threads: int) -> list[list[str]]:
    """Forward and backward, soft and hard, eager and compiled."""
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
    """Codes: forward only, eager."""
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
    """One row of the table."""
    seconds = timed(theirs, ours)
    ratios = [a / b for a, b in zip(*seconds, strict=True)]
    milliseconds = [f"{1e3 * statistics.median(s):.2f}" for s in seconds]
    spread = f"{min(ratios):.2f} .. {max(ratios):.2f}"
    memory = [f"{peak(f) / 2**20:.1f}" for f in (theirs, ours)]
    if DEVICE.type == "cpu":
        memory[1] = f"{float(memory[1]) + min(4.0, 4 * size[0] * size[1] / 2**20):.1f}"
    head = [kind, f"{size[0]} x {size[1]}", str(threads), mode]
    return [*head, *milliseconds, f"{statistics.median(ratios):.2f}", spread, f">= {goal}", *memory]


def timed(*functions: Callable[[], object]) -> list[list[float]]:
    """Seconds per call of each function, one number per turn."""
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
    """Time of a forward pass over the time of reading the logits and writing as much once."""
    target = torch.empty_like(logits)
    passes, copies = timed(lambda: sample(logits), lambda: target.copy_(logits))
    return f"{statistics.median(a / b for a, b in zip(passes, copies, strict=True)):.1f}"


def now() -> float:
    """A clock that waits for the device."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
