"""Base class of image classifiers: cross-entropy and accuracy. Axes: ``b`` batch, ``c h w`` image, ``y`` classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...interfaces import Batch
from ..base import ZooModel
from ..inputs import check_classes, check_labels
from ..relaxed.surrogate import upcast


class ImageClassifier(ZooModel):
    """Image classifier trained by cross-entropy. A subclass defines ``logits`` and sets ``classes``.

    Its training, validation and test metrics are ``loss`` in nats and ``accuracy``. The best checkpoint is that of the
    lowest validation loss.
    """

    monitor = "val/loss"
    batch_key = "image"
    classes: int

    def setup(self, stage: str) -> None:
        """Check the number of classes, where the data say it; ValueError for more than the model has."""
        check_classes(self.source, self.classes)

    def logits(self, x: Tensor) -> Tensor:
        """Return unnormalised log-probabilities of the classes, ``b c h w -> b y``."""
        raise NotImplementedError

    @torch.no_grad()
    def probabilities(self, x: Tensor) -> Tensor:
        """Return probabilities of the classes, ``b c h w -> b y``."""
        return self.logits(x).softmax(-1)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the most probable class of images, ``b c h w -> b`` (int64)."""
        return self.probabilities(x).argmax(-1)

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Return the mean cross-entropy in nats as ``loss``, and the share of correct predictions as ``accuracy``.

        Raises:
            ValueError: data without labels, or with labels outside [0, classes).
        """
        if "label" not in batch:
            raise ValueError("a classifier learns labels, and the data has none: a batch must have 'label'")
        label = check_labels(batch["label"], self.classes)
        logits = upcast(self.logits(batch["image"]))
        accuracy = (logits.argmax(-1) == label).float().mean()
        return {"loss": F.cross_entropy(logits, label), "accuracy": accuracy}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the training metrics in eval mode."""
        self._evaluate(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the training metrics in eval mode."""
        self._evaluate(batch, "test")

    def _evaluate(self, batch: Batch, stage: str) -> None:
        named = {f"{stage}/{name}": value for name, value in self.training_metrics(batch).items()}
        self.log_dict(named, on_epoch=True, batch_size=len(batch["image"]), sync_dist=True)
