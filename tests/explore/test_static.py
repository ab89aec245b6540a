"""The page as files: layers equal to the models', a folder written whole, and what is refused."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import gumbelzoo
import numpy as np
import pytest
import torch
from gumbelzoo.explore.static import models, table, writer
from gumbelzoo.explore.static.graph import Weights
from gumbelzoo.explore.static.reference import run as compute
from gumbelzoo.explore.temperature import COSTS, estimators
from gumbelzoo.models.networks.grid import GRID_DECODERS
from gumbelzoo.train import main
from torch import nn

SMALL = {"image_shape": [1, 8, 8]}
CONV = {"encoder": {"name": "conv", "widths": [8]}, "decoder": {"name": "conv", "widths": [8]}}
SONNET = {"widths": [8, 8], "kernel": 4, "residual_blocks": 1, "batch_norm": True}
VECTOR = {"quantizer": {"name": "vector", "codebook_size": 6}, "dim": 4}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp": ("categorical_vae", {**SMALL, "latents": 3, "categories": 4, "prior": "learned"}),
    "tanh": (
        "categorical_vae",
        {**SMALL, "encoder": {"name": "mlp", "activation": "tanh"}, "decoder": {"name": "conv"}, "latents": 3},
    ),
    "conv": ("categorical_vae", {**SMALL, "encoder": {"name": "conv"}, "decoder": {"name": "conv"}, "latents": 3}),
    "grids": (
        "categorical_vae",
        {**SMALL, **{part: {"name": "grid", "network": CONV[part]} for part in CONV}, "latents": 3},
    ),
    "vector": ("vq_vae", {**SMALL, **CONV, **VECTOR}),
    "colour": ("vq_vae", {"image_shape": [3, 8, 12], **CONV, **VECTOR, "likelihood": "gaussian"}),
    "gumbel": ("vq_vae", {**SMALL, **CONV, "quantizer": {"name": "gumbel", "codebook_size": 6}, "dim": 4}),
    "sim_vq": ("vq_vae", {**SMALL, **CONV, "quantizer": {"name": "sim_vq", "codebook_size": 6}, "dim": 4}),
    "binary": ("vq_vae", {**SMALL, **CONV, **VECTOR, "likelihood": "bernoulli"}),
    "Sonnet's networks": (
        "vq_vae",
        {
            **SMALL,
            **VECTOR,
            "encoder": {"name": "conv", **SONNET},
            "decoder": {"name": "conv", **SONNET, "top_kernel": 0},
        },
    ),
}


def built(case: str) -> Any:
    """A model whose statistics, biases and likelihood are not those of a new one."""
    name, arguments = MODELS[case]
    torch.manual_seed(0)
    model = gumbelzoo.create_model(name, **arguments)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "var" in name:  # of batch norm and of the data
                tensor.add_(0.1)
            elif tensor.is_floating_point():
                tensor.add_(0.05 * torch.randn_like(tensor))
    return model.eval()


def files_of(model: Any, count: int = 3) -> dict[str, bytes]:
    images = (255 * torch.rand(count, *model.image_shape)).round() / 255
    return writer.page_files(model, "tried", {}, images, [])


@pytest.mark.parametrize("case", MODELS)
def test_layers_equal_the_model(case: str) -> None:
    """Codes of new images, and images of random codes; those of the page's own images are compared as it is written."""
    model = built(case)
    files = files_of(model)
    content = json.loads(files["model.json"])
    numbers = torch.from_numpy(np.frombuffer(files["weights.bin"], "<f4").copy())
    images = torch.rand(4, *model.image_shape)
    for image, expected in zip(images, model.encode(images).flatten(1), strict=True):
        scores = compute(content["encoder"], image, numbers)
        assert scores.shape == (content["latents"], content["categories"]) and scores.argmax(-1).equal(expected)
    codes = torch.randint(content["categories"], (4, content["latents"]))
    grid = codes.unflatten(1, (*content["grid"], 1)) if content["grid"] else codes
    for code, expected in zip(codes, model.decode(grid), strict=True):
        assert expected.std() > 0.005
        torch.testing.assert_close(compute(content["decoder"], code, numbers), expected, rtol=0, atol=1e-5)


def test_posterior_of_a_gumbel_codebook_is_the_model_s() -> None:
    """Scores are the logits of q(code | z), up to a constant per latent."""
    model, weights = built("gumbel"), Weights()
    content, image = models.describe(model, weights), torch.rand(1, 1, 8, 8)
    with torch.no_grad():
        expected = model.quantizer.posterior(model.features(image)).softmax(-1).reshape(-1, 6)
        scores = compute(content["encoder"], image[0], weights.numbers())
    assert content["posterior"]
    torch.testing.assert_close(scores.softmax(-1), expected)


def test_path_is_the_model_s() -> None:
    """Points between scores have the codes of points between features."""
    model, weights = built("vector"), Weights()
    content, (first, last) = models.describe(model, weights), torch.rand(2, 1, 1, 8, 8)
    ends = [compute(content["encoder"], image[0], weights.numbers()) for image in (first, last)]
    codes = torch.stack([torch.lerp(*ends, step / 4).argmax(-1) for step in range(5)])
    images = model.decode(codes.unflatten(1, (*content["grid"], 1)))
    assert images.allclose(model.interpolate(first, last, 5)[0], atol=1e-5)


