"""Base class of variational autoencoders: encoder and decoder, the ELBO, the importance-weighted bound.

Kingma & Welling 2014 (arXiv:1312.6114); Burda, Grosse & Salakhutdinov 2016 (arXiv:1509.00519), eq. 8. Every bound is in
nats and an upper bound on the negative log-likelihood: lower is better. Axes: ``b`` batch, ``s`` samples, ``d``
features, ``c h w`` image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...interfaces import Batch
from ...registry import Spec
from ..base import OptimizerConfig, Part
from ..inputs import check_images
from ..networks.image import DECODERS, ENCODERS, check_networks
from ..relaxed.bounds import importance_weighted_bound
from .binary_images import BinaryImageModel, bernoulli_nll


class VAE(BinaryImageModel):
    """Variational autoencoder of binary images.

    A subclass defines ``posterior``, ``elbo_terms``, ``log_weights`` and ``training_metrics``.

    Args:
        image_shape: ``c h w`` of the images.
        posterior_features: width d of the encoder's output.
        latent_features: width d of the decoder's input.
        encoder: image encoder, a name or ``{name: mlp, hidden: [512, 256]}``.
        decoder: image decoder, a name or ``{name: mlp, hidden: [256, 512]}``.
        optimizer: AdamW and its learning-rate schedule.
        bound_samples: m of the importance-weighted bound at test.

    Raises:
        ValueError: a network whose output does not fit; errors of the networks.
    """

    parts: ClassVar[Mapping[str, Part]] = {**BinaryImageModel.parts, "encoder": ENCODERS, "decoder": DECODERS}

    def __init__(
        self,
        image_shape: Sequence[int],
        posterior_features: int,
        latent_features: int,
        encoder: Spec,
        decoder: Spec,
        optimizer: OptimizerConfig | dict,
        bound_samples: int,
    ) -> None:
        super().__init__(image_shape, optimizer, bound_samples)
        check_networks(encoder, decoder, self.image_shape, posterior_features, latent_features)
        self.encoder = ENCODERS.build(encoder, image_shape=self.image_shape, features=posterior_features)
        self.decoder = DECODERS.build(decoder, image_shape=self.image_shape, features=latent_features)
        self.output_bias = nn.Parameter(torch.zeros(self.image_shape))

    # -- defined by subclasses ----------------------------------------------------------------------------------------

    def posterior(self, x: Tensor) -> Tensor:
        """Return the parameters of q(z | x), ``b c h w -> b ...``."""
        raise NotImplementedError

    def elbo_terms(self, x: Tensor, posterior: Tensor) -> tuple[Tensor, Tensor]:
        """Return -log p(x | z) at an exact draw of z, and KL(q || p), ``b`` nats each."""
        raise NotImplementedError

    def log_weights(self, x: Tensor, posterior: Tensor, s: int, generator: torch.Generator | None) -> Tensor:
        """Return log p(x, z) - log q(z | x) at s exact draws of z, ``s b`` nats."""
        raise NotImplementedError

    # -- networks -----------------------------------------------------------------------------------------------------

    def encode_features(self, x: Tensor) -> Tensor:
        """Return the encoder's output for images, ``b c h w -> b d``.

        Raises:
            ValueError: images of another shape than ``image_shape``.
        """
        check_images(x, self.image_shape)
        return self.encoder(x - self.base_rate)

    def decode_features(self, features: Tensor) -> Tensor:
        """Return Bernoulli logits of p(x | z), ``... d -> ... c h w``."""
        flat = features.reshape(-1, features.shape[-1])
        return self.decoder(flat).reshape(*features.shape[:-1], *self.image_shape) + self.output_bias

    def pixel_logits(self, z: Tensor) -> Tensor:
        """Return Bernoulli logits of p(x | z); z is the decoder's input unless a subclass overrides this."""
        return self.decode_features(z)

    def reconstruction(self, x: Tensor, z: Tensor) -> Tensor:
        """Return -log p(x | z) in nats for images ``b c h w`` and latents ``... b ...``, ``-> ... b``."""
        return bernoulli_nll(self.pixel_logits(z), x)

    # -- training and evaluation --------------------------------------------------------------------------------------

    def is_new(self) -> bool:
        """True if neither the base rate nor the output bias has been set or trained."""
        return bool((self.base_rate == 0.5).all()) and not self.output_bias.any()

    @torch.no_grad()
    def initialise(self, mean: Tensor) -> None:
        """Centre the input at the mean training image ``c h w`` and set the output bias to its logits."""
        super().initialise(mean)
        self.output_bias.copy_(torch.logit(mean.to(self.output_bias), eps=1e-3))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the negative ELBO at exact samples."""
        self.log_elbo(batch["image"], "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the negative ELBO with its terms, and the importance-weighted bound."""
        x = batch["image"]
        self.log_elbo(x, "test")
        bound = self.importance_weighted_bound(x).mean()
        self.log("test/bound", bound, on_epoch=True, batch_size=len(x), sync_dist=True)

    def log_elbo(self, x: Tensor, stage: str) -> None:
        """Log the negative ELBO of images ``b c h w`` and its terms under ``stage/``."""
        reconstruction, kl = (term.mean() for term in self.elbo_terms(x, self.posterior(x)))
        terms = {"elbo": reconstruction + kl, "kl": kl, "reconstruction": reconstruction}
        named = {f"{stage}/{name}": value for name, value in terms.items()}
        self.log_dict(named, on_epoch=True, batch_size=len(x), sync_dist=True)

    @torch.no_grad()
    def importance_weighted_bound(
        self, x: Tensor, samples: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Compute the m-sample bound on -log p(x) with exact draws of z, ``b c h w -> b`` nats, in float32 at least.

        Args:
            x: images.
            samples: m; ``bound_samples`` by default.
            generator: source of the draws.

        Raises:
            ValueError: fewer than 1 sample, or images of another shape.
        """
        m = self.bound_samples if samples is None else samples
        return importance_weighted_bound(partial(self.log_weights, generator=generator), m, x, self.posterior(x))
