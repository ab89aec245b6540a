"""Meaning of arrays of images: where their channels are, and which values are levels.

Integers are levels 0 to 255, floats are levels in [0, 1]. Whatever may mean something else is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..npy import KINDS

CHANNELS = (1, 3)
LAYOUTS = ("n h w", "n c h w", "n h w c")


class Levels:
    """Check of pixel values that come in parts: what they are is told by the values of all of them.

    Args:
        place: where they come from, for the messages.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.least, self.most = math.inf, -math.inf
        self.whole = False  # integers

    def add(self, part: np.ndarray) -> None:
        """See one part, which has values; ValueError for NaN or other than real numbers."""
        if part.dtype.kind not in "biuf":
            raise ValueError(f"{self.place} holds {KINDS.get(part.dtype.kind, 'records')}, not real numbers")
        least, most = float(part.min()), float(part.max())
        if math.isnan(least):
            raise ValueError(f"{self.place} has NaN among its values; images are in [0, 1]")
        self.whole = part.dtype.kind in "iu"
        self.least, self.most = min(self.least, least), max(self.most, most)

    def finish(self) -> None:
        """Check the values of all parts; ValueError for such as are no levels."""
        least, most, place = self.least, self.most, self.place
        if self.whole and most == 1 and least == 0:
            raise ValueError(
                f"{place} has the whole numbers 0 and 1 only; whole numbers are levels 0 to 255: multiply them by 255, "
                "or store them as floats"
            )
        if self.whole and (least < 0 or most > 255):
            remedy = "; of 16 bits store images // 257" if least >= 0 and most < 1 << 16 else ""
            raise ValueError(f"{place} has values outside [0, 1]; integers are levels 0 to 255{remedy}")
        if not self.whole and (least < 0 or most > 1):
            remedy = "(images + 1) / 2" if -1 <= least < 0 and most <= 1 else "images / 255"
            raise ValueError(
                f"{place} has values outside [0, 1], from {least:.4g} to {most:.4g}; levels 0 to 255 as floats become "
                f"images with `/ 255`: store {remedy}"
            )

    def to_float(self, part: np.ndarray) -> np.ndarray:
        """Convert a part to float32 in [0, 1]."""
        levels = part.astype(np.float32)
        if self.whole:
            levels /= 255
        return levels

    def to_bytes(self, part: np.ndarray) -> np.ndarray:
        """Convert a part to uint8 levels; floats become the nearest of the 256."""
        return part.astype(np.uint8) if self.whole else np.rint(part * np.float32(255)).astype(np.uint8)


def layout_of(shape: Sequence[int], place: str) -> str:
    """Tell the layout of images from the shape of their array, one of ``LAYOUTS``.

    Raises:
        ValueError: no array of images, or one that can be read in two ways; the fix is named.
    """
    if len(shape) not in (3, 4) or 0 in shape:
        raise ValueError(f"{place} has the shape {tuple(shape)}; images are {', '.join(LAYOUTS)}, none of them 0")
    if len(shape) == 3:
        if shape[0] in CHANNELS or shape[2] in CHANNELS:
            raise ValueError(
                f"{place} has the shape {tuple(shape)}, one image with channels or several without: the first axis "
                "must be the images, as in `images[None]`"
            )
        return "n h w"
    first, last = shape[1] in CHANNELS, shape[3] in CHANNELS
    if first and last:
        raise ValueError(
            f"{place} has the shape {tuple(shape)}, in which channels may come first or last; leave the axis of grey "
            "images out (n h w), or pad images that are 1 or 3 pixels wide"
        )
    if not first and not last:
        fix = "leave transparency out, `images[..., :3]`" if 4 in (shape[1], shape[3]) else "grey is 1, colour 3"
        raise ValueError(f"{place} has the shape {tuple(shape)}, and no axis of 1 or 3 channels: {fix}")
    return "n c h w" if first else "n h w c"


def channels_first(images: np.ndarray, layout: str) -> np.ndarray:
    """Return images of a layout as a view ``n c h w``."""
    if layout == "n h w":
        return images[:, None]
    return images if layout == "n c h w" else images.transpose(0, 3, 1, 2)
