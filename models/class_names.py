"""Names of classes: wherever a model takes the number of a class, it takes its name too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..ranges import check_sizes
from ..registry import unknown_name
from .inputs import check_classes

Label = int | str | Sequence[int | str] | Tensor  # of all samples by number or name, or those of each
MOST_BYTES = 1 << 18  # of all names in a configuration


def read_classes(classes: int | Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """Return the number of classes and their names, from either; no names if only the number is given.

    Raises:
        ValueError: a negative number, or names that are not different texts.
    """
    if isinstance(classes, int):
        check_sizes(0, classes=classes)
        return classes, ()
    if not isinstance(classes, (list, tuple)) or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"classes are a number, or a list of their names, got {classes!r}")
    if not classes:
        raise ValueError("a list of classes names one at least; use classes=0 for none")
    if len(set(classes)) < len(classes):
        raise ValueError(f"classes must have different names, got {', '.join(classes)}")
    return len(classes), tuple(classes)


def named_classes(source: Any, classes: int, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of a model's classes: its own, else those of the trainer's data, if they have any.

    Names that would fill more than ``MOST_BYTES`` of a configuration are left out.

    Args:
        source: the data module.
        classes: number of classes of the model; 0 for an unconditional one.
        names: that the model has already.

    Raises:
        ValueError: data with more classes than the model, with fewer that would name a part of its own, or with other
            names.
    """
    if not classes:
        return ()
    check_classes(source, classes)
    found = tuple(getattr(source, "class_names", ()))
    if found and not names and len(found) < classes:
        raise ValueError(
            f"the data names {len(found)} classes and the model has {classes}: set --model.classes={len(found)}"
        )
    if names and found != names[: len(found)]:
        raise ValueError(
            f"the model's classes are {', '.join(names)}, and those of the data are {', '.join(found)}; give data with "
            "the same labels"
        )
    return names or (found if len(json.dumps(found)) <= MOST_BYTES else ())


def class_number(label: Label | None, names: Sequence[str]) -> int | Tensor | None:
    """Return the number of a class that is named, a tensor for several; numbers and None as they are.

    Raises:
        ValueError: an unknown name, or classes without names.
    """
    if isinstance(label, Sequence) and not isinstance(label, str):
        return torch.tensor([class_number(one, names) for one in label])
    if not isinstance(label, str):
        return label
    if not names:
        raise ValueError(f"this model has no named classes: give a number in the place of '{label}', or none")
    if label not in names:
        raise ValueError(unknown_name("label", label, names))
    return tuple(names).index(label)


def expand_label(label: int | Tensor, n: int, classes: int, device: torch.device) -> Tensor:
    """Return a label for each of n samples, from one for all of them or one each, ``-> n``.

    Args:
        label: number of a class, or numbers ``n``.
        n: number of samples.
        classes: number of classes of the model, 0 for an unconditional one.
        device: where the labels go.

    Raises:
        ValueError: a label for an unconditional model, another number of labels, one that is no class.
    """
    if not classes:
        raise ValueError("this model depends on no label; train one with --model.classes")
    labels = torch.as_tensor(label, device=device)
    if labels.shape not in ((), (1,), (n,)):
        raise ValueError(f"give one label, or one for each of the {n} samples, got {tuple(labels.shape)}")
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(f"labels must be whole numbers, got {labels.dtype}")
    # On an accelerator the check would wait for the device.
    if labels.device.type == "cpu" and len(wrong := labels[(labels < 0) | (labels >= classes)]):
        raise ValueError(f"a label of this model is from 0 to {classes - 1}, got {wrong[0]}")
    return labels.expand(n)
