"""What every variational autoencoder of the zoo shares: a Bernoulli decoder of images, the ELBO, the m-sample bound.

Kingma & Welling 2014 (arXiv:1312.6114); the m-sample bound is that of Burda, Grosse & Salakhutdinov 2016
(arXiv:1509.00519), eq. 8. Every bound is in nats and reported as an upper bound on the negative log-likelihood: lower
is better. Axes: ``b`` batch, ``s`` samples, ``d`` features, ``c h w`` image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor, nn

from ..base import Batch, ZooModel, check_images
from ..networks.image import DECODERS, ENCODERS
from ..relaxed.estimator import full_precision

BOUND_ROWS = 2000  # images decoded at once by the m-sample bound: a few MB each way, whatever m is


class VAE(ZooModel):
    """The base of a VAE. A subclass writes ``posterior``, ``terms``, ``log_weights`` and ``training_metrics``.

    Args:
        image_shape: ``c h w`` of the images.
        posterior_features: what the encoder gives for an image, d.
        latent_features: what the decoder takes, d.
        encoder, decoder, hidden, activation: the networks, see ``networks.py``.
        bound_samples: m of the importance-weighted bound at test.
    """

    base_rate: Tensor

    def __init__(
        self,
        image_shape: Sequence[int],
        posterior_features: int,
        latent_features: int,
        encoder: str,
        decoder: str,
        hidden: Sequence[int],
        activation: str,
        bound_samples: int,
    ) -> None:
        super().__init__()
        if bound_samples < 1:
            raise ValueError(f"bound_samples must be >= 1, got {bound_samples}")
        self.image_shape, self.bound_samples = tuple(image_shape), bound_samples
        self.encoder = ENCODERS[encoder](self.image_shape, hidden, posterior_features, activation)
        self.decoder = DECODERS[decoder](self.image_shape, hidden, latent_features, activation)
        self.output_bias = nn.Parameter(torch.zeros(self.image_shape))
        self.register_buffer("base_rate", torch.full(self.image_shape, 0.5))

    # -- what a subclass says -----------------------------------------------------------------------------------------

    def posterior(self, x: Tensor) -> Tensor:
        """Parameters of q(z | x), ``b c h w -> b ...``."""
        raise NotImplementedError

    def terms(self, x: Tensor, posterior: Tensor) -> tuple[Tensor, Tensor]:
        """-log p(x | z) at an exact draw of z, and KL(q || p), ``b`` nats each."""
        raise NotImplementedError

    def log_weights(self, x: Tensor, posterior: Tensor, s: int, generator: torch.Generator | None) -> Tensor:
        """log p(x, z) - log q(z | x) at s exact draws of z, ``s b`` nats."""
        raise NotImplementedError

    # -- the networks -------------------------------------------------------------------------------------------------

    def encode_features(self, x: Tensor) -> Tensor:
        """The encoder's output for images, ``b c h w -> b d``.

        Raises:
            ValueError: images of another shape than ``image_shape``.
        """
        check_images(x, self.image_shape)
        return self.encoder(x - self.base_rate)

    def decode_features(self, features: Tensor) -> Tensor:
        """Bernoulli logits of p(x | z), ``... d -> ... c h w``."""
        flat = features.reshape(-1, features.shape[-1])
        return self.decoder(flat).reshape(*features.shape[:-1], *self.image_shape) + self.output_bias

    def pixel_logits(self, z: Tensor) -> Tensor:
        """Bernoulli logits of p(x | z); here for z that are the decoder's features."""
        return self.decode_features(z)

    def reconstruction(self, x: Tensor, z: Tensor) -> Tensor:
        """-log p(x | z) in nats, for x ``b c h w`` and z of examples ``... b``, ``-> ... b``."""
        logits = full_precision(self.pixel_logits(z))
        nats = F.binary_cross_entropy_with_logits(logits, x.to(logits.dtype).expand_as(logits), reduction="none")
        return reduce(nats, "... c h w -> ...", "sum")

    # -- training and evaluation --------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Before the first step of a new model, set the output to the base rate of each pixel in the data."""
        mean = getattr(getattr(self.trainer, "datamodule", None), "mean", None)
        new = bool((self.base_rate == 0.5).all()) and not self.output_bias.any()  # not loaded to go on from
        if stage == "fit" and mean is not None and new and mean.shape == self.image_shape:
            self.initialise(mean)

    @torch.no_grad()
    def initialise(self, mean: Tensor) -> None:
        """Centre the input at, and set the output bias to, the mean training image ``c h w``."""
        self.base_rate.copy_(mean)
        self.output_bias.copy_(torch.logit(mean.to(self.output_bias), eps=1e-3))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the negative ELBO at exact samples."""
        self.log_elbo(batch, self.posterior(batch["image"]), "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the negative ELBO with its parts, and the m-sample bound."""
        x = batch["image"]
        self.log_elbo(batch, self.posterior(x), "test")
        self.log("test/bound", self.bound(x).mean(), on_epoch=True, batch_size=len(x), sync_dist=True)

    def log_elbo(self, batch: Batch, posterior: Tensor, stage: str) -> None:
        """Log the negative ELBO and its parts for a stage."""
        x = batch["image"]
        reconstruction, kl = (term.mean() for term in self.terms(x, posterior))
        parts = {"elbo": reconstruction + kl, "kl": kl, "reconstruction": reconstruction}
        named = {f"{stage}/{name}": value for name, value in parts.items()}
        self.log_dict(named, on_epoch=True, batch_size=len(x), sync_dist=True)

    @torch.no_grad()
    def bound(self, x: Tensor, samples: int | None = None, generator: torch.Generator | None = None) -> Tensor:
        """The m-sample importance-weighted bound on -log p(x), ``b c h w -> b`` nats, in chunks of bounded memory.

        -log 1/m sum_i p(x, z_i) / q(z_i | x) with exact draws z_i ~ q(z | x), in float32 at least.

        Raises:
            ValueError: fewer than 1 sample.
        """
        m = self.bound_samples if samples is None else samples
        if m < 1:
            raise ValueError(f"samples must be >= 1, got {m}")
        rows = max(1, BOUND_ROWS // m)
        chunks = zip(x.split(rows), self.posterior(x).split(rows), strict=True)
        return torch.cat([self._bound(*chunk, m, generator) for chunk in chunks])

    def _bound(self, x: Tensor, posterior: Tensor, m: int, generator: torch.Generator | None) -> Tensor:
        starts = range(0, m, BOUND_ROWS)
        weights = [self.log_weights(x, posterior, min(BOUND_ROWS, m - start), generator) for start in starts]
        return math.log(m) - torch.cat(weights).logsumexp(0)
