"""Images of users: a folder of pictures, or an ``.npz`` file. Pictures are read as a viewer shows them, or refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...data.images.decoding import FORMATS, SUFFIXES, is_picture, open_picture, reason, upright, without_warnings
from ...pretrained.untrusted import printable
from .arrays import MAX_VALUES, LevelCheck, array_parts

ROWS = 500  # images read at a time


class Images:
    """Images of a folder of pictures or of an ``.npz`` file, in parts; they are neither resized nor binarized.

    All are read and checked at once, and read again part by part when they are used: the memory of a part is all that
    is taken.

    Args:
        path: a folder of pictures, read in the order of their names, grey for c = 1 and otherwise in colour. Or an .npz
            file with ``images``, ``b c h w`` (``b h w`` for c = 1); integers are levels 0 .. 255.
        shape: ``c h w`` that the model takes.
        limit: only the first so many.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: one picture in the place of a folder, no pictures, unreadable ones, another shape, too many, or
            values that are no levels.
    """

    def __init__(self, path: Path, shape: Sequence[int], limit: int | None = None) -> None:
        if path.is_file() and (path.suffix.lower() in SUFFIXES or is_picture(path)):
            raise ValueError(f"{path} is one picture; give the folder it is in, '{path.parent}'")
        self._path, self._shape, self._limit = path, shape, limit
        self._files = _picture_files(path, shape, limit) if path.is_dir() else None
        self._check = LevelCheck(str(path), shape)
        for part in self._raw(ROWS):
            self._check.add(part)
        self._check.finish()

    def __len__(self) -> int:
        return self._check.images

    def parts(self, rows: int = ROWS) -> Iterator[Tensor]:
        """Yield float32 images in [0, 1], ``b c h w``, so many at a time."""
        return map(self._check.convert, self._raw(rows))

    def _raw(self, rows: int) -> Iterator[np.ndarray]:
        if self._files is None:
            yield from array_parts(self._path, "images", self._limit, rows)
        else:
            for first in range(0, len(self._files), rows):
                yield np.stack([_read_picture(file, self._shape) for file in self._files[first : first + rows]])


def read_images(path: Path, shape: Sequence[int], limit: int | None = None) -> Tensor:
    """Read images ``b c h w`` in [0, 1]; arguments and errors are those of ``Images``."""
    return torch.cat([*Images(path, shape, limit).parts()])


def _picture_files(folder: Path, shape: Sequence[int], limit: int | None) -> list[Path]:
    """Files of the pictures in a folder by name; other files are told. Errors are those of ``Images``."""
    files: list[Path] = []
    others: list[Path] = []
    for file in sorted(folder.iterdir()):
        if not file.name.startswith("."):
            (files if file.suffix.lower() in SUFFIXES or is_picture(file) else others).append(file)
    if others:
        names = ", ".join(file.name for file in others[:5]) + (", ..." if len(others) > 5 else "")
        print(printable(f"{folder}: {len(others)} left out, no pictures: {names}"), file=sys.stderr)
    if not files:
        raise ValueError(f"{folder} has no pictures ({', '.join(FORMATS)})")
    files, values = files[:limit], shape[0] * shape[1] * shape[2]
    if len(files) * values > MAX_VALUES:
        raise ValueError(
            f"{folder} has {len(files)} pictures, more than the {MAX_VALUES // values} that are read at once; give the "
            "first ones with -n, or several folders"
        )
    return files


def _read_picture(file: Path, shape: Sequence[int]) -> np.ndarray:
    """Read a picture upright, on black, grey or in colour, ``c h w``; ValueError naming the file."""
    try:
        with without_warnings(), open_picture(file) as picture:
            if sorted(picture.size) == sorted(shape[1:]):
                pixels = np.asarray(upright(picture, "L" if shape[0] == 1 else "RGB"))
                if pixels.shape[:2] == tuple(shape[1:]):
                    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
            width, height = picture.size
    except Exception as error:  # what Pillow raises for damaged content has many types
        said = printable(reason(error))
        raise ValueError(f"{file} is no picture that can be read ({said}); save it as 8-bit PNG") from None
    raise ValueError(
        f"{file} is {width} x {height} pixels, the model takes {shape[2]} x {shape[1]}; all pictures must be of that "
        "size"
    )
