"""What ``validate`` and ``test`` print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...pretrained.untrusted import printable


def print_metrics(results: Sequence[Mapping[str, float]], facts: Mapping[str, str]) -> dict[str, float]:
    """Print facts and metrics, one a line, and return the metrics.

    Args:
        results: metrics by name, of each data loader.
        facts: what was measured.
    """
    metrics = {name: float(value) for result in results for name, value in result.items()}
    for name, value in facts.items():
        print(printable(f"{name:24s} {value}"))
    for name, metric in metrics.items():
        print(f"{name:24s} {metric:.4f}")
    return metrics
