"""``encode``, ``decode`` and ``interpolate`` with every model that has codes, from every kind of input."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import gumbelzoo
import numpy as np
import pytest
import torch
from gumbelzoo.data import ImageData
from gumbelzoo.train import main
from PIL import Image

MLP = {"encoder": {"name": "mlp", "hidden": [8]}, "decoder": {"name": "mlp", "hidden": [8]}}
VQVAE: dict[str, Any] = {
    "image_shape": [1, 8, 8],
    "dim": 4,
    "encoder": {"name": "conv", "widths": [4, 4]},
    "decoder": {"name": "conv", "widths": [4, 4]},
    "quantizer": {"name": "gumbel", "codebook_size": 8},
}
WITH_CODES: dict[str, dict[str, Any]] = {
    "categorical_vae": {"image_shape": [1, 8, 8], "latents": 3, "categories": 4, **MLP},
    "gaussian_vae": {"image_shape": [1, 8, 8], "latents": 3, **MLP},
    "vq_vae": VQVAE,
    "code_prior": {"vqvae": VQVAE, "network": {"name": "pixelcnn", "width": 4, "depth": 1}},
}
WITHOUT: dict[str, tuple[dict[str, Any], str]] = {
    "structured_prediction": ({"image_shape": [1, 8, 8], "latents": 2, "categories": 3}, "it can: test, reconstruct"),
    "classifier": ({"image_shape": [1, 8, 8], "widths": [4]}, "it can: test"),
    "text_gan": ({"vocabulary": {"tokens": ["a", "b"]}, "max_length": 3}, "it can: test, sample"),
}
DIGITS = {"class": "images", "arguments": {"name": "digits", "binarization": "none"}}


@pytest.fixture
def release(request: pytest.FixtureRequest, workspace: Path) -> Path:
    """An untrained model, released."""
    torch.manual_seed(0)
    model = gumbelzoo.create_model(request.param, **WITH_CODES[request.param])
    return gumbelzoo.save_pretrained(model, workspace / request.param, data=DIGITS)


every = pytest.mark.parametrize("release", WITH_CODES, indirect=True)
one = pytest.mark.parametrize("release", ["categorical_vae"], indirect=True)


def held_out() -> torch.Tensor:
    data = ImageData(**DIGITS["arguments"])
    data.setup("test")
    return torch.cat([batch["image"] for batch in data.test_dataloader()])


def size(picture: str) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


@every
def test_test_set_is_encoded_and_decoded(release: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model, images = gumbelzoo.load(release), held_out()
    assert main(["encode", str(release)]) == 0
    codes = np.load("codes.npz")["codes"]
    torch.testing.assert_close(torch.from_numpy(codes), model.encode(images))
    assert capfd.readouterr().out.strip() == f"codes.npz  {codes.shape}"
    assert main(["decode", str(release), "codes.npz", "--out", "again.npz"]) == 0
    torch.testing.assert_close(torch.from_numpy(np.load("again.npz")["images"]), model.reconstruct(images))
    assert main(["decode", str(release), "codes.npz", "-n", "4"]) == 0
    assert size("decoded.png")[0] == 2 * (14 * 8 + 4) + 4
    assert main(["encode", str(release), "-n", "5", "--out", "deep/few.npz"]) == 0
    spread = torch.linspace(0, 199, 5).long()
    assert np.array_equal(np.load("deep/few.npz")["codes"], codes[spread])


@one
def test_fewer_images_than_asked_for(release: Path, capfd: pytest.CaptureFixture[str]) -> None:
    np.savez("three.npz", images=np.zeros((3, 1, 8, 8), np.float32))
    encode, interpolate = ([verb, str(release)] for verb in ("encode", "interpolate"))
    given = ["--images", "three.npz"]
    for options, said in (
        ([*encode, "-n", "100000"], "-n 100,000 asks for more images than there are: 200\n"),
        ([*encode, *given, "-n", "4"], "-n 4 asks for more images than there are: 3\n"),
        ([*interpolate, *given, "-n", "2"], "-n 2 asks for more pairs than there are: 1\n"),
    ):
        assert main(options) == 0
        error = capfd.readouterr().err
        assert said in error and error.count("\n") == 1
    assert main([*interpolate, *given]) == 0 and capfd.readouterr().err == ""


@every
def test_user_images_are_encoded(release: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    Path("pictures").mkdir()
    for number, picture in enumerate(levels):
        Image.fromarray(picture).convert("RGB").save(f"pictures/{number}.png")
    Path("pictures/notes.txt").write_text("no picture")
    np.savez("levels.npz", images=levels)
    np.savez("floats.npz", images=levels[:, None] / 255)
    expected = gumbelzoo.load(release).encode(torch.from_numpy(levels)[:, None] / 255)
    for given in ("pictures", "levels.npz", "floats.npz"):
        assert main(["encode", str(release), "--images", given]) == 0
        torch.testing.assert_close(torch.from_numpy(np.load("codes.npz")["codes"]), expected)


@every
def test_interpolation_between_two_images(release: Path) -> None:
    model, images = gumbelzoo.load(release), held_out()
    x, y = images[:3], images[3:6]
    way = model.interpolate(x, y, 5)
    assert way.shape == (3, 5, 1, 8, 8)
    torch.testing.assert_close(way[:, 0], model.reconstruct(x))
    torch.testing.assert_close(way[:, -1], model.reconstruct(y))
    torch.testing.assert_close(way, model.interpolate(y, x, 5).flip(1))
    assert main(["interpolate", str(release), "-n", "3", "--steps", "5"]) == 0
    assert size("interpolation.png")[0] == 7 * (14 * 8 + 4) + 4 + 2 * 12  # two gaps around the decoded ones


@one
def test_interpolated_pictures_are_decoded_codes(release: Path) -> None:
    model, images = gumbelzoo.load(release), held_out()
    way = model.interpolate(images[:4], images[4:8], 6).flatten(0, 1)
    every_code = torch.cartesian_prod(*[torch.arange(model.categories)] * model.latents)
    distance = (way[:, None] - model.decode(every_code)[None]).abs().amax((-1, -2, -3)).amin(1)
    assert distance.max() < 1e-6


@pytest.mark.parametrize("name", WITHOUT)
@pytest.mark.parametrize("command", ["encode", "decode", "interpolate", "reconstruct", "sample"])
def test_missing_method_is_named(name: str, command: str, workspace: Path, capfd: Any) -> None:
    arguments, able = WITHOUT[name]
    gumbelzoo.save_pretrained(gumbelzoo.create_model(name, **arguments), workspace / "release")
    if command in able:
        return
    assert main([command, "release", *(["codes.npz"] if command == "decode" else [])]) == 2
    assert capfd.readouterr().err == f"gumbelzoo {command}: a {name} model cannot {command}; {able}\n"


def damaged(folder: Path) -> None:
    np.savez(folder / "float.npz", codes=np.zeros((2, 3)))
    np.savez(folder / "wide.npz", codes=np.zeros((2, 4), np.int64))
    np.savez(folder / "flat.npz", codes=np.zeros(3, np.int64))
    np.savez(folder / "deep.npz", codes=np.zeros((2, 2, 3), np.int64))
    np.savez(folder / "large.npz", codes=np.full((2, 3), 4))
    np.savez(folder / "empty.npz", codes=np.zeros((0, 3), np.int64))
    np.savez(folder / "other.npz", other=np.zeros(3))
    np.savez(folder / "objects.npz", codes=np.array([{}], dtype=object), images=np.array([{}], dtype=object))
    (folder / "pickle.npz").write_bytes(pickle.dumps({"codes": [1]}))
    np.save(folder / "single.npy", np.zeros(3))
    (folder / "single.npy").rename(folder / "single.npz")
    np.savez(folder / "size.npz", images=np.zeros((2, 1, 9, 9)))
    np.savez(folder / "bright.npz", images=np.full((2, 1, 8, 8), 7.0))
    (folder / "none").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken/a.png").write_bytes(b"\x89PNG and no more")
    (folder / "mixed").mkdir()
    for side in (8, 9):
        Image.new("L", (side, side)).save(folder / f"mixed/{side}.png")
    (folder / "deep").mkdir()
    Image.fromarray(np.full((8, 8), 30000, np.uint16)).save(folder / "deep/a.png")
    np.savez(folder / "nil.npz", images=np.zeros((0, 1, 8, 8)))
    np.savez(folder / "lonely.npz", images=np.zeros((1, 1, 8, 8)))


MISTAKES = {
    "codes that are not there": (["decode", "R", "nothing.npz"], "there is no 'nothing.npz'"),
    "codes that are no whole numbers": (["decode", "R", "float.npz"], "codes must be whole numbers"),
    "codes of another model": (["decode", "R", "wide.npz"], "codes must have shape (..., 3)"),
    "codes of one image without its axis": (["decode", "R", "flat.npz"], "its first axis must be the images"),
    "codes of too many axes": (["decode", "R", "deep.npz"], "its first axis must be the images"),
    "codes beyond the categories": (["decode", "R", "large.npz"], "values in [0, 4)"),
    "no codes": (["decode", "R", "empty.npz"], "no codes"),
    "another array": (["decode", "R", "other.npz"], "has no array 'codes'"),
    "codes that are pickled": (["decode", "R", "objects.npz"], "no .npz file of plain arrays"),
    "a pickle": (["decode", "R", "pickle.npz"], "no .npz file of plain arrays"),
    "a single array": (["decode", "R", "single.npz"], "no .npz file of plain arrays"),
    "a picture for codes": (["encode", "R", "--out", "codes.png"], "written to an .npz file"),
    "images of another size": (["encode", "R", "--images", "size.npz"], "the model takes (1, 8, 8)"),
    "images beyond 1": (["encode", "R", "--images", "bright.npz"], "outside [0, 1]"),
    "images that are pickled": (["encode", "R", "--images", "objects.npz"], "no .npz file of plain arrays"),
    "images that are not there": (["encode", "R", "--images", "nothing"], "there is no 'nothing'"),
    "a folder without pictures": (["encode", "R", "--images", "none"], "none has no pictures"),
    "a broken picture": (["encode", "R", "--images", "broken"], "a.png is no picture"),
    "a picture of 16 bits": (["encode", "R", "--images", "deep"], "more than 8 bits a channel"),
    "a file of no images": (["encode", "R", "--images", "nil.npz"], "nil.npz has no images"),
    "pictures of two sizes": (["encode", "R", "--images", "mixed"], "9.png is 9 x 9 pixels, the model takes 8 x 8"),
    "no images": (["encode", "R", "-n", "0"], "-n must be >= 1"),
    "one step": (["interpolate", "R", "--steps", "1"], "--steps must be >= 2"),
    "one image": (["interpolate", "R", "--images", "lonely.npz"], "at least two images, got 1"),
    "no images to decode": (["decode", "R", "codes.npz", "-n", "0"], "-n must be >= 1"),
}


@one
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_one_line(mistake: str, release: Path, workspace: Path, capfd: Any) -> None:
    damaged(workspace)
    arguments, expected = MISTAKES[mistake]
    assert main([str(release) if word == "R" else word for word in arguments]) == 2
    error = capfd.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
