"""Floating-point operations of a classifier on one image, counted by torch: a multiplication and an addition are two.

Sums, activations and the gather of windows are not counted; those of a soft glimpse, the mean of all windows, are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


@torch.no_grad()
def operations(model: Any, image_shape: tuple[int, ...] = (1, 60, 60)) -> int:
    """Count the operations of the logits of one image ``c h w``."""
    x, model = torch.rand(1, *image_shape), model.eval()
    centre = {"centre": torch.tensor([[30.0, 30.0]])}
    with FlopCounterMode(display=False) as counter:
        model.class_logits(x, centre) if hasattr(model, "class_logits") else model.logits(x)
    return counter.get_total_flops()


def parameters(model: torch.nn.Module) -> int:
    """Count the trained numbers."""
    return sum(weight.numel() for weight in model.parameters())
