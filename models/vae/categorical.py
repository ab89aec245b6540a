"""Categorical VAE: n latents of k categories each, and a Bernoulli decoder.

Jang, Gu & Poole 2017 (arXiv:1611.01144); Maddison, Mnih & Teh 2017 (arXiv:1611.00712). Bounds are in nats, on the
negative log-likelihood: lower is better. Axes: ``b`` batch, ``n`` latents, ``k`` categories, ``s`` and ``m`` samples,
``c h w`` image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from ...interfaces import Batch
from ...ranges import check_sizes
from ...registry import Spec
from ..base import ModelCard, OptimizerConfig, Part, check_draws, lerp_path, register_model
from ..relaxed import ESTIMATORS, SCHEDULES, Estimator, RelaxedCategorical
from ..relaxed.checks import check_code_range
from ..relaxed.densities import categorical_kl
from ..relaxed.latent_usage import LatentUsage
from ..relaxed.sampling import one_hot
from ..relaxed.softmax import log_softmax
from .base import VAE


@register_model("categorical_vae")
class CategoricalVAE(VAE):
    """A VAE with categorical latents, trained through any estimator of ``RelaxedCategorical``.

    Args:
        image_shape: ``c h w`` of the images.
        latents: number of latents n.
        categories: number of categories k of each latent.
        encoder: mlp, conv, or ``{name: mlp, hidden: [512, 256], activation: relu}``.
        decoder: mlp, conv, or ``{name: mlp, hidden: [256, 512], activation: relu}``; ``hidden`` starts at z.
        prior: ``uniform``, or ``learned``: one categorical distribution per latent.
        estimator: gradient estimator, a name of ``gumbelzoo list estimator`` or ``{name: reinforce, samples: 8}``.
        temperature: a number, or a schedule such as ``{name: exponential, initial: 1.0, minimum: 0.5, rate: 1.0e-4}``.
        training_samples: m of the objective: 1 for the ELBO (analytic KL), more for the importance-weighted bound.
        beta_warmup: optimizer steps over which the weight of the KL grows from 0 to 1; for the ELBO only.
        optimizer: AdamW and its learning-rate schedule; options of ``OptimizerConfig``.
        bound_samples: m of the importance-weighted bound at test.

    Raises:
        ValueError: an unknown name or option (the nearest known one is named), a value out of range.

    Example:
        >>> model = CategoricalVAE((1, 28, 28), latents=30, estimator={"name": "reinforce", "samples": 8})
        >>> images = torch.rand(4, 1, 28, 28).round()  # b c h w, 0 or 1
        >>> loss = model.training_metrics({"image": images})["loss"]
        >>> codes = model.encode(images)  # b n, int64
        >>> probabilities = model.decode(codes)  # b c h w
        >>> bounds = model.importance_weighted_bound(images, samples=50)  # b nats
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: a small generative model of binary images with discrete codes.",
        limits="It models images of its data set, at their size, and no others. Bounds are comparable only under the "
        "same binarization and the same number of samples m. Latents are independent in the prior, so samples are "
        "worse than reconstructions.",
        example="images = model.sample(16)  # b c h w, the probability that a pixel is white\n"
        "codes = model.encode(images.round())  # b n, one category for each latent\n"
        "again = model.decode(codes)",
        metrics=("bound", "elbo"),
        task="unconditional-image-generation",
    )
    parts: ClassVar[Mapping[str, Part]] = {**VAE.parts, "estimator": ESTIMATORS, "temperature": SCHEDULES}

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        latents: int = 20,
        categories: int = 10,
        encoder: Spec = "mlp",
        decoder: Spec = "mlp",
        prior: str = "uniform",
        estimator: Spec = "gumbel_softmax",
        temperature: float | Spec = 1.0,
        training_samples: int = 1,
        beta_warmup: int = 0,
        optimizer: OptimizerConfig | dict = VAE.optimizer_config,
        bound_samples: int = 1000,
    ) -> None:
        if prior not in ("uniform", "learned"):
            raise ValueError(f"prior must be one of uniform, learned, got '{prior}'")
        check_sizes(latents=latents, training_samples=training_samples)
        check_sizes(2, categories=categories)
        check_sizes(0, beta_warmup=beta_warmup)
        if training_samples > 1 and beta_warmup:
            raise ValueError("beta_warmup weighs the KL of the ELBO: use it with training_samples=1")
        features = latents * categories
        super().__init__(image_shape, features, features, encoder, decoder, optimizer, bound_samples)
        self.save_hyperparameters()
        self.latents, self.categories = latents, categories
        self.training_samples, self.beta_warmup = training_samples, beta_warmup
        # The m samples of the bound are latents of one expectation.
        event_shape = (latents, training_samples, categories) if training_samples > 1 else (latents, categories)
        self.relaxed = RelaxedCategorical(estimator, temperature, event_shape)
        if training_samples > 1 and type(self.relaxed.estimator).kl is not Estimator.kl:
            raise ValueError(
                f"estimator '{self.relaxed.name}' relaxes the KL of the ELBO: use it with training_samples=1"
            )
        self.prior_logits = nn.Parameter(torch.zeros(latents, categories), requires_grad=prior == "learned")
        self.latent_usage = LatentUsage(latents, categories)

    # -- distributions ------------------------------------------------------------------------------------------------

    def posterior(self, x: Tensor) -> Tensor:
        """Return logits of q(z | x), ``b c h w -> b n k``; ValueError for images of another shape."""
        return rearrange(self.encode_features(x), "b (n k) -> b n k", n=self.latents)

    def pixel_logits(self, z: Tensor) -> Tensor:
        """Return Bernoulli logits of p(x | z) for one-hot or relaxed z, ``... n k -> ... c h w``."""
        return self.decode_features(z.flatten(-2))

    def kl(self, logits: Tensor) -> Tensor:
        """Compute KL(q || p) of each latent in nats, ``b n k -> b n``."""
        return categorical_kl(logits, self.prior_logits)

    def log_ratio(self, logits: Tensor) -> Tensor:
        """Compute log p(z) - log q(z | x) of every category in nats, ``b n k``."""
        return log_softmax(self.prior_logits) - log_softmax(logits)

    # -- training and evaluation --------------------------------------------------------------------------------------

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Return the negative ELBO and its terms, or the negative m-sample bound; ``loss`` has the KL warm-up."""
        return self.objective(batch["image"], self.posterior(batch["image"]))

    def objective(self, x: Tensor, logits: Tensor) -> dict[str, Tensor]:
        """Return the losses of training for images ``b c h w`` and their posterior logits ``b n k``."""
        if self.training_samples > 1:
            bound = self.training_bound(x, logits).mean()
            return {"loss": bound, "bound": bound}
        reconstruction = self.relaxed.expectation(logits, lambda z: self.reconstruction(x, z)).mean()
        kl = self.relaxed.kl(logits, self.prior_logits).sum(-1).mean()
        beta = (self.relaxed.step / self.beta_warmup).clamp(max=1.0) if self.beta_warmup else 1.0
        return {"loss": reconstruction + beta * kl, "elbo": reconstruction + kl, "kl": kl}

    def training_bound(self, x: Tensor, logits: Tensor) -> Tensor:
        """Estimate the negative bound of ``training_samples`` samples, ``b`` nats, with the estimator's gradient."""
        ratio = self.log_ratio(logits)

        def log_weight(z: Tensor) -> Tensor:  # m ... b n k -> m ... b; linear in z where z is relaxed
            return (z * ratio).sum((-1, -2)) - self.reconstruction(x, z)

        return -self.relaxed.multi_sample_bound(logits, log_weight, self.training_samples)

    def elbo_terms(self, x: Tensor, posterior: Tensor) -> tuple[Tensor, Tensor]:
        """Return -log p(x | z) at an exact draw of z, and KL(q || p), ``b`` nats each."""
        reconstruction = self.relaxed.expectation(posterior, lambda z: self.reconstruction(x, z))
        return reconstruction, self.kl(posterior).sum(-1)

    def log_weights(self, x: Tensor, posterior: Tensor, s: int, generator: torch.Generator | None) -> Tensor:
        """Return log p(x, z) - log q(z | x) at s exact draws of z, ``s b`` nats."""
        codes = self.relaxed.sample(posterior.expand(s, -1, -1, -1), generator=generator)  # s b n
        ratio = self.log_ratio(posterior).expand(s, -1, -1, -1).gather(-1, codes[..., None])  # s b n 1
        z = one_hot(codes, self.categories, posterior.dtype)  # s b n k
        return ratio.sum((-1, -2)) - self.reconstruction(x, z)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the bounds and count the codes."""
        super().test_step(batch, batch_idx)
        logits = self.posterior(batch["image"])
        self.latent_usage.update(self.relaxed.mode(logits), self.kl(logits))

    def on_test_epoch_end(self) -> None:
        """Log active latents, code usage and perplexity of the epoch."""
        self.log_dict({f"test/{name}": value for name, value in self.latent_usage.compute().items()}, sync_dist=True)
        self.latent_usage.reset()

    # -- codes and images ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Return the most probable codes of images, ``b c h w -> b n``."""
        return self.relaxed.mode(self.posterior(x))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Return pixel probabilities for codes, ``... n -> ... c h w``.

        Raises:
            ValueError: a wrong number of latents, codes that are not integers or outside [0, k).
        """
        whole = check_code_range(codes, self.latents, self.categories)
        return torch.sigmoid(self.pixel_logits(one_hot(whole, self.categories, self.output_bias.dtype)))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return ``decode(encode(x))``, ``b c h w -> b c h w`` probabilities."""
        return self.decode(self.encode(x))

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Decode n draws from the prior, its logits divided by ``temperature``, ``-> n c h w`` probabilities."""
        check_draws(n, temperature)
        logits = repeat(self.prior_logits / temperature, "n k -> b n k", b=n)
        return self.decode(self.relaxed.sample(logits, generator=generator))

    @torch.no_grad()
    def interpolate(self, x: Tensor, y: Tensor, steps: int) -> Tensor:
        """Decode ``steps`` points between the codes of x and y, ``b c h w`` twice ``-> b s c h w`` probabilities.

        The points are modes along the straight line between the posterior logits. So each latent switches category at
        a point of its own, possibly through other categories.
        """
        return self.decode(self.relaxed.mode(lerp_path(self.posterior(x), self.posterior(y), steps)))

    def latent_table(self, codes: Tensor) -> Tensor:
        """Decode ``codes`` (``n``) with each latent set to each category, ``-> n k c h w`` probabilities."""
        table = repeat(codes, "m -> n k m", n=self.latents, k=self.categories).clone()
        latent = torch.arange(self.latents, device=codes.device)
        table[latent, :, latent] = torch.arange(self.categories, device=codes.device)
        return self.decode(table)
