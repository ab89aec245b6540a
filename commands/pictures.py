"""Images and codes of users: a folder of pictures, or ``.npz`` files. Nothing in them is unpickled."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..pretrained.untrusted import first_line

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")


def read_images(path: Path, shape: Sequence[int]) -> Tensor:
    """Read images ``b c h w`` in [0, 1]; they are neither resized nor binarized.

    Args:
        path: a folder of pictures, read in the order of their names, grey for c = 1 and otherwise in colour. Or an .npz
            file with ``images``, ``b c h w`` (``b h w`` for c = 1); integers are levels 0 .. 255.
        shape: ``c h w`` that the model takes.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: no pictures, unreadable ones, or another shape.
    """
    images = _read_folder(path, shape[0]) if path.is_dir() else read_array(path, "images")
    if images.ndim == 3 and shape[0] == 1:
        images = images[:, None]
    if not len(images):
        raise ValueError(f"{path} has no images")
    if images.ndim != 4 or images.shape[1:] != tuple(shape):
        raise ValueError(f"{path} has images of shape {images.shape[1:]}, the model takes {tuple(shape)}; resize them")
    levels = images.astype(np.float32) / (255 if images.dtype.kind in "iu" else 1)
    if not (levels.min() >= 0 and levels.max() <= 1):
        raise ValueError(f"{path} has values outside [0, 1]; integers are levels 0 to 255")
    return torch.from_numpy(levels)


def read_codes(path: Path) -> Tensor:
    """Read the ``codes`` of an .npz file, as ``encode`` writes them: int64, or float32 for continuous latents.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no codes, or they are not numbers.
    """
    codes = read_array(path, "codes")
    if not codes.size or codes.dtype.kind not in "iuf":
        raise ValueError(f"{path}: 'codes' is {codes.dtype} of shape {codes.shape}, no codes")
    return torch.from_numpy(codes.astype(np.int64 if codes.dtype.kind in "iu" else np.float32))


def read_array(path: Path, name: str) -> np.ndarray:
    """Read one array of an .npz file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, has no array of that name, or the array is of objects.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no '{path}'; give an .npz file with '{name}'")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return archive[name]
    except KeyError:
        raise ValueError(f"{path} has no array '{name}'") from None
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no .npz file of plain arrays ({type(error).__name__})") from None


def _read_folder(folder: Path, channels: int) -> np.ndarray:
    """Read all pictures of a folder as ``b h w`` or ``b c h w``, uint8; errors are those of ``read_images``."""
    from PIL import Image, UnidentifiedImageError

    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"{folder} has no pictures ({', '.join(SUFFIXES)})")
    pictures = []
    for file in files:
        try:
            with Image.open(file) as picture:
                if picture.mode.startswith(("I", "F")):
                    raise ValueError("more than 8 bits a channel")
                pictures.append(np.asarray(picture.convert("L" if channels == 1 else "RGB")))
        except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise ValueError(
                f"{file} is no picture that can be read ({first_line(error)}); save it as 8-bit PNG"
            ) from None
        if pictures[-1].shape != pictures[0].shape:
            raise ValueError(f"{file} has another size than {files[0].name}; all pictures must be of one size")
    images = np.stack(pictures)  # b h w, or b h w c
    return images if images.ndim == 3 else images.transpose(0, 3, 1, 2)
