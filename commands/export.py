"""Write a release folder from a tested run: config.json, model.safetensors, a card with the measured figures."""

from __future__ import annotations

import argparse
import json
import shlex
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

SHOWN = ("samples", "reconstructions", "completions")  # the pictures of a card


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="run folder, or one of its .ckpt files")
    parser.add_argument(
        "folder", type=Path, help="where; its last part names the release, as in checkpoints/catvae-mnist"
    )
    parser.add_argument(
        "--half",
        action="store_true",
        help="store weights in half precision, and test the model with them: the card states what they give",
    )


def run(options: argparse.Namespace) -> None:
    """Export, and say where.

    Raises:
        ValueError: not a run, not tested, tested with another checkpoint, or the folder exists.
    """
    import torch

    from ..callbacks.figures import IMAGES, image_figures, save_picture
    from ..pretrained.config import PLACES
    from ..pretrained.saving import half_precision, save_pretrained
    from . import runs
    from .card import SENTENCES, write_card
    from .source import images_of, open_source
    from .test import measure

    source = open_source(options.source)
    if source.run is None or source.checkpoint is None:
        raise ValueError(f"{options.source} is no run folder: only what `fit` trained and `test` measured is released")
    if options.folder.exists():
        raise ValueError(f"{options.folder} exists already and is not overwritten; choose another name or remove it")
    run = shlex.quote(str(source.run))
    test = _read(source.run / "test.json", f"`{runs.program()} test {run}` first: the card states its figures")
    fit = _read(source.run / "fit.json", f"let the run finish (--ckpt_path last): {source.run} has no fit.json")
    checkpoint = runs.read_checkpoint(source.checkpoint)
    if (test["checkpoint"], test["batches"]) != (source.checkpoint.name, runs.batches_trained(checkpoint)):
        raise ValueError(
            f"test.json is of another checkpoint; `{runs.program()} test {shlex.quote(str(source.checkpoint))}` "
            "measures this"
        )
    if options.half:
        source.model.load_state_dict(half_precision(source.model.state_dict()))
        measured = measure(replace(source, seed=test["seed"]))
        test |= {key: measured[key] for key in ("metrics", "data", "minutes", "versions", "commit", "hardware")}
    figures: dict[str, Any] = {}
    if hasattr(source.model, "reconstruct"):
        figures = image_figures(source.model, images_of(source, IMAGES))
    figures = {name: figure for name, figure in figures.items() if name in SHOWN}
    samples: Any = []
    if hasattr(source.model, "sample"):
        samples = source.model.sample(SENTENCES, generator=torch.Generator().manual_seed(0))
    sentences = samples if isinstance(samples, list) else []
    names = [f"{name}.png" for name in figures]
    text = write_card(options.folder.name, source.model, fit, test, names, sentences, options.half)
    # where the data lie on this machine is no part of what the model was trained on
    arguments = {key: value for key, value in source.data["arguments"].items() if key not in PLACES}
    measured = {"metrics": test["metrics"], "seed": test["seed"], "batches": test["batches"], "facts": test["data"]}
    with tempfile.TemporaryDirectory() as scratch:
        pictures = {f"{name}.png": save_picture(fig, Path(scratch) / f"{name}.png") for name, fig in figures.items()}
        print(
            save_pretrained(
                source.model,
                options.folder,
                card=text,
                data={"class": source.data["class"], "arguments": arguments},
                test=measured,
                pictures=pictures,
                half=options.half,
            )
        )


def _read(path: Path, remedy: str) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path} is missing; {remedy}")
    return json.loads(path.read_text(encoding="utf-8"))
