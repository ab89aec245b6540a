"""Recurrent network over glimpses: a coarse view of the whole image, then one window after the other.

Axes: ``b`` batch, ``c h w`` image, ``p`` its pixels at all scales, ``n`` places, ``j`` scales, ``s`` side of a window,
``d`` numbers of a window, ``y`` classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import Spec
from ..relaxed import select
from .places import PLACES
from .windows import check_windows, grid_centres, pyramid, window_index, window_masks, windows, windows_at

WIDTHS = 16, 32  # channels of the convolutions over a window


@dataclass(frozen=True)
class Scene:
    """What may be looked at.

    Attributes:
        pixels: of the images, at all scales, ``b c p``.
        index: of all windows among them.
        scales: j.
        keys: of the places, from the coarse view, ``b n e``; None for a policy that does not use them.
    """

    pixels: Tensor
    index: Tensor
    scales: int
    keys: Tensor | None

    @cached_property
    def windows(self) -> Tensor:
        """Windows at all places, ``b n d``."""
        return windows(self.pixels, self.index, self.scales)

    def look(self, z: Tensor, one_hot: bool) -> Tensor:
        """Return the windows of codes ``... b``, which need no others, or of points ``... b n``; ``... b d``."""
        if z.is_floating_point():
            return select(z, self.windows, one_hot=one_hot)
        return windows_at(self.pixels, self.index, self.scales, z)


class WindowEncoder(nn.Sequential):
    """Two convolutions of stride 2 and a linear layer, ``... c s s -> ... h``.

    Args:
        channels: c.
        side: s.
        hidden: h.
    """

    def __init__(self, channels: int, side: int, hidden: int) -> None:
        self.shape = channels, side, side
        first, second = WIDTHS
        quarter = -(-side // 4)
        super().__init__(
            nn.Conv2d(channels, first, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(second * quarter**2, hidden),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Encode windows that are flat, ``... d -> ... h``."""
        return super().forward(x.reshape(-1, *self.shape)).view(*x.shape[:-1], -1)


class GlimpseNetwork(nn.Module):
    """States of a GRU over what was seen and where.

    Args:
        image_shape: ``c h w``.
        classes: y.
        side: s.
        scales: j.
        grid: places along each side of the image, the root of n.
        hidden: width of states.
        places: name or spec of the choice of places.
    """

    masks: Tensor
    index: Tensor

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        side: int,
        scales: int,
        grid: int,
        hidden: int,
        places: Spec,
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        check_windows(height, width, side, scales, grid)
        self.side = side
        centres = grid_centres(height, width, side, grid)
        self.register_buffer("masks", window_masks(height, width, centres, side), persistent=False)
        self.register_buffer("index", window_index(height, width, centres, side, scales), persistent=False)
        self.scales = scales
        self.coarse = WindowEncoder(channels, side, hidden)
        self.encoder = WindowEncoder(channels * scales, side, hidden)
        self.where = nn.Parameter(torch.randn(grid**2, hidden) / hidden**0.5)
        self.cell = nn.GRUCell(hidden, hidden)
        self.head = nn.Linear(hidden, classes)
        size = {"image_size": (height, width), "channels": channels}
        self.places = PLACES.build(places, centres=centres, hidden=hidden, **size)

    def start(self, x: Tensor) -> tuple[Tensor, Scene]:
        """Return the state after the coarse view, ``b h``, and what there is to look at, of images ``b c h w``."""
        coarse = F.adaptive_avg_pool2d(x, self.side)
        scene = Scene(pyramid(x, self.side, self.scales), self.index, self.scales, self.places.keys(coarse))
        return self.coarse(coarse.flatten(1)).tanh(), scene

    def choice(self, state: Tensor, scene: Scene, step: int, centre: Tensor | None) -> Tensor:
        """Return the logits of the place of glimpse ``step``, ``... n``, given the state ``... h``."""
        return self.places.logits(state, scene.keys, step, centre)

    def look(self, state: Tensor, scene: Scene, z: Tensor, one_hot: bool = False) -> Tensor:
        """Return the state after a glimpse, ``... h``.

        Args:
            state: ``... h``; it broadcasts against further leading axes of z.
            scene: of ``start``.
            z: place, codes ``... b`` or points of the simplex ``... b n``, which see a mixture of windows.
            one_hot: rows of z are exactly one-hot.
        """
        seen = (self.encoder(scene.look(z, one_hot)) + select(z, self.where, one_hot=one_hot)).relu()  # ... h
        before = state.expand_as(seen)
        return self.cell(seen.flatten(0, -2), before.reshape(-1, before.shape[-1])).view(seen.shape)
