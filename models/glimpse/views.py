"""Pictures of glimpses: frames around the windows, and the image darkened where no window is.

Axes: ``b`` images, ``c h w`` one image, ``t`` glimpses.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .windows import frames

FIRST, LAST = (0.835, 0.369, 0.0), (0.0, 0.447, 0.698)  # vermilion and blue, between which the glimpses lie
DIM = 0.3  # of what was not seen


def coloured(x: Tensor) -> Tensor:
    """Return images in colour, ``b c h w -> b 3 h w``: the mean of the channels, if they are not three."""
    return x if x.shape[1] == 3 else x.mean(1, keepdim=True).expand(-1, 3, -1, -1)


def path_view(x: Tensor, masks: Tensor) -> Tensor:
    """Frame the windows of the glimpses, from vermilion (the first) to blue, ``b c h w`` and ``b t h w -> b 3 h w``."""
    picture, t = coloured(x).clone(), masks.shape[1]
    first, last = x.new_tensor(FIRST), x.new_tensor(LAST)
    for step in reversed(range(t)):  # the first glimpses on top
        colour = torch.lerp(first, last, step / max(t - 1, 1))
        picture = torch.where(frames(masks[:, step])[:, None], colour[:, None, None], picture)
    return picture


def seen_view(x: Tensor, masks: Tensor) -> Tensor:
    """Darken what is in no window, ``b c h w`` and ``b t h w -> b 3 h w``."""
    return coloured(x) * torch.where(masks.any(1), 1.0, DIM)[:, None]
