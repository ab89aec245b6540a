"""Errors of reconstructions of all released image models: NMSE, PSNR, SSIM, and rFID in features of a classifier.

    python benchmarks/vqvae/reconstruction.py                    # all, 2 minutes
    python benchmarks/vqvae/reconstruction.py vqvae-digits-ema   # print a row

They are the metrics of `gumbelzoo test NAME --fid FEATURES`, without the bounds, which take most of its time. With all
releases it writes ``reconstruction.md`` next to this script.
"""

from __future__ import annotations

import argparse
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gumbelzoo
import torch
from gumbelzoo.benchmarks.common.measure import describe_machine
from gumbelzoo.benchmarks.common.pages import markdown_row, markdown_table, write_page
from gumbelzoo.commands.files.source import build_data, resolve_source
from gumbelzoo.evaluation.fid import FrechetDistance
from gumbelzoo.evaluation.reconstruction import ReconstructionMetrics
from gumbelzoo.models.inputs import transferred

NAMES = [name for pattern in ("vqvae-*", "catvae-*") for name in gumbelzoo.list_pretrained(pattern)]
FEATURES = {"mnist": "features-mnist", "fashion_mnist": "features-fashion-mnist"}
HEADER = ["release", "data", "test images", "NMSE", "NMSE of drawn codes", "PSNR, dB", "SSIM", "rFID", "CPU seconds"]


@torch.no_grad()
def measure(name: str) -> list[str]:
    """Return the row of a release: NMSE relative to the training pixels, and what does not apply left empty.

    Raises:
        FileNotFoundError: its data are not there.
    """
    source = resolve_source(name)
    data: Any = build_data(source.data)
    data.setup("test")
    classifier: Any = gumbelzoo.load(FEATURES[data.name]) if data.name in FEATURES else None
    metric, distance = ReconstructionMetrics(data.variance), FrechetDistance(64)
    stochastic = getattr(getattr(source.model, "quantizer", None), "stochastic", False)
    drawn = ReconstructionMetrics(data.variance)
    generator = torch.Generator().manual_seed(0)
    start = time.process_time()
    for images in (transferred(data, batch)["image"] for batch in data.test_dataloader()):
        reconstructions = source.model.reconstruct(images)
        metric.update(reconstructions, images)
        if stochastic:
            codes = source.model.quantizer.sample_codes(source.model.features(images), generator)
            drawn.update(source.model.decode(codes), images)
        if classifier is not None:
            distance.update(classifier.features(images), real=True)
            distance.update(classifier.features(reconstructions.clamp(0, 1)), real=False)
    seconds = time.process_time() - start
    found = {key: float(value) for key, value in metric.compute().items()}
    kind = data.name if data.binarization == "none" else f"{data.name}, binary"
    return [
        f"`{name}`",
        kind,
        f"{int(metric.images):,}",
        f"{found['nmse']:.4f}",
        f"{float(drawn.compute()['nmse']):.4f}" if stochastic else "",
        f"{found['psnr']:.2f}",
        f"{found['ssim']:.4f}" if "ssim" in found else "",
        f"{float(distance.compute()):.3f}" if classifier is not None else "",
        f"{seconds:.1f}",
    ]


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="releases (default: all)")
    names = parser.parse_args().names or NAMES
    print(markdown_table(HEADER, []))
    rows = []
    for name in names:
        rows.append(measure(name))
        print(markdown_row(rows[-1]), flush=True)
    if names == NAMES:
        page(rows)


def page(rows: list[list[str]]) -> None:
    """Write the page of all releases."""
    networks = ", ".join(f"`{network}` on {data}" for data, network in FEATURES.items())
    write_page(
        __file__,
        [
            "# Reconstructions of released models",
            f"Deterministic reconstructions of the whole test set, by `python benchmarks/{Path(__file__).parent.name}/"
            f"{Path(__file__).name}`. torchmetrics {version('torchmetrics')}; {describe_machine()}",
            "NMSE is relative to the variance of the training pixels. Gumbel quantizers have a distribution of codes, "
            "from which codes are also drawn, once for each image, seed 0: these have the rate of the objective. "
            "PSNR and SSIM are means over images, of values clamped to [0, 1] with a peak of 1; "
            "images of 8 x 8 are smaller than SSIM's window of 11 x 11. rFID is "
            f"the Frechet distance between test images and reconstructions, in the 64 features of {networks}. "
            "[What they mean](../../docs/training.md#what-test-measures).",
            markdown_table(HEADER, rows),
            "- Rows of different data or binarization do not compare. A categorical VAE learns binary images, and its "
            "reconstruction is a probability: the image between black and white that its error is smallest for.\n"
            "- The classifiers learned images of grey levels. The rFID of binary images compares these with "
            "probabilities, which are grey where a pixel is uncertain.\n"
            "- `vqvae-mnist`, `vqvae-mnist-labels` and `vqvae-fashion-mnist` are priors over the codes of the VQ-VAE "
            "that is released as `vqvae-mnist-ema` and `vqvae-fashion-mnist-ema`, and reconstruct through it.",
        ],
    )


if __name__ == "__main__":
    main()
