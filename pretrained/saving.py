"""Writing a release folder, whole or not at all, in full or in half precision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from ..models.base import ZooModel
from .config import CONFIG, FORMAT, parse_config
from .markdown import escape_markdown
from .metadata import card_metadata
from .paths import check_new, user_path, write_new_folder
from .plugins import plugins_of
from .release import CARD
from .weights import WEIGHTS, check_finite, check_types


def save_pretrained(
    model: ZooModel,
    folder: str | Path,
    *,
    card: str = "",
    data: Mapping[str, Any] | None = None,
    test: Mapping[str, Any] | None = None,
    pictures: Mapping[str, Path] | None = None,
    half: bool = False,
    ema: float | None = None,
) -> Path:
    """Write a release folder in one move; an existing folder is never touched.

    Args:
        model: of a registered class; ``model.config()`` is what is written.
        folder: its last part is the release's name.
        card: text of ``README.md``; default: the hub's metadata and a line.
        data: ``ReleaseConfig.data``.
        test: ``ReleaseConfig.test``.
        pictures: files to copy into the folder, by their name there.
        half: store weights in half precision; loading makes them float32 again. Otherwise they are stored in float32,
            whatever precision the model is in.
        ema: ``ReleaseConfig.ema``.

    Returns:
        The folder.

    Raises:
        ValueError: the folder exists, a value is not plain, a weight is not finite, a picture's name leads out of the
            folder; or ``load`` could not read the release.
        OSError: it cannot be written; the error names the folder.

    Example:
        >>> import gumbelzoo, tempfile
        >>> model = gumbelzoo.create_model("categorical_vae", latents=30)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     release = gumbelzoo.save_pretrained(model, f"{folder}/catvae-30", card="# A VAE with 30 latents")
    """
    folder = user_path(folder)
    check_new(folder)
    for name in pictures or {}:
        if Path(name).name != name or name in (CONFIG, WEIGHTS, CARD):
            raise ValueError(f"a picture of a release lies in its folder under a name of its own, not '{name}'")
    contents = {
        CONFIG: _config_text(model, data, test, half, ema).encode(),
        CARD: (card or _short_card(model, folder.name, data, test)).encode(),
        WEIGHTS: save(_stored_weights(model, half)),
        **{name: Path(picture).read_bytes() for name, picture in (pictures or {}).items()},
    }
    write_new_folder(folder, contents)
    return folder


def half_precision(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert float32 tensors to float16, or to bfloat16 where a number is too large; scalars stay as they are."""
    return {name: _half(tensor) for name, tensor in weights.items()}


def _half(tensor: Tensor) -> Tensor:
    if tensor.dtype != torch.float32 or tensor.ndim == 0:
        return tensor
    half = tensor.half()
    return tensor.bfloat16() if bool((half.isinf() & tensor.isfinite()).any()) else half


def _config_text(
    model: ZooModel, data: Mapping[str, Any] | None, test: Mapping[str, Any] | None, half: bool, ema: float | None
) -> str:
    """Text of ``config.json``, checked as it is when it is loaded."""
    plugins = plugins_of(model.registry_name, model.config(), data)
    config = {
        "format": FORMAT,
        "model": model.registry_name,
        "arguments": model.config(),
        "data": dict(data or {}),
        **({"precision": "half"} if half else {}),
        **({} if ema is None else {"ema": ema}),
        **({"test": dict(test)} if test else {}),
        **({"plugins": plugins} if plugins else {}),
    }
    for part, content in config.items():
        try:
            json.dumps(content, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"'{part}' of a {model.registry_name} is not plain: {error}") from None
    text = json.dumps(config, indent=2) + "\n"
    parse_config(text)
    return text


def _stored_weights(model: ZooModel, half: bool) -> dict[str, Tensor]:
    """Weights as they are stored: finite, on the CPU, in float32 or half precision."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    full = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    owner = f"this {model.registry_name} cannot be released"
    check_types(full, owner)
    check_finite(full, owner)
    return half_precision(full) if half else full


def _short_card(model: ZooModel, name: str, data: Mapping[str, Any] | None, test: Mapping[str, Any] | None) -> str:
    title = escape_markdown(name)
    return f"{card_metadata(name, model, data, test)}# {title}\n\nA `{model.registry_name}` of gumbelzoo.\n"
