"""Omniglot (Lake et al. 2015): handwritten characters of 50 alphabets, 105 x 105 and binary, here 28 x 28 and grey.

28 x 28 is the size used for likelihoods in the literature; each pixel is the share of ink in its area. The split is
Omniglot's own: the 20 alphabets of the test images are not in training. Burda et al. (2016) split at random, so their
results are not comparable.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..storage import READ_ERRORS, Folders, read_npz, read_verified
from .splits import Split, Splits, hold_out, image_set

SIDE, SIZE = 105, 28


def area_weights(source: int, target: int) -> Tensor:
    """Return the share of each source cell in each target cell when a line is resampled: float32 ``target source``."""
    low = torch.arange(target)[:, None] * (source / target)  # t 1
    cell = torch.arange(source)  # s
    overlap = torch.minimum(low + source / target, cell + 1) - torch.maximum(low, cell)  # t s
    return overlap.clamp(min=0) * (target / source)


def shrink(ink: np.ndarray) -> np.ndarray:
    """Average binary images ``b 105 105`` over the areas of 28 x 28 pixels: uint8 levels ``b 1 28 28``."""
    weights = area_weights(SIDE, SIZE)
    # In chunks, since floats take four times the memory.
    chunks = (weights @ chunk.float() @ weights.T for chunk in torch.from_numpy(ink).split(1000))  # b 28 28
    return torch.cat([(chunk * 255).round().to(torch.uint8) for chunk in chunks])[:, None].numpy()


def read_packed(path: Path) -> Split:
    """Read the packed form: ``images_packed``, rows of ``np.packbits`` with 1 for ink, and ``char_index``."""
    arrays = read_npz(path, images_packed=(-(-SIDE * SIDE // 8),), char_index=())
    packed, labels = arrays["images_packed"], arrays["char_index"]
    if packed.dtype != np.uint8 or len(packed) != len(labels):
        raise ValueError(f"{path}: images_packed is no table of bytes with one row per char_index; replace it")
    ink = np.unpackbits(packed, axis=1, count=SIDE * SIDE).reshape(-1, SIDE, SIDE)
    return Split.from_numpy(shrink(ink), labels)


def read_zip(path: Path, md5: str) -> Split:
    """Read the original archive of one PNG per image, black ink on white, in folders ``set/alphabet/character``."""
    from PIL import Image

    content = read_verified(path, md5)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".png"))
            images = [np.asarray(Image.open(archive.open(name)).convert("L")) < 128 for name in names]
        _, labels = np.unique([name.rsplit("/", 1)[0] for name in names], return_inverse=True)
        return Split.from_numpy(shrink(np.stack(images)), labels)
    except READ_ERRORS as error:
        raise ValueError(
            f"{path} is no archive of {SIDE} x {SIDE} images ({error}); delete it and run again"
        ) from error


def read_half(folders: Folders, half: str) -> tuple[Split, str]:
    """Read ``images_background`` or ``images_evaluation``, from the packed file or the archive; and name it."""
    packed = f"omniglot/{half}_105.npz"
    if path := folders.find(packed):
        return read_packed(path), packed
    from torchvision.datasets import Omniglot

    archive, md5 = f"{Omniglot.folder}/{half}.zip", Omniglot.zips_md5[half]
    path = folders.fetch(archive, [f"{Omniglot.download_url_prefix}/{half}.zip"], md5)
    return read_zip(path, md5), archive


@image_set("omniglot", (1, SIZE, SIZE))
def omniglot(folders: Folders, published: bool = False) -> Splits:
    """Read 17,352 background images for training, 1,928 for validation, and the 13,180 evaluation images for test."""
    background, source = read_half(folders, "images_background")
    evaluation, test_source = read_half(folders, "images_evaluation")
    train, valid = hold_out(background, len(background) // 10)
    # The characters of the two halves are different classes.
    test = Split(evaluation.images, evaluation.labels + background.labels.max() + 1)
    return Splits(train, valid, test, f"{source} and {test_source}, ink averaged over 28 x 28 areas")
