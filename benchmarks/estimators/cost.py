"""Cost of a call of every estimator beside ``gumbel_softmax``, and the floor that its definition leaves.

    python benchmarks/estimators/cost.py [--rows 2000] [--classes 10 128]

A call is ``layer.expectation`` of a linear cost, forward and backward, so the estimator's own work is nearly all of it.
Calls are timed in turns in one process on one thread, by processor time. The floor counts what no implementation can
leave out, in the units of the table: draws of noise, and cost evaluations. It prints a table and writes ``cost.md``.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from gumbelzoo.benchmarks.common.measure import DEVICE, describe_machine, interleaved_times, peak_memory
from gumbelzoo.benchmarks.common.pages import markdown_table, write_page
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical
from torch import Tensor

TURNS, LATENTS, REFERENCE = 9, 20, "gumbel_softmax"
MOST = 100  # cost evaluations; enumeration of many configurations is left out
HEADER = ["estimator", "classes", "ms", "x gumbel_softmax", "range", "MiB", "noise draws a sample", "cost evaluations"]
NOTES = """\
`layer.expectation` of a linear cost of `b x 20` latents, forward and backward pass, with the estimator's defaults.
Ratios are medians and ranges over the turns. An estimator cannot be below the noise it needs (draws of Gumbel variables
for each sample) and its cost evaluations, both relative to `gumbel_softmax`, which has one of each.

- `gumbel_rao` draws the noise of 10 inner samples, and takes a softmax and its gradient for each. Its floor is that of
  ten samples of `gumbel_softmax` and one cost evaluation: with a cost that is a network, the inner samples are a small
  part of a step.
- `arsm` evaluates the cost at k (k - 1) / 2 + 1 samples. The swapped codes come from the best three scores, without the
  swapped noise. The floor is that many evaluations without a gradient, and one with it.
- `exact` enumerates k^n configurations, and is left out here."""


def call(name: str, rows: int, classes: int) -> Callable[[], None]:
    """Return a call of an estimator."""
    torch.manual_seed(0)
    layer = layer_of(name, classes)
    logits = torch.randn(rows // LATENTS, LATENTS, classes, device=DEVICE, requires_grad=True)
    weight = torch.randn(LATENTS, classes, device=DEVICE)

    def cost(z: Tensor) -> Tensor:
        return (z * weight).sum((-1, -2))

    def run() -> None:
        layer.expectation(logits, cost).sum().backward()
        logits.grad = None
        layer.zero_grad()

    return run


def layer_of(name: str, classes: int) -> RelaxedCategorical:
    """Build the layer of an estimator."""
    return RelaxedCategorical(name, 0.7, (LATENTS, classes)).to(DEVICE)


def measured(classes: int) -> list[str]:
    """Names of the estimators that are measured with these classes."""

    def evaluations(name: str) -> int:
        return layer_of(name, classes).estimator.cost_evaluations(LATENTS, classes)

    fitting = [name for name in ESTIMATORS.names() if ESTIMATORS[name].categories in (None, classes)]
    return [REFERENCE, *(name for name in fitting if name != REFERENCE and evaluations(name) <= MOST)]


def compare(rows: int, classes: int, turns: int = TURNS) -> list[list[str]]:
    """Measure all estimators; return the rows of the table."""
    names = measured(classes)
    calls = [call(name, rows, classes) for name in names]
    seconds = interleaved_times(calls, turns)
    table = []
    for name, run, record in zip(names, calls, seconds, strict=True):
        ratios = [own / reference for own, reference in zip(record, seconds[0], strict=True)]
        estimator = layer_of(name, classes).estimator
        cells = [name, str(classes), f"{1e3 * statistics.median(record):.2f}", f"{statistics.median(ratios):.2f}"]
        cells += [f"{min(ratios):.2f} .. {max(ratios):.2f}", f"{peak_memory(run) / 2**20:.1f}"]
        table.append([*cells, str(estimator.noise_draws), str(estimator.cost_evaluations(LATENTS, classes))])
    return table


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000, help=f"b x {LATENTS} rows of logits (default: 2000)")
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 10, 128])
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for classes in options.classes for row in compare(options.rows, classes)]
    table = markdown_table(HEADER, rows)
    write_page(__file__, ["# Cost of a call of every estimator", describe_machine(), table, NOTES])


if __name__ == "__main__":
    main()
