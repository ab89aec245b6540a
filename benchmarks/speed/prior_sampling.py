"""Speed-up of sampling from priors by caches, which evaluate one position per step instead of the whole grid.

``python benchmarks/speed/prior_sampling.py`` prints a table and writes ``prior_sampling.md``. Both ways get the same
noise and must draw the same codes. They are timed in turns in one process, by processor time on a CPU. The table has
median and range of the ratio.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from gumbelzoo.benchmarks.common.command import parse_nothing
from gumbelzoo.benchmarks.common.measure import DEVICE, describe_machine, now
from gumbelzoo.benchmarks.common.pages import markdown_row, markdown_table, write_page
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.models.vqvae.priors.base import CODE_NETWORKS, AutoregressiveNetwork
from gumbelzoo.models.vqvae.priors.pixelcnn import PixelCNN  # noqa: F401  (importing a network registers it)
from torch import Tensor

# network, grid, codebook size, images per batch, turns
CASES = [
    ("pixelcnn", (7, 7, 1), 128, 1, 3),
    ("pixelcnn", (7, 7, 1), 128, 16, 3),
    ("pixelcnn", (7, 7, 1), 128, 64, 3),
    ("transformer", (7, 7, 1), 128, 16, 3),
    ("transformer", (8, 8, 4), 128, 1, 3),
]
HEADER = ["network", "parameters", "grid", "images", "uncached s", "cached s", "ratio", "range"]


@torch.no_grad()
def main() -> None:
    """Measure, print and write the page."""
    torch.set_num_threads(1)
    rows = []
    for case in CASES:
        rows.append(measure(*case))
        print(markdown_row(rows[-1]), flush=True)
    write_page(__file__, ["# Sampling from priors over codes", describe_machine(), markdown_table(HEADER, rows)])


def measure(name: str, shape: tuple[int, int, int], k: int, images: int, turns: int) -> list[str]:
    """Time one network; return a row of the table.

    Args:
        name: of the network.
        shape: rows, columns and codebooks of the grid.
        k: codebook size.
        images: images per batch.
        turns: repetitions.

    Raises:
        ValueError: cached and uncached sampling draw different codes.
    """
    torch.manual_seed(0)
    network = CODE_NETWORKS.build(name, shape=shape, codebook_size=k, classes=1).eval().to(DEVICE)
    assert isinstance(network, AutoregressiveNetwork)
    label, layer = torch.zeros(images, dtype=torch.int64, device=DEVICE), RelaxedCategorical()

    def timed(sample: Callable[..., Tensor]) -> tuple[float, Tensor]:
        generator = torch.Generator(DEVICE).manual_seed(0)
        start = now()
        codes = sample(label, lambda logits: layer.sample(logits, generator=generator))
        return now() - start, codes

    seconds: list[list[float]] = [[], []]
    for _ in range(turns):
        slow, expected = timed(lambda *arguments: AutoregressiveNetwork.sample(network, *arguments))
        fast, codes = timed(network.sample)
        if not torch.equal(codes, expected):
            raise ValueError(f"{name}: cached sampling draws other codes")
        seconds[0].append(slow)
        seconds[1].append(fast)
    ratios = [slow / fast for slow, fast in zip(*seconds, strict=True)]
    size = f"{sum(parameter.numel() for parameter in network.parameters()):,}"
    medians = [f"{statistics.median(s):.2f}" for s in seconds]
    spread = f"{min(ratios):.1f} .. {max(ratios):.1f}"
    return [name, size, " x ".join(map(str, shape)), str(images), *medians, f"{statistics.median(ratios):.1f}", spread]


if __name__ == "__main__":
    parse_nothing(__doc__)
    main()
