"""The VQ-VAE: a grid of codes between a convolutional encoder and decoder, through any quantizer.

van den Oord, Vinyals & Kavukcuoglu 2017 (arXiv:1711.00937). With the quantizer ``gumbel`` it is a VAE whose latents are
categories that own vectors, trained through any estimator of ``RelaxedCategorical`` (Jang, Gu & Poole 2017,
arXiv:1611.01144). Axes: ``b`` batch, ``s`` samples, ``c h w`` image or grid, ``d`` width of a vector, ``q`` codebooks.

The objective is, in one unit per dimension (pixels times channels, D),

    reconstruction + the quantizer's own loss

- reconstruction: nats per dimension of the likelihood. With ``mse`` it is the NMSE, the same as for a Gaussian of half
  the data's variance, but for a constant.
- a quantizer that draws its codes: kl_weight times KL(q || uniform) in nats per dimension, so that with kl_weight 1 the
  sum is the negative ELBO. With ``mse`` another kl_weight is a Gaussian of kl_weight / 2 times the data's variance.
- a deterministic quantizer: its codebook and commitment terms, means over positions and coordinates. Its rate is
  log(codes) whatever it learns.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from ...registry import unknown_arguments
from ..base import Batch, ZooModel, check_draws, check_images, straight_line
from ..networks.convolutional import conv_decoder, conv_encoder
from ..quantizers import QUANTIZERS, CodebookUse, Quantized
from ..registry import register_model
from ..relaxed.sampling import categorical_sample
from .likelihoods import LIKELIHOODS


@register_model("vq_vae")
class VQVAE(ZooModel):
    """An autoencoder whose latents are a grid of codes, each the name of a vector in a codebook.

    Args:
        image_shape: ``c h w`` of the images.
        widths: channels behind each convolution of stride 2 of the encoder; the decoder has them in reverse.
        kernel: side of the strided convolutions, 3 or 4.
        residual_blocks: residual blocks on the grid, in the encoder and in the decoder.
        residual_width: channels inside a residual block.
        batch_norm: Batch norm behind the convolutions. The cost of an image then depends on the others in its batch.
        top_kernel: side of the decoder's last convolution, at the full resolution; 0 for none.
        dim: width of the vector at each position of the grid.
        quantizer: gumbel, vector, fsq, sim_vq, product or residual.
        quantizer_options: arguments of the quantizer, such as ``{codebook_size: 128}``.
        likelihood: of the pixels: mse, gaussian, bernoulli, categorical or logistic_mixture.
        likelihood_options: arguments of the likelihood, such as ``{components: 10}``.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        lr_schedule: ``constant``, or ``cosine`` (to 0 over the whole run).
        lr_warmup: training steps over which the learning rate rises from 0.
    """

    monitor = "val/loss"

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        widths: Sequence[int] = (32, 64),
        kernel: int = 3,
        residual_blocks: int = 0,
        residual_width: int = 32,
        batch_norm: bool = False,
        top_kernel: int = 3,
        dim: int = 16,
        quantizer: str = "gumbel",
        quantizer_options: Mapping[str, Any] | None = None,
        likelihood: str = "mse",
        likelihood_options: Mapping[str, Any] | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: str = "constant",
        lr_warmup: int = 0,
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        factor = 2 ** len(widths)
        if not widths or height % factor or width % factor:
            raise ValueError(
                f"widths={list(widths)} halve the image {len(widths)} times: give at least one width, and images whose "
                f"height and width are divisible by {factor}, not {height} x {width}"
            )
        if kernel not in (3, 4) or (top_kernel and top_kernel % 2 == 0):
            raise ValueError(f"kernel must be 3 or 4 and top_kernel odd or 0, got {kernel} and {top_kernel}")
        self.save_hyperparameters()
        self.configure_learning(learning_rate, weight_decay, lr_schedule, lr_warmup)
        self.image_shape, self.grid = tuple(image_shape), (height // factor, width // factor)
        self.dimensions, positions = math.prod(image_shape), math.prod(self.grid)

        options, likelihood_options = dict(quantizer_options or {}), dict(likelihood_options or {})
        unknown_arguments(f"likelihood '{likelihood}'", LIKELIHOODS[likelihood], likelihood_options, ("channels",))
        unknown_arguments(f"quantizer '{quantizer}'", QUANTIZERS[quantizer], options, ("dim",))
        self.likelihood = LIKELIHOODS[likelihood](channels, **likelihood_options)
        if "positions" in inspect.signature(QUANTIZERS[quantizer]).parameters:
            options.setdefault("positions", positions)
        self.quantizer = QUANTIZERS[quantizer](dim, **options)
        self.loss_scale = positions / self.dimensions if self.quantizer.stochastic else 1.0
        if not self.quantizer.stochastic:  # its loss has the distance to the codes, which depends on their scale
            self.monitor = "val/bits_per_dim" if self.likelihood.levels else "val/nmse"
        shared = (dim, widths, kernel, residual_blocks, residual_width, batch_norm)
        self.encoder = conv_encoder(channels, *shared)
        self.decoder = conv_decoder(self.likelihood.outputs, *shared, top_kernel)
        self.codebook_use = CodebookUse(self.quantizer.codebooks, self.quantizer.codebook_size)

    # -- the networks -------------------------------------------------------------------------------------------------

    def features(self, x: Tensor) -> Tensor:
        """What is quantized, ``b c h w -> b h w d``.

        Raises:
            ValueError: images of another shape than ``image_shape``.
        """
        check_images(x, self.image_shape)
        centred = (x - self.likelihood.data_mean) / self.likelihood.data_variance.sqrt()
        return rearrange(self.encoder(centred), "b d h w -> b h w d")

    def outputs(self, vectors: Tensor) -> Tensor:
        """The likelihood's parameters, ``b h w d -> b o h w``."""
        like = next(self.decoder.parameters())
        return self.decoder(rearrange(vectors, "b h w d -> b d h w").to(like.dtype))

    def reconstruction(self, x: Tensor, vectors: Tensor) -> Tensor:
        """The reconstruction's part of the objective, for x ``b c h w`` and vectors ``... b h w d``, ``-> ... b``."""
        lead = vectors.shape[:-3]
        images = x.expand(*lead[:-1], *x.shape).reshape(-1, *self.image_shape)
        return self.likelihood.loss(self.outputs(vectors.reshape(-1, *vectors.shape[-3:])), images).reshape(lead)

    # -- training and evaluation --------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Before the first step of a new model, take the mean and the variance of the training pixels from the data."""
        data: Any = getattr(self.trainer, "datamodule", None)
        new = self.likelihood.data_mean == 0.5 and self.likelihood.data_variance == 1 / 12  # not loaded to go on from
        if stage == "fit" and new and hasattr(data, "variance"):
            self.initialise(float(data.mean.mean()), data.variance)

    def initialise(self, mean: float, variance: float) -> None:
        """Set the mean and the variance of the training pixels: they scale the input, and the NMSE."""
        if variance <= 0:
            raise ValueError("all pixels of the training images are equal: there is nothing to learn")
        self.likelihood.data_mean.fill_(mean)
        self.likelihood.data_variance.fill_(variance)

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """The objective, its reconstruction, and the quantizer's metrics of the batch."""
        reconstruction, quantized = self._terms(batch["image"])
        loss = reconstruction + self.loss_scale * quantized.loss
        return {"loss": loss, self.likelihood.unit: reconstruction, **quantized.metrics}

    def _terms(self, x: Tensor) -> tuple[Tensor, Quantized]:
        """The reconstruction's part of the objective, a scalar, and what was quantized; in eval mode at exact draws."""
        value, quantized = self.quantizer.expectation(self.features(x), lambda vectors: self.reconstruction(x, vectors))
        return value.mean(), quantized

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the objective and bits/dim at exact draws of the codes, and the NMSE of ``reconstruct``."""
        self._evaluate(batch["image"], "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log what validation does."""
        self._evaluate(batch["image"], "test")

    def on_validation_epoch_end(self) -> None:
        """Log the use of the codebook over the whole epoch."""
        self._log_codebook_use("val")

    def on_test_epoch_end(self) -> None:
        """Log the use of the codebook over the whole epoch."""
        self._log_codebook_use("test")

    def _evaluate(self, x: Tensor, stage: str) -> None:
        reconstruction, quantized = self._terms(x)
        error = self.decode(quantized.codes) - x
        metrics = {
            "loss": reconstruction + self.loss_scale * quantized.loss,
            "nmse": error.square().mean() / self.likelihood.data_variance,
            **quantized.metrics,
        }
        if self.likelihood.levels:
            rate = quantized.metrics["rate"] * math.prod(self.grid) / self.dimensions
            metrics["bits_per_dim"] = (reconstruction + rate) / math.log(2)
        named = {f"{stage}/{name}": value for name, value in metrics.items()}
        self.log_dict(named, on_epoch=True, batch_size=len(x), sync_dist=True)
        self.codebook_use.update(quantized.codes)

    def _log_codebook_use(self, stage: str) -> None:
        self.log_dict({f"{stage}/{name}": value for name, value in self.codebook_use.compute().items()})
        self.codebook_use.reset()

    # -- codes and images ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The codes of images, without noise, ``b c h w -> b h w q``."""
        return self.quantizer.encode(self.features(x))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """The expected images of codes, ``b h w q -> b c h w``.

        Raises:
            ValueError: codes of another grid or number of codebooks, or outside [0, k).
        """
        return self.likelihood.mean(self.outputs(self.look_up(codes)))

    def look_up(self, codes: Tensor) -> Tensor:
        """The vectors of codes, ``b h w q -> b h w d``; errors as for ``decode``."""
        if codes.shape[1:-1] != self.grid:
            raise ValueError(f"codes must have shape (b, {self.grid[0]}, {self.grid[1]}, q), got {tuple(codes.shape)}")
        return self.quantizer.decode(codes)

    def reconstruct(self, x: Tensor) -> Tensor:
        """``decode(encode(x))``, ``b c h w -> b c h w``."""
        return self.decode(self.encode(x))

    @torch.no_grad()
    def interpolate(self, x: Tensor, y: Tensor, steps: int) -> Tensor:
        """Images on the way from x to y, ``b c h w`` twice ``-> b s c h w``.

        The straight line between the encoder's features is quantized: the codes of a position change where its point
        comes nearer to another vector of the codebook.
        """
        codes = self.quantizer.encode(straight_line(self.features(x), self.features(y), steps))  # b s h w q
        return self.decode(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])

    @torch.no_grad()
    def nll(self, x: Tensor, codes: Tensor) -> Tensor:
        """-log p(x | codes) in nats, for x ``b c h w`` and codes ``b h w q``, ``-> b``."""
        return self.likelihood.nll(self.outputs(self.look_up(codes)), x)

    @torch.no_grad()
    def bound(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw of the negative ELBO under the uniform prior, ``b c h w -> b`` nats: -log p(x | z) + KL, z ~ q.

        On average an upper bound on -log p(x); over D ln 2 it is in bits/dim, where the likelihood is of levels.
        """
        z = self.features(x)
        return self.nll(x, self.quantizer.sample_codes(z, generator=generator)) + self.quantizer.kl(z)

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Decode n grids of independent, uniformly drawn codes, ``-> n c h w``: this model's own prior.

        ``temperature`` is there for the commands, and changes nothing about a uniform prior. Images that look like the
        data need a learned prior over codes, a model of its own that calls ``decode``.
        """
        check_draws(n, temperature)
        logits = torch.zeros(n, *self.grid, self.quantizer.codebooks, self.quantizer.codebook_size, device=self.device)
        return self.decode(categorical_sample(logits / temperature, generator=generator))
