"""VQ-VAE: an autoencoder with a grid of codes between encoder and decoder, for any quantizer.

van den Oord, Vinyals & Kavukcuoglu 2017 (arXiv:1711.00937). With the quantizer ``gumbel`` it is a VAE whose latents are
categories with one vector each, trained through any estimator of ``RelaxedCategorical`` (Jang, Gu & Poole 2017,
arXiv:1611.01144). Axes: ``b`` batch, ``s`` samples, ``c h w`` image or grid, ``d`` width of a vector, ``q`` codebooks.

The objective is, per dimension (D pixels times channels),

    reconstruction loss + loss of the quantizer

- Reconstruction loss: nats per dimension of the likelihood. With ``mse`` it is the NMSE. Up to a constant, that is the
  nats per dimension of a Gaussian with half the data's variance.
- Quantizers that sample codes: kl_weight times KL(q || uniform) in nats per dimension. With kl_weight 1 the objective
  is the negative ELBO. With ``mse`` another kl_weight is a Gaussian of kl_weight / 2 times the data's variance.
- Deterministic quantizers: codebook and commitment terms, averaged over positions and coordinates. Their rate is
  log(codebook size) per code, whatever is learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from einops import rearrange
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from ...interfaces import Batch
from ...ranges import check_sizes
from ...registry import Spec
from ..base import ModelCard, OptimizerConfig, Part, ZooModel, check_draws, lerp_path, register_model
from ..inputs import check_image_shape, check_images, training_pixels
from ..networks.grid import GRID_DECODERS, GRID_ENCODERS, grid_of
from ..quantizers import QUANTIZERS, CodebookUsage, Quantized
from ..relaxed.sampling import categorical_sample
from .base import CodeModel
from .likelihoods import LIKELIHOODS


@register_model("vq_vae")
class VQVAE(CodeModel):
    """An autoencoder whose latents are a grid of codes, each the index of a vector in a codebook.

    Args:
        image_shape: ``c h w`` of the images.
        dim: width of the vector at each position of the grid.
        encoder: conv, ``{name: conv, widths: [32, 64]}``, or ``{name: residual, multipliers: [1, 2, 4]}``.
        decoder: conv, ``{name: conv, widths: [64, 32]}``, or ``{name: residual, multipliers: [4, 2, 1]}``; its lists
            run from the grid to the image.
        quantizer: gumbel, vector, fsq, sim_vq, product, residual, or ``{name: vector, codebook_size: 128}``.
        likelihood: of pixels: mse, gaussian, bernoulli, categorical, or ``{name: logistic_mixture, components: 10}``.
        optimizer: options of ``OptimizerConfig``.

    Raises:
        ValueError: an unknown name or option, a value out of range, a decoder whose output does not fit the image.

    Example:
        >>> encoder, decoder = ({"name": "conv", "widths": [16]} for _ in range(2))
        >>> model = VQVAE((1, 8, 8), 4, encoder, decoder, quantizer={"name": "vector", "codebook_size": 32})
        >>> images = torch.rand(5, 1, 8, 8)  # b c h w
        >>> loss = model.training_metrics({"image": images})["loss"]
        >>> codes = model.eval().encode(images)  # b h w q
        >>> reconstructions = model.decode(codes)  # b c h w
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: small grids of discrete codes for images; the basis of a prior over codes.",
        limits="Its own samples decode independent, uniform codes. "
        "NMSE is relative to the pixel variance of the training data, and says nothing about other images.",
        example="codes = model.encode(images)  # b h w q, for images b c h w in [0, 1]\n"
        "reconstructions = model.decode(codes)",
        metrics=("nmse", "bits_per_dim", "perplexity"),
        pictures=("reconstructions",),
        note="Samples like the data need a `code_prior` over its codes: `gumbelzoo fit --config prior_mnist "
        "--model.vqvae=NAME`, or `prior_fashion_mnist`, `prior_cifar10`, `prior_digits` for these data.",
        task="image-feature-extraction",
    )
    parts: ClassVar[Mapping[str, Part]] = {
        "encoder": GRID_ENCODERS,
        "decoder": GRID_DECODERS,
        "quantizer": QUANTIZERS,
        "likelihood": LIKELIHOODS,
        "optimizer": OptimizerConfig,
    }
    monitor = "val/loss"

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        dim: int = 16,
        encoder: Spec = "conv",
        decoder: Spec = "conv",
        quantizer: Spec = "gumbel",
        likelihood: Spec = "mse",
        optimizer: OptimizerConfig | dict = ZooModel.optimizer_config,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.use_optimizer(optimizer)
        check_sizes(dim=dim)
        self.image_shape: tuple[int, ...] = check_image_shape(image_shape)
        self.dimensions = math.prod(image_shape)
        self.likelihood = LIKELIHOODS.build(likelihood, channels=image_shape[0])
        self.grid = grid_of(encoder, decoder, image_shape, dim, self.likelihood.outputs)
        positions = math.prod(self.grid)
        self.quantizer = QUANTIZERS.build(quantizer, dim=dim, positions=positions)
        # A sampling quantizer's loss is in nats per position, the objective in nats per dimension.
        self.loss_scale = positions / self.dimensions if self.quantizer.stochastic else 1.0
        if not self.quantizer.stochastic:
            # The commitment loss grows with the scale of the vectors while reconstructions improve.
            self.monitor = "val/bits_per_dim" if self.likelihood.levels else "val/nmse"
        self.encoder = GRID_ENCODERS.build(encoder, image_shape=image_shape, dim=dim)
        self.decoder = GRID_DECODERS.build(decoder, image_shape=image_shape, dim=dim, outputs=self.likelihood.outputs)
        self.codebook_usage = CodebookUsage(self.quantizer.codebooks, self.quantizer.codebook_size)

    # -- networks -----------------------------------------------------------------------------------------------------

    def features(self, x: Tensor) -> Tensor:
        """Compute the encoder output before quantization, ``b c h w -> b h w d``.

        Raises:
            ValueError: images of another shape than ``image_shape``.
        """
        check_images(x, self.image_shape)
        standardized = (x - self.likelihood.data_mean) / self.likelihood.data_variance.sqrt()
        return rearrange(self.encoder(standardized), "b d h w -> b h w d")

    def outputs(self, vectors: Tensor) -> Tensor:
        """Compute the parameters of the likelihood, ``b h w d -> b o h w``."""
        dtype = next(self.decoder.parameters()).dtype  # quantizers return float32 at least
        return self.decoder(rearrange(vectors, "b h w d -> b d h w").to(dtype))

    def reconstruction_loss(self, x: Tensor, vectors: Tensor) -> Tensor:
        """Compute the likelihood's loss, for images ``b c h w`` and vectors ``... b h w d``, ``-> ... b``."""
        lead = vectors.shape[:-3]
        images = x.expand(*lead[:-1], *x.shape).reshape(-1, *self.image_shape)
        return self.likelihood.loss(self.outputs(vectors.reshape(-1, *vectors.shape[-3:])), images).reshape(lead)

    # -- training and evaluation --------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Take mean and variance of the training pixels from the data, before the first step of a new model."""
        # A model that continues training keeps its own.
        new = self.likelihood.data_mean == 0.5 and self.likelihood.data_variance == 1 / 12
        if stage != "fit" or not new:
            return
        if self.source is None:
            rank_zero_warn(
                "without a data module nothing says the mean and variance of the training pixels; call "
                "model.initialise(mean, variance) before, or the NMSE is relative to a variance of 1/12"
            )
            return
        pixels = training_pixels(self.source, "mean", "variance")
        self.initialise(float(pixels.mean.mean()), pixels.variance)

    def initialise(self, mean: float, variance: float) -> None:
        """Set mean and variance of the training pixels. They standardize the input and define the NMSE.

        Raises:
            ValueError: a variance that is not > 0.
        """
        if variance <= 0:
            raise ValueError("all pixels of the training images are equal: there is nothing to learn")
        self.likelihood.data_mean.fill_(mean)
        self.likelihood.data_variance.fill_(variance)

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the objective, the reconstruction loss, and the quantizer's metrics of a batch."""
        reconstruction, quantized = self._loss_terms(batch["image"])
        loss = reconstruction + self.loss_scale * quantized.loss
        return {"loss": loss, self.likelihood.unit: reconstruction, **quantized.metrics}

    def _loss_terms(self, x: Tensor) -> tuple[Tensor, Quantized]:
        """Mean reconstruction loss, in eval mode at exact samples of the codes, and the quantizer's output."""
        loss, quantized = self.quantizer.expectation(
            self.features(x), lambda vectors: self.reconstruction_loss(x, vectors)
        )
        return loss.mean(), quantized

    def evaluate(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Compute objective and bits/dim at exact samples of the codes, NMSE of ``reconstruct``, and its codes."""
        x = batch["image"]
        reconstruction, quantized = self._loss_terms(x)
        error = self.decode(quantized.codes) - x
        metrics = {
            "loss": reconstruction + self.loss_scale * quantized.loss,
            "nmse": error.square().mean() / self.likelihood.data_variance,
            **quantized.metrics,
        }
        if self.likelihood.levels:
            rate = quantized.metrics["rate"] * math.prod(self.grid) / self.dimensions
            metrics["bits_per_dim"] = (reconstruction + rate) / math.log(2)
        return metrics, quantized.codes

    @property
    def pixel_variance(self) -> float:
        """Variance of the training pixels, which the NMSE is relative to."""
        return float(self.likelihood.data_variance)

    # -- codes and images ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Compute the deterministic codes of images, ``b c h w -> b h w q``."""
        return self.quantizer.encode(self.features(x))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Compute the expected images of codes, ``b h w q -> b c h w``.

        Raises:
            ValueError: codes of another grid or number of codebooks, or outside [0, k).
        """
        return self.likelihood.mean(self.outputs(self.embed_codes(codes)))

    def embed_codes(self, codes: Tensor) -> Tensor:
        """Look up the vectors of codes, ``b h w q -> b h w d``; errors as for ``decode``."""
        if codes.shape[1:-1] != self.grid:
            raise ValueError(f"codes must have shape (b, {self.grid[0]}, {self.grid[1]}, q), got {tuple(codes.shape)}")
        return self.quantizer.decode(codes)

    @torch.no_grad()
    def interpolate(self, x: Tensor, y: Tensor, steps: int) -> Tensor:
        """Interpolate from images x to y, ``b c h w`` twice ``-> b s c h w``.

        Points on the line between the two encoder outputs are quantized. Each position changes its codes on its own.
        """
        codes = self.quantizer.encode(lerp_path(self.features(x), self.features(y), steps))  # b s h w q
        return self.decode(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])

    @torch.no_grad()
    def nll(self, x: Tensor, codes: Tensor) -> Tensor:
        """Compute -log p(x | codes) in nats, for images ``b c h w`` and codes ``b h w q``, ``-> b``."""
        return self.likelihood.nll(self.outputs(self.embed_codes(codes)), x)

    @torch.no_grad()
    def negative_elbo(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Estimate the negative ELBO under the uniform prior, ``b c h w -> b`` nats: -log p(x | z) + KL, z ~ q.

        On average it is an upper bound on -log p(x). For discrete pixels, divide by D ln 2 for bits/dim.
        """
        z = self.features(x)
        return self.nll(x, self.quantizer.sample_codes(z, generator=generator)) + self.quantizer.kl(z)

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Decode n grids of independent, uniform codes, ``-> n c h w``: the model's own prior.

        A uniform prior is the same at every ``temperature``. Images that look like the data need a ``CodePrior``.

        Raises:
            ValueError: n < 1, temperature <= 0.
        """
        check_draws(n, temperature)
        shape, k = (n, *self.grid, self.quantizer.codebooks), self.quantizer.codebook_size
        if k > 4096:  # logits of so many codes fill the memory; those of fewer repeat the samples of releases
            return self.decode(torch.randint(k, shape, generator=generator, device=self.device))
        return self.decode(categorical_sample(torch.zeros(*shape, k, device=self.device), generator=generator))
