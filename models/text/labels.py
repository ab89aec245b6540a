"""Labels that a text model is conditioned on. Axes: ``b`` batch, ``n`` samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...interfaces import Batch
from ..class_names import expand_label
from ..inputs import check_labels
from ..relaxed.sampling import categorical_sample


def batch_labels(batch: Batch, classes: int) -> Tensor | None:
    """Return the labels ``b`` of a batch of text; None for an unconditional model, which has 0 classes.

    Raises:
        ValueError: data without labels; errors of ``check_labels``.
    """
    if not classes:
        return None
    if "label" not in batch:
        raise ValueError("this model depends on labels, and the data has none: set --data.labels, or --model.classes=0")
    return check_labels(batch["label"], classes)


def sample_labels(
    label: int | Tensor | None, n: int, classes: int, device: torch.device, generator: torch.Generator | None
) -> Tensor | None:
    """Return a label for each of n samples, ``-> n``; None for an unconditional model.

    Args:
        label: one for all samples, or one each (``n``); None draws them uniformly.
        n: number of samples.
        classes: number of labels, 0 for an unconditional model.
        device: where the labels go.
        generator: source of randomness.

    Raises:
        ValueError: errors of ``expand_label``.
    """
    if label is not None:
        return expand_label(label, n, classes, device)
    return categorical_sample(torch.zeros(n, classes, device=device), generator=generator) if classes else None


def label_metrics(source: Any, tokens: Tensor, labels: Tensor | None) -> dict[str, float]:
    """Return the data's metrics of samples ``n t`` and their labels ``n``; none without labels or such metrics."""
    metrics = getattr(source, "label_metrics", None)
    return {} if labels is None or metrics is None else metrics(tokens, labels)
