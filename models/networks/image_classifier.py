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

    def labels(self, batch: Batch) -> Tensor:
        """Return the labels of a batch, ``b``; ValueError without any, or with some outside [0, classes)."""
        if "label" not in batch:
            raise ValueError("a classifier learns labels, and the data has none: a batch must have 'label'")
        return check_labels(batch["label"], self.classes)

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Return the mean cross-entropy in nats as ``loss``, and the share of correct predictions as ``accuracy``.

        Raises:
            ValueError: data without labels, or with labels outside [0, classes).
        """
        label, logits = self.labels(batch), upcast(self.logits(batch["image"]))
        accuracy = (logits.argmax(-1) == label).float().mean()
        return {"loss": F.cross_entropy(logits, label), "accuracy": accuracy}

    def evaluate(self, batch: Batch, stage: str) -> dict[str, Tensor]:
        """Return the metrics of a held-out batch in ``val`` or ``test``: here the training metrics in eval mode."""
        return self.training_metrics(batch)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the metrics of ``evaluate``."""
        self._log_metrics(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the metrics of ``evaluate``."""
        self._log_metrics(batch, "test")

    def _log_metrics(self, batch: Batch, stage: str) -> None:
        named = {f"{stage}/{name}": value for name, value in self.evaluate(batch, stage).items()}
        self.log_dict(named, on_epoch=True, batch_size=len(batch["image"]), sync_dist=True)


def nll(logits: Tensor, label: Tensor) -> Tensor:
    """Compute -log p(y) in nats, at least in float32, ``... b y`` and ``b -> ... b``."""
    index = label.expand(logits.shape[:-1])[..., None]
    return -F.log_softmax(upcast(logits), -1).gather(-1, index).squeeze(-1)
