"""ONNX files of a small prior and its VQ-VAE in ONNX Runtime, and what is refused before anything is written."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gumbelzoo
import numpy as np
import onnxruntime
import pytest
import torch
from gumbelzoo.models.text.generators import GENERATORS
from gumbelzoo.pretrained.onnx import export_onnx, folder
from gumbelzoo.pretrained.onnx.graph import Value
from gumbelzoo.pretrained.onnx.images import Encoder
from gumbelzoo.pretrained.onnx.text import Step
from gumbelzoo.train import main
from gumbelzoo.vocabulary import Vocabulary
from torch import Tensor

VQVAE = {
    "image_shape": [1, 8, 8],
    "dim": 4,
    "encoder": {"name": "conv", "widths": [8]},
    "decoder": {"name": "conv", "widths": [8]},
    "quantizer": {"name": "vector", "codebook_size": 6},
}


def small() -> Any:
    """A conditional prior over 4 x 4 codes, the same in each call."""
    torch.manual_seed(0)
    network = {"name": "pixelcnn", "width": 4, "depth": 1}
    return gumbelzoo.create_model("code_prior", vqvae=VQVAE, network=network, classes=3).eval()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(small(), tmp_path_factory.mktemp("onnx") / "prior")


@pytest.fixture
def converted(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversion finds the files of the small prior."""
    monkeypatch.setattr(folder, "convert", lambda graph: (written / graph.file).read_bytes())


def run(file: Path, **inputs: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    return torch.from_numpy(made)


@pytest.mark.parametrize("batch", [1, 7])
def test_runtime_equals_the_model(written: Path, batch: int) -> None:
    model, images = small(), torch.rand(batch, 1, 8, 8)
    codes, label = torch.randint(6, (batch, 4, 4, 1)), torch.randint(3, (batch,))
    assert run(written / "encoder.onnx", images=images).equal(model.encode(images))
    close = {"rtol": 0, "atol": 1e-5}
    torch.testing.assert_close(run(written / "decoder.onnx", codes=codes), model.decode(codes), **close)
    logits = run(written / "prior.onnx", codes=codes, label=label)
    torch.testing.assert_close(logits, model.network.logits(codes, label), **close)


def test_prior_samples_code_by_code(written: Path) -> None:
    """The most probable code at each place in raster order, as the model finds it with its caches."""
    model, label = small(), torch.tensor([2, 0])
    codes = torch.zeros(2, 4, 4, 1, dtype=torch.int64)
    for place in np.ndindex(4, 4, 1):
        codes[:, *place] = run(written / "prior.onnx", codes=codes, label=label)[:, *place].argmax(-1)
    assert codes.equal(model.network.sample(label, lambda logits: logits.argmax(-1)))


def test_description_has_shapes_and_ranges(written: Path) -> None:
    content = json.loads((written / "model.json").read_text())
    assert sorted(path.name for path in written.iterdir()) == sorted([*content["graphs"], "model.json"])
    images, codes = ({"name": name, "dtype": dtype} for name, dtype in (("images", "float32"), ("codes", "int64")))
    decoder = content["graphs"]["decoder.onnx"]
    assert decoder["inputs"][0].items() >= {**codes, "shape": ["batch", 4, 4, 1], "range": [0, 5]}.items()
    assert decoder["outputs"][0].items() >= {**images, "shape": ["batch", 1, 8, 8], "range": None}.items()
    assert [value["name"] for value in content["graphs"]["prior.onnx"]["inputs"]] == ["codes", "label"]
    assert content["images"].items() >= {"shape": [1, 8, 8], "range": [0, 1], "binary": False}.items()
    assert all(graph["largest_difference"] <= 1e-5 for graph in content["graphs"].values())


def test_files_name_no_place_of_the_machine(written: Path) -> None:
    home = str(Path(gumbelzoo.__file__).parent).encode()
    assert not any(home in path.read_bytes() for path in written.iterdir())


@pytest.mark.usefixtures("converted")
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ("vqvae.encoder.0.weight", r"codes of encoder\.onnx at a batch of 1: \d+ of 16 values differ"),
        ("vqvae.decoder.0.weight", r"images of decoder\.onnx at a batch of 1: differs from the model by"),
        ("network.head.4.weight", r"logits of prior\.onnx at a batch of 1: differs from the model by"),
    ],
)
def test_difference_writes_nothing(weight: str, message: str, tmp_path: Path) -> None:
    model = small()
    with torch.no_grad():
        model.get_parameter(weight).mul_(-1.5)
    with pytest.raises(ValueError, match=message) as error:
        export_onnx(model, tmp_path / "out")
    assert "\n" not in str(error.value) and list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("converted")
