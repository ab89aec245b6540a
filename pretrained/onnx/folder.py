"""Writing the ONNX files of a model into a new folder, whole or not at all."""

from __future__ import annotations

import json
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ...models.base import ZooModel
from ..paths import check_new, user_path, write_new_folder
from .codes import prior_graphs
from .conversion import CASES, TOLERANCE, convert, largest_difference
from .graph import Graph
from .images import describe_images, image_graphs
from .text import describe_text, text_graphs

MODEL = "model.json"
FORMAT = 1  # of ``model.json``
LIBRARIES = ("onnx", "onnxscript", "onnxruntime")


def export_onnx(model: ZooModel, folder: str | Path) -> Path:
    """Write a model as ONNX files with any batch size, and ``model.json``, which describes them, in one move.

    Images have ``encoder.onnx`` and ``decoder.onnx``, a prior over codes also ``prior.onnx``; models of images that
    have no codes ``reconstruction.onnx``; classifiers ``classifier.onnx`` and ``features.onnx``; text has
    ``generator.onnx``, a step of sampling. Each file is first run by ONNX Runtime, at batches of 1 and 7, and compared
    with the model: numbers to 1e-5 of the largest, codes exactly. Where a code differs, our own encoder must give that
    code to an image within 1e-5 of the image; then rounding decides.

    Args:
        model: in eval mode and float32, on the CPU, as ``load`` returns it.
        folder: does not exist yet.

    Returns:
        The folder.

    Raises:
        ValueError: the libraries are not installed, the folder exists, a model in another state, a model without
            methods to export, one that cannot be converted, or a file that differs from the model. Nothing is written.

    Example:
        >>> from gumbelzoo.pretrained.onnx import export_onnx
        >>> export_onnx(gumbelzoo.load("catvae-digits"), "digits-onnx")  # doctest: +SKIP
    """
    folder = user_path(folder)
    check_libraries()
    check_new(folder)
    graphs = graphs_of(model)
    contents: dict[str, bytes] = {}
    described: dict[str, Any] = {}
    for graph in tqdm(graphs, unit=" graphs", disable=None, leave=False, delay=1.0):
        graph.eval()
        contents[graph.file] = convert(graph)
        difference = largest_difference(graph, contents[graph.file])
        described[graph.file] = {**graph.describe(), "largest_difference": difference}
    contents[MODEL] = _description(model, described).encode()
    write_new_folder(folder, contents)
    return folder


def check_libraries() -> None:
    """Check that the extra is installed; nothing is imported.

    Raises:
        ValueError: it is not.
    """
    if missing := [name for name in LIBRARIES if find_spec(name) is None]:
        raise ValueError(f"ONNX files need {', '.join(missing)}: pip install 'gumbelzoo[export]'")


def graphs_of(model: ZooModel) -> list[Graph]:
    """Return the graphs of a model.

    Raises:
        ValueError: a model in training mode, in another precision than float32 or not on the CPU, or without graphs.
    """
    if model.training:
        raise ValueError("a model in training mode draws noise: call model.eval() before it is exported")
    odd = [t for t in model.state_dict().values() if t.device.type != "cpu" or t.dtype in (torch.half, torch.bfloat16)]
    if odd:
        raise ValueError("a model is exported on the CPU and in float32: call model.cpu().float() before")
    graphs = [*image_graphs(model), *prior_graphs(model), *text_graphs(model)]
    if not graphs:
        raise ValueError(
            f"a {model.registry_name} model has nothing to export: it has no encode and decode of images, no "
            "reconstruct, and no text generator"
        )
    return graphs


def _description(model: ZooModel, graphs: dict[str, Any]) -> str:
    """Text of ``model.json``."""
    names = ("gumbelzoo", "torch", *LIBRARIES)
    checked = {"batches": [batch for batch, _ in CASES], "tolerance": TOLERANCE}
    content = {
        "format": FORMAT,
        "model": model.registry_name,
        "graphs": graphs,
        **describe_images(model),
        **describe_text(model),
        "checked": checked,
        "versions": {name: version(name) for name in names},
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
