"""Sample quality of trained models: Frechet distance, precision and recall in the features of a classifier.

    python benchmarks/vqvae/sample_quality.py runs/prior_mnist/1 --features features-mnist

It prints a table and writes it to ``sample_quality_<data>.md`` next to this script. Every row is compared with the test
images: training images (as a perfect model would do), reconstructions (as a perfect prior would do), and samples at
several temperatures. The metrics depend on the feature network and the number of images, so they are comparable only
within one table.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import gumbelzoo
import torch
from gumbelzoo.benchmarks.common.pages import markdown_row, markdown_table
from gumbelzoo.commands.files.source import build_data, resolve_source
from gumbelzoo.evaluation.fid import frechet_distance, precision_recall
from lightning.pytorch import LightningDataModule
from torch import Tensor

BATCH = 500
TEMPERATURES = (1.0, 0.9, 0.8)
HEADER = ["images", "number", "Frechet distance", "precision", "recall"]


@torch.no_grad()
def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", help="runs or releases of models of the same data")
    parser.add_argument("--features", required=True, help="run or release of a `classifier` of that data")
    parser.add_argument("-n", type=int, default=10_000, help="samples (default: 10000)")
    options = parser.parse_args()
    classifier = gumbelzoo.load(options.features)

    def features(batches: Iterable[Tensor]) -> Tensor:
        return torch.cat([classifier.features(images.clamp(0, 1)) for images in batches])

    sources = {name: resolve_source(name) for name in options.sources}
    data = build_data(next(iter(sources.values())).data)
    data.setup("test")
    test = [batch["image"] for batch in data.test_dataloader()]
    real = features(test)
    rows: list[list[str]] = []
    print(markdown_table(HEADER, rows))

    def add(name: str, batches: Iterable[Tensor]) -> None:
        generated = features(batches)
        metrics = (frechet_distance(real, generated), *precision_recall(real, generated))
        rows.append([name, f"{len(generated):,}", *(f"{value:.3f}" for value in metrics)])
        print(markdown_row(rows[-1]), flush=True)

    add("training images", training_images(data, options.n))
    for name, source in sources.items():
        add(f"{name}: reconstructions", (source.model.reconstruct(images) for images in test))
        for temperature in TEMPERATURES:
            add(f"{name}: samples, temperature {temperature}", samples(source.model, options.n, temperature))
    text = (
        f"Compared with {len(real):,} test images of {data.name}, in the {real.shape[1]} features of "
        f"`{options.features}`; precision and recall with k = 3; {datetime.date.today().isoformat()}."
    )
    page = Path(__file__).with_name(f"sample_quality_{data.name}.md")
    page.write_text(f"# Sample quality\n\n{text}\n\n{markdown_table(HEADER, rows)}\n")


def training_images(data: LightningDataModule, n: int) -> Iterator[Tensor]:
    """Yield the first n images of a shuffled epoch, in batches."""
    seen = 0
    for batch in data.train_dataloader():
        images = batch["image"][: n - seen]
        seen += len(images)
        if len(images):
            yield images


def samples(model: Any, n: int, temperature: float) -> Iterator[Tensor]:
    """Yield n samples with a fixed seed, in batches."""
    generator = torch.Generator().manual_seed(0)
    for start in range(0, n, BATCH):
        yield model.sample(min(BATCH, n - start), temperature=temperature, generator=generator)


if __name__ == "__main__":
    main()
