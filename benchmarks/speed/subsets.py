"""Time and memory of draws and marginals of k of n, beside an enumeration of all subsets.

``python benchmarks/speed/subsets.py`` prints a table and writes ``subsets.md``. The law is a conditional Bernoulli. The
peer is the definition: the scores of all C(n, k) subsets as one matrix product, their softmax, and then a categorical
draw, or the product of the probabilities and the subsets. Its table of subsets is made beforehand. Both are timed in
turns, by processor time. Rows without a peer are too many subsets to enumerate.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from functools import partial

import torch
from gumbelzoo.benchmarks.common.command import parse_nothing
from gumbelzoo.benchmarks.common.measure import DEVICE, describe_machine, interleaved_times, peak_memory
from gumbelzoo.benchmarks.common.pages import markdown_row, markdown_table, write_page
from gumbelzoo.models.relaxed.sampling import categorical_sample
from gumbelzoo.models.relaxed.subset.conditional_bernoulli import marginals, sample
from gumbelzoo.models.relaxed.subset.exact import subsets
from torch import Tensor

ROWS, TURNS, ENUMERATED = 64, 5, 100_000
SIZES = [(8, 4), (16, 4), (20, 5), (20, 10), (100, 10)]  # n, k
HEADER = [
    "what",
    "n",
    "k",
    "subsets",
    "enumeration ms",
    "recursion ms",
    "ratio",
    "range",
    "enumeration MiB",
    "recursion MiB",
]


def main() -> None:
    """Measure, print and write the page."""
    torch.set_num_threads(1)
    rows = []
    for n, k in SIZES:
        logits = torch.randn(ROWS, n, device=DEVICE, requires_grad=True)
        table = subsets(n, k, DEVICE) if math.comb(n, k) <= ENUMERATED else None
        ours: dict[str, Callable[[], object]] = {
            "draw": partial(sample, logits.detach(), k),
            "marginals": partial(marginals, logits.detach(), k),
        }
        ours["marginals, gradient"] = partial(differentiate, partial(marginals, k=k), logits)
        for what, recursion in ours.items():
            rows.append(row(what, n, k, recursion, None if table is None else peer(what, logits, table)))
            print(markdown_row(rows[-1]), flush=True)
    write_page(__file__, [TITLE, describe_machine(), markdown_table(HEADER, rows), NOTES])


TITLE = "# Draws and marginals of k of n, beside enumeration"
NOTES = f"""\
{ROWS} rows of float32 logits. The ratio is enumeration / recursion, median and range over {TURNS} turns: more than 1 is
faster. The recursion is computed in float64 and in log space. Memory is the peak of one call, without the table of
subsets that the enumeration needs. `marginals, gradient` is a forward and a backward pass, a training step of SIMPLE
without the cost."""


def peer(what: str, logits: Tensor, table: Tensor) -> Callable[[], object]:
    """Return the enumeration of a measurement; ``table`` are the k-hot subsets, ``c n``."""
    if what == "draw":
        return lambda: table[categorical_sample(logits.detach() @ table.T)]

    def mean(logits: Tensor) -> Tensor:
        return (logits @ table.T).softmax(-1) @ table

    return partial(differentiate, mean, logits) if what.endswith("gradient") else partial(mean, logits.detach())


def differentiate(function: Callable[[Tensor], Tensor], logits: Tensor) -> None:
    """Run a forward and a backward pass."""
    function(logits).square().sum().backward()
    logits.grad = None


def row(what: str, n: int, k: int, ours: Callable[[], object], theirs: Callable[[], object] | None) -> list[str]:
    """Measure in turns; return a row of the table."""
    seconds = interleaved_times([ours] if theirs is None else [ours, theirs], TURNS)
    time, *other = [f"{1e3 * statistics.median(record):.2f}" for record in seconds]
    head, memory = [what, str(n), str(k), f"{math.comb(n, k):,}"], f"{peak_memory(ours) / 2**20:.1f}"
    if theirs is None:
        return [*head, "", time, "", "", "", memory]
    ratios = [b / a for a, b in zip(*seconds, strict=True)]
    spread = f"{min(ratios):.2f} .. {max(ratios):.2f}"
    return [
        *head,
        *other,
        time,
        f"{statistics.median(ratios):.2f}",
        spread,
        f"{peak_memory(theirs) / 2**20:.1f}",
        memory,
    ]


if __name__ == "__main__":
    parse_nothing(__doc__)
    main()
