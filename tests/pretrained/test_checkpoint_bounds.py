"""Checkpoints of strangers: their sizes are bounded before memory is taken, and odd ones are one line."""

from __future__ import annotations

import pickle
import resource
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.pretrained import pickles, untrusted
from gumbelzoo.pretrained.pickles import check_pickle
from gumbelzoo.pretrained.run import batches_trained, read_checkpoint
from gumbelzoo.train import main

MLP = {"name": "mlp", "hidden": [8]}
ARGUMENTS: dict[str, Any] = {"image_shape": [1, 8, 8], "latents": 3, "categories": 4, "encoder": MLP, "decoder": MLP}


@pytest.fixture
def run(workspace: Path) -> Path:
    """A run folder as ``fit`` leaves it, as far as loading goes."""
    folder = workspace / "run"
    (folder / "checkpoints").mkdir(parents=True)
    data = "data:\n  class_path: images\n  init_args: {name: digits}\n"
    (folder / "config.yaml").write_text(f"model:\n  class_path: categorical_vae\n{data}")
    torch.save(content(), folder / "checkpoints/best.ckpt")
    return folder


def content(**changes: Any) -> dict[str, Any]:
    """What a checkpoint holds, with some of it changed."""
    model = gumbelzoo.create_model("categorical_vae", **ARGUMENTS)
    progress = {"fit_loop": {"epoch_loop.batch_progress": {"total": {"ready": 3}}}}
    arguments = model.config() | changes.pop("arguments", {})
    given = {"state_dict": model.state_dict(), "loops": progress, "global_step": 3, "hyper_parameters": arguments}
    return given | changes


