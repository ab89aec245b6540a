"""A module without its dropout, for as long as samples are drawn or states compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def without_dropout(module: nn.Module) -> Iterator[None]:
    """Eval mode inside, the former mode afterwards; RNNs stay in training mode, which cuDNN's backward needs.

    Dropout is not inside the RNNs here, so their mode changes nothing else.
    """
    training = module.training
    for part in module.modules():
        part.training = training and isinstance(part, nn.RNNBase)
    try:
        yield
    finally:
        module.train(training)
