"""The variance of the training pixels, which the NMSE is measured in."""

import pytest
import torch
from gumbelzoo.data import ImageData
from gumbelzoo.data.images.binarization import BINARIZATIONS


@pytest.mark.parametrize("binarization", BINARIZATIONS.names())
def test_the_variance_is_that_of_what_the_model_sees(binarization: str) -> None:
    data = ImageData(binarization=binarization)
    pixels = data.splits.train.images.float() / 255
    if binarization == "dynamic":  # grey levels are stored, ones and zeros are seen: p (1 - p) on average over p
        pixels = torch.bernoulli(pixels, generator=torch.Generator().manual_seed(0))
    assert data.variance == pytest.approx(
        pixels.var(correction=0).item(), rel=0.01 if binarization == "dynamic" else 1e-5
    )
