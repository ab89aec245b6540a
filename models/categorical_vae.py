"""The categorical VAE: n latents of k categories each, and a Bernoulli decoder.

Jang, Gu & Poole 2017 (arXiv:1611.01144); Maddison, Mnih & Teh 2017 (arXiv:1611.00712); the m-sample bound of
Burda, Grosse & Salakhutdinov 2016 (arXiv:1509.00519), eq. 8. Every bound is in nats and reported as an upper bound on
the negative log-likelihood: lower is better. Axes: ``b`` batch, ``n`` latents, ``k`` categories, ``s`` samples,
``c h w`` image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from torch import Tensor, nn

from .base import Batch, ZooModel
from .metrics import LatentUse
from .networks import DECODERS, ENCODERS
from .registry import register_model
from .relaxed import RelaxedCategorical
from .relaxed.densities import categorical_kl
from .relaxed.sampling import one_hot

BOUND_ROWS = 2000  # images decoded at once by the m-sample bound: a few MB each way, whatever m is


@register_model("categorical_vae")
class CategoricalVAE(ZooModel):
    """A VAE whose latents are categories, trained through any estimator of ``RelaxedCategorical``.

    Args:
        image_shape: ``c h w`` of the images.
        latents: number of latents n.
        categories: categories of each, k.
        encoder: name of the encoder network, ``mlp`` or ``conv``.
        decoder: name of the decoder network, ``mlp`` or ``conv``.
        hidden: widths of the encoder's hidden layers; the decoder has them in reverse.
        prior: ``uniform``, or ``learned``: one categorical distribution per latent.
        estimator: how gradients pass the samples, a name of ``gumbelzoo list``.
        temperature: a number, or a schedule such as ``{name: exponential, initial: 1.0, minimum: 0.5, rate: 1.0e-4}``.
        estimator_options: arguments of the estimator, such as ``{samples: 4}``.
        beta_warmup: training steps over which the weight of the KL grows from 0 to 1.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        lr_schedule: ``constant``, or ``cosine`` (to 0 over the whole run).
        lr_warmup: training steps over which the learning rate rises from 0.
        bound_samples: m of the importance-weighted bound at test.
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        latents: int = 20,
        categories: int = 10,
        encoder: str = "mlp",
        decoder: str = "mlp",
        hidden: Sequence[int] = (512, 256),
        prior: str = "uniform",
        estimator: str = "gumbel_softmax",
        temperature: float | Mapping[str, Any] = 1.0,
        estimator_options: Mapping[str, Any] | None = None,
        beta_warmup: int = 0,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: str = "constant",
        lr_warmup: int = 0,
        bound_samples: int = 1000,
    ) -> None:
        super().__init__()
        for option, value, allowed in (
            ("prior", prior, ("uniform", "learned")),
            ("lr_schedule", lr_schedule, ("constant", "cosine")),
        ):
            if value not in allowed:
                raise ValueError(f"{option} must be one of {', '.join(allowed)}, got '{value}'")
        if min(latents, bound_samples) < 1 or categories < 2:
            raise ValueError("latents and bound_samples must be >= 1 and categories >= 2")
        self.save_hyperparameters()
        self.image_shape = tuple(image_shape)
        self.latents, self.categories = latents, categories
        self.beta_warmup, self.bound_samples = beta_warmup, bound_samples
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.lr_schedule, self.lr_warmup = lr_schedule, lr_warmup

        self.relaxed = RelaxedCategorical(estimator, temperature, estimator_options, (latents, categories))
        self.encoder = ENCODERS[encoder](self.image_shape, hidden, latents * categories)
        self.decoder = DECODERS[decoder](self.image_shape, hidden, latents * categories)
        self.output_bias = nn.Parameter(torch.zeros(self.image_shape))
        self.prior_logits = nn.Parameter(torch.zeros(latents, categories), requires_grad=prior == "learned")
        self.register_buffer("base_rate", torch.full(self.image_shape, 0.5))
        self.latent_use = LatentUse(latents, categories)

    base_rate: Tensor

    # -- the distributions ------------------------------------------------------------------------------------------

    def posterior(self, x: Tensor) -> Tensor:
        """Logits of q(z | x), ``b c h w -> b n k``.

        Raises:
            ValueError: images of another shape than ``image_shape``.
        """
        if x.shape[1:] != self.image_shape:
            raise ValueError(
                f"this model takes images of shape {self.image_shape}, got {tuple(x.shape[1:])}; "
                f"set --model.image_shape='{list(x.shape[1:])}'"
            )
        return rearrange(self.encoder(x - self.base_rate), "b (n k) -> b n k", n=self.latents)

    def pixel_logits(self, z: Tensor) -> Tensor:
        """Bernoulli logits of p(x | z), ``... n k -> ... c h w``, for one-hot or relaxed z."""
        flat = z.reshape(-1, self.latents * self.categories)
        return self.decoder(flat).reshape(*z.shape[:-2], *self.image_shape) + self.output_bias

    def reconstruction(self, x: Tensor, z: Tensor) -> Tensor:
        """-log p(x | z) in nats, for x ``b c h w`` and z ``... b n k``, ``-> ... b``."""
        logits = self.pixel_logits(z)
        nats = F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")
        return reduce(nats, "... c h w -> ...", "sum")

    def kl(self, logits: Tensor) -> Tensor:
        """KL(q || p) of each latent in nats, ``b n k -> b n``."""
        return categorical_kl(logits, self.prior_logits)

    # -- training and evaluation ------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Before the first step of a new model, set the output to the base rate of each pixel in the data."""
        mean = getattr(getattr(self.trainer, "datamodule", None), "mean", None)
        if stage == "fit" and mean is not None and self.relaxed.step == 0 and mean.shape == self.image_shape:
            self.initialise(mean)

    @torch.no_grad()
    def initialise(self, mean: Tensor) -> None:
        """Centre the input at, and set the output bias to, the mean training image ``c h w``."""
        self.base_rate.copy_(mean)
        self.output_bias.copy_(torch.logit(mean.to(self.output_bias), eps=1e-3))

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """The negative ELBO with its parts; ``loss`` weighs the KL by the warm-up."""
        x = batch["image"]
        logits = self.posterior(x)
        reconstruction = self.relaxed.expectation(logits, lambda z: self.reconstruction(x, z)).mean()
        kl = self.relaxed.kl(logits, self.prior_logits).sum(-1).mean()
        beta = (self.relaxed.step / self.beta_warmup).clamp(max=1.0) if self.beta_warmup else 1.0
        return {"loss": reconstruction + beta * kl, "bound": reconstruction + kl, "kl": kl}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the negative ELBO at discrete samples."""
        self._log_elbo(batch, self.posterior(batch["image"]), "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the negative ELBO with its parts, the m-sample bound and the use of the latents."""
        x = batch["image"]
        logits = self.posterior(x)
        self._log_elbo(batch, logits, "test")
        self.log("test/bound", self.bound(x).mean(), on_epoch=True, batch_size=len(x), sync_dist=True)
        self.latent_use.update(self.relaxed.mode(logits), self.kl(logits))

    def on_test_epoch_end(self) -> None:
        """Log the use of the latents over the whole epoch."""
        self.log_dict({f"test/{name}": value for name, value in self.latent_use.compute().items()})
        self.latent_use.reset()

    def _log_elbo(self, batch: Batch, logits: Tensor, stage: str) -> None:
        x = batch["image"]
        kl = self.kl(logits).sum(-1).mean()
        reconstruction = self.relaxed.expectation(logits, lambda z: self.reconstruction(x, z)).mean()
        parts = {"elbo": reconstruction + kl, "kl": kl, "reconstruction": reconstruction}
        named = {f"{stage}/{name}": value for name, value in parts.items()}
        self.log_dict(named, on_epoch=True, batch_size=len(x), sync_dist=True)

    @torch.no_grad()
    def bound(self, x: Tensor, samples: int | None = None, generator: torch.Generator | None = None) -> Tensor:
        """The m-sample importance-weighted bound on -log p(x), ``b c h w -> b`` nats, in chunks of bounded memory.

        -log 1/m sum_i p(x, z_i) / q(z_i | x) with z_i ~ q(z | x), discrete.
        """
        m = samples or self.bound_samples
        log_q = self.posterior(x).log_softmax(-1)  # b n k
        log_ratio = self.prior_logits.log_softmax(-1) - log_q  # b n k
        rows = max(1, BOUND_ROWS // m)
        chunks = zip(x.split(rows), log_q.split(rows), log_ratio.split(rows), strict=True)
        return torch.cat([self._bound(*chunk, m, generator) for chunk in chunks])

    def _bound(self, x: Tensor, log_q: Tensor, log_ratio: Tensor, m: int, generator: torch.Generator | None) -> Tensor:
        log_weight = []
        for start in range(0, m, BOUND_ROWS):
            s = min(BOUND_ROWS, m - start)
            codes = self.relaxed.sample(log_q.expand(s, -1, -1, -1), generator=generator)  # s b n
            z = one_hot(codes, self.categories, log_q.dtype)  # s b n k
            ratio = log_ratio.expand_as(z).gather(-1, codes[..., None])  # s b n 1
            log_weight.append(reduce(ratio, "s b n 1 -> s b", "sum") - self.reconstruction(x, z))
        return math.log(m) - torch.cat(log_weight).logsumexp(0)

    # -- codes and images -------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The most probable codes of images, ``b c h w -> b n``."""
        return self.relaxed.mode(self.posterior(x))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Pixel probabilities of codes, ``... n -> ... c h w``.

        Raises:
            ValueError: codes of another number of latents, or outside [0, k).
        """
        if codes.shape[-1] != self.latents or codes.min() < 0 or codes.max() >= self.categories:
            raise ValueError(
                f"codes must have shape (..., {self.latents}) with values in [0, {self.categories}), got shape "
                f"{tuple(codes.shape)} with values in [{codes.min()}, {codes.max()}]"
            )
        return torch.sigmoid(self.pixel_logits(one_hot(codes, self.categories, self.output_bias.dtype)))

    def reconstruct(self, x: Tensor) -> Tensor:
        """``decode(encode(x))``, ``b c h w -> b c h w`` probabilities."""
        return self.decode(self.encode(x))

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Decode n draws of the prior at a temperature, ``-> n c h w`` probabilities."""
        logits = repeat(self.prior_logits / temperature, "n k -> b n k", b=n)
        return self.decode(self.relaxed.sample(logits, generator=generator))

    def latent_table(self, codes: Tensor) -> Tensor:
        """What each category of a latent does to the image of ``codes`` (``n``), ``-> n k c h w`` probabilities."""
        table = repeat(codes, "m -> n k m", n=self.latents, k=self.categories).clone()
        latent = torch.arange(self.latents, device=codes.device)
        table[latent, :, latent] = torch.arange(self.categories, device=codes.device)
        return self.decode(table)
