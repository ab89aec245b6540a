"""Writing the folder of the page, whole or not at all."""

from __future__ import annotations

import base64
import gzip
import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...commands.files.source import Source, read_test_images, resolve_source
from ...data.licences import licence_of
from ...pretrained.api import RELEASED, list_pretrained
from ...pretrained.paths import check_new, write_new_folder
from ...pretrained.release import Release
from ...pretrained.untrusted import printable
from .graph import Weights
from .models import FORMS, describe
from .reference import differences

PAGE = ("index.html", "style.css", "table.json")  # besides the JavaScript
TESTS, TEST_VALUES = 20, 1 << 20  # most test images on the page, and numbers of them all
TOLERANCE = 1e-4


def write_page(source: str, out: Path, root: str | None = None) -> None:
    """Write the page of a model as a folder, and print the folder and its size.

    Args:
        source: released name, release folder, hub id, run folder or .ckpt file.
        out: folder that does not exist yet.
        root: folder of the data sets, for test images; without them the page has none.

    Raises:
        ValueError: the folder exists, no such model, or a model that does not run in the browser.
    """
    check_new(out)
    found = resolve_source(source)
    images, labels = _test_images(found, root)
    name = Path(source).name if found.run is None else "/".join(found.run.absolute().parts[-2:])
    contents = page_files(found.model, name, found.data, images, labels)
    write_new_folder(out, contents)
    size, packed = (sum(map(len, parts)) for parts in (contents.values(), map(gzip.compress, contents.values())))
    print(printable(str(out)), f"{size / 1e6:.1f} MB", f"{packed / 1e6:.1f} MB gzipped", sep="  ")
    print(printable(f"show it with: python -m http.server --bind 127.0.0.1 --directory {out}"))


def page_files(model: Any, name: str, data: dict[str, Any], images: Tensor, labels: list[int]) -> dict[str, bytes]:
    """Return the content of all files of the page by name, once the layers were compared with the model.

    Args:
        model: in eval mode, on the CPU.
        name: shown on the page.
        data: ``{"class": name, "arguments": {...}}`` of the test images, or empty.
        images: test images ``b c h w`` with 8-bit levels, or none.
        labels: their classes, or none.

    Raises:
        ValueError: a model that does not run in the browser, or layers that differ from it.
    """
    weights = Weights()
    try:
        content = describe(model, weights)
    except ValueError as error:
        raise ValueError(f"{name} is not written: {error}; the static page serves {_served()}") from None
    levels = (images * 255).round().to(torch.uint8)
    noise = torch.rand(2, *model.image_shape, generator=torch.Generator().manual_seed(0)).round()
    _compare(model, content, weights, torch.cat([levels.float() / 255, noise]))
    data_name = str(data.get("arguments", {}).get("name", ""))
    content = {
        "name": name,
        "model": model.registry_name,
        "image": list(model.image_shape),
        **content,
        "tests": base64.b64encode(levels.numpy().tobytes()).decode(),
        "labels": labels,
        "data": f"{data_name}: {licence_of(data_name)}" if len(images) else "",
    }
    page = files(__package__) / "page"
    scripts = sorted(file.name for file in page.iterdir() if file.name.endswith(".js"))
    return {
        **{file: (page / file).read_bytes() for file in (*PAGE, *scripts)},
        "model.json": json.dumps(content, ensure_ascii=False, allow_nan=False).encode(),
        "weights.bin": weights.content(),
    }


def _compare(model: Any, content: dict[str, Any], weights: Weights, images: Tensor) -> None:
    """Compare the layers with the model; ValueError if they differ."""
    codes = model.encode(images)
    worst = differences(content, weights.numbers(), images, codes.flatten(1), model.decode(codes))
    if not worst <= TOLERANCE:
        raise ValueError(f"the page would differ from the model by {worst:.1e}: a network does more than its layers")


def _test_images(source: Source, root: str | None) -> tuple[Tensor, list[int]]:
    """Return test images and their classes; none, and a line that says so, where the data is not here."""
    if source.model.registry_name not in FORMS:
        return torch.zeros(0), []
    shape = torch.Size(source.model.image_shape)
    try:
        if n := min(TESTS, TEST_VALUES // shape.numel()):
            return read_test_images(source, n, root)
    except (OSError, ValueError) as error:
        print(printable(f"the page has no test images: {error}"), file=sys.stderr)
    return torch.zeros(0, *shape), []


def _served() -> str:
    """Names of the releases that the page serves."""
    return ", ".join(name for name in list_pretrained() if Release(RELEASED / name).config.model in FORMS)
