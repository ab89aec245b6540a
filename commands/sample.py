"""Draw samples from a trained model: images in one picture, or text with a sentence per line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from .files.classes import add_label
from .files.outputs import (
    PICTURES,
    add_view,
    check_count,
    check_output,
    check_picture,
    free_name,
    path,
    read_view,
    write_picture,
)

PART = 500  # samples drawn at a time; the memory of more does not grow with -n
VIEW = ("scale", "columns", "no_labels")  # for models of images
OPTIONS = ("prefix", "label", "top_k", "top_p")  # for those models whose ``sample`` takes them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("-n", type=int, default=64, metavar="N", help="number of samples (default: 64)")
    parser.add_argument("--out", type=path, help="file (default: samples.png for images; text is printed)")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="of the prior; lower is more typical (default: 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples (default: 0)")
    parser.add_argument("--prefix", help="text that each sentence begins with")
    add_label(parser, "samples")
    parser.add_argument("--top_k", type=int, help="draw from the K most probable tokens or codes")
    parser.add_argument("--top_p", type=float, help="draw from the most probable ones of this total probability")
    add_view(parser, "images in a row (default: a square)")


def run(options: argparse.Namespace) -> None:
    """Sample, write the file and print its path; or print the text, part by part.

    Raises:
        ValueError: a model that cannot sample, an option that its ``sample`` does not take, a file of another kind.
    """
    import torch

    from ..callbacks.pictures import sample_columns, sample_grid
    from .files.sentences import check_text_output, print_or_write
    from .files.source import require_method, resolve_source
    from .files.terminal import with_progress

    check_count("-n", options.n)
    if not 0 <= options.seed < 2**63:
        raise ValueError(f"--seed must be from 0 to 2^63 - 1, got {options.seed}")
    view = read_view(options)
    source = resolve_source(options.source)
    model = source.model
    require_method(model, "sample")
    given = {name: value for name, value in vars(options).items() if name in OPTIONS and value is not None}
    for name in sorted(given.keys() - model.sample_options):
        raise ValueError(f"a {model.registry_name} model has no use for --{name}; leave it out")
    images = hasattr(model, "image_shape")
    if not images and (unused := [name for name in VIEW if getattr(options, name)]):
        raise ValueError(
            f"a {model.registry_name} model draws no images and has no use for --{unused[0]}; leave it out"
        )
    parts = _draw(model, options.n, options.seed, temperature=options.temperature, **given)
    if images or options.out or not sys.stdout.isatty():  # else the sentences themselves are on the terminal
        parts = with_progress(parts, options.n, "images" if images else "sentences")
    if images:
        out = options.out or free_name("samples.png")
        check_output(out, PICTURES)
        check_picture(options.n, sample_columns(options.n, view), model.image_shape, view)
        title = ", ".join([f"{options.n} samples", f"seed {options.seed}", *_choices(options.temperature, given)])
        write_picture(sample_grid(torch.cat(list(parts)), view, title), out)
    else:
        if options.out is not None:
            check_text_output(options.out, source)
        print_or_write(parts, options.out)


def _choices(temperature: float, given: Mapping[str, Any]) -> list[str]:
    """Options that change the distribution, as text for a title."""
    names = {"label": "class"}
    choices = [f"{names.get(name, name)} {value}" for name, value in given.items()]
    return choices if temperature == 1 else [*choices, f"temperature {temperature:g}"]


def _draw(model: Any, n: int, seed: int, **options: Any) -> Iterator[Any]:
    """Draw n samples, ``PART`` at a time: the same for the same seed."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for first in range(0, n, PART):
        yield model.sample(min(PART, n - first), generator=generator, **options)
