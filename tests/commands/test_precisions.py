"""A run in any precision is tested, loaded and encoded like another: its model is float32."""

from __future__ import annotations

import json
import math
from pathlib import Path

import gumbelzoo
import pytest
import torch
from gumbelzoo.train import main

VQVAE = """\
model:
  class_path: vq_vae
  init_args:
    image_shape: [1, 8, 8]
    dim: 4
    encoder: {name: conv, widths: [4]}
    decoder: {name: conv, widths: [4]}
    quantizer: {name: vector, codebook_size: 8}
    likelihood: categorical
data:
  class_path: images
  init_args: {name: digits, binarization: none}
trainer: {accelerator: cpu}
"""


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-true", "bf16-mixed"])
@pytest.mark.parametrize(("config", "metric"), [("tiny", "test/bound"), ("codes", "test/bits_per_dim")])
def test_run_in_a_precision(config: str, metric: str, precision: str, workspace: Path) -> None:
    (workspace / "codes.yaml").write_text(VQVAE)
    options = ["--trainer.max_steps=2", f"--trainer.precision={precision}"]
    assert main(["fit", "--config", f"{config}.yaml", *options]) == 0
    run = workspace / "runs" / config / "1"
    assert main(["test", str(run), "--trainer.accelerator=cpu"]) == 0
    assert math.isfinite(json.loads((run / "test.json").read_text())["metrics"][metric])
    assert main(["test", str(run), "--trainer.accelerator=cpu", f"--trainer.precision={precision}"]) == 0
    model = gumbelzoo.load(run)
    assert model.reconstruct(torch.zeros(2, 1, 8, 8)).dtype == torch.float32
