"""Graphs of models of images: encoder, decoder, reconstruction, classifier. Axes: ``b`` batch, ``c h w`` image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...models.base import ZooModel
from ...models.networks.image_classifier import ImageClassifier
from ...models.vae.binary_images import BinaryImageModel
from ...models.vae.categorical import CategoricalVAE
from ...models.vqvae.prior import CodePrior
from ...models.vqvae.vqvae import VQVAE
from .graph import BATCH, Bound, Graph, Value

NEAR = 1e-5  # levels between two images that count as one where a code differs
DRAWS = 32  # such images


class Verb(Graph):
    """A method of a model that takes one tensor.

    Args:
        file: name of the ONNX file.
        model: in eval mode.
        verb: name of the method.
        given: its argument.
        name: of its result.
        meaning: of its result.
        bounds: range of its result.
    """

    def __init__(
        self,
        file: str,
        model: Any,
        verb: str,
        given: Value,
        name: str,
        meaning: str,
        bounds: tuple[Bound, Bound] = (None, None),
    ) -> None:
        super().__init__(file, [given])
        self.model, self.verb = model, verb
        (made,) = self.results(self.draw(2, 0, torch.Generator().manual_seed(0)))
        self.outputs = [Value(name, (BATCH, *made.shape[1:]), made.dtype, *bounds, meaning)]

    def forward(self, x: Tensor) -> Tensor:
        """Call the method."""
        return getattr(self.model, self.verb)(x)


class Encoder(Verb):
    """``model.encode``, checked on noise and on images that the model decodes, which are more like those it knows."""

    def draw(self, batch: int, past: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw images: noise, and in every second place a decoded one."""
        (images,) = super().draw(batch, past, generator)
        if hasattr(self.model, "decode"):
            with torch.no_grad():
                codes = self.model.encode(images)
                images[1::2] = self.model.decode(codes.flip(0))[1::2].clamp(0, 1)
        return (images,)

    def is_tie(self, inputs: Sequence[Tensor], codes: Tensor, others: Tensor) -> bool:
        """True if our own encoder gives each code that differs to an image within ``NEAR`` of its image."""
        (images,) = inputs
        unproven, generator = codes != others, torch.Generator().manual_seed(0)
        for _ in range(DRAWS):
            noise = 2 * torch.rand(images.shape, generator=generator) - 1
            unproven &= self.model.encode(images + NEAR * noise) != others
        return not bool(unproven.any())


def image_graphs(model: Any) -> list[Graph]:
    """Return the graphs of a model of images, a user's own too: ``encode`` and ``decode``, or else ``reconstruct``."""
    if not hasattr(model, "image_shape"):
        return []
    images = Value("images", (BATCH, *model.image_shape), low=0, high=1, meaning=_levels(model))
    if isinstance(model, ImageClassifier):
        graphs: list[Graph] = [Verb("classifier.onnx", model, "logits", images, "logits", "unnormalised, per class")]
        if hasattr(model, "features"):
            graphs.append(Verb("features.onnx", model, "features", images, "features", "last hidden layer"))
        return graphs
    made = "expected images, or of binary ones the probability that a pixel is 1"
    if hasattr(model, "encode") and hasattr(model, "decode"):
        k = codebook_size(model)
        bounds: tuple[Bound, Bound] = (None, None) if k is None else (0, k - 1)
        meaning = "latents, the means of q(z | x)" if k is None else "most probable or nearest codes"
        encoder = Encoder("encoder.onnx", model, "encode", images, "codes", meaning, bounds)
        (codes,) = encoder.outputs
        return [encoder, Verb("decoder.onnx", model, "decode", codes, "images", made, _bounds(model))]
    if hasattr(model, "reconstruct"):
        return [Verb("reconstruction.onnx", model, "reconstruct", images, "reconstructions", made, _bounds(model))]
    return []


def codebook_size(model: ZooModel) -> int | None:
    """Number of values of a code; None for latents that are no codes."""
    if isinstance(model, CodePrior):
        model = model.vqvae
    if isinstance(model, VQVAE):
        return model.quantizer.codebook_size
    return model.categories if isinstance(model, CategoricalVAE) else None


def describe_images(model: Any) -> dict[str, Any]:
    """Return facts on the images that a model takes, as plain values; empty for other models."""
    if not hasattr(model, "image_shape"):
        return {}
    images = {"shape": list(model.image_shape), "range": [0, 1], "binary": isinstance(model, BinaryImageModel)}
    return {"images": {**images, "normalisation": "none: levels 0 to 255 divided by 255; the rest is in the graph"}}


def _levels(model: ZooModel) -> str:
    return "pixels, 0 or 1" if isinstance(model, BinaryImageModel) else "pixels in [0, 1], channels first"


def _bounds(model: ZooModel) -> tuple[Bound, Bound]:
    """Range of decoded images: a Gaussian's mean has none."""
    vqvae = model.vqvae if isinstance(model, CodePrior) else model
    discrete = isinstance(vqvae, VQVAE) and vqvae.likelihood.levels is not None
    return (0, 1) if discrete or isinstance(model, BinaryImageModel) else (None, None)
