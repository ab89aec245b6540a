"""Sparse variational dropout, the Gaussian reference of stochastic gates: noise on weights removes those of no use.

Molchanov, Ashukha & Vetrov 2017 (arXiv:1701.05369): E[cross-entropy] + KL / N. Axes: ``b`` batch, ``c h w`` image,
``y`` classes, ``o i`` weights of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Sized
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...interfaces import Batch
from ...ranges import check_sizes
from ..base import ModelCard, OptimizerConfig, register_model
from ..inputs import check_image_shape, check_images
from ..networks.image_classifier import ImageClassifier
from ..relaxed.surrogate import upcast
from .pruning import flops, without_closed
from .variational_linear import VariationalLinear, useful_inputs


@register_model("sparse_variational_dropout")
class SparseVariationalDropout(ImageClassifier):
    """Linear layers with ReLU, whose weights have Gaussian posteriors; LeNet-300-100 by default.

    In eval mode nothing is drawn, and weights with log alpha >= 3 are 0. The KL counts more the longer the training, so
    the best checkpoint is that of the lowest cross-entropy plus KL / N.

    Args:
        image_shape: ``c h w`` of the images.
        classes: number of classes y.
        hidden: widths of the hidden layers.
        examples: number of training images N, by which the KL is divided.
        warmup: optimizer steps over which the weight of the KL grows from 0.
        optimizer: AdamW and its learning-rate schedule; options of ``OptimizerConfig``.

    Raises:
        ValueError: an unknown option of the optimizer (the nearest known one is named), a size below 1; in training,
            another number of images than ``examples``, where the data say it.

    Example:
        >>> model = SparseVariationalDropout((1, 28, 28), hidden=[300, 100], examples=50_000, warmup=2_000)
        >>> model.units()  # pixels, and units of two hidden layers, that are left
        [784, 300, 100]
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: which weights a network needs, beside stochastic gates of units.",
        limits="`open` is the share of weights that are left. Most of it saves nothing without sparse kernels; "
        "`model.removed()` is without the units that have lost all their weights.",
        example="smaller = model.removed()  # b c h w -> b y",
        metrics=("accuracy", "open", "nll", "loss"),
        task="image-classification",
    )

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        classes: int = 10,
        hidden: Sequence[int] = (300, 100),
        examples: int = 50_000,
        warmup: int = 0,
        optimizer: OptimizerConfig | dict = ImageClassifier.optimizer_config,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.use_optimizer(optimizer)
        self.image_shape, self.classes = check_image_shape(image_shape), classes
        check_sizes(classes=classes, hidden=hidden, examples=examples)
        check_sizes(0, warmup=warmup)
        self.examples, self.warmup = examples, warmup
        widths = [math.prod(self.image_shape), *hidden, classes]
        self.layers = nn.ModuleList(VariationalLinear(before, after) for before, after in pairwise(widths))

    def setup(self, stage: str) -> None:
        """Check what the data say; ValueError for more classes than the model has, or another number of images."""
        super().setup(stage)
        train = getattr(getattr(self.source, "splits", None), "train", None)
        n = len(train) if isinstance(train, Sized) else self.examples
        if stage == "fit" and n != self.examples:
            raise ValueError(
                f"examples must be the number of training images, {n}, got {self.examples}; set --model.examples={n}"
            )

    @property
    def rows(self) -> list[VariationalLinear]:
        """The layers in their order."""
        return [layer for layer in self.layers if isinstance(layer, VariationalLinear)]

    def logits(self, x: Tensor) -> Tensor:
        """Return unnormalised log-probabilities of the classes, ``b c h w -> b y``; with noise in training mode."""
        check_images(x, self.image_shape)
        first, *others = self.rows
        hidden = first(x.flatten(1))
        for layer in others:
            hidden = layer(hidden.relu())
        return hidden

    def kl(self) -> Tensor:
        """Approximate KL(q || prior) of all weights divided by N, in nats per image."""
        return torch.stack([layer.kl() for layer in self.rows]).sum() / self.examples

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Return ``loss`` (cross-entropy plus the KL in its warm-up), ``nll``, ``kl``, ``accuracy``.

        Raises:
            ValueError: data without labels, or with labels outside [0, classes).
        """
        label, scores, kl = self.labels(batch), upcast(self.logits(batch["image"])), self.kl()
        nll = F.cross_entropy(scores, label)
        weight = min(1.0, self.global_step / self.warmup) if self.warmup else 1.0
        accuracy = (scores.argmax(-1) == label).float().mean()
        return {"loss": nll + weight * kl, "nll": nll, "kl": kl, "accuracy": accuracy}

    def evaluate(self, batch: Batch, stage: str) -> dict[str, Tensor]:
        """Return loss (with the full KL), its parts, accuracy and the share of weights that are left."""
        label, scores, kl = self.labels(batch), upcast(self.logits(batch["image"])), self.kl()
        nll, kept = F.cross_entropy(scores, label), torch.cat([layer.kept().flatten() for layer in self.rows])
        return {
            "loss": nll + kl,
            "nll": nll,
            "kl": kl,
            "accuracy": (scores.argmax(-1) == label).float().mean(),
            "open": kept.float().mean(),
        }

    # -- removal ------------------------------------------------------------------------------------------------------

    def units(self) -> list[int]:
        """Count pixels and hidden units that reach the output: those that ``removed`` keeps."""
        return [int(used.sum()) for used in useful_inputs([layer.sparse().weight for layer in self.rows])]

    @torch.no_grad()
    def removed(self) -> nn.Sequential:
        """Build the network without weights and units of no use, ``b c h w -> b y``; outputs are those of ``logits``.

        Raises:
            ValueError: no unit of a layer is left.
        """
        layers = [layer.sparse() for layer in self.rows]
        used = [part.to(self.dtype) for part in useful_inputs([layer.weight for layer in layers])]
        stages = [nn.Sequential(layer, nn.ReLU()) for layer in layers[:-1]]
        return without_closed([nn.Sequential(nn.Flatten()), *stages, nn.Sequential(layers[-1])], [None, *used])

    def flops(self) -> int:
        """Count the operations of one image in ``removed``, zeros included; errors are those of ``removed``."""
        return flops(self.removed(), next(self.parameters()).new_zeros(1, *self.image_shape))
