"""What comes into models: data, batches, images and labels are checked; training pixels are measured.

Axes: ``b`` batch, ``c h w`` image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from ..ranges import is_whole

MEASURED = 10_000  # training images, at least, of which mean and variance are measured
EXAMPLES = {
    "image": (
        "return {'image': images, 'label': labels} from the data set, or name what it returns: "
        "@register_data(NAME, keys=('image', 'label'))"
    ),
    "tokens": "return {'tokens': tokens, 'length': lengths} from the data set",
    "user": "return {'user': vectors} from the data set",
    "source": "return {'source': ids, 'source_length': lengths, 'target': ids, 'target_length': lengths}",
}
KINDS = {"image": "images", "tokens": "text", "user": "slates", "source": "pairs"}  # data by the key of their batches


def check_source(source: Any, key: str) -> None:
    """Check that a data module is of the kind that a model learns from; nothing is read.

    Args:
        source: an ``ImageSource``, a ``TextSource``, a ``SlateSource`` or any other data module.
        key: of the model's batches, ``image``, ``tokens``, ``user`` or ``source``.

    Raises:
        ValueError: text or slates for a model of images, or data without a vocabulary or slots for a model that needs
            them.
    """
    marks = {"vocabulary": "tokens", "slots": "user", "source_vocabulary": "source"}
    if any((mark in dir(source)) != (key == needed) for mark, needed in marks.items()):
        raise ValueError(f"this model learns from {KINDS[key]}: use --data={KINDS[key]}")


def check_batch(batch: Any, key: str) -> None:
    """Check that a batch is a dictionary with ``key``, else ValueError."""
    if not isinstance(batch, dict):
        raise ValueError(f"a batch must be a dictionary with '{key}', got a {type(batch).__name__}; {EXAMPLES[key]}")
    if key not in batch:
        found = ", ".join(map(str, batch)) or "nothing"
        raise ValueError(f"this model learns from {KINDS[key]}: a batch must have '{key}', and it has {found}")


def transferred(source: Any, batch: Any) -> Any:
    """Return a batch of a loader as the hooks of its data module give it to a model, on the CPU."""
    return source.on_after_batch_transfer(source.on_before_batch_transfer(batch, 0), 0)


def check_levels(images: Tensor) -> None:
    """Check that training images are floats in [0, 1], else ValueError."""
    levels = images.aminmax() if images.numel() else None
    if not images.is_floating_point() or (levels and not (levels.min >= 0 and levels.max <= 1)):
        bounds = f" from {levels.min.item():g} to {levels.max.item():g}" if levels else ""
        raise ValueError(
            f"training images must be floating point in [0, 1], got {images.dtype}{bounds}; levels 0 to 255 need "
            "image / 255"
        )


def check_binary(images: Tensor) -> None:
    """Check that every pixel is 0 or 1, else ValueError: the cross-entropy of other targets is no -log p."""
    if not bool(((images == 0) | (images == 1)).all()):
        raise ValueError(
            "this model is of binary images, whose pixels are 0 or 1; use data that has them (grey images: "
            "--data.binarization=static, in Python the argument binarization='static'), or a vq_vae"
        )


def check_classes(source: Any, classes: int) -> None:
    """Check that a model has as many classes as its data say that they have, else ValueError."""
    found = getattr(source, "classes", None)
    if found is not None and found > classes:
        raise ValueError(f"the data has {found} classes and the model {classes}: set --model.classes={found}")


def check_labels(labels: Tensor, classes: int) -> Tensor:
    """Return labels ``b`` that are whole numbers in [0, classes), else ValueError."""
    if labels.ndim != 1:
        fix = "squeeze(1)" if labels.shape[1:] == (1,) else "argmax(1), if they are one-hot"
        raise ValueError(f"labels must be one number for each row, 'b', got {tuple(labels.shape)}; use labels.{fix}")
    if labels.is_floating_point():
        raise ValueError(f"labels must be whole numbers, got {labels.dtype}")
    # On an accelerator the check would wait for the device.
    if labels.device.type == "cpu" and not bool(((labels >= 0) & (labels < classes)).all()):
        raise ValueError(
            f"labels must lie in [0, {classes}), got {labels.min()} to {labels.max()}; set --model.classes to the "
            "number of classes"
        )
    return labels


class PixelStatistics(NamedTuple):
    """Mean training image ``c h w``, and variance of all training pixels around their one mean."""

    mean: Tensor
    variance: float


def training_pixels(source: Any, *needed: str) -> Any:
    """Return what has the ``mean`` and the ``variance`` of the training pixels: the data module, or measured ones.

    They are measured over the batches of the training loader, up to the one in which ``MEASURED`` images are full.
    Random states stay as they are.

    Args:
        source: an ``ImageSource`` or any other data module.
        needed: ``mean``, ``variance`` or both. A data module without one of them is measured.

    Raises:
        ValueError: text, a batch without images, or with levels outside [0, 1].
    """
    check_source(source, "image")
    if set(needed) <= set(dir(source)):
        return source
    number, total, squares = 0, torch.zeros((), dtype=torch.float64), 0.0
    with isolate_rng():
        for batch in (transferred(source, batch) for batch in source.train_dataloader()):
            check_batch(batch, "image")
            check_levels(batch["image"])
            pixels = batch["image"].double()
            number, total, squares = number + len(pixels), total + pixels.sum(0), squares + float(pixels.square().sum())
            if number >= MEASURED:
                break
    mean = total / max(number, 1)
    return PixelStatistics(mean.float(), squares / max(number * mean.numel(), 1) - float(mean.mean()) ** 2)


def check_image_shape(image_shape: Sequence[int]) -> tuple[int, int, int]:
    """Return ``c h w`` as a tuple; ValueError unless these are three whole numbers >= 1."""
    shape = tuple(image_shape)
    if len(shape) != 3 or not all(is_whole(side) and side >= 1 for side in shape):
        raise ValueError(f"image_shape must be three whole numbers >= 1, channels, height and width, got {list(shape)}")
    channels, height, width = map(int, shape)
    return channels, height, width


def check_images(x: Tensor, image_shape: Sequence[int]) -> None:
    """Check that images ``b c h w`` have the shape ``c h w`` and are floats; the ValueError names the fix."""
    shape = tuple(image_shape)
    if not isinstance(x, Tensor):
        raise ValueError(f"images must be a tensor, got {type(x).__name__}; use torch.as_tensor(x)")
    if x.ndim != 4:
        batch = "; the batch axis is missing: x[None]" if x.shape in (shape, shape[1:]) else ""
        sides = ", ".join(map(str, shape))
        raise ValueError(f"this model takes a batch of images, (b, {sides}), got {tuple(x.shape)}{batch}")
    if x.shape[1:] == (*shape[1:], shape[0]) != shape:
        raise ValueError(
            f"this model takes images of shape {shape}, got {tuple(x.shape[1:])}; channels come first: "
            "x.permute(0, 3, 1, 2)"
        )
    if not x.is_floating_point():
        raise ValueError(f"images must be floating point in [0, 1], got {x.dtype}; levels 0 to 255 need x / 255")
    if x.shape[1:] != shape:
        raise ValueError(
            f"this model takes images of shape {shape}, got {tuple(x.shape[1:])}; "
            f"resize them, or train a model with --model.image_shape='{list(x.shape[1:])}'"
        )
