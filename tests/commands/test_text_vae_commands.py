"""A text VAE on the command line: ways between sentences, samples, and what is for images only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.train import main

DATA = {"class": "text", "arguments": {"name": "grammar"}}


@pytest.fixture
def release(workspace: Path) -> Path:
    """An untrained VAE of the grammar, with two latents of three categories."""
    torch.manual_seed(0)
    text: dict[str, Any] = {"vocabulary": TextData("grammar").vocabulary.config(), "max_length": 12}
    latent = {"name": "categorical", "latents": 2, "categories": 3}
    generator, encoder = {"name": "lstm", "width": 4, "hidden": 6}, {"hidden": 4}
    model = gumbelzoo.create_model("text_vae", **text, latent=latent, generator=generator, encoder=encoder)
    return gumbelzoo.save_pretrained(model, workspace / "vae", data=DATA)


def test_interpolate_prints_ways(release: Path, workspace: Path, capfd: Any) -> None:
    """A block for each pair of test sentences: both ends, and the decoded points between; the same in a file."""
    assert main(["interpolate", str(release), "-n", "3", "--steps", "4"]) == 0, capfd.readouterr().err
    printed = capfd.readouterr().out
    blocks = printed.removesuffix("\n").split("\n\n")
    assert [len(block.split("\n")) for block in blocks] == [6, 6, 6]
    model = gumbelzoo.load(release)
    first, *between, last = blocks[0].split("\n")
    assert model.interpolate([first], [last], 4) == [between]
    assert main(["interpolate", str(release), "-n", "3", "--steps", "4", "--out", "ways.txt"]) == 0
    assert capfd.readouterr().out == "ways.txt\n"
    assert (workspace / "ways.txt").read_text() == printed


def test_interpolate_between_own_sentences(release: Path, capfd: Any) -> None:
    pairs = ["--between", "x+x", "x", "--between", "x", "x-x"]
    assert main(["interpolate", str(release), *pairs, "--steps", "2"]) == 0, capfd.readouterr().err
    blocks = capfd.readouterr().out.removesuffix("\n").split("\n\n")
    assert [(block.split("\n")[0], block.split("\n")[-1]) for block in blocks] == [("x+x", "x"), ("x", "x-x")]


MISTAKES: dict[str, tuple[list[str], str]] = {
    "an option of images": (["interpolate", "vae", "--columns", "2"], "is of text and has no use for --columns"),
    "a picture": (["interpolate", "vae", "--out", "a.png"], "text is written to a text file, not to 'a.png'"),
    "an unknown token": (["interpolate", "vae", "--between", "x", "y"], "'y' is not one of the"),
    "a label": (["interpolate", "vae", "--between", "x", "x", "--label", "1"], "depends on no label"),
    "one step": (["interpolate", "vae", "--steps", "1"], "--steps must be >= 2"),
    "encode": (["encode", "vae"], "a text_vae model cannot encode; it can: test, sample, interpolate"),
    "reconstruct": (["reconstruct", "vae"], "a text_vae model cannot reconstruct; it can: test, sample, interpolate"),
    "ONNX": (["export", "vae", "--onnx", "folder"], "a text_vae model has nothing to export"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_text_vae_mistake_is_one_line(case: str, release: Path, capfd: Any) -> None:
    arguments, message = MISTAKES[case]
    assert main(arguments) == 2
    error = capfd.readouterr().err
    assert message in error and error.count("\n") == 1


def test_text_vae_samples(release: Path, capfd: Any) -> None:
    assert main(["sample", str(release), "-n", "3"]) == 0
    assert capfd.readouterr().out.count("\n") == 3
