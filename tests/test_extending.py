"""A part in a file of the user's own trains, tests, exports and loads like ours, with nothing else edited."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.models.quantizers import QUANTIZERS
from gumbelzoo.models.text.objectives.base import OBJECTIVES
from gumbelzoo.train import main

OBJECTIVE = '''
from gumbelzoo.models.text.objectives.base import OBJECTIVES, Objective


@OBJECTIVES.register("first_token")
class FirstToken(Objective):
    """Likelihood in which the first token of a sentence counts ``weight`` times.

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: longest sentence in tokens.
        weight: of the first token.
    """

    def __init__(self, vocabulary, max_length: int, weight: float = 2.0) -> None:
        super().__init__(vocabulary, max_length)
        self.weight = weight

    def generator_metrics(self, generator, batch):
        log_prob = generator.log_prob(batch["tokens"], batch["length"])  # b t
        return {"loss": -(log_prob.sum(1) + (self.weight - 1) * log_prob[:, 0]).mean()}
'''

QUANTIZER = '''
import torch
from gumbelzoo.models.quantizers import QUANTIZERS, Quantized, Quantizer


@QUANTIZERS.register("sign")
class Sign(Quantizer):
    """The sign of each coordinate: as many codebooks as coordinates, with the codes -1 and 1.

    Args:
        dim: width of the vectors.
        positions: positions of an example.
        scale: length of a coordinate.
    """

    def __init__(self, dim: int, positions: int, scale: float = 1.0) -> None:
        super().__init__(dim, 2, codebooks=dim)
        self.scale = scale

    def quantize(self, z):
        codes = self.nearest_codes(z)
        vectors = z + (self.embed_codes(codes) - z).detach()
        loss = (vectors.detach() - z).square().mean()
        return Quantized(vectors, codes, loss, {"rate": torch.tensor(self.rate()), "distortion": loss.detach()})

    def nearest_codes(self, z):
        return (z > 0).long()

    def embed_codes(self, codes):
        return self.scale * (2.0 * codes - 1)
'''

TEXT = """
model:
  class_path: text_gan
  init_args:
    generator: {name: lstm, width: 8, hidden: 8}
    objective: {name: first_token, weight: 3.0}
    test_samples: 20
data:
  class_path: text
  init_args: {name: text, path: lines.txt, level: character, min_count: 1, batch_size: 8}
trainer: {accelerator: cpu, max_epochs: 1}
"""

IMAGES = """
model:
  class_path: vq_vae
  init_args:
    image_shape: [1, 8, 8]
    dim: 4
    encoder: {name: conv, widths: [8]}
    decoder: {name: conv, widths: [8]}
    quantizer: {name: sign, scale: 0.5}
data:
  class_path: images
  init_args: {name: digits, binarization: none}
trainer: {accelerator: cpu, max_epochs: 1}
"""


@pytest.fixture
def user_file(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes a Python file and imports it; what it registers is forgotten after the test."""
    for registry in (OBJECTIVES, QUANTIZERS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))

    def load(text: str) -> None:
        (workspace / "my_parts.py").write_text(text)
        monkeypatch.syspath_prepend(workspace)
        sys.modules.pop("my_parts", None)  # the one of another test
        importlib.import_module("my_parts")

    return load


def round_trip(config: str, fit: Sequence[str] = (), test: Sequence[str] = ()) -> tuple[Any, dict[str, Any]]:
    """Train, test, export, test the release and load it; the model and its ``config.json``."""
    Path("mine.yaml").write_text(config)
    assert main(["fit", "--config", "mine.yaml", *fit]) == 0
    assert main(["test", "runs/mine/1"]) == 0
    assert main(["export", "runs/mine/1", "release"]) == 0
    assert main(["test", "release", *test]) == 0
    model = gumbelzoo.load("release")
    trained = gumbelzoo.load("runs/mine/1")
    assert all(value.equal(trained.state_dict()[name]) for name, value in model.state_dict().items())
    return model, json.loads(Path("release/config.json").read_text())


def test_an_objective_in_one_file(user_file: Callable[[str], None]) -> None:
    user_file(OBJECTIVE)
    Path("lines.txt").write_text("\n".join(f"{a}{b}{c}" for a in "abcd" for b in "abcd" for c in "abcd"))
    options = {"fit": ["--model.objective.weight=4.0"], "test": ["--data.path=lines.txt"]}  # a release names no path
    model, config = round_trip(TEXT, **options)
    assert config["arguments"]["objective"] == {"name": "first_token", "weight": 4.0}
    assert type(model.objective).__name__ == "FirstToken" and model.objective.weight == 4.0
    assert len(model.sample(5)) == 5


def test_a_quantizer_in_one_file(user_file: Callable[[str], None]) -> None:
    user_file(QUANTIZER)
    model, config = round_trip(IMAGES)
    assert config["arguments"]["quantizer"] == {"name": "sign", "scale": 0.5}
    images = torch.rand(3, 1, 8, 8)
    codes = model.encode(images)
    assert codes.shape == (3, 4, 4, 4) and set(codes.unique().tolist()) <= {0, 1}
    assert model.decode(codes).equal(model.reconstruct(images))


def test_a_wrong_option_names_the_nearest(user_file: Callable[[str], None], capfd: pytest.CaptureFixture[str]) -> None:
    user_file(OBJECTIVE)
    Path("mine.yaml").write_text(TEXT.replace("weight: 3.0", "wieght: 3.0"))
    assert main(["fit", "--config", "mine.yaml"]) == 2
    error = capfd.readouterr().err
    assert "'model.objective.wieght'; did you mean 'model.objective.weight'?" in error and error.count("\n") == 1
