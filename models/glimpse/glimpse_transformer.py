"""A classifier of the part of an image that a spatial transformer cuts out: the differentiable way to look.

Jaderberg, Simonyan, Zisserman & Kavukcuoglu 2015 (arXiv:1506.02025). Axes: ``b`` images, ``c h w`` one image, ``y``
classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...interfaces import Batch
from ...ranges import check_most, check_sizes
from ...registry import Spec
from ..base import ModelCard, OptimizerConfig, Part, ZooModel, check_draws, register_model
from ..networks.strided import dense, strided_convolutions
from ..relaxed.sampling import categorical_sample
from ..relaxed.surrogate import upcast
from .base import MAX_HIDDEN, MAX_SIDE, PartialViewClassifier
from .localizers import LOCALIZERS, Localizer
from .transforms import TRANSFORMS, warp


@register_model("glimpse_transformer")
class GlimpseTransformer(PartialViewClassifier):
    """A convolutional network finds a transform, and another one classifies the warped image and nothing else.

    The transform is the identity before training.

    Args:
        image_shape: ``c h w`` of the images; None takes it from the data.
        classes: number of classes y.
        transform: affine, or attention (scale and shift).
        window: side of the warped image in pixels; None is that of the image.
        localizer: finds the transform: regression, as in the paper, or soft_argmax, whose shift is a mean over places.
        widths: channels of each convolution of stride 2 that classifies.
        hidden: width of the classifier before its last layer.
        optimizer: options of ``OptimizerConfig``.

    Raises:
        ValueError: an unknown name or option, or a size out of range.

    Example:
        >>> model = GlimpseTransformer((1, 60, 60), window=28).eval()
        >>> model.warped(torch.rand(5, 1, 60, 60)).shape
        torch.Size([5, 1, 28, 28])
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: differentiable attention, beside hard glimpses.",
        limits="`error` is the share of wrong classes. Compare it with that of a convolutional network of as many "
        "operations, which needs no transform.",
        example="warped = model.warped(images)  # what is classified, for images b c h w in [0, 1]",
        pictures=("views",),
        metrics=("error", "loss"),
        task="image-classification",
    )
    parts: ClassVar[Mapping[str, Part]] = {
        "transform": TRANSFORMS,
        "localizer": LOCALIZERS,
        "optimizer": OptimizerConfig,
    }
    networks = ("localizer", "network")
    localizer: Localizer
    network: nn.Sequential

    def __init__(
        self,
        image_shape: Sequence[int] | None = None,
        classes: int = 10,
        transform: Spec = "affine",
        window: int | None = None,
        localizer: Spec = "soft_argmax",
        widths: Sequence[int] = (16, 32),
        hidden: int = 64,
        optimizer: OptimizerConfig | dict = ZooModel.optimizer_config,
    ) -> None:
        super().__init__()
        check_sizes(widths=widths, hidden=hidden)
        check_most(MAX_HIDDEN, widths=widths, hidden=hidden)
        if window is not None:
            check_sizes(window=window)
            check_most(MAX_SIDE, window=window)
        self.save_hyperparameters()
        self.use_optimizer(optimizer)
        self.classes = classes
        self.transform = TRANSFORMS.build(transform)
        LOCALIZERS.read(localizer)
        self._options = window, localizer, tuple(widths), hidden
        self.take_shape(image_shape)

    def build_network(self, image_shape: tuple[int, int, int]) -> None:
        """Build both networks for images ``c h w``."""
        window, localizer, widths, hidden = self._options
        self.localizer = LOCALIZERS.build(localizer, image_shape=image_shape, transform=self.transform)
        seen = image_shape if window is None else (image_shape[0], window, window)
        features, shape = strided_convolutions(seen, widths)
        self.network = nn.Sequential(features, dense(math.prod(shape), hidden, self.classes))

    def theta(self, x: Tensor) -> Tensor:
        """Return the matrix of each image, ``b c h w -> b 2 3``, from output to input coordinates in [-1, 1]."""
        self.checked_images(x)
        return self.transform(self.localizer(x))

    def warped(self, x: Tensor) -> Tensor:
        """Return the part of each image that is classified, ``b c h w -> b c window window``."""
        return warp(x, self.theta(x), self._options[0])

    def class_logits(self, x: Tensor, batch: Batch) -> Tensor:
        """Return logits of the classes of the warped images, ``b c h w -> b y``."""
        return self.network(self.warped(x))

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Return ``loss``, the mean of -log p(y) in nats, the share of wrong classes as ``error``, and ``accuracy``."""
        x, label = self.checked(batch)
        logits = upcast(self.class_logits(x, batch))
        error = (logits.argmax(-1) != label).float().mean()
        return {"loss": F.cross_entropy(logits, label), "error": error, "accuracy": 1 - error}

    @torch.no_grad()
    def views(self, x: Tensor) -> dict[str, Tensor]:
        """Return the warped images, enlarged to the shape of the images, ``b c h w``."""
        size = self.require_size()
        return {"warped": F.interpolate(self.warped(x), size[1:], mode="nearest")}

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> list[str]:
        """Classify training images that the model has kept, as text: the image, its matrix, the classes.

        Args:
            n: number of images, drawn with repeats.
            temperature: divides the logits of the class, which is drawn.
            generator: source of the noise.

        Raises:
            ValueError: n < 1, or a temperature that is not > 0.
        """
        check_draws(n, temperature)
        self.require_size()
        numbers = torch.randint(len(self.examples), (n,), device=self.device, generator=generator)
        x = self.examples[numbers]
        theta = self.theta(x).flatten(1)
        found = categorical_sample(self.logits(x) / temperature, generator=generator)
        columns = (numbers, theta, found, self.example_labels[numbers])
        lines = zip(*(column.tolist() for column in columns), strict=True)
        return [f"image {i}: {' '.join(f'{v:.2f}' for v in row)} -> {y} (label {label})" for i, row, y, label in lines]