def test_nan_is_a_difference(tmp_path: Path) -> None:
    model = small()
    with torch.no_grad():
        model.network.head[4].bias.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"prior\.onnx .* differs from the model by nan"):
        export_onnx(model, tmp_path / "out")


@pytest.mark.parametrize(("level", "tie"), [(0.5, True), (0.51, False)])
def test_tie_is_a_code_of_a_near_image(level: float, tie: bool) -> None:
    """A model whose code is 1 for bright images, and images of its threshold, or not so near."""
    model = SimpleNamespace(encode=lambda x: (x.mean((1, 2, 3)) > 0.5).long()[:, None])
    encoder = Encoder("encoder.onnx", model, "encode", Value("images", ("batch", 1, 2, 2)), "codes", "bright or not")
    images = torch.full((3, 1, 2, 2), level)
    codes = model.encode(images)
    assert encoder.is_tie((images,), codes, 1 - codes) is tie


def test_missing_extra_is_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before the source is looked for."""
    monkeypatch.setattr(folder, "find_spec", lambda name: None if name == "onnxscript" else find_spec(name))
    assert main(["export", "no-such-model", "--onnx", str(tmp_path / "out")]) == 2
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].endswith("ONNX files need onnxscript: pip install 'gumbelzoo[export]'")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["no-such-model", "--onnx", "."], "exists already and is not overwritten"),
        (["catvae-digits", "release", "--onnx", "out"], "--onnx writes no release, and takes no FOLDER"),
        (["catvae-digits", "--onnx", "out", "--half"], "takes no --half"),
        (["catvae-digits"], "FOLDER for a release of a tested run, or --onnx OUT"),
        (["no-such-model", "--onnx", "out"], "no-such-model"),
    ],
)
def test_impossible_options_are_refused(
    options: list[str], message: str, workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *options]) == 2
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1 and message in said[0]
    assert [path.name for path in workspace.iterdir()] == ["tiny.yaml"]


def test_models_that_cannot_be_exported(tmp_path: Path) -> None:
    cases = {
        "model.eval()": small().train(),
        "in float32": small().half(),
        "has nothing to export": gumbelzoo.models.base.ZooModel().eval(),
    }
    for message, model in cases.items():
        with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
            export_onnx(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", list(GENERATORS))
def test_packed_state_is_the_state(name: str) -> None:
    """Steps from unpacked tensors, the first of them empty or zeros, give the logits of the whole text."""
    vocabulary = Vocabulary(["<eos>", "a", "b"], level="character")
    model = GENERATORS.build({"name": name, "width": 8}, vocabulary=vocabulary, max_length=6).eval()
    step, tokens = Step(model), torch.randint(3, (2, 6))
    sizes = {"batch": 2, "past": 0}
    state = [torch.zeros([sizes.get(n, n) for n in shape]) for shape in model.state_shapes().values()]
    for place, token in enumerate(torch.cat([torch.full((2, 1), 3), tokens[:, :-1]], 1).T):
        logits, *state = step.results((token, *state))
        torch.testing.assert_close(logits, model.logits(tokens)[:, place])
