"""The Gaussian VAE: the reference line of the categorical ones, with the same networks and bounds.

Kingma & Welling 2014 (arXiv:1312.6114): the reparameterised gradient of section 2.4 and the KL of appendix B. Bounds
are in nats, on the negative log-likelihood: lower is better. Axes: ``b`` batch, ``n`` latents, ``s`` samples,
``c h w`` image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from ..base import Batch, check_draws, straight_line
from ..registry import register_model
from ..relaxed.estimator import full_precision
from .base import VAE


@register_model("gaussian_vae")
class GaussianVAE(VAE):
    """A VAE with a diagonal Gaussian posterior and a standard normal prior; no category, no relaxation.

    Args:
        image_shape: ``c h w`` of the images.
        latents: dimensions n of z.
        encoder: name of the encoder network, ``mlp`` or ``conv``.
        decoder: name of the decoder network, ``mlp`` or ``conv``.
        hidden: widths of the encoder's hidden layers; the decoder has them in reverse.
        activation: between the layers, ``relu`` or ``tanh``.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        lr_schedule: ``constant``, or ``cosine`` (to 0 over the whole run).
        lr_warmup: training steps over which the learning rate rises from 0.
        bound_samples: m of the importance-weighted bound at test.
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        latents: int = 50,
        encoder: str = "mlp",
        decoder: str = "mlp",
        hidden: Sequence[int] = (512, 256),
        activation: str = "relu",
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: str = "constant",
        lr_warmup: int = 0,
        bound_samples: int = 1000,
    ) -> None:
        if latents < 1:
            raise ValueError(f"latents must be >= 1, got {latents}")
        super().__init__(image_shape, 2 * latents, latents, encoder, decoder, hidden, activation, bound_samples)
        self.save_hyperparameters()
        self.latents = latents
        self.configure_learning(learning_rate, weight_decay, lr_schedule, lr_warmup)

    def posterior(self, x: Tensor) -> Tensor:
        """Mean and log standard deviation of q(z | x), ``b c h w -> b 2 n``; ValueError for images of another shape."""
        return rearrange(self.encode_features(x), "b (two n) -> b two n", two=2)

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """The negative ELBO with its analytic KL."""
        reconstruction, kl = (term.mean() for term in self.terms(batch["image"], self.posterior(batch["image"])))
        return {"loss": reconstruction + kl, "bound": reconstruction + kl, "kl": kl}

    def terms(self, x: Tensor, posterior: Tensor) -> tuple[Tensor, Tensor]:
        """-log p(x | z) at a draw of z, with its gradient, and KL(q || p), ``b`` nats each."""
        q = _normal(posterior)
        return self.reconstruction(x, q.rsample().to(posterior.dtype)), kl_divergence(q, Normal(0.0, 1.0)).sum(-1)

    def log_weights(self, x: Tensor, posterior: Tensor, s: int, generator: torch.Generator | None) -> Tensor:
        """log p(x, z) - log q(z | x) at s draws of z, ``s b`` nats."""
        q = _normal(posterior)
        noise = torch.randn(s, *q.loc.shape, device=q.loc.device, dtype=q.loc.dtype, generator=generator)
        z = q.loc + q.scale * noise  # s b n
        ratio = Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)
        return ratio.sum(-1) - self.reconstruction(x, z.to(posterior.dtype))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The posterior means of images, ``b c h w -> b n``."""
        return self.posterior(x)[:, 0]

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Pixel probabilities, ``... n -> ... c h w``.

        Raises:
            ValueError: another number of latents, or whole numbers.
        """
        if not z.is_floating_point() or z.shape[-1] != self.latents:
            raise ValueError(f"z must be floating with shape (..., {self.latents}), got {z.dtype} {tuple(z.shape)}")
        return torch.sigmoid(self.pixel_logits(z))

    def reconstruct(self, x: Tensor) -> Tensor:
        """``decode(encode(x))``, ``b c h w -> b c h w`` probabilities."""
        return self.decode(self.encode(x))

    @torch.no_grad()
    def interpolate(self, x: Tensor, y: Tensor, steps: int) -> Tensor:
        """Images on the straight line between the posterior means, ``b c h w`` twice ``-> b s c h w`` probabilities."""
        return self.decode(straight_line(self.encode(x), self.encode(y), steps))

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Decode n draws of the prior, its variance times ``temperature``, ``-> n c h w`` probabilities."""
        check_draws(n, temperature)
        noise = torch.randn(n, self.latents, device=self.device, dtype=self.output_bias.dtype, generator=generator)
        return self.decode(temperature**0.5 * noise)


def _normal(posterior: Tensor) -> Normal:
    mean, log_scale = full_precision(posterior).unbind(1)
    return Normal(mean, log_scale.exp(), validate_args=False)
