"""A user's own arrays as a data set: images and labels, from memory or from files of NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...pretrained.paths import user_path
from ..left_out import summary, tell
from ..storage import Folders
from .array_files import read_arrays
from .array_splits import as_array, make_splits
from .splits import ImageSet, Splits, image_set


@image_set("arrays", None, "path", binarization="none")
def arrays(folders: Folders, published: bool = False, path: str | None = None) -> Splits:
    """Read images, and labels if there are some, from an .npz file, a folder of .npy files, or one .npy file.

    Images are ``n h w``, ``n c h w`` or ``n h w c``, with 1 or 3 channels. Integers are levels 0 to 255; floats are in
    [0, 1], and become the nearest of 256 levels. Labels are whole numbers from 0, ``n``. A split that is not given is a
    tenth of the training images, test first, and the same ones every time.

    Args:
        folders: unused.
        published: unused.
        path: the file or folder; the names in it are those of ``array_files.NAMES``, such as ``x_train``.

    Raises:
        ValueError: no path, a damaged file, arrays whose axes or values may mean several things.
        FileNotFoundError: there is no such file or folder.
    """
    if path is None:
        raise ValueError("name='arrays' needs a path: an .npz file with x_train, or a folder of .npy files")
    file = user_path(path)
    left_out: dict[str, str] = {}
    splits = make_splits(read_arrays(file, left_out), file.name)
    tell(file, left_out)
    return replace(splits, details={**splits.details, "left out": summary(left_out, "arrays")})


def in_memory(given: Mapping[str, Any]) -> ImageSet:
    """Return the data set of arrays or tensors by their names; those that are None are left out.

    Raises:
        ValueError: as ``arrays``.
    """
    named = {name: as_array(value) for name, value in given.items() if value is not None}
    splits = make_splits(named, "arrays in memory")
    return ImageSet(None, lambda folders, published: splits, binarization="none")
