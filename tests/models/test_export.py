"""``torch.export`` of every image model: the graph takes any batch and computes what the model computes."""

from __future__ import annotations

from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.models.quantizers import QUANTIZERS
from torch import Tensor, nn
from torch.export import Dim, export

IMAGES = {"image_shape": [1, 8, 8]}
MLP = {"encoder": {"name": "mlp", "hidden": [8]}, "decoder": {"name": "mlp", "hidden": [8]}}
GRID = {**IMAGES, "dim": 4, "encoder": {"name": "conv", "widths": [8]}, "decoder": {"name": "conv", "widths": [8]}}
SIZES: dict[str, dict[str, Any]] = {
    "fsq": {"levels": [3, 3]},
    "product": {"codebooks": 2},
    "residual": {"codebooks": 2},
}
VERBS = ("reconstruct", "encode", "decode", "probabilities")
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "categorical_vae": ("categorical_vae", {**IMAGES, **MLP, "latents": 3, "categories": 4}),
    "gaussian_vae": ("gaussian_vae", {**IMAGES, **MLP, "latents": 3}),
    "structured_prediction": ("structured_prediction", {**IMAGES, "latents": 3, "categories": 4}),
    "classifier": ("classifier", {**IMAGES, "widths": [4], "features": 4}),
    "code_prior": ("code_prior", {"vqvae": GRID, "network": {"name": "pixelcnn", "width": 4, "depth": 1}}),
} | {
    f"vq_vae, {name}": ("vq_vae", {**GRID, "quantizer": {"name": name, **SIZES.get(name, {"codebook_size": 8})}})
    for name in QUANTIZERS
}


class Verb(nn.Module):
    """A module whose forward pass is a method of a model."""

    def __init__(self, model: Any, name: str) -> None:
        super().__init__()
        self.model, self.name = model, name

    def forward(self, x: Tensor) -> Tensor:
        """Call the method."""
        return getattr(self.model, self.name)(x)


@pytest.mark.parametrize("case", MODELS)
def test_exported_model_equals_eager(case: str) -> None:
    """For another batch size too; the range check of codes, which depends on values, is left out of the graph."""
    torch.manual_seed(0)
    name, arguments = MODELS[case]
    model = gumbelzoo.create_model(name, **arguments).eval()
    images = torch.rand(3, 1, 8, 8).round()
    for verb in (verb for verb in VERBS if hasattr(model, verb)):
        given = model.encode(images) if verb == "decode" else images
        assert given.is_contiguous()  # else the strides of the example are a condition of a strict program
        module = export(Verb(model, verb), (given,), dynamic_shapes=({0: Dim("b")},)).module()
        for x in (given[:1], torch.cat([given, given.flip(0), given[1:2]])):  # 1 and 7
            torch.testing.assert_close(module(x), getattr(model, verb)(x))


class Likelihood(nn.Module):
    """A module whose forward pass is -log p(x | codes) of a VQ-VAE."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        """Compute ``b`` nats."""
        return self.model.nll(x, codes)


def test_exported_nll_checks_no_levels() -> None:
    """Eager calls refuse pixels between the levels."""
    model = gumbelzoo.create_model("vq_vae", **GRID, likelihood="bernoulli").eval()
    x, codes = torch.rand(3, 1, 8, 8).round(), torch.randint(8, (3, 4, 4, 1))
    module = export(Likelihood(model), (x, codes), dynamic_shapes=({0: Dim("b")},) * 2).module()
    torch.testing.assert_close(module(x[:1], codes[:1]), model.nll(x[:1], codes[:1]))
    with pytest.raises(ValueError, match="levels in"):
        model.nll(x / 2, codes)
