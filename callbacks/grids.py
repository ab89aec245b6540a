"""Pictures of images in rows and columns: enlarged by whole pixels, with labels in the margins and never on an image.

Axes: ``b`` images, ``c h w`` one image, ``H W`` the picture.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

import torch
from einops import repeat
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

BACKGROUND = 0.88  # light grey: black and white images both stand out
MARK = (0.835, 0.369, 0.0)  # vermilion
GAP = 4  # pixels between images
WIDE_GAP = 12  # additional pixels between groups of rows or columns
FONT, SMALLEST_FONT = 15, 8  # pixels
LINE = FONT + GAP + 4
SIDE = 112  # pixels to which a small image is enlarged,
WIDTH, HEIGHT = 1200, 1600  # unless the picture would exceed these


@dataclass(frozen=True)
class View:
    """Options of a picture of images.

    Args:
        scale: side of a pixel of an image in the picture; None is the largest that suits the page.
        columns: images in a row; None is what suits the picture.
        labels: write titles and labels in the margins.
    """

    scale: int | None = None
    columns: int | None = None
    labels: bool = True

    def scale_of(self, rows: int, columns: int, h: int, w: int) -> int:
        """Return the scale of images ``h w`` in so many rows and columns."""
        across, down = (WIDTH // columns - GAP) // w, (HEIGHT // rows - GAP) // h
        return self.scale or max(1, min(SIDE // max(h, w), across, down))

    def size_of(self, rows: int, columns: int, h: int, w: int) -> tuple[int, int]:
        """Return height and width of a picture without margins."""
        scale = self.scale_of(rows, columns, h, w)
        return rows * (scale * h + GAP) + GAP, columns * (scale * w + GAP) + GAP


DEFAULT_VIEW = View()


def grid(
    images: Tensor,
    columns: int,
    view: View = DEFAULT_VIEW,
    *,
    title: str = "",
    heads: Sequence[tuple[int, str]] = (),
    rows: Sequence[str] = (),
    block: int = 0,
    captions: Sequence[str] = (),
    marks: Collection[int] = (),
) -> Tensor:
    """Arrange images row by row, ``b c h w`` in [0, 1] ``-> 3 H W``. An image of NaN leaves its place empty.

    Args:
        images: grey or in colour.
        columns: images in a row.
        view: options; its ``columns`` is not read.
        title: above the picture.
        heads: labels of groups of columns, from the left: number of columns, text.
        rows: labels of the rows, left of them.
        block: rows that belong together; 0 for no such groups.
        captions: above each image; one caption in a row makes room for all of it.
        marks: numbers of images with a frame.
    """
    if not view.labels:
        title, heads, rows, captions = "", (), (), ()
    count, (h, w) = -(-len(images) // columns), images.shape[-2:]
    scale = view.scale_of(count, columns, h, w)
    borders = list(accumulate(number for number, _ in heads))
    captioned = [any(captions[row * columns : (row + 1) * columns]) for row in range(count)]
    left = GAP + (max(_width(text, FONT) for text in rows) + 2 * GAP if rows else 0)
    top = GAP + (LINE + GAP if title else 0) + (LINE if heads else 0)
    x = [left + j * (scale * w + GAP) + WIDE_GAP * sum(j >= border for border in borders) for j in range(columns)]
    y = [
        top + i * (scale * h + GAP) + WIDE_GAP * (i // block if block else 0) + LINE * sum(captioned[: i + 1])
        for i in range(count)
    ]
    wide, high = x[-1] + scale * w + GAP, y[-1] + scale * h + GAP
    picture = torch.full((3, high, max(wide, _width(title, FONT) + 2 * GAP)), BACKGROUND)
    enlarged = repeat(images.float().cpu(), "b c h w -> b c (h y) (w x)", y=scale, x=scale)
    for number, image in enumerate(enlarged):
        i, j = y[number // columns], x[number % columns]
        if number in marks:
            frame = picture[:, i - GAP : i + scale * h + GAP, j - GAP : j + scale * w + GAP]
            frame.copy_(torch.tensor(MARK)[:, None, None].expand_as(frame))
        if not image.isnan().any():
            picture[:, i : i + scale * h, j : j + scale * w] = image.clamp(0, 1)

    texts: list[tuple[str, int, int, int, int]] = []  # text, and the box that it is in the middle of
    line = LINE - GAP  # a frame may be below it
    if title:
        texts.append((title, GAP, GAP, _width(title, FONT), line))
    for first, last, (_, text) in zip([0, *borders], borders, heads, strict=False):
        texts.append((text, x[first], top - LINE, x[last - 1] + scale * w - x[first], line))
    for i, text in zip(y, rows, strict=False):
        width = _width(text, FONT)
        texts.append((text, left - 2 * GAP - width, i, width, scale * h))
    for number, text in enumerate(captions):
        if text:
            texts.append((text, x[number % columns], y[number // columns] - LINE, scale * w, line))
    return _write(picture, texts) if texts else picture


def above(upper: Tensor, lower: Tensor) -> Tensor:
    """Join two pictures ``3 H W``, the narrower one filled up."""
    width = max(upper.shape[2], lower.shape[2])
    parts = [
        torch.nn.functional.pad(part, (0, width - part.shape[2], 0, 0), value=BACKGROUND) for part in (upper, lower)
    ]
    return torch.cat(parts, dim=1)


def _write(picture: Tensor, texts: Sequence[tuple[str, int, int, int, int]]) -> Tensor:
    """Write texts in black, each in its box (left, top, width, height): smaller or not at all where it does not fit."""
    ink = Image.new("L", (picture.shape[2], picture.shape[1]))
    draw = ImageDraw.Draw(ink)
    for text, left, top, width, height in texts:
        sizes = range(min(FONT, height), SMALLEST_FONT - 1, -1)
        if size := next((size for size in sizes if _width(text, size) <= width), None):
            draw.text((left + width / 2, top + height / 2), text, fill=255, font=_font(size), anchor="mm")
    shade = torch.frombuffer(bytearray(ink.tobytes()), dtype=torch.uint8).reshape(picture.shape[1:]) / 255
    return picture * (1 - shade)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font: the same on every machine."""
    return ImageFont.load_default(size)


def _width(text: str, size: int) -> int:
    return math.ceil(_font(size).getlength(text))
