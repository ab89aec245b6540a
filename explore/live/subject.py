"""What the page is about: a model, its data, and test images that are read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from torch import Tensor

from ...commands.files.source import Source, build_data, read_test_images
from ..images import image_shape

TEST_IMAGES = 100  # spread over the test set


@dataclass
class Subject:
    """A model under the name that the user gave.

    Args:
        name: of the release, run or folder.
        source: the model and its data.
        root: folder of the data sets.
    """

    name: str
    source: Source
    root: str | None = None
    _lock: Lock = field(default_factory=Lock, repr=False)
    _images: Tensor | None = field(default=None, repr=False)

    @property
    def model(self) -> Any:
        """The model, in eval mode."""
        return self.source.model

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """Shape ``c h w`` of the images that it takes; None for a model of something else."""
        return image_shape(self.model)

    @property
    def binary(self) -> bool:
        """True if the pixels of its data are 0 and 1."""
        return self.source.data.get("arguments", {}).get("binarization", "none") != "none"

    def test_images(self) -> Tensor:
        """Return test images of its data set, ``b c h w``; they are read, and if need be fetched, at the first call.

        Raises:
            ValueError: the data are unknown, or no images.
            FileNotFoundError: they are missing, and could not be downloaded.
        """
        with self._lock:
            if self._images is None:
                images, _ = read_test_images(self.source, TEST_IMAGES, self.root)
                if not len(images):
                    raise ValueError("the data of this prior are codes, without the images")
                self._images = images
            return self._images

    def data(self) -> Any:
        """Return the data module, of which nothing is read yet; errors are those of ``build_data``."""
        return build_data(self.source.data, root=self.root)
