"""Write the folder of a released model, whole or not at all, in full or in half precision."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save
from torch import Tensor

from .config import CARD, CONFIG, FORMAT, WEIGHTS, check_finite_weights, check_weights, read_config, read_header

if TYPE_CHECKING:
    from ..models.base import ZooModel


def save_pretrained(
    model: ZooModel,
    folder: str | Path,
    *,
    card: str = "",
    data: Mapping[str, Any] | None = None,
    test: Mapping[str, Any] | None = None,
    pictures: Mapping[str, Path] | None = None,
    half: bool = False,
) -> Path:
    """Write a release folder in one move; an existing folder is never touched.

    Args:
        model: its ``hparams`` must be its constructor arguments, in plain values.
        folder: where; its last part is the release's name.
        card: text of ``README.md``; a few lines if left out.
        data: what ``ReleaseConfig.data`` says.
        test: what ``ReleaseConfig.test`` says.
        pictures: files to copy into the folder, by the name they get there.
        half: store the weights as ``half_precision`` gives them; loading makes them float32 again. Else they are
            stored in float32, whatever the model is in.

    Raises:
        ValueError: the folder exists, an argument or a figure is no plain value, a weight is not finite, a picture's
            name leads elsewhere; whatever would keep ``load`` from reading it.
    """
    folder = Path(folder)
    if folder.exists() or folder.is_symlink():
        raise ValueError(f"{folder} exists already and is not overwritten; choose another name or remove it")
    for name in pictures or {}:
        if Path(name).name != name or name in (CONFIG, WEIGHTS, CARD):
            raise ValueError(f"a picture of a release lies in its folder under a name of its own, not '{name}'")
    config = {
        "format": FORMAT,
        "model": model.registry_name,
        "arguments": dict(model.hparams),
        "data": dict(data or {}),
    }
    config |= {"precision": "half"} if half else {}
    config |= {"test": dict(test)} if test else {}
    for part, content in config.items():
        try:
            json.dumps(content, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"'{part}' of a {model.registry_name} holds what is no plain value: {error}") from None
    text = json.dumps(config, indent=2) + "\n"
    state = {name: _full(tensor.detach().cpu()) for name, tensor in model.state_dict().items()}
    check_finite_weights(state, f"this {model.registry_name} cannot be released")
    weights = half_precision(state) if half else state
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        release = Path(scratch) / folder.name
        release.mkdir()
        (release / CONFIG).write_text(text, encoding="utf-8")
        (release / CARD).write_text(card or _short_card(model, folder.name), encoding="utf-8")
        (release / WEIGHTS).write_bytes(save({name: tensor.contiguous() for name, tensor in weights.items()}))
        for name, picture in (pictures or {}).items():
            (release / name).write_bytes(Path(picture).read_bytes())
        check_weights(read_header(release), state)
        read_config(release)  # nothing is released that could not be loaded
        release.rename(folder)
    return folder


def half_precision(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of float32 in float16, or in bfloat16 where a number is too large for that; scalars stay as they are."""
    return {name: _half(tensor) for name, tensor in weights.items()}


def _full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _half(tensor: Tensor) -> Tensor:
    if tensor.dtype != torch.float32 or tensor.ndim == 0:
        return tensor
    half = tensor.half()
    return tensor.bfloat16() if bool((half.isinf() & tensor.isfinite()).any()) else half


def _short_card(model: ZooModel, name: str) -> str:
    return f"---\nlibrary_name: gumbelzoo\n---\n# {name}\n\nA `{model.registry_name}` of gumbelzoo.\n"
