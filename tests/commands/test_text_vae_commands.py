"""A text VAE on the command line: ways between sentences, samples, and what is for images only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gumbelzoo
import numpy as np
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
    "images to encode": (["encode", "vae", "--images", "a"], "is of text and has no use for --images; leave it out"),
    "a split to encode": (["encode", "vae", "--split", "test"], "is of text and has no use for --split"),
    "no .npz": (["encode", "vae", "--out", "a.txt"], "arrays are written to an .npz file, not to 'a.txt'"),
    "no such file": (
        ["encode", "vae", "--text", "none.txt"],
        "none.txt is no file; give the path of a UTF-8",
    ),
    "a folder": (["reconstruct", "vae", "--text", "."], "is a folder; give the path of a UTF-8 text file"),
    "a blank file": (["encode", "vae", "--text", "blank.txt"], "blank.txt has no text in it"),
    "bytes": (["encode", "vae", "--text", "bytes.txt"], "bytes.txt line 2 has the byte 0xff, which is not UTF-8"),
    "a long line": (
        ["encode", "vae", "--text", "long.txt"],
        "long.txt line 1: 'xxx",
    ),
    "a line of others": (["reconstruct", "vae", "--text", "other.txt"], "other.txt line 2: 'y' is not one of the"),
    "the input": (["reconstruct", "vae", "--text", "other.txt", "--out", "other.txt"], "which is not overwritten"),
    "columns": (["reconstruct", "vae", "--columns", "2"], "is of text and has no use for --columns"),
    "plain": (["decode", "vae", "codes.npz", "--no_labels"], "is of text and has no use for --no_labels"),
    "a picture of codes": (["decode", "vae", "codes.npz", "--out", "a.png"], "text is written to a text file"),
    "codes of another model": (["decode", "vae", "other.npz"], "shape (..., 2)"),
    "codes beyond": (["decode", "vae", "beyond.npz"], "whole values in [0, 3)"),
    "no codes": (["decode", "vae", "none.npz"], "there is no 'none.npz'; give an .npz file with 'codes'"),
    "a named class": (["sample", "vae", "--label", "high"], "this model has no named classes: give a number"),
    "a wide picture": (["sample", "vae", "--columns", "3"], "draws no images and has no use for --columns"),
    "a huge seed": (["sample", "vae", "--seed", "9" * 20], "--seed must be from 0 to 2^63 - 1, got 9999"),
    "a class of none": (["decode", "vae", "codes.npz", "--label", "0"], "depends on no label"),
    "ONNX": (["export", "vae", "--onnx", "folder"], "a text_vae model has nothing to export"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_text_vae_mistake_is_one_line(case: str, release: Path, capfd: Any) -> None:
    arguments, message = MISTAKES[case]
    texts = {"blank": b"\n \n", "bytes": b"x\n\xff\n", "long": b"x" * 40, "other": b"x\ny\n"}
    for name, content in texts.items():
        Path(f"{name}.txt").write_bytes(content)
    for name, codes in {"codes": [[0, 1]], "other": [[0, 1, 2]], "beyond": [[0, 3]]}.items():
        np.savez(f"{name}.npz", codes=np.array(codes))
    assert main(arguments) == 2
    error = capfd.readouterr().err
    assert message in error and error.count("\n") == 1


def test_text_vae_samples(release: Path, capfd: Any) -> None:
    assert main(["sample", str(release), "-n", "3"]) == 0
    assert capfd.readouterr().out.count("\n") == 3


def test_text_is_encoded_and_decoded(release: Path, capfd: Any) -> None:
    """A file's sentences to codes, and these to sentences, on the terminal and in a file; a part with -n."""
    model = gumbelzoo.load(release)
    Path("lines.txt").write_text("x+x\n\nx\nx-x\n")
    lines = ["x+x", "x", "x-x"]
    assert main(["encode", str(release), "--text", "lines.txt"]) == 0, capfd.readouterr().err
    assert capfd.readouterr().out == "codes.npz  (3, 2)\n"
    codes = torch.from_numpy(np.load("codes.npz")["codes"])
    assert codes.equal(model.encode(lines))
    assert main(["decode", str(release), "codes.npz"]) == 0
    assert capfd.readouterr().out.split("\n") == [*model.decode(codes), ""]
    assert main(["decode", str(release), "codes.npz", "-n", "2", "--out", "two.txt"]) == 0
    assert capfd.readouterr().out == "two.txt\n"
    assert Path("two.txt").read_text().split("\n") == [*model.decode(codes[:2]), ""]
    assert main(["encode", str(release), "--text", "lines.txt", "-n", "1", "--out", "one.npz"]) == 0
    assert np.load("one.npz")["codes"].shape == (1, 2)
    assert main(["encode", str(release), "-n", "7", "--out", "test.npz"]) == 0
    assert np.load("test.npz")["codes"].shape == (7, 2)


