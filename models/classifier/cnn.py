"""Small convolutional classifier of images, whose features compare samples with data (``evaluation/fid.py``).

Axes: ``b`` batch, ``c h w`` image, ``d`` features, ``y`` classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from ...ranges import check_dropout, check_sizes
from ..base import ModelCard, OptimizerConfig, register_model
from ..inputs import check_image_shape, check_images
from ..networks.image_classifier import ImageClassifier
from ..networks.strided import strided_convolutions
from ..networks.upsampling import channels_last


@register_model("classifier")
class Classifier(ImageClassifier):
    """Convolutions of stride 2, a hidden layer of features, and a linear layer of logits.

    Args:
        image_shape: ``c h w`` of the images.
        classes: number of classes y.
        widths: output channels of each convolution.
        features: width d of the feature layer.
        dropout: dropout probability of the features in training mode.
        optimizer: AdamW and its learning-rate schedule; options of ``OptimizerConfig``.

    Raises:
        ValueError: an unknown option of the optimizer (the nearest known one is named), a size below 1, a dropout
            outside [0, 1).

    Example:
        >>> model = Classifier((1, 28, 28), classes=10, optimizer={"learning_rate": 2e-3, "weight_decay": 0.01})
        >>> images = torch.rand(4, 1, 28, 28)  # b c h w in [0, 1]
        >>> metrics = model.training_metrics({"image": images, "label": torch.tensor([3, 1, 4, 1])})
        >>> features = model.features(images)  # b d
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Features in which samples of other models are compared with data (Frechet distance).",
        limits="It is small and not state of the art. Distances in its features are comparable with no distances in "
        "other features.",
        example="features = model.features(images)  # b d, for images b c h w in [0, 1]",
        metrics=("accuracy", "loss"),
        task="image-classification",
    )

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        classes: int = 10,
        widths: Sequence[int] = (16, 32, 64),
        features: int = 64,
        dropout: float = 0.3,
        optimizer: OptimizerConfig | dict = ImageClassifier.optimizer_config,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.use_optimizer(optimizer)
        self.image_shape, self.classes = check_image_shape(image_shape), classes
        check_sizes(classes=classes, widths=widths, features=features)
        check_dropout(dropout=dropout)
        convolutions, shape = strided_convolutions(self.image_shape, widths)
        self.network = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(math.prod(shape), features), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features, classes)

    def features(self, x: Tensor) -> Tensor:
        """Return features of images, ``b c h w -> b d``; ValueError for images of another shape."""
        check_images(x, self.image_shape)
        return self.network(channels_last(x - 0.5))

    def logits(self, x: Tensor) -> Tensor:
        """Return unnormalised log-probabilities of the classes, ``b c h w -> b y``."""
        return self.head(self.dropout(self.features(x)))