class Doubled(nn.Sequential):
    """A network whose layers are not all that it does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def test_other_forward_pass_is_refused() -> None:
    model = built("mlp")
    model.decoder = Doubled(*model.decoder)
    with pytest.raises(ValueError, match="the page would differ from the model by"):
        files_of(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantizer": "fsq", "dim": 4}, "its quantizer FSQ has no single codebook"),
        ({"quantizer": {"name": "vector", "cosine": True}}, "its quantizer VectorQuantizer has no single codebook"),
        ({"quantizer": {"name": "gumbel", "logits": "linear"}}, "its quantizer GumbelQuantizer has no"),
        ({"likelihood": "categorical"}, "its likelihood Categorical has no form"),
        ({"decoder": {"name": "residual", "multipliers": [1, 1], "channels": 8}}, "its layer PreNormBlock has no form"),
    ],
)
def test_part_without_a_form_is_named(change: dict[str, Any], message: str) -> None:
    model = gumbelzoo.create_model("vq_vae", **{**SMALL, **CONV, "dim": 8, **change}).eval()
    with pytest.raises(ValueError, match=message) as error:
        files_of(model)
    assert "the static page serves catvae-digits, catvae-fashion-mnist, " in str(error.value)


def test_too_many_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gumbelzoo.explore.static.graph.MAX_NUMBERS", 1000)
    with pytest.raises(ValueError, match="too large for a page"):
        files_of(built("mlp"))


def test_grid_decoders_are_known() -> None:
    """A new one is described in LAYERS, or refused by name."""
    assert set(GRID_DECODERS) == {"conv", "residual"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "digits"
    assert main(["explore", "catvae-digits", "--static", str(out)]) == 0
    return out


def test_folder_has_all_that_the_page_asks_for(page: Path) -> None:
    names = {file.name for file in page.iterdir()}
    files = {file.name: file.read_text() for file in page.iterdir() if file.suffix in (".html", ".js", ".css")}
    text = "".join(files.values())
    asked = set(re.findall(r'"(?:\./)?([\w.]+\.(?:js|css|json|bin))"', text))
    assert asked == names - {"index.html"}
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)\S+", text) == []


def test_folder_has_test_images_of_the_data(page: Path) -> None:
    content = json.loads((page / "model.json").read_text())
    assert len(base64.b64decode(content["tests"])) == writer.TESTS * 64 and len(content["labels"]) == writer.TESTS
    assert content["name"] == "catvae-digits" and content["data"].startswith("digits: UCI")


def test_folder_is_not_overwritten(page: Path, tmp_path: Path, capfd: Any) -> None:
    before = (page / "model.json").stat().st_mtime_ns
    assert main(["explore", "catvae-digits", "--static", str(page)]) == 2
    assert "exists already and is not overwritten" in capfd.readouterr().err
    assert (page / "model.json").stat().st_mtime_ns == before
    assert main(["explore", "textgan-grammar", "--static", str(tmp_path / "text")]) == 2
    said = capfd.readouterr().err
    assert "a text_gan model has no decoder that runs in the browser; the static page serves catvae-digits, " in said
    assert list(tmp_path.iterdir()) == []


def test_page_without_data_says_so(tmp_path: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: Any) -> None:
        raise ValueError("no such files")

    monkeypatch.setattr(writer, "read_test_images", missing)
    assert main(["explore", "catvae-digits", "--static", str(tmp_path / "out")]) == 0
    assert "the page has no test images: no such files" in capfd.readouterr().err
    assert json.loads((tmp_path / "out/model.json").read_text())["tests"] == ""


def test_port_is_checked(capfd: Any) -> None:
    assert main(["explore", "catvae-digits", "--port", "70000"]) == 2
    assert "--port must lie between 0 and 65535, got 70000" in capfd.readouterr().err


# -- the table of gradients -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def entries() -> dict[str, Any]:
    return json.loads(table.TABLE.read_text(encoding="utf-8"))


def test_table_has_every_estimator(entries: dict[str, Any]) -> None:
    for preset, logits in table.PRESETS.items():
        for cost in COSTS:
            assert list(entries["entries"][preset][cost]) == estimators(len(logits))
            for name, rows in entries["entries"][preset][cost].items():
                assert len(rows) == (len(table.TEMPERATURES) if table.uses_temperature(name) else 1)


@pytest.mark.parametrize("name", ["gumbel_softmax", "straight_through", "reinforce", "rebar"])
def test_table_is_what_the_library_computes(entries: dict[str, Any], name: str) -> None:
    """Run ``python -m gumbelzoo.explore.static.table`` after a change of an estimator."""
    stored, computed = entries["entries"]["even"]["quadratic"][name], table.compute("even", "quadratic", name)
    for one, other in zip(stored, computed, strict=True):
        for key in ("mean", "error", "spread"):
            assert one[key] == pytest.approx(other[key], rel=2e-3, abs=1e-6)


def test_rest_of_the_table_is_current(entries: dict[str, Any]) -> None:
    computed = json.loads(json.dumps(table.description()))
    assert all(entries[key] == value for key, value in computed.items() if key != "exact")
    for preset, costs in computed["exact"].items():
        for cost, values in costs.items():
            assert entries["exact"][preset][cost] == pytest.approx(values, rel=1e-3, abs=1e-6)


def test_score_functions_have_no_temperature() -> None:
    """Their one entry serves every temperature."""
    from gumbelzoo.explore.temperature import gradients

    for name in filter(lambda name: not table.uses_temperature(name), estimators(2)):
        one, other = (gradients([0.8, 0.0], tau, "steep", name, 50).mean for tau in (0.1, 5.0))
        assert one.equal(other), name
