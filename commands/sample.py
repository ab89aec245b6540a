"""Draw samples from a trained model and write them as one picture."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("-n", type=int, default=64, metavar="N", help="how many (default: 64)")
    parser.add_argument("--out", type=Path, default=Path("samples.png"), help="where (default: samples.png)")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="of the prior, lower is more typical (default: 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same picture (default: 0)")


def run(options: argparse.Namespace) -> None:
    """Sample, write, and say where."""
    import torch

    from ..callbacks.figures import sample_grid, save_picture
    from .source import open_source

    if options.n < 1:
        raise ValueError(f"-n must be >= 1, got {options.n}")
    model = open_source(options.source).model
    if not hasattr(model, "sample"):
        raise ValueError(f"a {model.registry_name} model makes no images from nothing; use `reconstruct`")
    generator = torch.Generator().manual_seed(options.seed)
    images = model.sample(options.n, temperature=options.temperature, generator=generator)
    print(save_picture(sample_grid(images), options.out))