def test_text_is_reconstructed(release: Path, capfd: Any) -> None:
    """Pairs of lines, with an empty line between two pairs: of a file, and of test sentences."""
    Path("lines.txt").write_text("x+x\nx\n")
    assert main(["reconstruct", str(release), "--text", "lines.txt"]) == 0, capfd.readouterr().err
    made = gumbelzoo.load(release).reconstruct(["x+x", "x"])
    assert capfd.readouterr().out == f"x+x\n{made[0]}\n\nx\n{made[1]}\n"
    assert main(["reconstruct", str(release), "-n", "3", "--out", "pairs.txt"]) == 0
    assert len(Path("pairs.txt").read_text().removesuffix("\n").split("\n")) == 8
    assert main(["reconstruct", str(release)]) == 0
    assert capfd.readouterr().out.count("\n") == 1 + 32 * 3 - 1


def test_unknown_words_are_said(workspace: Path, capfd: Any) -> None:
    """A model of words reads them all as one; without any, and for test sentences, nothing is said."""
    torch.manual_seed(0)
    text: dict[str, Any] = {"vocabulary": {"tokens": ["<eos>", "<unk>", "a", "cat"], "level": "word"}, "max_length": 9}
    networks: dict[str, Any] = {"generator": {"name": "lstm", "width": 4, "hidden": 6}, "encoder": {"hidden": 4}}
    model = gumbelzoo.create_model("text_vae", **text, **networks, latent={"name": "gaussian", "latents": 2})
    gumbelzoo.save_pretrained(model, workspace / "words")
    Path("known.txt").write_text("a cat\n")
    Path("others.txt").write_text("a zzqqx cat\nzzqqx dog\n")
    said = "3 of 5 words are unknown to the model, which reads <unk> for them: 'zzqqx', 'dog'\n"
    for words in (["interpolate", "words", "--between", "a cat", "a"], ["encode", "words", "--text", "known.txt"]):
        assert main(words) == 0 and capfd.readouterr().err == ""
    for verb in ("encode", "reconstruct"):
        assert main([verb, "words", "--text", "others.txt"]) == 0 and capfd.readouterr().err == said
    assert main(["interpolate", "words", "--between", "zzqqx a", "zzqqx dog cat"]) == 0
    assert capfd.readouterr().err == said


def test_fewer_sentences_than_asked_for(release: Path, capfd: Any) -> None:
    Path("lines.txt").write_text("x+x\nx\n")
    for verb in ("encode", "reconstruct"):
        assert main([verb, str(release), "--text", "lines.txt", "-n", "5"]) == 0
        assert capfd.readouterr().err == "-n 5 asks for more sentences than there are: 2\n"
        assert main([verb, str(release), "--text", "lines.txt", "-n", "2"]) == 0 and capfd.readouterr().err == ""
    assert main(["interpolate", str(release), "-n", "100000", "--out", "ways.txt"]) == 0
    assert "-n 100,000 asks for more pairs than there are: " in capfd.readouterr().err


def test_classes_by_name_on_the_command_line(workspace: Path, capfd: Any) -> None:
    """Every verb of text takes a name where it takes a number, and names the known ones in one line."""
    torch.manual_seed(0)
    text: dict[str, Any] = {"vocabulary": {"tokens": ["<eos>", "a", "b"], "level": "character"}, "max_length": 5}
    networks: dict[str, Any] = {"generator": {"name": "lstm", "width": 4, "hidden": 6}, "encoder": {"hidden": 4}}
    latent = {"name": "gaussian", "latents": 2}
    model = gumbelzoo.create_model("text_vae", **text, **networks, latent=latent, classes=["low", "high"])
    with torch.no_grad():
        model.generator.label_embedding.weight.mul_(9)
    gumbelzoo.save_pretrained(model, workspace / "named")
    Path("lines.txt").write_text("ab\nba\n")
    np.savez("codes.npz", codes=np.zeros((2, 2), np.float32))
    verbs = {
        "sample": ["-n", "20"],
        "reconstruct": ["--text", "lines.txt"],
        "decode": ["codes.npz"],
        "interpolate": ["--between", "ab", "ba"],
    }
    for verb, options in verbs.items():
        printed = []
        for label in ("low", "0", "high"):
            assert main([verb, "named", *options, "--label", label]) == 0, capfd.readouterr().err
            printed.append(capfd.readouterr().out)
        assert printed[0] == printed[1] and (verb != "sample" or printed[0] != printed[2]), verb
        if verb == "decode":  # the last one, too
            assert printed[2].split() == model.eval().decode(torch.zeros(2, 2), "high")
    assert main(["encode", "named", "--text", "lines.txt", "--label", "low"]) == 0
    assert main(["sample", "named", "--label", "hihg"]) == 2
    assert "unknown label: 'hihg'; did you mean 'high'? known: high, low\n" in capfd.readouterr().err
    assert main(["encode", "named", "--text", "lines.txt"]) == 2
    assert "this model depends on labels: give label, low or high\n" in capfd.readouterr().err
    assert main(["sample", "named", "--label", "9" * 40]) == 2
    assert capfd.readouterr().err.count("\n") == 1
