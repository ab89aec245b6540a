"""The layer, the quantizers and the models on every device of the machine; on a CPU alone it is one small pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gumbelzoo import create_model
from gumbelzoo.models.quantizers import QUANTIZERS
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical
from torch import Tensor

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
IMAGES = {"image_shape": [1, 8, 8]}
CONV = {"encoder": {"name": "conv", "widths": [4]}, "decoder": {"name": "conv", "widths": [4]}}
CODES = {"name": "vector", "codebook_size": 4}
MODELS: dict[str, dict[str, Any]] = {
    "categorical_vae": {**IMAGES, "latents": 3, "categories": 4},
    "gaussian_vae": {**IMAGES, "latents": 3},
    "structured_prediction": {**IMAGES, "latents": 3, "categories": 4},
    "classifier": {**IMAGES, "widths": [4], "features": 4},
    "vq_vae": {**IMAGES, **CONV, "dim": 4, "quantizer": CODES},
    "code_prior": {
        "vqvae": {**IMAGES, **CONV, "dim": 4, "quantizer": CODES},
        "network": {"name": "pixelcnn", "width": 8},
    },
}
LETTERS = {"tokens": ["<eos>", "a", "b"], "level": "character"}
LINES: dict[str, dict[str, Any]] = {
    "slate_agent": {"items": 4, "slots": 2, "user_width": 13},
    "attention_seq2seq": {"source_vocabulary": LETTERS, "target_vocabulary": LETTERS, "max_lengths": [4, 4]},
    "glimpse_classifier": {**IMAGES, "grid": 3, "window": 4},
    "glimpse_transformer": IMAGES,
}
QUANTIZERS_OF: dict[str, dict[str, Any]] = {"fsq": {"levels": (3, 4)}}
NESTED = ("product", "residual")

pytestmark = pytest.mark.parametrize("device", DEVICES)


def cost(z: Tensor) -> Tensor:
    return (z[..., 0].exp() * z[..., 1:].sum(-1).exp()).sum(-1)


@pytest.mark.parametrize("name", ESTIMATORS.names())
def test_estimator_on_device(name: str, device: str) -> None:
    """Value and gradient are finite and on the device; samples too, where there are any."""
    k = ESTIMATORS[name].categories or 3
    layer = RelaxedCategorical(name, 0.7, (2, k)).to(device)
    logits = torch.randn(4, 2, k, device=device, requires_grad=True)
    value = layer.expectation(logits, cost)
    value.sum().backward()
    assert logits.grad is not None and value.device.type == logits.grad.device.type == device
    assert bool(value.isfinite().all()) and bool(logits.grad.isfinite().all())
    if layer.estimator.pathwise:
        z = layer(logits)
        assert z.device.type == device and torch.allclose(z.sum(-1), torch.ones_like(z[..., 0]))
    codes = layer.sample(logits)
    assert codes.device.type == device and int(codes.max()) < k


@pytest.mark.parametrize("name", QUANTIZERS.names())
def test_quantizer_on_device(name: str, device: str) -> None:
    """A training step, and codes that decode to the vectors of evaluation."""
    options = QUANTIZERS_OF.get(name, {"quantizer": CODES} if name in NESTED else {"codebook_size": 4})
    quantizer = QUANTIZERS.build({"name": name, **options}, dim=4, positions=6).to(device)
    z = torch.randn(5, 3, 2, 4, device=device, requires_grad=True)
    quantized = quantizer(z)
    (quantized.vectors.square().mean() + quantized.loss).backward()
    assert z.grad is not None and bool(z.grad.isfinite().all())
    assert quantized.codes.device.type == quantized.vectors.device.type == device
    quantizer.eval()
    with torch.no_grad():
        assert torch.allclose(quantizer(z).vectors, quantizer.decode(quantizer.encode(z)))


@pytest.mark.parametrize("name", MODELS)
def test_model_step_and_samples_on_device(name: str, device: str) -> None:
    """One step moves the parameters; a model that samples draws on the device."""
    model = create_model(name, **MODELS[name]).to(device)
    batch = {"image": torch.rand(6, 1, 8, 8).round().to(device), "label": torch.arange(6, device=device) % 10}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    before = [p.detach().clone() for group in optimizer.param_groups for p in group["params"]]
    loss = model.train().training_metrics(batch)["loss"]
    loss.backward()
    optimizer.step()
    after = [p for group in optimizer.param_groups for p in group["params"]]
    assert loss.device.type == device and bool(loss.isfinite())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    if hasattr(model, "sample"):
        assert model.eval().sample(2).device.type == device


@pytest.mark.parametrize("name", LINES)
def test_lines_of_text_on_device(name: str, device: str) -> None:
    """Models whose samples are lines draw them with a generator of the device."""
    model = create_model(name, **LINES[name]).to(device).eval()
    lines = model.sample(3, generator=torch.Generator(device).manual_seed(0))
    assert len(lines) == 3 and lines == model.sample(3, generator=torch.Generator(device).manual_seed(0))


@pytest.mark.parametrize("objective", ["mle", "gumbel"])
def test_text_step_and_samples_on_device(objective: str, device: str) -> None:
    """Likelihood, and the generator's step through a roll-out."""
    text: dict[str, Any] = {"vocabulary": {"tokens": ["<eos>", "a", "b"], "level": "word"}, "max_length": 4}
    adversary = {"adversary": {"discriminator": {"name": "cnn", "width": 4}}}
    spec = {"name": objective, **(adversary if objective != "mle" else {})}
    model = create_model("text_gan", **text, generator={"name": "lstm", "width": 4, "hidden": 6}, objective=spec)
    model.to(device)
    tokens = torch.tensor([[1, 2, 0, 0], [2, 1, 1, 0]], device=device)
    batch = {"tokens": tokens, "length": torch.tensor([3, 4], device=device)}
    loss = model.objective.generator_metrics(model.generator, batch)["loss"]
    loss.backward(inputs=list(model.generator.parameters()))
    assert loss.device.type == device and bool(loss.isfinite())
    assert model.generator.sample(3).device.type == device
