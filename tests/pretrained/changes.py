"""Valid releases of six tiny models, and changes that spoil one."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Change = Callable[[Path], object]

VQVAE: dict[str, Any] = {
    "image_shape": [1, 8, 8],
    "dim": 4,
    "encoder": {"name": "conv", "widths": [4, 4]},
    "decoder": {"name": "conv", "widths": [4, 4]},
    "quantizer": {"name": "vector", "codebook_size": 8},
}
TEXT: dict[str, Any] = {
    "vocabulary": {"tokens": ["<eos>", "<unk>", "a", "b"], "level": "word"},
    "max_length": 4,
    "generator": {"name": "transformer", "width": 4, "depth": 1, "heads": 1},
}
GUMBEL = {"name": "gumbel", "adversary": {"discriminator": {"name": "cnn", "width": 2, "channels": 2, "hidden": 4}}}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "vae": (
        "categorical_vae",
        {
            "image_shape": [1, 8, 8],
            "latents": 3,
            "categories": 4,
            "encoder": {"name": "mlp", "hidden": [8]},
            "decoder": {"name": "mlp", "hidden": [8]},
        },
    ),
    "halves": ("structured_prediction", {"image_shape": [1, 8, 8], "latents": 2, "categories": 3}),
    "vq": ("vq_vae", VQVAE),
    "prior": ("code_prior", {"vqvae": VQVAE, "network": {"name": "pixelcnn", "width": 4, "depth": 1}}),
    "text": ("text_gan", TEXT),
    "gan": ("text_gan", {**TEXT, "objective": GUMBEL}),
}


class Bomb:
    """A pickle that runs a command when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch exploded",)


def text(content: str | bytes) -> Change:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / "config.json").write_bytes(data)


def config(change: Callable[[dict[str, Any]], object]) -> Change:
    def apply(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text())
        change(content)
        (folder / "config.json").write_text(json.dumps(content))

    return apply


def put(**entries: Any) -> Change:
    return config(lambda content: content.update(entries))


def argument(**entries: Any) -> Change:
    return config(lambda content: content["arguments"].update(entries))


def inside(place: str, /, **entries: Any) -> Change:
    """Change options at a place such as ``objective.adversary``; a part given as its name becomes a mapping."""

    def apply(content: dict[str, Any]) -> None:
        mapping = content["arguments"]
        for name in place.split("."):
            value = mapping.get(name, {})
            mapping[name] = value if isinstance(value, dict) else {"name": value}
            mapping = mapping[name]
        mapping.update(entries)

    return config(apply)


def literally(value: str) -> Change:
    """An argument in JSON as written here, which ``json.dumps`` would not write."""
    return lambda folder: (
        inside("optimizer", learning_rate="HERE")(folder),
        text((folder / "config.json").read_text().replace('"HERE"', value))(folder),
    )


def tensors(change: Callable[[dict[str, torch.Tensor], str], object]) -> Change:
    """Change the tensors; the second argument is the name of the largest one."""

    def apply(folder: Path) -> None:
        found = load_file(folder / "model.safetensors")
        change(found, max(found, key=lambda name: found[name].numel()))
        save_file(found, folder / "model.safetensors")

    return apply


def of_type(dtype: torch.dtype) -> Change:
    return tensors(lambda found, name: found.update({name: found[name].to(dtype)}))


def raw(change: Callable[[bytes], bytes]) -> Change:
    return lambda folder: (folder / "model.safetensors").write_bytes(
        change((folder / "model.safetensors").read_bytes())
    )


def header(content: Any, data: bytes = b"") -> Change:
    head = content if isinstance(content, bytes) else json.dumps(content).encode()
    return raw(lambda _: struct.pack("<Q", len(head)) + head + data)


def entry(**changes: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}}


def elsewhere(name: str) -> Change:
    """The file itself, but outside the folder, behind a link."""

    def apply(folder: Path) -> None:
        (folder / name).rename(folder.parent / f"outside-{name}")
        (folder / name).symlink_to(Path("..") / f"outside-{name}")

    return apply


def instead(name: str, make: Callable[[Path], object]) -> Change:
    return lambda folder: ((folder / name).unlink(), make(folder / name))