def compress(path: Path) -> None:
    """The same entries, compressed: a file of megabytes may unpack to gigabytes."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def inflate(path: Path) -> None:
    torch.save(content(zeros=torch.zeros(1 << 25)), path)
    compress(path)
    assert path.stat().st_size < 1 << 20


class Bytes:
    """A pickle that asks for any number of bytes."""

    def __reduce__(self) -> Any:
        return bytearray, (1 << 31,)


class Copies:
    """A pickle that copies a mapping as often as it asks for."""

    def __reduce__(self) -> Any:
        return OrderedDict, (dict.fromkeys(range(1000)),)


def repeat(path: Path) -> None:
    """Weights of gigabytes that are one number in the file, for arguments that ask for them."""
    wide = {"name": "mlp", "hidden": [40_000, 40_000]}
    with torch.device("meta"):
        needed = gumbelzoo.create_model("categorical_vae", **{**ARGUMENTS, "encoder": wide}).state_dict()
    weights = {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in needed.items()}
    torch.save(content(state_dict=weights, arguments={"encoder": wide}), path)


def pickled(operations: bytes) -> Callable[[Path], object]:
    """A checkpoint with another pickle."""

    def change(path: Path) -> None:
        torch.save({}, path)
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in entries.items():
                archive.writestr(name, operations if name.endswith("/data.pkl") else data)

    return change


BOMBS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a compressed checkpoint": (inflate, "it unpacks to more than its own size"),
    "a wide encoder": (
        lambda path: torch.save(content(arguments={"encoder": {"name": "mlp", "hidden": [40_000, 40_000]}}), path),
        "the arguments ask for a far larger model than the weights fill",
    ),
    "many latents": (
        lambda path: torch.save(content(arguments={"latents": 10**12}), path),
        "does not fit this version of gumbelzoo",
    ),
    "other weights": (lambda path: torch.save(content(arguments={"latents": 4}), path), "size mismatch"),
    "a bytearray": (
        lambda path: torch.save(content(odd=Bytes()), path),
        "it calls __builtin__ bytearray, as no checkpoint does",
    ),
    "copies": (lambda path: torch.save(content(odd=Copies()), path), "it calls collections OrderedDict, as no check"),
    "copies of a text": (
        pickled(b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00utf-8tR."),
        "it calls _codecs encode, as no checkpoint does",
    ),
    "half a pickle": (pickled(b"\x80\x02("), "its pickle is damaged or too long"),
    "many values": (pickled(b"\x80\x02(" + b"]" * (5 << 20) + b"l."), "more than 4,194,304 bytes beside its tensors"),
    "repeated weights": (repeat, "its weights are larger than the file"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps(content())), "no checkpoint of `fit`"),
    "a checkpoint of old": (
        lambda path: torch.save(content(), path, _use_new_zipfile_serialization=False),
        "no checkpoint of `fit`",
    ),
}
ODD: dict[str, tuple[Any, str]] = {
    "a list": ([1], "it lacks weights or the trainer's state"),
    "no weights": ({"loops": {}, "global_step": 1}, "it lacks weights or the trainer's state"),
    "weights of another type": (content(state_dict=[1]), "its weights are no tensors by name"),
    "a weight of another type": (content(state_dict={"a": 1}), "its weights are no tensors by name"),
    "arguments of another type": (content(hyper_parameters=[1]), "its arguments are no mapping of names"),
    "numbers for arguments": (content(hyper_parameters={1: 2}), "its arguments are no mapping of names"),
    "no loops": (content(loops={}), "it does not count its training batches"),
    "loops of another type": (content(loops=[1]), "it does not count its training batches"),
    "a number that is none": (
        content(loops={"fit_loop": {"epoch_loop.batch_progress": {"total": {"ready": "3"}}}}),
        "it does not count its training batches",
    ),
}
CASES = {
    **BOMBS,
    **{name: ((lambda path, value=value: torch.save(value, path)), said) for name, (value, said) in ODD.items()},
}


@pytest.mark.parametrize("case", CASES)
def test_odd_checkpoint_is_refused(case: str, run: Path, capfd: Any) -> None:
    """By every command, in one line, in little memory, with the exit code of a user's mistake."""
    CASES[case][0](run / "checkpoints/best.ckpt")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for command in ("export", "test"):
        assert main([command, "run", *(["released"] if command == "export" else [])]) == 2
        error = capfd.readouterr().err
        assert CASES[case][1] in error and error.count("\n") == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_number_of_operations_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set takes a byte of a pickle and two hundred of memory."""
    check_pickle(sets := b"\x80\x02(" + b"\x8f" * 100 + b"l.")
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 100)
    with pytest.raises(ValueError, match="its pickle is damaged or too long"):
        check_pickle(sets)


@pytest.mark.parametrize(
    "operations",
    [
        b"ccollections\nOrderedDict\n(}tR",  # arguments after a mark
        b"ccollections\nOrderedDict\n}\x85q\x00h\x00R",  # from the memo
        b"ccollections\nOrderedDict\nq\x00h\x00}\x85R",  # the function from the memo
        b"ccollections\nOrderedDict\n)R}q\x01h\x01b",  # a state that is copied
        b"ccollections\nOrderedDict\n)\x81",
        b"ctorch\nSize\n)\x85R",
        b"c__builtin__\nset\n]\x85R",
        b"NNR",
    ],
)
def test_copying_calls_are_found(operations: bytes) -> None:
    with pytest.raises(ValueError, match="as no checkpoint does"):
        check_pickle(b"\x80\x02" + operations + b".")


def test_too_large_a_checkpoint_is_not_read(run: Path) -> None:
    with (run / "checkpoints/best.ckpt").open("r+b") as file:
        file.truncate(untrusted.MAX_CHECKPOINT_BYTES + 1)
    with pytest.raises(ValueError, match=r"best\.ckpt .* larger than [\d,]+ bytes"):
        gumbelzoo.load(run)


def test_ordinary_checkpoint_is_read(run: Path) -> None:
    assert batches_trained(read_checkpoint(run / "checkpoints/best.ckpt")) == 3
    assert gumbelzoo.load(run).latents == 3


def test_number_of_samples_is_bounded() -> None:
    untrusted.check_arguments({"bound_samples": 10**5, "temperature": {"name": "cosine", "steps": 10**7}})
    with pytest.raises(ValueError, match=r"'arguments\.bound_samples' is 10000000, beyond 100000"):
        untrusted.check_arguments({"bound_samples": 10**7})
    with pytest.raises(ValueError, match=r"'arguments\.estimator\.samples' is 100001"):
        untrusted.check_arguments({"estimator": {"name": "reinforce", "samples": 100_001}})


SHAPES = [[1, 8, 0], [1, 8, -8], [1, 8, False], [True, 8, 8], [1, 8], [1, 8, 8, 8], []]
MODELS = ("categorical_vae", "gaussian_vae", "structured_prediction", "vq_vae", "classifier")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_image_shape_without_extent_raises(name: str, shape: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"image_shape must be three whole numbers >= 1, .* got \["):
        gumbelzoo.create_model(name, image_shape=shape)


@pytest.mark.parametrize("name", MODELS)
def test_images_that_do_not_fit_are_told(name: str) -> None:
    """In the words of someone who has loaded the model."""
    model = gumbelzoo.create_model(name, image_shape=[1, 28, 28]).eval()
    call = model.features if name == "classifier" else model.reconstruct
    with pytest.raises(
        ValueError, match=r"a batch of images, \(b, 1, 28, 28\), got \(1, 28, 28\); the batch axis is missing"
    ):
        call(torch.zeros(1, 28, 28))
    with pytest.raises(ValueError, match=r"got \(28, 28, 1\); channels come first: x.permute\(0, 3, 1, 2\)"):
        call(torch.zeros(2, 28, 28, 1))
    with pytest.raises(ValueError, match=r"floating point in \[0, 1\], got torch.uint8; .* x / 255"):
        call(torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
