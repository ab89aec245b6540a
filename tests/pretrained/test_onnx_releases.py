"""Every release, quantizer, likelihood and network as ONNX files in ONNX Runtime, at batches of 1 and 7.

Two small models are in the fast tests too, so that a change that breaks their kind of graph is seen at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gumbelzoo
import onnxruntime
import pytest
import torch
from gumbelzoo.models.vqvae.likelihoods import LIKELIHOODS
from gumbelzoo.pretrained.onnx import export_onnx
from gumbelzoo.tests.models.quantizers.conftest import FORMS
from gumbelzoo.vocabulary import Vocabulary
from torch import Tensor

CLOSE = {"rtol": 0, "atol": 1e-5}
MLP = {"encoder": {"name": "mlp", "hidden": [8]}, "decoder": {"name": "mlp", "hidden": [8]}}
CONV = {"encoder": {"name": "conv", "widths": [8]}, "decoder": {"name": "conv", "widths": [8]}}
RESIDUAL = {
    "encoder": {"name": "residual", "channels": 8, "multipliers": [1, 2], "blocks": 1},
    "decoder": {"name": "residual", "channels": 8, "multipliers": [2, 1], "blocks": 1},
}
SONNET = {"widths": [8, 8], "kernel": 4, "residual_blocks": 1, "batch_norm": True}
SMALL = {"image_shape": [1, 8, 8]}
COLOUR = {"image_shape": [3, 8, 8], "dim": 4, "quantizer": {"name": "vector", "codebook_size": 6}}
TEXT = {"vocabulary": Vocabulary(["<eos>", "<unk>", "a", "b"], level="character"), "max_length": 9}
PRIOR = {"vqvae": {**SMALL, "dim": 4, **CONV, "quantizer": FORMS["product"]}, "classes": 3}
NO_GRAPH = ("attention_seq2seq", "glimpse_classifier", "slate_agent", "text_vae")  # no method of them is a graph
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "gaussian_vae": ("gaussian_vae", {**SMALL, **MLP, "latents": 3}),
    "VAE of grids": (
        "categorical_vae",
        {**SMALL, **{part: {"name": "grid", "network": RESIDUAL[part]} for part in RESIDUAL}, "latents": 3},
    ),
    "classifier of gated channels": (
        "frequency_gate",
        {**SMALL, "widths": [4], "gates": {"name": "bernoulli", "estimator": "disarm"}, "selector": "static"},
    ),
    "residual networks": ("vq_vae", {**COLOUR, **RESIDUAL}),
    "Sonnet's networks": (
        "vq_vae",
        {**COLOUR, "encoder": {"name": "conv", **SONNET}, "decoder": {"name": "conv", **SONNET, "top_kernel": 0}},
    ),
    "maskgit": ("code_prior", {**PRIOR, "network": {"name": "maskgit", "width": 8, "depth": 1}}),
    "transformer": ("code_prior", {**PRIOR, "network": {"name": "transformer", "width": 8, "depth": 2}}),
    "text transformer": ("text_gan", {**TEXT, "generator": {"name": "transformer", "width": 8}, "classes": 3}),
    "text LSTM of two layers": ("text_gan", {**TEXT, "generator": {"name": "lstm", "layers": 2, "dropout": 0.2}}),
    **{name: ("vq_vae", {**SMALL, "dim": 4, **CONV, "quantizer": form}) for name, form in FORMS.items()},
    **{f"likelihood {name}": ("vq_vae", {**COLOUR, **CONV, "likelihood": name}) for name in LIKELIHOODS},
}
QUICK = ("text LSTM of two layers", "classifier of gated channels")  # of the fast tests; test_onnx.py has the rest


def check(model: Any, folder: Path) -> None:
    """Compare every file with the model's own methods, on inputs of which the export knew nothing."""
    files = {path.stem: onnxruntime.InferenceSession(path) for path in folder.glob("*.onnx")}
    described = json.loads((folder / "model.json").read_text())["graphs"]
    assert set(described) == {f"{name}.onnx" for name in files}

    def run(name: str, *given: Tensor) -> list[Tensor]:
        feed = {value.name: x.numpy() for value, x in zip(files[name].get_inputs(), given, strict=True)}
        return [torch.from_numpy(made) for made in files[name].run(None, feed)]

    for batch in (1, 7):
        if "generator" in files:
            compare_steps(model.generator, run, batch)
            continue
        images = torch.rand(batch, *model.image_shape).round()
        if "encoder" in files:
            codes = model.encode(images)
            if codes.is_floating_point():
                torch.testing.assert_close(run("encoder", images)[0], codes, **CLOSE)
            else:
                assert run("encoder", images)[0].equal(codes)
                high = described["decoder.onnx"]["inputs"][0]["range"][1]
                codes = torch.cat([codes, torch.randint(high + 1, codes.shape)])[-batch:]
            torch.testing.assert_close(run("decoder", codes)[0], model.decode(codes), **CLOSE)
        if "reconstruction" in files:
            torch.testing.assert_close(run("reconstruction", images)[0], model.reconstruct(images), **CLOSE)
        if "classifier" in files:
            torch.testing.assert_close(run("classifier", images)[0], model.logits(images), rtol=1e-5, atol=1e-5)
        if "features" in files:
            torch.testing.assert_close(run("features", images)[0], model.features(images), rtol=1e-5, atol=1e-5)
        if "prior" in files:
            label = [torch.randint(model.classes, (batch,))] if model.classes else []
            masked = [torch.rand(codes.shape) < 0.5] if "masked" in str(described["prior.onnx"]) else []
            own = [codes.flatten(1), masked[0].flatten(1)] if masked else [codes]
            logits = model.network.logits(*own, *(label or [torch.zeros(batch, dtype=torch.int64)]))
            made = run("prior", codes, *masked, *label)[0]
            torch.testing.assert_close(made, logits.reshape(made.shape), rtol=1e-5, atol=1e-5)


def compare_steps(generator: Any, run: Any, batch: int) -> None:
    """Step by step, from zeros and the first token, against the logits of the whole text."""
    tokens = torch.randint(generator.vocab_size, (batch, generator.max_length))
    label = [torch.randint(generator.classes, (batch,))] if generator.classes else []
    sizes = {"batch": batch, "past": 0}
    state = [torch.zeros([sizes.get(n, n) for n in shape]) for shape in generator.state_shapes().values()]
    expected = generator.logits(tokens, *label)
    for place, token in enumerate(torch.cat([torch.full((batch, 1), generator.vocab_size), tokens[:, :-1]], 1).T):
        logits, *state = run("generator", token, *label, *state)
        torch.testing.assert_close(logits, expected[:, place], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("name", gumbelzoo.list_pretrained())
def test_release_runs_elsewhere(name: str, tmp_path: Path) -> None:
    model = gumbelzoo.load(name)
    if model.registry_name in NO_GRAPH:
        with pytest.raises(ValueError, match="nothing to export"):
            export_onnx(model, tmp_path / name)
        return
    check(model, export_onnx(model, tmp_path / name))


@torch.no_grad()
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case in QUICK else pytest.mark.slow) for case in MODELS]
)
def test_part_runs_elsewhere(case: str, tmp_path: Path) -> None:
    name, arguments = MODELS[case]
    model = gumbelzoo.create_model(name, **arguments).eval()
    check(model, export_onnx(model, tmp_path / "out"))
