"""The page of codes: its commands and its Python in their order, as a user types them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import gumbelzoo
import numpy as np
import pytest
from gumbelzoo.train import main

PAGE = Path(gumbelzoo.__file__).parent / "docs/codes.md"


@pytest.mark.slow
def test_every_recipe_runs(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    quick = ["--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=1", "--trainer.accelerator=cpu"]
    for language, block in re.findall(r"```(bash|py)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        if language == "py":
            exec(compile(block, str(PAGE), "exec"), {})
            continue
        for line in block.splitlines():
            _, *words = shlex.split(line)
            assert main([*words, *(quick if words[0] == "fit" else [])]) == 0, f"{line}: {capfd.readouterr().err}"
    printed = capfd.readouterr().out
    assert "['train', 'valid', 'test'] (1397, 4, 4, 1) uint8 64 [" in printed
    assert "64 16 1397\n" in printed and "torch.Size([4, 1, 8, 8])" in printed
    assert np.load("decoded.npz")["images"].shape == (200, 1, 8, 8)
    tested = json.loads(Path("runs/prior_digits/from_codes/test.json").read_text())
    assert tested["data"]["data set"] == "codes of digits"
    config = json.loads(Path("checkpoints/digits-prior/config.json").read_text())
    assert config["data"]["class"] == "codes" and "path" not in config["data"]["arguments"]
