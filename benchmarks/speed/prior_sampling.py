"""How much faster priors sample when each code is evaluated once instead of with the whole grid.

``python benchmarks/speed/prior_sampling.py`` prints a table and writes ``prior_sampling.md``. Both ways get
the same noise and must give the same codes. They are timed in turns in one process, in seconds of its CPU time, or of a
clock that waits for the device: the table has the median and the range of the ratio.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from gumbelzoo.benchmarks.common.measure import DEVICE, facts, line, now
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.models.vqvae.priors.base import CODE_NETWORKS, AutoregressiveNetwork
from gumbelzoo.models.vqvae.priors.pixelcnn import PixelCNN  # noqa: F401  (importing a network registers it)
from torch import Tensor

# network, grid, codes of a codebook, images at a time, turns
CASES = [
    ("pixelcnn", (7, 7, 1), 128, 16, 3),
    ("transformer", (7, 7, 1), 128, 16, 3),
    ("transformer", (8, 8, 4), 128, 1, 3),
]
HEADER = ["network", "parameters", "grid", "images", "uncached s", "cached s", "ratio", "range"]


@torch.no_grad()
def main() -> None:
    """Measure, print and write the table."""
    torch.set_num_threads(1)
    rows = [HEADER, ["---"] * len(HEADER)]
    print(facts(), *map(line, rows), sep="\n")
    for case in CASES:
        rows.append(measure(*case))
        print(line(rows[-1]), flush=True)
    text = "\n".join(map(line, rows))
    Path(__file__).with_suffix(".md").write_text(f"# Sampling from priors over codes\n\n{facts()}\n\n{text}\n")


def measure(name: str, shape: tuple[int, int, int], k: int, images: int, turns: int) -> list[str]:
    """One row of the table; a ValueError if the two ways disagree."""
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
            raise ValueError(f"{name}: cached sampling gives other codes")
        seconds[0].append(slow)
        seconds[1].append(fast)
    ratios = [slow / fast for slow, fast in zip(*seconds, strict=True)]
    size = f"{sum(parameter.numel() for parameter in network.parameters()):,}"
    medians = [f"{statistics.median(s):.2f}" for s in seconds]
    spread = f"{min(ratios):.1f} .. {max(ratios):.1f}"
    return [name, size, " x ".join(map(str, shape)), str(images), *medians, f"{statistics.median(ratios):.1f}", spread]


if __name__ == "__main__":
    main()
