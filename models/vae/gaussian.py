"""Gaussian VAE: the continuous reference of the categorical ones, with the same networks and bounds.

Kingma & Welling 2014 (arXiv:1312.6114): the reparameterised gradient of section 2.4 and the KL of appendix B. Bounds
are in nats, on the negative log-likelihood: lower is better. Axes: ``b`` batch, ``n`` latents, ``s`` samples,
``c h w`` image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from einops import rearrange
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from ...interfaces import Batch
from ...ranges import check_sizes
from ...registry import Spec
from ..base import ModelCard, OptimizerConfig, check_draws, lerp_path, register_model
from ..relaxed.surrogate import upcast
from .base import VAE


@register_model("gaussian_vae")
class GaussianVAE(VAE):
    """A VAE with a diagonal Gaussian posterior and a standard normal prior; it has no categories.

    Args:
        image_shape: ``c h w`` of the images.
        latents: number of dimensions n of z.
        encoder: mlp, conv, or ``{name: mlp, hidden: [512, 256], activation: relu}``.
        decoder: mlp, conv, or ``{name: mlp, hidden: [256, 512], activation: relu}``; ``hidden`` starts at z.
        optimizer: AdamW and its learning-rate schedule; options of ``OptimizerConfig``.
        bound_samples: m of the importance-weighted bound at test.

    Raises:
        ValueError: an unknown name or option (the nearest known one is named), a value out of range.

    Example:
        >>> model = GaussianVAE((1, 28, 28), latents=8, encoder={"name": "mlp", "hidden": [64]})
        >>> images = model.sample(4)  # b c h w, probabilities
        >>> means = model.encode(images.round())  # b n
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: the reference with continuous latents for the categorical VAEs.",
        limits="It models images of its data set, at their size, and no others. Bounds are comparable only under the "
        "same binarization and the same number of samples m.",
        example="images = model.sample(16)  # b c h w, the probability that a pixel is white\n"
        "means = model.encode(images.round())  # b n",
        metrics=("bound", "elbo"),
        task="unconditional-image-generation",
    )

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        latents: int = 50,
        encoder: Spec = "mlp",
        decoder: Spec = "mlp",
        optimizer: OptimizerConfig | dict = VAE.optimizer_config,
        bound_samples: int = 1000,
    ) -> None:
        check_sizes(latents=latents)
        super().__init__(image_shape, 2 * latents, latents, encoder, decoder, optimizer, bound_samples)
        self.save_hyperparameters()
        self.latents = latents

    def posterior(self, x: Tensor) -> Tensor:
        """Return mean and log standard deviation of q(z | x), ``b c h w -> b 2 n``.

        Raises:
            ValueError: images of another shape.
        """
        return rearrange(self.encode_features(x), "b (two n) -> b two n", two=2)

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Return the negative ELBO and its analytic KL."""
        reconstruction, kl = (term.mean() for term in self.elbo_terms(batch["image"], self.posterior(batch["image"])))
        return {"loss": reconstruction + kl, "elbo": reconstruction + kl, "kl": kl}

    def elbo_terms(self, x: Tensor, posterior: Tensor) -> tuple[Tensor, Tensor]:
        """Return -log p(x | z) at a draw of z, with its gradient, and KL(q || p), ``b`` nats each."""
        q = _normal(posterior)
        return self.reconstruction(x, q.rsample().to(posterior.dtype)), kl_divergence(q, Normal(0.0, 1.0)).sum(-1)

    def log_weights(self, x: Tensor, posterior: Tensor, s: int, generator: torch.Generator | None) -> Tensor:
        """Return log p(x, z) - log q(z | x) at s draws of z, ``s b`` nats."""
        q = _normal(posterior)
        noise = torch.randn(s, *q.loc.shape, device=q.loc.device, dtype=q.loc.dtype, generator=generator)
        z = q.loc + q.scale * noise  # s b n
        ratio = Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)
        return ratio.sum(-1) - self.reconstruction(x, z.to(posterior.dtype))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Return the posterior means of images, ``b c h w -> b n``."""
        return self.posterior(x)[:, 0].contiguous()  # its strides would become a condition of an exported `decode`

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Return pixel probabilities for latents, ``... n -> ... c h w``.

        Raises:
            ValueError: a wrong number of latents, or integers.
        """
        if not z.is_floating_point() or z.shape[-1] != self.latents:
            raise ValueError(f"z must be floating with shape (..., {self.latents}), got {z.dtype} {tuple(z.shape)}")
        return torch.sigmoid(self.pixel_logits(z))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return ``decode(encode(x))``, ``b c h w -> b c h w`` probabilities."""
        return self.decode(self.encode(x))

    @torch.no_grad()
    def interpolate(self, x: Tensor, y: Tensor, steps: int) -> Tensor:
        """Decode the straight line between the posterior means, ``b c h w`` twice ``-> b s c h w`` probabilities."""
        return self.decode(lerp_path(self.encode(x), self.encode(y), steps))

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Decode n draws from the prior, its variance times ``temperature``, ``-> n c h w`` probabilities."""
        check_draws(n, temperature)
        noise = torch.randn(n, self.latents, device=self.device, dtype=self.output_bias.dtype, generator=generator)
        return self.decode(temperature**0.5 * noise)


def _normal(posterior: Tensor) -> Normal:
    mean, log_scale = upcast(posterior).unbind(1)
    return Normal(mean, log_scale.exp(), validate_args=False)
