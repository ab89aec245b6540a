"""Models that the page runs: images to scores of the categories of each latent, and codes to images.

Both kinds are one form. The encoder gives scores ``n k``, whose largest is the code of a latent; points between two
images are points between their scores. The decoder takes codes ``n``. Of a VQ-VAE the latents are the positions of its
grid, and a score is minus the squared distance to a code up to a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...models.base import ZooModel
from ...models.quantizers.gumbel import GumbelQuantizer
from ...models.quantizers.nearest_neighbor import NearestCode
from ...models.vae.categorical import CategoricalVAE
from ...models.vqvae.likelihoods.discrete import Bernoulli
from ...models.vqvae.likelihoods.gaussian import Gaussian
from ...models.vqvae.vqvae import VQVAE
from .graph import Layer, Weights, affine, convolution, layers_of

ONE, ZERO = torch.ones(1), torch.zeros(1)


@torch.no_grad()
def describe(model: ZooModel, weights: Weights) -> dict[str, Any]:
    """Describe a model as plain values for ``model.json``; its numbers are added to the weights.

    Raises:
        ValueError: a model, or a part of one, that does not run in the browser.
    """
    form = FORMS.get(model.registry_name)
    if form is None:
        raise ValueError(f"a {model.registry_name} model has no decoder that runs in the browser")
    return form(model, weights)


def _categorical_vae(model: Any, weights: Weights) -> dict[str, Any]:
    assert isinstance(model, CategoricalVAE)
    n, k = model.latents, model.categories
    empty = torch.zeros(1, *model.image_shape)
    encoder, _ = layers_of(model.encoder, empty, weights)
    decoder, _ = layers_of(model.decoder, torch.zeros(1, n * k), weights)
    return {
        "latents": n,
        "categories": k,
        "grid": None,
        "binary": True,
        "posterior": True,
        "prior": weights.add(model.prior_logits),
        "encoder": [affine(ONE, -model.base_rate, weights), *encoder, {"op": "reshape", "shape": [n, k]}],
        "decoder": [
            {"op": "one_hot", "categories": k},
            *decoder,
            affine(ONE, model.output_bias, weights),
            {"op": "sigmoid"},
        ],
    }


def _vq_vae(model: Any, weights: Weights) -> dict[str, Any]:
    assert isinstance(model, VQVAE)
    table, scale = _codebook(model.quantizer)  # k d
    k, d = table.shape
    spread = model.likelihood.data_variance.sqrt()
    encoder, _ = layers_of(model.encoder, torch.zeros(1, *model.image_shape), weights)
    decoder, _ = layers_of(model.decoder, torch.zeros(1, d, *model.grid), weights)
    # Centred on the mean code, so that scores far from 0 do not round the distances away.
    centre = table.mean(0)
    rays = table - centre
    bias = -2 * scale * (rays @ centre + rays.square().sum(-1) / 2)
    scores = convolution((2 * scale * rays)[..., None, None], bias, 1, 0, weights)
    return {
        "latents": model.grid[0] * model.grid[1],
        "categories": k,
        "grid": list(model.grid),
        "binary": model.likelihood.levels == 2,
        "posterior": model.quantizer.stochastic,
        "prior": None,
        "encoder": [
            affine(1 / spread, -model.likelihood.data_mean / spread, weights),
            *encoder,
            {**scores, "shape": [k, *model.grid]},
            {"op": "positions"},
        ],
        "decoder": [
            {"op": "embed", "table": weights.add(table), "shape": [d, *model.grid]},
            *decoder,
            _mean(model, weights),
        ],
    }


def _codebook(quantizer: Any) -> tuple[Tensor, Tensor]:
    """Return the vectors ``k d`` of a codebook and the scale of the squared distances."""
    if isinstance(quantizer, GumbelQuantizer) and quantizer.codebooks == 1 and quantizer.head is None:
        return quantizer.tables[0](), quantizer.log_scale[0].exp()
    if isinstance(quantizer, NearestCode) and not quantizer.unit_length:
        return quantizer.table(), torch.tensor(0.5)
    raise ValueError(f"its quantizer {type(quantizer).__name__} has no single codebook of nearest codes")


def _mean(model: VQVAE, weights: Weights) -> Layer:
    """Describe the expected pixels, given the decoder's output."""
    likelihood = model.likelihood
    if isinstance(likelihood, Bernoulli):
        return {"op": "sigmoid"}
    if isinstance(likelihood, Gaussian):
        return affine(likelihood.data_variance.sqrt()[None], likelihood.data_mean[None], weights)
    raise ValueError(f"its likelihood {type(likelihood).__name__} has no form in the browser")


FORMS: dict[str, Callable[[Any, Weights], dict[str, Any]]] = {"categorical_vae": _categorical_vae, "vq_vae": _vq_vae}
