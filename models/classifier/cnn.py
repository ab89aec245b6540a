"""A small convolutional classifier of images: its features tell how close samples are to data (``evaluation/fid.py``).

Axes: ``b`` batch, ``c h w`` image, ``d`` features.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ..base import Batch, ZooModel, check_images
from ..registry import register_model


@register_model("classifier")
class Classifier(ZooModel):
    """Convolutions of stride 2, a layer of features, and a linear layer of logits.

    Args:
        image_shape: ``c h w`` of the images.
        classes: number of labels.
        widths: channels behind each convolution.
        features: d, what samples are compared in.
        dropout: of the features, in training.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        lr_schedule: ``constant``, or ``cosine`` (to 0 over the whole run).
        lr_warmup: training steps over which the learning rate rises from 0.
    """

    monitor = "val/loss"

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        classes: int = 10,
        widths: Sequence[int] = (16, 32, 64),
        features: int = 64,
        dropout: float = 0.3,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.01,
        lr_schedule: str = "constant",
        lr_warmup: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.configure_learning(learning_rate, weight_decay, lr_schedule, lr_warmup)
        self.image_shape = tuple(image_shape)
        channels, height, width = image_shape
        layers: list[nn.Module] = []
        for before, after in pairwise([channels, *widths]):
            layers += [nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1), nn.ReLU()]
            height, width = (height + 1) // 2, (width + 1) // 2
        flat = [channels, *widths][-1] * height * width
        self.network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, features), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features, classes)

    def features(self, x: Tensor) -> Tensor:
        """``b c h w -> b d``; ValueError for images of another shape."""
        check_images(x, self.image_shape)
        return self.network(x - 0.5)

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """-log p(label | image) in nats, and the share of images whose label is the most probable one."""
        logits = self.head(self.dropout(self.features(batch["image"])))
        accuracy = (logits.argmax(-1) == batch["label"]).float().mean()
        return {"loss": F.cross_entropy(logits, batch["label"]), "accuracy": accuracy}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log what training lowers, without dropout, and the accuracy."""
        self._evaluate(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log what validation does."""
        self._evaluate(batch, "test")

    def _evaluate(self, batch: Batch, stage: str) -> None:
        named = {f"{stage}/{name}": value for name, value in self.training_metrics(batch).items()}
        self.log_dict(named, on_epoch=True, batch_size=len(batch["image"]), sync_dist=True)
