"""The categorical VAE: n latents of k categories each, and a Bernoulli decoder.

Jang, Gu & Poole 2017 (arXiv:1611.01144); Maddison, Mnih & Teh 2017 (arXiv:1611.00712). Bounds are in nats, on the
negative log-likelihood: lower is better. Axes: ``b`` batch, ``n`` latents, ``k`` categories, ``s`` and ``m`` samples,
``c h w`` image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from ..base import Batch, check_draws, straight_line
from ..registry import register_model
from ..relaxed import Estimator, RelaxedCategorical
from ..relaxed.densities import categorical_kl
from ..relaxed.estimator import full_precision
from ..relaxed.latent_usage import LatentUse
from ..relaxed.sampling import one_hot
from .base import VAE


@register_model("categorical_vae")
class CategoricalVAE(VAE):
    """A VAE whose latents are categories, trained through any estimator of ``RelaxedCategorical``.

    Args:
        image_shape: ``c h w`` of the images.
        latents: number of latents n.
        categories: categories of each, k.
        encoder: name of the encoder network, ``mlp`` or ``conv``.
        decoder: name of the decoder network, ``mlp`` or ``conv``.
        hidden: widths of the encoder's hidden layers; the decoder has them in reverse.
        activation: between the layers, ``relu`` or ``tanh``.
        prior: ``uniform``, or ``learned``: one categorical distribution per latent.
        estimator: how gradients pass the samples, a name of ``gumbelzoo list``.
        temperature: a number, or a schedule such as ``{name: exponential, initial: 1.0, minimum: 0.5, rate: 1.0e-4}``.
        estimator_options: arguments of the estimator, such as ``{samples: 4}``.
        training_samples: m of the objective: 1 for the ELBO (analytic KL), more for the importance-weighted bound.
        beta_warmup: training steps over which the weight of the KL grows from 0 to 1; for the ELBO only.
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
        activation: str = "relu",
        prior: str = "uniform",
        estimator: str = "gumbel_softmax",
        temperature: float | Mapping[str, Any] = 1.0,
        estimator_options: Mapping[str, Any] | None = None,
        training_samples: int = 1,
        beta_warmup: int = 0,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: str = "constant",
        lr_warmup: int = 0,
        bound_samples: int = 1000,
    ) -> None:
        if prior not in ("uniform", "learned"):
            raise ValueError(f"prior must be one of uniform, learned, got '{prior}'")
        if min(latents, training_samples) < 1 or categories < 2:
            raise ValueError("latents and training_samples must be >= 1 and categories >= 2")
        if training_samples > 1 and beta_warmup:
            raise ValueError("beta_warmup weighs the KL of the ELBO: use it with training_samples=1")
        features = latents * categories
        super().__init__(image_shape, features, features, encoder, decoder, hidden, activation, bound_samples)
        self.save_hyperparameters()
        self.latents, self.categories = latents, categories
        self.training_samples, self.beta_warmup = training_samples, beta_warmup
        self.configure_learning(learning_rate, weight_decay, lr_schedule, lr_warmup)
        # the m samples of the bound are latents of one expectation
        event_shape = (latents, training_samples, categories) if training_samples > 1 else (latents, categories)
        self.relaxed = RelaxedCategorical(estimator, temperature, estimator_options, event_shape)
        if training_samples > 1 and type(self.relaxed.estimator).kl is not Estimator.kl:
            raise ValueError(f"estimator '{estimator}' relaxes the KL of the ELBO: use it with training_samples=1")
        self.prior_logits = nn.Parameter(torch.zeros(latents, categories), requires_grad=prior == "learned")
        self.latent_use = LatentUse(latents, categories)

    # -- the distributions --------------------------------------------------------------------------------------------

    def posterior(self, x: Tensor) -> Tensor:
        """Logits of q(z | x), ``b c h w -> b n k``; ValueError for images of another shape."""
        return rearrange(self.encode_features(x), "b (n k) -> b n k", n=self.latents)

    def pixel_logits(self, z: Tensor) -> Tensor:
        """Bernoulli logits of p(x | z), ``... n k -> ... c h w``, for one-hot or relaxed z."""
        return self.decode_features(z.flatten(-2))

    def kl(self, logits: Tensor) -> Tensor:
        """KL(q || p) of each latent in nats, ``b n k -> b n``."""
        return categorical_kl(logits, self.prior_logits)

    def log_ratio(self, logits: Tensor) -> Tensor:
        """log p(z) - log q(z | x) of every category in nats, ``b n k``."""
        return full_precision(self.prior_logits).log_softmax(-1) - full_precision(logits).log_softmax(-1)

    # -- training and evaluation --------------------------------------------------------------------------------------

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """The negative ELBO with its parts, ``loss`` weighing the KL by the warm-up; or the m-sample bound."""
        return self.objective(batch["image"], self.posterior(batch["image"]))

    def objective(self, x: Tensor, logits: Tensor) -> dict[str, Tensor]:
        """What ``training_metrics`` says of images ``b c h w`` whose posterior has these logits, ``b n k``."""
        if self.training_samples > 1:
            bound = self.training_bound(x, logits).mean()
            return {"loss": bound, "bound": bound}
        reconstruction = self.relaxed.expectation(logits, lambda z: self.reconstruction(x, z)).mean()
        kl = self.relaxed.kl(logits, self.prior_logits).sum(-1).mean()
        beta = (self.relaxed.step / self.beta_warmup).clamp(max=1.0) if self.beta_warmup else 1.0
        return {"loss": reconstruction + beta * kl, "bound": reconstruction + kl, "kl": kl}

    def training_bound(self, x: Tensor, logits: Tensor) -> Tensor:
        """The negative bound of ``training_samples`` samples, ``b`` nats, with the estimator's gradient."""
        ratio = self.log_ratio(logits)

        def log_weight(z: Tensor) -> Tensor:  # m ... b n k -> m ... b; linear in z where z is relaxed
            return (z * ratio).sum((-1, -2)) - self.reconstruction(x, z)

        return -self.relaxed.multi_sample_bound(logits, log_weight, self.training_samples)

    def terms(self, x: Tensor, posterior: Tensor) -> tuple[Tensor, Tensor]:
        """-log p(x | z) at an exact draw of z, and KL(q || p), ``b`` nats each."""
        reconstruction = self.relaxed.expectation(posterior, lambda z: self.reconstruction(x, z))
        return reconstruction, self.kl(posterior).sum(-1)

    def log_weights(self, x: Tensor, posterior: Tensor, s: int, generator: torch.Generator | None) -> Tensor:
        """log p(x, z) - log q(z | x) at s exact draws of z, ``s b`` nats."""
        codes = self.relaxed.sample(posterior.expand(s, -1, -1, -1), generator=generator)  # s b n
        ratio = self.log_ratio(posterior).expand(s, -1, -1, -1).gather(-1, codes[..., None])  # s b n 1
        z = one_hot(codes, self.categories, posterior.dtype)  # s b n k
        return ratio.sum((-1, -2)) - self.reconstruction(x, z)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the bounds and the use of the latents."""
        super().test_step(batch, batch_idx)
        logits = self.posterior(batch["image"])
        self.latent_use.update(self.relaxed.mode(logits), self.kl(logits))

    def on_test_epoch_end(self) -> None:
        """Log the use of the latents over the whole epoch."""
        self.log_dict({f"test/{name}": value for name, value in self.latent_use.compute().items()})
        self.latent_use.reset()

    # -- codes and images ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The most probable codes of images, ``b c h w -> b n``."""
        return self.relaxed.mode(self.posterior(x))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Pixel probabilities of codes, ``... n -> ... c h w``.

        Raises:
            ValueError: codes of another number of latents, no whole numbers, or outside [0, k).
        """
        known = not codes.is_floating_point() and codes.shape[-1] == self.latents
        whole = codes.long()  # 256 is no number of eight bits
        if not known or bool(((whole < 0) | (whole >= self.categories)).any()):
            values = f" with values in [{codes.min()}, {codes.max()}]" if codes.numel() else ""
            raise ValueError(
                f"codes must have shape (..., {self.latents}) with whole values in [0, {self.categories}), got "
                f"{codes.dtype} {tuple(codes.shape)}{values}"
            )
        return torch.sigmoid(self.pixel_logits(one_hot(whole, self.categories, self.output_bias.dtype)))

    def reconstruct(self, x: Tensor) -> Tensor:
        """``decode(encode(x))``, ``b c h w -> b c h w`` probabilities."""
        return self.decode(self.encode(x))

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Decode n draws of the prior at a temperature, ``-> n c h w`` probabilities."""
        check_draws(n, temperature)
        logits = repeat(self.prior_logits / temperature, "n k -> b n k", b=n)
        return self.decode(self.relaxed.sample(logits, generator=generator))

    @torch.no_grad()
    def interpolate(self, x: Tensor, y: Tensor, steps: int) -> Tensor:
        """Images on the way from x to y, ``b c h w`` twice ``-> b s c h w`` probabilities.

        They are decoded from the modes along the straight line between the posteriors' logits: every latent goes from
        its category for x to that for y, maybe over others, and each at a place of its own.
        """
        return self.decode(self.relaxed.mode(straight_line(self.posterior(x), self.posterior(y), steps)))

    def latent_table(self, codes: Tensor) -> Tensor:
        """What each category of a latent does to the image of ``codes`` (``n``), ``-> n k c h w`` probabilities."""
        table = repeat(codes, "m -> n k m", n=self.latents, k=self.categories).clone()
        latent = torch.arange(self.latents, device=codes.device)
        table[latent, :, latent] = torch.arange(self.categories, device=codes.device)
        return self.decode(table)
