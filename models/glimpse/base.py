"""Base class of classifiers that see a part of an image, and take the image's shape from the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...interfaces import Batch
from ...ranges import check_most, check_sizes
from ..inputs import check_image_shape, check_images
from ..networks.image_classifier import ImageClassifier

EXAMPLES = 16  # training images that a model keeps, for ``sample``
MAX_SIDE, MAX_CLASSES, MAX_HIDDEN = 1_000, 100_000, 10_000


class PartialViewClassifier(ImageClassifier):
    """Image classifier whose network is built for the shape of the images: given, or that of the trainer's data.

    A subclass sets ``classes`` and calls ``take_shape`` in its constructor, and writes ``build_network``,
    ``training_metrics``, ``class_logits`` and ``views``.
    """

    size: tuple[int, int, int] | None  # of an image, c h w; commands take ``image_shape`` for models that make images
    examples: Tensor
    example_labels: Tensor

    def take_shape(self, image_shape: Sequence[int] | None) -> None:
        """Build for a shape ``c h w``; without one, leave that to ``configure_model``."""
        check_sizes(classes=self.classes)
        check_most(MAX_CLASSES, classes=self.classes)
        self.size = None if image_shape is None else check_image_shape(image_shape)
        if self.size is None:
            return
        if max(self.size[1:]) > MAX_SIDE:
            raise ValueError(f"image_shape must have sides of at most {MAX_SIDE}, got {list(self.size)}")
        self.build_network(self.size)
        self.register_buffer("examples", torch.zeros(EXAMPLES, *self.size))
        self.register_buffer("example_labels", torch.zeros(EXAMPLES, dtype=torch.int64))

    def build_network(self, image_shape: tuple[int, int, int]) -> None:
        """Build what depends on the shape ``c h w`` of the images."""
        raise NotImplementedError

    def class_logits(self, x: Tensor, batch: Batch) -> Tensor:
        """Return unnormalised log-probabilities of the classes, ``b c h w -> b y``; a batch may say more than ``x``."""
        raise NotImplementedError

    def views(self, x: Tensor) -> dict[str, Tensor]:
        """Return pictures of what the model sees of images ``b c h w``, by name, ``b c h w`` each."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return plain arguments that rebuild the model, with the shape of its data."""
        return {**super().config(), "image_shape": None if self.size is None else list(self.size)}

    def configure_model(self) -> None:
        """Build for the trainer's data, or check that they have the model's shape.

        Raises:
            ValueError: no images, data that do not say their shape, or images of another one.
        """
        super().configure_model()
        if self.source is None:
            self.require_size()
            return
        if self.size is None:
            if not hasattr(self.source, "shape"):
                raise ValueError("these data do not say the shape of an image: set --model.image_shape, c h w")
            self.take_shape(self.source.shape)
        elif (shape := getattr(self.source, "shape", self.size)) != self.size:
            raise ValueError(f"the model takes images of shape {self.size}, and the data has {tuple(shape)}")

    def require_size(self) -> tuple[int, int, int]:
        """Return the shape ``c h w`` of an image; ValueError while there is none."""
        if self.size is None:
            raise ValueError("this model has no image shape yet: train it on images, or give image_shape, c h w")
        return self.size

    def on_fit_start(self) -> None:
        """Keep some training images, for ``sample``."""
        batch: Any = {} if self.source is None else next(iter(self.source.train_dataloader()))
        if not isinstance(batch, dict) or not {"image", "label"} <= batch.keys():
            return  # the first training batch is refused with a reason
        for kept, found in ((self.examples, batch["image"]), (self.example_labels, batch["label"])):
            kept.copy_(found[torch.arange(EXAMPLES) % len(found)])

    def checked_images(self, x: Tensor) -> Tensor:
        """Return images of the model's shape, else ValueError."""
        check_images(x, self.require_size())
        return x

    def checked(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return images ``b c h w`` and labels ``b`` of a batch; ValueError for others, or for none."""
        return self.checked_images(batch["image"]), self.labels(batch)

    def logits(self, x: Tensor) -> Tensor:
        """Return unnormalised log-probabilities of the classes, ``b c h w -> b y``; deterministic in eval mode."""
        return self.class_logits(self.checked_images(x), {})
