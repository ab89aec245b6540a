"""The page of ONNX: its commands, and its loops, which know ONNX Runtime only."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import gumbelzoo
import onnxruntime
import pytest
import torch
from gumbelzoo.train import main

PAGE = (Path(gumbelzoo.__file__).parent / "docs/onnx.md").read_text(encoding="utf-8")
FIRST, PRIOR = PAGE.split("\n## Images from a prior\n")


def follow(section: str) -> list[dict[str, object]]:
    """Run the commands of a part of the page, then its snippets; return what these leave."""
    for block in re.findall(r"```bash\n(.*?)```", section, re.DOTALL):
        for program, *words in map(shlex.split, block.splitlines()):
            assert program == "pip" or main(words) == 0, words
    left: list[dict[str, object]] = []
    for code in re.findall(r"```py\n(.*?)```", section, re.DOTALL):
        assert set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)) <= {"json", "numpy", "onnxruntime"}
        left.append({})
        exec(compile(code, "docs/onnx.md", "exec"), left[-1])
    return left


def test_page_draws_images_and_text(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The images are those of the release, and so are the logits of what was drawn, token by token."""
    images, text = follow(FIRST)
    printed = capfd.readouterr().out
    assert "decoder.onnx         codes -> images" in printed and "(16, 1, 8, 8)" in printed
    vae = gumbelzoo.load("catvae-digits")
    codes = torch.from_numpy(images["z"])
    torch.testing.assert_close(torch.from_numpy(images["images"]), vae.decode(codes), rtol=0, atol=1e-5)
    encoder = onnxruntime.InferenceSession("digits-onnx/encoder.onnx")
    pixels = torch.rand(7, 1, 8, 8).round()
    assert torch.from_numpy(encoder.run(None, {"images": pixels.numpy()})[0]).equal(vae.encode(pixels))

    names, generator = printed.splitlines()[-5:], gumbelzoo.load("textgan-names").generator
    assert all(name.isalpha() for name in names)
    tokens = torch.stack([torch.from_numpy(row) for row in text["tokens"][1:]], 1)
    last = generator.logits(tokens)[:, -1]
    last[:, text["words"]["unk"]] = -torch.inf
    torch.testing.assert_close(torch.from_numpy(text["logits"]), last, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_page_draws_from_a_prior(workspace: Path) -> None:
    (left,) = follow(PRIOR.partition("\n## ")[0])
    model = gumbelzoo.load("vqvae-mnist-labels")
    codes = torch.from_numpy(left["codes"])
    torch.testing.assert_close(torch.from_numpy(left["images"]), model.decode(codes), rtol=0, atol=1e-5)
    nats = model.network.nll(codes, torch.full((4,), 7)) / 49
    assert nats.mean() < 3.5  # uniform codes have log 128 = 4.85 nats each
