"""Draw samples from a trained model: one picture of images, or text, a sentence a line."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("-n", type=int, default=64, metavar="N", help="how many (default: 64)")
    parser.add_argument("--out", type=Path, help="where (default: samples.png for images; text is printed)")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="of the prior, lower is more typical (default: 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples (default: 0)")
    parser.add_argument("--prefix", help="text that every sentence begins with")
    parser.add_argument("--label", type=int, help="the class of all images, for a prior that knows classes")
    parser.add_argument("--top_k", type=int, help="draw among so many most probable tokens or codes")
    parser.add_argument("--top_p", type=float, help="draw among the most probable ones that have this probability")


def run(options: argparse.Namespace) -> None:
    """Sample, write, and say where; or print."""
    import torch

    from ..callbacks.figures import sample_grid, save_picture
    from ..pretrained.untrusted import printable
    from .source import open_source, require

    if options.n < 1:
        raise ValueError(f"-n must be >= 1, got {options.n}")
    model = open_source(options.source).model
    require(model, "sample")
    given = {name: getattr(options, name) for name in ("prefix", "label", "top_k", "top_p")}
    wanted = {name: value for name, value in given.items() if value is not None}
    _check(model, wanted)
    generator = torch.Generator().manual_seed(options.seed)
    samples = model.sample(options.n, temperature=options.temperature, generator=generator, **wanted)
    if isinstance(samples, torch.Tensor):
        print(save_picture(sample_grid(samples), options.out or Path("samples.png")))
    elif options.out is None:
        print(*map(printable, samples), sep="\n")
    else:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text("".join(f"{sentence}\n" for sentence in samples), encoding="utf-8")
        print(options.out)


def _check(model: Any, wanted: dict[str, Any]) -> None:
    """ValueError if the model has no use for an option."""
    parameters = inspect.signature(model.sample).parameters
    for name in wanted:
        if name not in parameters:
            raise ValueError(f"a {model.registry_name} model has no use for --{name}; leave it out")
