"""A learned prior over the codes of a frozen VQ-VAE: p(z), whose samples the VQ-VAE's decoder turns into images.

van den Oord, Vinyals & Kavukcuoglu 2017 (arXiv:1711.00937), section 3.3. Axes: ``b`` batch, ``c h w`` image, ``h w q``
grid of codes, ``n`` = h w q.

Reported are nats per code of the deterministic codes, beside the perplexity of the codebook: a codebook that collapsed
has an excellent prior. Where the VQ-VAE's pixels are discrete, there is also a bound on the likelihood of images,

    -log p(x) <= E_q(z|x)[ -log p(x | z) + log q(z | x) - log p(z) ],

where q puts all its mass on the one grid of codes if the quantizer has no noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from ...pretrained.api import load
from ...registry import unknown_arguments
from ..base import Batch, ZooModel, check_draws
from ..quantizers import CodebookUse
from ..registry import register_model
from ..relaxed import RelaxedCategorical
from ..relaxed.truncation import truncate
from .priors import maskgit  # noqa: F401  (importing a network registers it)
from .priors.base import CODE_NETWORKS
from .vqvae import VQVAE


@register_model("code_prior")
class CodePrior(ZooModel):
    """A distribution over the codes of a frozen VQ-VAE, which becomes a part of this model and of its checkpoints.

    Args:
        vqvae: a run folder of a VQ-VAE, one of its .ckpt files, a released name, a release folder or a hub id; in
            checkpoints and releases of the prior the VQ-VAE's own arguments.
        network: pixelcnn, transformer or maskgit.
        network_options: arguments of the network, such as ``{width: 64, depth: 8}``.
        classes: number of labels that the prior depends on, 0 for none.
        posterior_draws: train on draws of q(z | x) instead of the most probable codes. It makes the bound on images
            tight; a quantizer without noise has no others.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        lr_schedule: ``constant``, or ``cosine`` (to 0 over the whole run).
        lr_warmup: training steps over which the learning rate rises from 0.
    """

    monitor = "val/nats_per_code"

    def __init__(
        self,
        vqvae: str | Mapping[str, Any] = "",
        network: str = "pixelcnn",
        network_options: Mapping[str, Any] | None = None,
        classes: int = 0,
        posterior_draws: bool = False,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: str = "constant",
        lr_warmup: int = 0,
    ) -> None:
        super().__init__()
        if classes < 0:
            raise ValueError(f"classes must be >= 0, got {classes}")
        options = dict(network_options or {})
        unknown_arguments(
            f"network '{network}'", CODE_NETWORKS[network], options, ("shape", "codebook_size", "classes")
        )
        self.save_hyperparameters()
        self.vqvae = open_vqvae(vqvae).requires_grad_(False).eval()
        self.hparams["vqvae"] = dict(self.vqvae.hparams)  # what is saved does not need the other's folder
        self.configure_learning(learning_rate, weight_decay, lr_schedule, lr_warmup)
        self.classes, self.posterior_draws = classes, posterior_draws
        quantizer = self.vqvae.quantizer
        shape = (*self.vqvae.grid, quantizer.codebooks)
        self.network = CODE_NETWORKS[network](shape, quantizer.codebook_size, max(classes, 1), **options)
        self.relaxed = RelaxedCategorical()
        self.codebook_use = CodebookUse(quantizer.codebooks, quantizer.codebook_size)

    def train(self, mode: bool = True) -> CodePrior:
        """Train the prior; the VQ-VAE stays in eval mode."""
        super().train(mode)
        self.vqvae.eval()
        return self

    def relaxed_layers(self) -> list[RelaxedCategorical]:
        """None: the frozen VQ-VAE keeps its temperature, and the prior has no use for one."""
        return []

    # -- training and evaluation --------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Refuse images that the VQ-VAE does not take, and warn of such as it was not trained on."""
        data: Any = getattr(self.trainer, "datamodule", None)
        shape = getattr(data, "shape", self.vqvae.image_shape)
        if tuple(shape) != self.vqvae.image_shape:
            raise ValueError(
                f"the VQ-VAE takes images of shape {self.vqvae.image_shape}, the data has {tuple(shape)}; give the "
                "data it was trained on, or another --model.vqvae"
            )
        if stage == "fit" and hasattr(data, "variance"):
            own = float(self.vqvae.likelihood.data_variance)
            if not math.isclose(own, data.variance, rel_tol=0.05):
                rank_zero_warn(
                    f"the VQ-VAE was trained on images whose pixels have a variance of {own:.3f}, here it is "
                    f"{data.variance:.3f}: other data, or another --data.binarization?"
                )

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """The network's loss on the codes of the images, in nats per code."""
        x = batch["image"]
        codes = self.draw_posterior(x) if self.posterior_draws else self.encode(x)
        return {"loss": self.network.loss(codes, self.labels(batch))}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log nats and bits per code, and the bound on images where the pixels are discrete."""
        self._evaluate(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log what validation does."""
        self._evaluate(batch, "test")

    def on_validation_epoch_end(self) -> None:
        """Log the use of the codebook over the whole epoch."""
        self._log_codebook_use("val")

    def on_test_epoch_end(self) -> None:
        """Log the use of the codebook over the whole epoch."""
        self._log_codebook_use("test")

    def _evaluate(self, batch: Batch, stage: str) -> None:
        x, label = batch["image"], self.labels(batch)
        codes = self.encode(x)
        nats = self.network.nll(codes, label).mean() / self.network.codes
        metrics = {"nats_per_code": nats, "bits_per_code": nats / math.log(2)}
        if self.vqvae.likelihood.levels:
            bound = self.bound(x, label).mean()
            metrics |= {"bound": bound, "bits_per_dim": bound / (self.vqvae.dimensions * math.log(2))}
        named = {f"{stage}/{name}": value for name, value in metrics.items()}
        self.log_dict(named, on_epoch=True, batch_size=len(x), sync_dist=True)
        self.codebook_use.update(codes)

    def _log_codebook_use(self, stage: str) -> None:
        self.log_dict({f"{stage}/{name}": value for name, value in self.codebook_use.compute().items()})
        self.codebook_use.reset()

    def labels(self, batch: Batch) -> Tensor:
        """The labels ``b`` that the prior depends on; zeros if it depends on none.

        Raises:
            ValueError: a label that is none of ``classes``.
        """
        if not self.classes:
            return torch.zeros(len(batch["image"]), dtype=torch.int64, device=batch["image"].device)
        if "label" not in batch:
            raise ValueError("this prior depends on labels, and the data has none: set --model.classes=0")
        return self._checked(batch["label"])

    def _checked(self, label: Tensor) -> Tensor:
        if label.is_floating_point():
            raise ValueError(f"labels must be whole numbers, got {label.dtype}")
        # on an accelerator looking would wait for the device
        if label.device.type == "cpu" and not bool(((label >= 0) & (label < self.classes)).all()):
            raise ValueError(
                f"labels must lie in [0, {self.classes}), got {label.min()} to {label.max()}; set --model.classes to "
                "the number of labels, 0 for a prior without"
            )
        return label

    @torch.no_grad()
    def draw_posterior(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw of q(z | x), ``b c h w -> b h w q``; without noise in the quantizer it is ``encode``."""
        return self.vqvae.quantizer.sample_codes(self.vqvae.features(x), generator=generator)

    @torch.no_grad()
    def bound(self, x: Tensor, label: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw of the bound on -log p(x) at the head of this file, for ``b c h w`` and ``b``, ``-> b`` nats.

        With classes, p(x) has uniform labels: naming one costs log(classes).
        """
        quantizer, z = self.vqvae.quantizer, self.vqvae.features(x)
        codes = quantizer.sample_codes(z, generator=generator)
        log_q = quantizer.kl(z) - quantizer.rate() * math.prod(self.vqvae.grid)
        prior = self.network.nll(codes, label) + math.log(self.network.classes)
        return self.vqvae.nll(x, codes) + log_q + prior

    # -- codes and images ---------------------------------------------------------------------------------------------

    def encode(self, x: Tensor) -> Tensor:
        """The VQ-VAE's codes of images, ``b c h w -> b h w q``."""
        return self.vqvae.encode(x)

    def decode(self, codes: Tensor) -> Tensor:
        """The VQ-VAE's images of codes, ``b h w q -> b c h w``."""
        return self.vqvae.decode(codes)

    def reconstruct(self, x: Tensor) -> Tensor:
        """``decode(encode(x))``, ``b c h w -> b c h w``."""
        return self.vqvae.reconstruct(x)

    def interpolate(self, x: Tensor, y: Tensor, steps: int) -> Tensor:
        """The VQ-VAE's way from x to y, ``b c h w`` twice ``-> b s c h w``."""
        return self.vqvae.interpolate(x, y, steps)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """``c h w`` of the images."""
        return self.vqvae.image_shape

    @torch.no_grad()
    def sample_codes(
        self,
        n: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        label: int | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws of the prior, ``-> n h w q``.

        Args:
            n: how many.
            temperature, top_k, top_p: see ``truncate``.
            label: of all of them, or of each (``n``); drawn uniformly without it.
            generator: the source of the noise.

        Raises:
            ValueError: n < 1; a label for a prior without, one that is none of ``classes``, or another number of them;
                what ``truncate`` says.
        """
        check_draws(n, temperature)
        if label is None:
            uniform = torch.zeros(n, self.network.classes, device=self.device)
            labels = self.relaxed.sample(uniform, generator=generator)
        elif not self.classes:
            raise ValueError("this prior depends on no label; train one with --model.classes")
        else:
            given = torch.as_tensor(label, device=self.device)
            if given.shape not in ((), (1,), (n,)):
                raise ValueError(f"give one label, or one for each of the {n} samples, got {tuple(given.shape)}")
            labels = self._checked(given.expand(n))

        def draw(logits: Tensor) -> Tensor:
            return self.relaxed.sample(truncate(logits, top_k, top_p, temperature), generator=generator)

        return self.network.sample(labels, draw, generator)

    def sample(
        self,
        n: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        label: int | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images of draws of the prior, ``-> n c h w``; arguments and errors are those of ``sample_codes``."""
        return self.decode(
            self.sample_codes(n, temperature=temperature, top_k=top_k, top_p=top_p, label=label, generator=generator)
        )


def open_vqvae(vqvae: str | Mapping[str, Any]) -> VQVAE:
    """A trained VQ-VAE from where it lies, or an untrained one from its arguments.

    A function of its own, since ``save_hyperparameters`` would otherwise mix the two models' arguments.

    Raises:
        ValueError: nothing is given, nothing is there, or it is another kind of model.
        FileNotFoundError: a run without a checkpoint.
    """
    if not vqvae:
        raise ValueError("a prior needs the VQ-VAE whose codes it learns: --model.vqvae=RUN, .ckpt file or release")
    if isinstance(vqvae, Mapping):
        unknown_arguments("vqvae", VQVAE, vqvae)
        return VQVAE(**vqvae)
    model = load(vqvae)
    if not isinstance(model, VQVAE):
        raise ValueError(f"'{vqvae}' is a {model.registry_name}; --model.vqvae takes a VQ-VAE")
    return model
