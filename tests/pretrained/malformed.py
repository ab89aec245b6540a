"""What can be wrong with a release folder: one change each of valid releases of five tiny models, and what names it."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gumbelzoo.pretrained.untrusted import MAX_CONFIG_BYTES
from safetensors.torch import load_file, save_file

Change = Callable[[Path], object]

VQVAE: dict[str, Any] = {
    "image_shape": [1, 8, 8],
    "widths": [4, 4],
    "dim": 4,
    "quantizer": "vector",
    "quantizer_options": {"codebook_size": 8},
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "vae": ("categorical_vae", {"image_shape": [1, 8, 8], "latents": 3, "categories": 4, "hidden": [8]}),
    "halves": ("structured_prediction", {"image_shape": [1, 8, 8], "latents": 2, "categories": 3}),
    "vq": ("vq_vae", VQVAE),
    "prior": ("code_prior", {"vqvae": VQVAE, "network_options": {"width": 4, "depth": 1}}),
    "text": (
        "text_gan",
        {
            "vocabulary": {"tokens": ["<eos>", "<unk>", "a", "b"], "level": "word"},
            "length": 4,
            "generator": "transformer",
            "generator_options": {"width": 4, "depth": 1, "heads": 1},
        },
    ),
}


class Bomb:
    """What a pickle may do when it is read."""

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


def inside(name: str, **entries: Any) -> Change:
    return config(
        lambda content: content["arguments"].update({name: {**content["arguments"].get(name, {}), **entries}})
    )


def literally(value: str) -> Change:
    """An argument in JSON as written here, which ``json.dumps`` would not write."""
    return lambda folder: (
        argument(learning_rate="HERE")(folder),
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


CONFIG, WEIGHTS = "config.json", "model.safetensors"
EVERY: dict[str, tuple[Change, str]] = {
    "no configuration": (lambda folder: (folder / CONFIG).unlink(), "no release folder"),
    "empty configuration": (text(""), CONFIG),
    "not JSON": (text("{"), CONFIG),
    "not UTF-8": (text(b"\xff\xfe{}"), "not UTF-8"),
    "a list": (text("[]"), "one JSON object"),
    "a number": (text("1"), "one JSON object"),
    "deeply nested": (text('{"a":' * 100_000), CONFIG),
    "nested within reason for JSON": (text('{"format": 1, "a": ' + "[" * 40 + "]" * 40 + "}"), "nested too deeply"),
    "oversized": (text(" " * (MAX_CONFIG_BYTES + 1)), "larger than"),
    "a key twice": (text('{"format": 1, "format": 1, "model": "vq_vae"}'), "'format' is there twice"),
    "a number of ten thousand digits": (literally("1" * 10_000), CONFIG),
    "a number of four hundred digits": (literally("1" * 400), "'arguments.learning_rate' is of many digits"),
    "a figure of four hundred digits": (
        put(test={"metrics": {"test/elbo": 10**400}}),
        "'test.metrics' must be numbers",
    ),
    "a figure that is true": (put(test={"metrics": {"test/elbo": True}}), "'test.metrics' must be numbers"),
    "half a character": (literally('"\\ud800"'), "half a character"),
    "not a number": (literally("NaN"), "no finite number"),
    "infinity": (literally("-Infinity"), "no finite number"),
    "infinity by overflow": (literally("1e999"), "no finite number"),
    "the configuration is a folder": (instead(CONFIG, Path.mkdir), CONFIG),
    "the configuration is a pipe": (instead(CONFIG, os.mkfifo), "no file"),
    "the configuration is a link": (elsewhere(CONFIG), "leads out of the folder"),
    "the configuration links to itself": (instead(CONFIG, lambda path: path.symlink_to(CONFIG)), ""),
    "no format": (config(lambda content: content.pop("format")), "format None is not 1"),
    "another format": (put(format=2), "update gumbelzoo"),
    "the format as text": (put(format="1"), "update gumbelzoo"),
    "an unexpected key": (put(modle="x"), "did you mean 'model'"),
    "no model": (config(lambda content: content.pop("model")), "'model' must be a name"),
    "unknown model": (put(model="categorical_va"), "did you mean 'categorical_vae'"),
    "a model by its path": (put(model="os.system"), "unknown model"),
    "a model with control letters": (put(model="\x1b[2Jvq_vae\r"), "unknown model"),
    "a model in two lines": (put(model="vq\nvae"), "unknown model"),
    "a model of many letters": (put(model="v" * 100_000), "unknown model"),
    "a model of another type": (put(model=["vq_vae"]), "'model' must be a name"),
    "another model": (put(model="classifier", arguments={}), "does not fit"),
    "arguments of another type": (put(arguments=[1]), "must be JSON objects"),
    "no arguments at all": (put(arguments=None), "must be JSON objects"),
    "unknown argument": (argument(learning_rat=1.0), "did you mean 'learning_rate'"),
    "self as an argument": (argument(self=1), "self"),
    "a schedule of another type": (argument(weight_decay=10**9), "beyond"),
    "data of another type": (put(data="mnist"), "must be JSON objects"),
    "data with an unexpected key": (put(data={"class": "ImageData", "module": "os"}), "'data' must have a 'class'"),
    "a data class of another type": (put(data={"class": ["ImageData"]}), "'data' must have a 'class'"),
    "data arguments of another type": (put(data={"class": "ImageData", "arguments": [1]}), "'data.arguments'"),
    "data in a place": (put(data={"class": "TextData", "arguments": {"path": "/etc/passwd"}}), "data.arguments.path"),
    "data under a root": (put(data={"class": "ImageData", "arguments": {"root": "/"}}), "data.arguments.root"),
    "data with an object": (
        put(data={"class": "ImageData", "arguments": {"name": {"class_path": "os"}}}),
        "plain value",
    ),
    "figures of another type": (put(test=[]), "must be JSON objects"),
    "figures that are no numbers": (put(test={"metrics": {"test/elbo": "low"}}), "'test.metrics'"),
    "facts that are no texts": (put(test={"facts": {"data set": 1}}), "'test.facts'"),
    "a seed that is none": (put(test={"seed": "0"}), "'test.seed'"),
    "unknown precision": (put(precision="double"), "'precision'"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "model.safetensors is missing"),
    "the weights are a folder": (instead(WEIGHTS, Path.mkdir), "no file"),
    "the weights are a pipe": (instead(WEIGHTS, os.mkfifo), "no file"),
    "the weights are a link": (elsewhere(WEIGHTS), "leads out of the folder"),
    "the weights link to a device": (instead(WEIGHTS, lambda path: path.symlink_to("/dev/zero")), "leads out"),
    "the weights link to nothing": (instead(WEIGHTS, lambda path: path.symlink_to("nothing")), "missing"),
    "empty weights": (raw(lambda data: b""), "truncated or no safetensors"),
    "seven bytes": (raw(lambda data: data[:7]), "truncated or no safetensors"),
    "truncated weights": (raw(lambda data: data[:-4]), "truncated or no safetensors"),
    "truncated header": (raw(lambda data: data[:20]), "truncated or no safetensors"),
    "weights and more": (raw(lambda data: data + b"more"), "truncated or no safetensors"),
    "header beyond the file": (raw(lambda data: struct.pack("<Q", 1 << 60) + data[8:]), "truncated or no safetensors"),
    "header of all the file": (raw(lambda data: struct.pack("<Q", len(data) - 8) + data[8:]), "truncated or no"),
    "header that is no JSON": (header(b"{nothing"), "truncated or no safetensors"),
    "header that is a list": (header([1, 2]), "truncated or no safetensors"),
    "header of no tensors": (header({}), "has shape missing"),
    "a pickle": (raw(lambda _: pickle.dumps(Bomb())), "truncated or no safetensors"),
    "weights of torch.save": (
        lambda folder: torch.save({"a": Bomb()}, folder / WEIGHTS),
        "truncated or no safetensors",
    ),
    "a shape that lies": (header(entry(shape=[1 << 40]), b"\0" * 4), "truncated or no safetensors"),
    "a shape that overflows": (header(entry(shape=[1 << 62, 1 << 62]), b"\0" * 4), "truncated or no safetensors"),
    "a negative shape": (header(entry(shape=[-1]), b"\0" * 4), "truncated or no safetensors"),
    "offsets beyond the file": (header(entry(data_offsets=[0, 1 << 40]), b"\0" * 4), "truncated or no safetensors"),
    "offsets backwards": (header(entry(data_offsets=[4, 0]), b"\0" * 4), "truncated or no safetensors"),
    "an unknown type": (header(entry(dtype="F31"), b"\0" * 4), "truncated or no safetensors"),
    "a tensor missing": (tensors(lambda found, name: found.pop(name)), "has shape missing"),
    "a tensor too many": (tensors(lambda found, _: found.update(x=torch.zeros(1))), "no such tensor"),
    "a tensor with another name": (tensors(lambda found, name: found.update(x=found.pop(name))), "has shape"),
    "a tensor with two lines": (tensors(lambda found, _: found.update({"a\nb": torch.zeros(1)})), "has shape"),
    "another shape": (tensors(lambda found, name: found.update({name: torch.zeros(1)})), "has shape (1,)"),
    "a tensor turned round": (tensors(lambda found, name: found.update({name: found[name][None]})), "has shape (1, "),
    "whole numbers": (of_type(torch.int32), "has type I32, the model needs float32"),
    "bytes": (of_type(torch.uint8), "has type U8, the model needs float32"),
    "truth values": (of_type(torch.bool), "has type BOOL, the model needs float32"),
    "double precision": (of_type(torch.float64), "has type F64, the model needs float32"),
    "quarter precision": (of_type(torch.float8_e4m3fn), "the model needs float32"),
}
LARGER = "far larger model"
OWN: dict[str, dict[str, tuple[Change, str]]] = {
    "vae": {
        "other sizes": (argument(latents=4), "has shape"),
        "a trillion latents": (argument(latents=10**12), "'arguments.latents' is 1e+12"),
        "many latents of many categories": (argument(latents=10**6, categories=10**6), LARGER),
        "latents as text": (argument(latents="many"), "refuses these arguments"),
        "half a latent": (argument(latents=2.5), "refuses these arguments"),
        "latents in a list": (argument(latents=[3]), "refuses these arguments"),
        "no latents": (argument(latents=0), "latents"),
        "one category": (argument(categories=1), "categories"),
        "a wide layer": (argument(hidden=[10**7]), LARGER),
        "a negative layer": (argument(hidden=[-1]), "refuses these arguments"),
        "many layers": (argument(hidden=[1] * 100_000), "lists 100000 values"),
        "layers of another type": (argument(hidden={"a": 1}), "refuses these arguments"),
        "an image without sides": (argument(image_shape=[]), "release"),
        "an image of two sides": (argument(image_shape=[8, 8]), "release"),
        "an enormous image": (argument(image_shape=[10**6, 10**6, 10**6]), "release"),
        "unknown estimator": (argument(estimator="exat"), "did you mean 'exact'"),
        "an estimator of another type": (argument(estimator=["exact"]), "refuses these arguments"),
        "an estimator that lists everything": (
            argument(estimator="unordered", latents=10**6, categories=10**6),
            LARGER,
        ),
        "temperature 0": (argument(temperature=0.0), "needs initial > 0"),
        "unknown schedule": (argument(temperature={"name": "cosin"}), "did you mean 'cosine'"),
        "a schedule within a schedule": (argument(temperature={"name": {"name": "cosine"}}), "refuses these"),
        "unknown option": (argument(estimator_options={"sample": 1}), "estimator"),
        "a network by its path": (argument(encoder="../../mlp"), "unknown encoder"),
        "unknown prior": (argument(prior="/etc/passwd"), "prior must be one of"),
    },
    "halves": {
        "a million layers": (argument(layers=10**6), LARGER),
        "ten million layers": (argument(layers=10**7), LARGER),
        "everything listed": (argument(estimator="unordered", latents=10**7, categories=10**7), LARGER),
    },
    "vq": {
        "a codebook of billions": (inside("quantizer_options", codebook_size=10**10), "beyond"),
        "a large codebook": (inside("quantizer_options", codebook_size=10**7), LARGER),
        "many blocks": (argument(residual_blocks=10**6), LARGER),
        "no widths": (argument(widths=[]), "at least one width"),
        "unknown quantizer": (argument(quantizer="vectr"), "did you mean 'vector'"),
        "unknown option of the quantizer": (inside("quantizer_options", codebook_siz=8), "did you mean"),
        "many levels": (argument(quantizer="fsq", quantizer_options={"levels": [2] * 10_000}), "lists 10000 values"),
        "huge levels": (argument(quantizer="fsq", quantizer_options={"levels": [10**6] * 100}), "release"),
        "many codebooks": (argument(quantizer="residual", quantizer_options={"codebooks": 10**6}), LARGER),
        "many components": (
            argument(likelihood="logistic_mixture", likelihood_options={"components": 10**7}),
            LARGER,
        ),
        "unknown likelihood": (argument(likelihood="ms"), "did you mean 'mse'"),
    },
    "prior": {
        "a VQ-VAE in a folder": (argument(vqvae="../vq/release"), "name another model"),
        "a VQ-VAE by a released name": (argument(vqvae="catvae-mnist"), "name another model"),
        "a VQ-VAE of the hub": (argument(vqvae="user/repository"), "name another model"),
        "a checkpoint": (argument(vqvae="../run/checkpoints/best.ckpt"), "name another model"),
        "no VQ-VAE": (argument(vqvae=None), "needs the VQ-VAE"),
        "a VQ-VAE of another type": (argument(vqvae=[1]), "name another model"),
        "unknown argument of the VQ-VAE": (inside("vqvae", dm=4), "did you mean 'dim'"),
        "a wide VQ-VAE": (inside("vqvae", dim=10**7), LARGER),
        "a VQ-VAE beyond numbers": (inside("vqvae", dim=10**12), "'arguments.vqvae.dim'"),
        "another VQ-VAE": (inside("vqvae", dim=5), "has shape"),
        "a wide network": (inside("network_options", width=10**7), LARGER),
        "a deep network": (inside("network_options", depth=10**6), LARGER),
        "many classes": (argument(classes=10**7), LARGER),
        "a class less than none": (argument(classes=-1), "classes must be >= 0"),
        "unknown network": (argument(network="pixelcn"), "did you mean 'pixelcnn'"),
    },
    "text": {
        "no vocabulary": (argument(vocabulary=None), "come together"),
        "no tokens": (inside("vocabulary", tokens=[]), "2 tokens or more"),
        "numbers for tokens": (inside("vocabulary", tokens=[0, 1, 2, 3]), "tokens must be a list of texts"),
        "a text for tokens": (inside("vocabulary", tokens="abcd"), "tokens must be a list of texts"),
        "objects for tokens": (inside("vocabulary", tokens=[{"class_path": "os"}] * 4), "list of texts"),
        "a token twice": (inside("vocabulary", tokens=["a", "a", "b", "c"]), "must be different"),
        "more tokens": (inside("vocabulary", tokens=[str(i) for i in range(9)]), "has shape"),
        "unknown level": (inside("vocabulary", level="byte"), "level must be one of"),
        "a file for a vocabulary": (argument(vocabulary="/etc/passwd"), "vocabulary must have"),
        "a vocabulary of more": (inside("vocabulary", path="/etc/passwd"), "vocabulary must have"),
        "no length": (argument(length=0), "a length of 1 to"),
        "a long length": (argument(length=10**5), "a length of 1 to"),
        "a length that no weights fill": (argument(length=60_000), "needs (60000, 4)"),
        "a deep generator": (inside("generator_options", depth=10**6), LARGER),
        "a wide generator": (inside("generator_options", width=10**7), LARGER),
        "unknown option of the generator": (inside("generator_options", withd=4), "did you mean 'width'"),
        "unknown objective": (argument(objective="mlee"), "did you mean 'mle'"),
    },
}
CASES = {
    f"{kind}: {name}": (kind, *case)
    for kind in MODELS
    for name, case in {**(EVERY if kind in ("vae", "prior") else {}), **OWN[kind]}.items()
}
