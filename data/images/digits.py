"""The 8x8 digits embedded in scikit-learn: 1,797 images (Alpaydin & Kaynak 1998, UCI optdigits), no download."""

from __future__ import annotations

import numpy as np

from ..storage import Folders
from .splits import Split, Splits, hold_out, image_set


@image_set("digits", (1, 8, 8))
def digits(folders: Folders, published: bool = False) -> Splits:
    """Read 1,397 training, 200 validation and 200 test images; the split is fixed. Levels 0..16 become 0..255."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    levels = np.rint(bunch.images * (255 / 16))[:, None]  # b 1 8 8
    remaining, test = hold_out(Split.from_numpy(levels, bunch.target), 200)
    train, valid = hold_out(remaining, 200)
    return Splits(train, valid, test, "scikit-learn's load_digits")
