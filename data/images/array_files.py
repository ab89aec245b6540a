"""Files of arrays: an .npz file, a folder of .npy files, or one .npy file. An .npy file is mapped, not read.

Names are those of common data sets: ``x_train``, ``y_train``, ``x_valid``, ..., ``x_test``, ``y_test``; or
``train_images``, ``train_labels``, ``val_images``, ...; or ``images`` and ``labels``.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ...archives import open_zip
from ..npy import array_names, open_array, read_header, read_values

MAX_BYTES = 1 << 31  # of an array of an .npz file, which is read into memory
# The names of each array: ours, then those of others.
NAMES = {
    "x_train": ("x_train", "train_images", "images"),
    "y_train": ("y_train", "train_labels", "labels"),
    "x_valid": ("x_valid", "x_val", "valid_images", "val_images"),
    "y_valid": ("y_valid", "y_val", "valid_labels", "val_labels"),
    "x_test": ("x_test", "test_images"),
    "y_test": ("y_test", "test_labels"),
}


def read_arrays(path: Path, left_out: dict[str, str]) -> dict[str, np.ndarray]:
    """Read arrays by their names in ``NAMES``, some of them mapped into memory.

    Args:
        path: an .npz file, a folder of .npy files, or an .npy file, which has training images.
        left_out: gets the reason for each array that is not read.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: no training images, two names of one array, a damaged file, too large an array, or other than real
            numbers.
    """
    if path.is_dir():
        files = {file.stem: file for file in sorted(path.glob("*.npy"))}
        return {name: map_array(files[given]) for name, given in _find(files, path, left_out).items()}
    if not path.is_file():
        raise FileNotFoundError(f"{'no regular file' if path.exists() else 'there is no'} '{path}'; give an .npz file")
    if path.suffix == ".npy":
        return {"x_train": map_array(path)}
    with _one_line(path, ".npz file of plain arrays"), path.open("rb") as stream, open_zip(stream) as archive:
        members = array_names(archive)
        arrays = {}
        for name, given in _find(members, path, left_out).items():
            with open_array(archive, members[given]) as file:
                header = read_header(file, members[given].file_size, given)
                if members[given].file_size > MAX_BYTES:
                    raise ValueError(
                        f"{path}: '{given}' has more than {MAX_BYTES:,} bytes; save it as {name}.npy in a folder"
                    )
                arrays[name] = read_values(file, header)
        return arrays


def map_array(path: Path) -> np.ndarray:
    """Map an .npy file into memory; changes stay in memory. Errors are those of ``read_arrays``."""
    with _one_line(path, ".npy file of plain numbers"):
        with path.open("rb") as file:
            header = read_header(file, path.stat().st_size, path.stem)
            start = file.tell()
        if 0 in header.shape or not header.shape:
            raise ValueError(f"'{path.stem}' has the shape {header.shape}")
        return np.memmap(path, header.dtype, "c", start, header.shape, "F" if header.by_columns else "C")


def _find(found: Collection[str], path: Path, left_out: dict[str, str]) -> dict[str, str]:
    """The name that each array has in a file; arguments and errors are those of ``read_arrays``."""
    names = {name: [form for form in forms if form in found] for name, forms in NAMES.items()}
    if not names["x_train"]:
        shown = ", ".join(list(found)[:10]) or "nothing"
        raise ValueError(f"{path} has no training images, named {', '.join(NAMES['x_train'])}; it has {shown}")
    if twice := next((given for given in names.values() if len(given) > 1), None):
        raise ValueError(f"{path} has {' and '.join(twice)}, which are names of one array; remove one")
    for given in sorted(set(found) - {form for forms in NAMES.values() for form in forms}):
        near = difflib.get_close_matches(given.lower(), NAMES, n=1)
        left_out[given] = "no name of images or labels" + (f"; did you mean {near[0]}?" if near else "")
    return {name: given[0] for name, given in names.items() if given}


@contextmanager
def _one_line(path: Path, kind: str) -> Iterator[None]:
    """Make one line of what zip, zlib, NumPy and its parser of headers raise."""
    try:
        yield
    except Exception as error:
        said = " ".join(str(error).split()) if type(error) is ValueError else type(error).__name__
        raise ValueError(said if str(path) in said else f"{path} is no {kind} ({said[:400]})") from None
