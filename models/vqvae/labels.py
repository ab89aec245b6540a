"""Labels that a prior over codes is conditioned on. Axes: ``b`` batch, ``n`` samples."""

from __future__ import annotations

import torch
from torch import Tensor

from ...interfaces import Batch
from ..inputs import check_labels


def batch_labels(batch: Batch, classes: int) -> Tensor:
    """Return the labels ``b`` of a batch of images or codes; zeros for an unconditional prior, which has 0 classes.

    Raises:
        ValueError: data without labels; errors of ``check_labels``.
    """
    if not classes:
        rows = batch["codes"] if "codes" in batch else batch["image"]
        return torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    if "label" not in batch:
        raise ValueError("this prior depends on labels, and the data has none: set --model.classes=0")
    return check_labels(batch["label"], classes)
