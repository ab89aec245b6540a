"""A learned prior over the codes of a frozen VQ-VAE: p(z), whose samples the VQ-VAE's decoder maps to images.

van den Oord, Vinyals & Kavukcuoglu 2017 (arXiv:1711.00937), section 3.3. Axes: ``b`` batch, ``c h w`` image, ``h w q``
grid of codes, ``n`` = h w q.

Reported are nats per code of the deterministic codes, with the perplexity of the codebook: a collapsed codebook has an
excellent prior. For discrete pixels there is also a bound on the likelihood of images,

    -log p(x) <= E_q(z|x)[ -log p(x | z) + log q(z | x) - log p(z) ],

where q of a quantizer without noise has all its mass on the deterministic codes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...interfaces import Batch
from ...registry import Spec
from ..base import ModelCard, OptimizerConfig, Part, ZooModel, check_draws, register_model
from ..class_names import Label, class_number, expand_label, named_classes, read_classes
from ..quantizers import CodebookUsage
from ..relaxed import RelaxedCategorical
from ..relaxed.annealed import Annealed
from ..relaxed.truncation import truncate
from .base import CodeModel
from .codes import batch_codes, check_codes, has_codes
from .frozen import frozen_vqvae, warn_of_other_pixels
from .labels import batch_labels
from .priors import CODE_NETWORKS
from .vqvae import VQVAE


@register_model("code_prior")
class CodePrior(CodeModel):
    """A distribution over the codes of a frozen VQ-VAE, which is a part of this model and of its checkpoints.

    Args:
        vqvae: a trained ``VQVAE``, which is frozen, or the arguments of one. On the command line: a run folder, a .ckpt
            file, a released name, a release folder or a hub id.
        network: pixelcnn, transformer, maskgit, or ``{name: pixelcnn, width: 64, depth: 8}``.
        classes: labels that the prior is conditioned on, their number or names; 0 for none.
        posterior_draws: train on samples of q(z | x) instead of its modes, for a tighter bound on images.
        optimizer: options of ``OptimizerConfig``.

    Raises:
        ValueError: no VQ-VAE, its name instead of the loaded model, an unknown name or option, a value out of range.

    Example:
        >>> vqvae = VQVAE((1, 8, 8), quantizer={"name": "vector", "codebook_size": 32})  # or load("vqvae-digits-ema")
        >>> model = CodePrior(vqvae, network={"name": "transformer", "width": 16, "depth": 1}, classes=10)
        >>> images = model.sample(5, label=3, top_p=0.9)  # n c h w
        >>> codes = model.sample_codes(5, label=torch.arange(5))  # n h w q
        >>> again = CodePrior(**model.config())  # the same model, with new weights
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: images sampled code by code, through the decoder of the VQ-VAE that it contains.",
        limits="Images are no sharper than reconstructions of the VQ-VAE. Nats per code depend on the codebook: they "
        "compare priors over the same codes only. Those of maskgit are an estimated upper bound.",
        example="images = model.sample(16)  # b c h w; a prior over classes takes label=7 as well\n"
        "codes = model.encode(images)  # b h w q",
        metrics=("nats_per_code", "bits_per_dim", "perplexity"),
        task="unconditional-image-generation",
    )
    parts: ClassVar[Mapping[str, Part]] = {"network": CODE_NETWORKS, "optimizer": OptimizerConfig}
    sample_options = frozenset({"label", "top_k", "top_p"})
    splits = True
    monitor = "val/nats_per_code"

    def __init__(
        self,
        vqvae: str | VQVAE | dict | None = None,
        network: Spec = "pixelcnn",
        classes: int | list[str] = 0,
        posterior_draws: bool = False,
        optimizer: OptimizerConfig | dict = ZooModel.optimizer_config,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["vqvae"])
        self.use_optimizer(optimizer)
        self.vqvae = frozen_vqvae(vqvae)
        self.classes, self.class_names = read_classes(classes)
        self.posterior_draws = posterior_draws
        quantizer = self.vqvae.quantizer
        self.network = CODE_NETWORKS.build(
            network,
            shape=(*self.vqvae.grid, quantizer.codebooks),
            codebook_size=quantizer.codebook_size,
            classes=max(self.classes, 1),
        )
        self.relaxed = RelaxedCategorical()
        self.codebook_usage = CodebookUsage(quantizer.codebooks, quantizer.codebook_size)

    def config(self) -> dict[str, Any]:
        """Return plain arguments that rebuild the model, those of the VQ-VAE included: its own files are not needed."""
        return {"vqvae": self.vqvae.config(), **super().config(), "classes": [*self.class_names] or self.classes}

    @classmethod
    def resolve(cls, arguments: dict[str, Any], load: Callable[[str], ZooModel]) -> dict[str, Any]:
        """Replace a name in ``vqvae`` by the trained model; ValueError for a model that is no VQ-VAE."""
        name = arguments.get("vqvae")
        if not name or not isinstance(name, str):
            return arguments
        model = load(name)
        if not isinstance(model, VQVAE):
            raise ValueError(f"'{name}' is a {model.registry_name}; --model.vqvae takes a VQ-VAE")
        return {**arguments, "vqvae": model}

    def train(self, mode: bool = True) -> CodePrior:
        """Set training mode of the prior; the VQ-VAE stays in eval mode."""
        super().train(mode)
        self.vqvae.eval()
        return self

    def relaxed_layers(self) -> list[Annealed]:
        """Return no layer: the frozen VQ-VAE keeps its temperature, and the prior has none."""
        return []

    # -- training and evaluation --------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Compare the data with that of the VQ-VAE; warn of another pixel variance.

        Raises:
            ValueError: images of another shape, codes of another VQ-VAE, or more classes than the prior has.
        """
        source = self.source
        self.class_names = named_classes(source, self.classes, self.class_names)
        if has_codes(source):
            check_codes(source, self.vqvae, self.posterior_draws, fits=stage == "fit")
            return
        if (shape := tuple(getattr(source, "shape", self.image_shape))) != self.image_shape:
            raise ValueError(
                f"the VQ-VAE takes images of shape {self.image_shape}, the data has {shape}; give the data it was "
                "trained on, or another --model.vqvae"
            )
        if stage == "fit" and hasattr(source, "variance"):
            warn_of_other_pixels(self.vqvae, source.variance)

    def configure_model(self) -> None:
        """Split the network over the processes of a device mesh; the VQ-VAE stays whole."""
        super().configure_model()
        if self.device_mesh is not None:
            self.network.shard(self.device_mesh["data_parallel"])

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the network's loss on the codes of the images, in nats per code."""
        codes = batch_codes(batch, self.sample_posterior if self.posterior_draws else self.encode)
        return {"loss": self.network.loss(codes, batch_labels(batch, self.classes))}

    def _check_first(self, batch: Any) -> None:
        if not (isinstance(batch, dict) and "codes" in batch):
            super()._check_first(batch)

    def evaluate(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Compute nats and bits per code, the bound on images where there are images of discrete pixels, and codes."""
        label, codes = batch_labels(batch, self.classes), batch_codes(batch, self.encode)
        nats = self.network.nll(codes, label).mean() / self.network.num_codes
        metrics = {"nats_per_code": nats, "bits_per_code": nats / math.log(2)}
        if self.vqvae.likelihood.levels and "image" in batch:
            bound = self.negative_elbo(batch["image"], label).mean()
            metrics |= {"bound": bound, "bits_per_dim": bound / (self.vqvae.dimensions * math.log(2))}
        return metrics, codes

    @torch.no_grad()
    def sample_posterior(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Sample q(z | x), ``b c h w -> b h w q``; without noise in the quantizer this is ``encode``."""
        return self.vqvae.quantizer.sample_codes(self.vqvae.features(x), generator=generator)

    @torch.no_grad()
    def negative_elbo(self, x: Tensor, label: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Estimate the bound on -log p(x) from one sample of z, for images ``b c h w`` and labels ``b``, ``-> b`` nats.

        A conditional prior makes p(x) a mixture over uniform labels, so that a label costs log(classes).
        """
        quantizer, z = self.vqvae.quantizer, self.vqvae.features(x)
        codes = quantizer.sample_codes(z, generator=generator)
        negative_entropy = quantizer.kl(z) - quantizer.rate() * math.prod(self.vqvae.grid)  # of q(z | x)
        prior = self.network.nll(codes, label, generator) + math.log(self.network.classes)
        return self.vqvae.nll(x, codes) + negative_entropy + prior

    # -- codes and images ---------------------------------------------------------------------------------------------

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape ``c h w`` of the images."""
        return self.vqvae.image_shape

    def encode(self, x: Tensor) -> Tensor:
        """Compute the VQ-VAE's codes of images, ``b c h w -> b h w q``."""
        return self.vqvae.encode(x)

    def decode(self, codes: Tensor) -> Tensor:
        """Compute the VQ-VAE's images of codes, ``b h w q -> b c h w``."""
        return self.vqvae.decode(codes)

    def interpolate(self, x: Tensor, y: Tensor, steps: int) -> Tensor:
        """Interpolate from images x to y through the VQ-VAE, ``b c h w`` twice ``-> b s c h w``."""
        return self.vqvae.interpolate(x, y, steps)

    @torch.no_grad()
    def sample_codes(
        self,
        n: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        label: Label | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Sample codes from the prior, ``-> n h w q``.

        Args:
            n: number of samples.
            temperature, top_k, top_p: see ``truncate``.
            label: one for all samples, by number or name, or one each (``n``); None samples it uniformly.
            generator: source of randomness.

        Raises:
            ValueError: n < 1, a label that the prior does not take; errors of ``truncate``.
        """
        check_draws(n, temperature)
        number = class_number(label, self.class_names)
        if number is None:
            uniform = torch.zeros(n, self.network.classes, device=self.device)
            labels = self.relaxed.sample(uniform, generator=generator)
        else:
            labels = expand_label(number, n, self.classes, self.device)

        def draw(logits: Tensor) -> Tensor:
            logits = truncate(logits, top_k=top_k, top_p=top_p, temperature=temperature)
            return self.relaxed.sample(logits, generator=generator)

        return self.network.sample(labels, draw, generator)

    def sample(
        self,
        n: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        label: Label | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Sample images, ``-> n c h w``; arguments and errors are those of ``sample_codes``."""
        return self.decode(
            self.sample_codes(n, temperature=temperature, top_k=top_k, top_p=top_p, label=label, generator=generator)
        )
