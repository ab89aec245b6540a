"""Export a tested run as a release folder: config.json, model.safetensors, and a card with the measured metrics.

With --onnx, export any model as ONNX files instead, which run without gumbelzoo and without torch.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .files.outputs import path

if TYPE_CHECKING:
    from torch import Tensor

    from .files.source import Source

LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "source",
        help="run folder, or one of its .ckpt files; for --onnx also a released name, folder or hub id",
    )
    parser.add_argument(
        "folder",
        type=path,
        nargs="?",
        help="folder to write; its last part names the release, as in checkpoints/catvae-mnist",
    )
    parser.add_argument(
        "--onnx",
        type=path,
        metavar="OUT",
        help="folder of ONNX files to write in the place of a release: encoder, decoder, prior, text generator. They "
        "take any batch, and are compared with the model before they are written; no test is needed",
    )
    parser.add_argument(
        "--half",
        action="store_true",
        help="store weights in half precision, and test the model again with them for the card",
    )
    parser.add_argument("--licence", help="of the model, as hubs name it: apache-2.0, mit, cc-by-4.0 (default: none)")


def run(options: argparse.Namespace) -> None:
    """Export, and print the folder.

    Raises:
        ValueError: not a run, not tested, tested with another checkpoint, no name of a licence, the folder exists, or
            a model or data that are in no registry; no folder; options of a release with ``--onnx``, and the errors of
            ``export_onnx``.
    """
    if options.onnx is not None:
        return _write_onnx(options)
    if options.folder is None:
        raise ValueError("name the folder to write: FOLDER for a release of a tested run, or --onnx OUT for ONNX files")
    from ..pretrained.paths import check_new
    from ..pretrained.untrusted import printable
    from .files.source import named_source, resolve_source
    from .run_folders.provenance import read_provenance

    if options.licence is not None and not LICENCE.fullmatch(options.licence):
        raise ValueError(
            f"--licence takes an identifier such as apache-2.0, mit or cc-by-4.0, got '{options.licence}'; text of "
            "your own goes into the README.md of the release"
        )
    source = resolve_source(options.source)
    run = source.run
    if run is None:
        raise ValueError(f"{options.source} is no run folder: only what `fit` trained and `test` measured is released")
    source = named_source(source)
    check_new(options.folder)
    fit, test = read_provenance(source, run)
    if options.half:
        test |= _measure_half(source, test["seed"])
    folder = _write_release(source, options.folder, fit, test, options.half, options.licence)
    print(printable(str(folder)))


def _write_onnx(options: argparse.Namespace) -> None:
    """Write ONNX files, and print the folder and what each of them computes."""
    from ..pretrained.onnx.folder import check_libraries, export_onnx
    from ..pretrained.paths import check_new
    from ..pretrained.untrusted import printable
    from .files.source import resolve_source

    released = {"FOLDER": options.folder, "--half": options.half, "--licence": options.licence}
    if given := [name for name, value in released.items() if value]:
        raise ValueError(f"--onnx writes no release, and takes no {given[0]}; leave it out, or leave out --onnx")
    check_libraries()
    check_new(options.onnx)
    folder = export_onnx(resolve_source(options.source).model, options.onnx)
    print(printable(str(folder)))
    for file, graph in json.loads((folder / "model.json").read_text(encoding="utf-8"))["graphs"].items():
        names = [", ".join(value["name"] for value in graph[key]) for key in ("inputs", "outputs")]
        print(f"{file:20s} {' -> '.join(names)}")


def _measure_half(source: Source, seed: int) -> dict[str, Any]:
    """Round the model's weights to half precision, and test it again."""
    from ..pretrained.saving import half_precision
    from .test import finite, measure

    source.model.load_state_dict(half_precision(source.model.state_dict()))
    tested = measure(replace(source, seed=seed))
    kept = {key: tested[key] for key in ("data", "minutes", "versions", "commit", "hardware")}
    return {**kept, "metrics": finite(tested["metrics"])}


def _write_release(
    source: Source, folder: Path, fit: dict[str, Any], test: dict[str, Any], half: bool, licence: str | None
) -> Path:
    """Write the release folder with its card and pictures."""
    from torchvision.utils import save_image

    from ..pretrained.plugins import plugins_of
    from ..pretrained.saving import save_pretrained
    from .run_folders.card import write_card

    figures, sentences = draw_figures(source), draw_sentences(source.model)
    data = {"class": source.data["class"], "arguments": without_places(source.data["arguments"])}
    plugins = plugins_of(source.model.registry_name, source.model.config(), data)
    with tempfile.TemporaryDirectory() as scratch:
        pictures = {f"{name}.png": Path(scratch) / f"{name}.png" for name in figures}
        for name, figure in figures.items():
            save_image(figure, pictures[f"{name}.png"])
        return save_pretrained(
            source.model,
            folder,
            card=write_card(
                folder.name, source.model, fit, test, list(pictures), sentences, half, licence, plugins, data
            ),
            data=data,
            test={key: test[key] for key in ("metrics", "seed", "batches")} | {"metadata": test["data"]},
            pictures=pictures,
            half=half,
            ema=fit.get("ema"),
        )


def without_places(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of data that name no place on this machine, which is no part of a release."""
    from ..pretrained.config import PLACES

    return {
        name: value
        for name, value in arguments.items()
        if name not in PLACES and not (isinstance(value, str) and (value[:1] == "~" or Path(value).is_absolute()))
    }


def draw_figures(source: Source) -> dict[str, Tensor]:
    """Draw the pictures of the card of a model of images or with attention, ``c H W`` by name; none of others."""
    from ..callbacks.alignments import alignment_picture
    from ..callbacks.figures import IMAGES, image_figures
    from .files.source import build_data, read_test_images

    if hasattr(source.model, "attend"):
        data = build_data(source.data)
        data.prepare_data()
        data.setup("test")
        return {"alignments": alignment_picture(source.model, next(iter(data.test_dataloader())))}
    if source.model.batch_key == "tokens" or not (
        hasattr(source.model, "reconstruct") or hasattr(source.model, "views")
    ):
        return {}
    figures = image_figures(source.model, *read_test_images(source, IMAGES))
    return {name: figures[name] for name in source.model.card.pictures if name in figures}


def draw_sentences(model: Any) -> list[str]:
    """Draw samples of a text model for its card; none of other models."""
    import torch

    from .run_folders.card import SENTENCES

    samples = model.sample(SENTENCES, generator=torch.Generator().manual_seed(0)) if hasattr(model, "sample") else []
    return samples if isinstance(samples, list) else []
