"""Interface between data and models: the batch, and the attributes of the trainer's data module that models read.

A batch is a dictionary of tensors:

========  =======  =============  ==========================================
key       dtype    shape          meaning
========  =======  =============  ==========================================
image     float32  ``b c h w``    levels in [0, 1], or exactly 0 and 1 if binarized
label     int64    ``b``          class
tokens    int64    ``b t``        token ids, padded with EOS
length    int64    ``b``          tokens of each row that count, at least 1
========  =======  =============  ==========================================

A model reads the attributes below from ``trainer.datamodule``. Of an image source it needs none: without ``mean`` and
``variance`` they are measured over training batches, and without ``classes`` each batch is checked. A text source must
have ``vocabulary`` and ``max_length``.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from .vocabulary import Vocabulary

Batch = dict[str, Tensor]


class DataSource(Protocol):
    """Data module of any kind, as commands use it."""

    @property
    def name(self) -> str:
        """Data set."""

    def metadata(self) -> dict[str, str]:
        """Return the facts printed with every result: data set, split sizes, source, licence."""


class ImageSource(DataSource, Protocol):
    """Data module of images."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image, ``(c, h, w)``, known without reading."""

    @property
    def mean(self) -> Tensor:
        """Mean training image as the model sees it, ``c h w``."""

    @property
    def variance(self) -> float:
        """Variance of all training pixels around their one mean, as the model sees them."""

    @property
    def classes(self) -> int:
        """Number of classes: labels are in [0, classes)."""


class TextSource(DataSource, Protocol):
    """Data module of token sequences.

    All rows of a batch are ``max_length`` wide. A sentence ends in EOS, which counts in ``length`` and is a target of
    the likelihood. Padding after it is EOS again, so that a padded row is what a generator writes. Sequences of a fixed
    length have no EOS, and ``length`` is ``max_length``. Words that training does not contain are ``<unk>``, a target
    like any other token. Batches have no BOS: a model is fed ``bos = len(vocabulary)`` first, which is never an output.
    Nats per token are averaged over the tokens that count in ``length``.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens by id."""

    @property
    def max_length(self) -> int:
        """Width t of every batch."""

    def score(self, samples: Tensor) -> dict[str, float]:
        """Return metrics of generated samples ``b t`` by name; each data set documents its own."""

    def reference_samples(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return up to ``n`` sequences ``n t`` from each source that a model is compared with, by name."""

    def test_sequences(self) -> tuple[Tensor, Tensor]:
        """Return token ids ``b t`` and lengths ``b`` of the test split."""
