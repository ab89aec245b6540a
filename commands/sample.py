"""Draw samples from a trained model: images in one picture, or text with a sentence per line."""

from __future__ import annotations

import argparse
from pathlib import Path

OPTIONS = ("prefix", "label", "top_k", "top_p")  # for those models whose ``sample`` takes them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("-n", type=int, default=64, metavar="N", help="number of samples (default: 64)")
    parser.add_argument("--out", type=Path, help="file (default: samples.png for images; text is printed)")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="of the prior; lower is more typical (default: 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples (default: 0)")
    parser.add_argument("--prefix", help="text that each sentence begins with")
    parser.add_argument("--label", type=int, help="class of all images, for a prior over classes")
    parser.add_argument("--top_k", type=int, help="draw from the K most probable tokens or codes")
    parser.add_argument("--top_p", type=float, help="draw from the most probable ones of this total probability")


def run(options: argparse.Namespace) -> None:
    """Sample, write the file and print its path; or print the text.

    Raises:
        ValueError: a model that cannot sample, or an option that its ``sample`` does not take.
    """
    import torch

    from ..callbacks.figures import sample_grid, save_picture
    from ..pretrained.untrusted import printable
    from .source import require_method, resolve_source

    if options.n < 1:
        raise ValueError(f"-n must be >= 1, got {options.n}")
    model = resolve_source(options.source).model
    require_method(model, "sample")
    given = {name: value for name, value in vars(options).items() if name in OPTIONS and value is not None}
    for name in sorted(given.keys() - model.sample_options):
        raise ValueError(f"a {model.registry_name} model has no use for --{name}; leave it out")
    generator = torch.Generator().manual_seed(options.seed)
    samples = model.sample(options.n, temperature=options.temperature, generator=generator, **given)
    if isinstance(samples, torch.Tensor):
        print(save_picture(sample_grid(samples), options.out or Path("samples.png")))
    elif options.out is None:
        print(*map(printable, samples), sep="\n")
    else:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text("".join(f"{sentence}\n" for sentence in samples), encoding="utf-8")
        print(options.out)
