"""The page of reconstructions names every released model of images, with figures that are measured again."""

from __future__ import annotations

from pathlib import Path

import pytest
from gumbelzoo.benchmarks.common.pages import read_tables
from gumbelzoo.benchmarks.vqvae import reconstruction

ROWS = {
    row["release"].strip("`"): row
    for row in read_tables(Path(reconstruction.__file__).with_suffix(".md").read_text(encoding="utf-8"))[
        "Reconstructions of released models"
    ]
}


def test_page_has_all_releases() -> None:
    assert list(ROWS) == reconstruction.NAMES


@pytest.mark.parametrize("name", ["vqvae-digits-ema", "catvae-digits"])
def test_page_states_what_is_measured(name: str) -> None:
    """Up to one unit in the last digit; 8 x 8 images have no SSIM, digits no classifier."""
    measured = dict(zip(reconstruction.HEADER, reconstruction.measure(name), strict=True))
    stated = ROWS[name]
    assert stated["SSIM"] == stated["rFID"] == measured["SSIM"] == measured["rFID"] == ""
    assert (stated["data"], stated["test images"]) == (measured["data"], measured["test images"])
    assert float(measured["NMSE"]) == pytest.approx(float(stated["NMSE"]), abs=1.1e-4)
    assert float(measured["PSNR, dB"]) == pytest.approx(float(stated["PSNR, dB"]), abs=1.1e-2)
