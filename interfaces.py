"""Interface between data and models: the batch, and the attributes of the trainer's data module that models read.

A batch is a dictionary of tensors:

========  =======  =============  ==========================================
key       dtype    shape          meaning
========  =======  =============  ==========================================
image     float32  ``b c h w``    levels in [0, 1], or exactly 0 and 1 if binarized
label     int64    ``b``          class
tokens    int64    ``b t``        token ids, padded with EOS
length    int64    ``b``          tokens of each row that count, at least 1
codes     int64    ``b h w q``    codes of images, in the place of ``image``
centre    float32  ``b 2``        middle of the labelled object in pixels (row, column); of some data only
user      float32  ``b d``        vector of a user who is shown a slate
source    int64    ``b s``        token ids that a target is written from; ``source_length`` of each row, ``b``
          uint8    ``b s h w``    of sources that are pictures: levels of their cells, see ``Cells``
target    int64    ``b t``        token ids to write; ``target_length`` of each row, ``b``
alignment int64    ``b t``        place in the source of each target token, -1 for none; of some data only
========  =======  =============  ==========================================

A model reads the attributes below from ``trainer.datamodule``. Of an image source it needs none: without ``mean`` and
``variance`` they are measured over training batches, and without ``classes`` each batch is checked. A text source must
have ``vocabulary`` and ``max_length``. A source of labels may have ``class_names``, texts in the order of the classes,
which a model keeps; and one of text ``label_metrics``, a function of samples ``b t`` and the labels ``b`` that were
asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from .ranges import check_sizes
from .vocabulary import Vocabulary

Batch = dict[str, Tensor]
MAX_PIXELS = 2**18  # of a picture that is a source


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


class CodeSource(DataSource, Protocol):
    """Data module of the codes of images, for a prior over them."""

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of the codes of an image, ``h w q``."""

    @property
    def codebook_size(self) -> int | None:
        """Number of codes k of each codebook; None for latents that are no codes."""

    @property
    def encoder(self) -> Mapping[str, str]:
        """``name`` of the model that made the codes, and ``sha256`` of its weights."""

    @property
    def classes(self) -> int:
        """Number of classes: labels are in [0, classes)."""


@runtime_checkable
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


@dataclass(frozen=True)
class Cells:
    """Form of sources that are grey pictures: a grid of cells, row by row, and a blank cell as the end.

    Args:
        rows, columns: cells in a column and in a row of the grid.
        height, width: pixels of a cell.

    Raises:
        ValueError: a size below 1, or a picture of more than ``MAX_PIXELS``.
    """

    rows: int
    columns: int
    height: int
    width: int

    def __post_init__(self) -> None:
        check_sizes(**self.config())
        if (pixels := self.rows * self.columns * self.height * self.width) > MAX_PIXELS:
            raise ValueError(f"a picture must have at most {MAX_PIXELS:,} pixels, got {pixels:,}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a source, ``s h w``."""
        return self.rows * self.columns + 1, self.height, self.width

    def config(self) -> dict[str, int]:
        """Return the arguments of the constructor."""
        return asdict(self)

    def lengths(self, sources: Tensor) -> Tensor:
        """Number of places of each source, its end included: ``b s h w -> b``."""
        return torch.full(sources.shape[:1], sources.shape[1], device=sources.device)

    def decode(self, source: Tensor) -> str:
        """Describe a source ``s h w`` as text: the rows and columns with ink, from 1."""
        inked = (source.flatten(1).amax(1) > 0)[:-1].nonzero().flatten().tolist()
        cells = [f"({1 + place // self.columns}, {1 + place % self.columns})" for place in inked]
        return f"ink at {', '.join(cells) or 'no cell'}"


class PairSource(DataSource, Protocol):
    """Data module of pairs, a source and a target: sequences, or pictures and their captions.

    Both end in EOS, id 0, which counts in their lengths, and are padded with EOS to the same width in every batch.
    Sources that are pictures end in a blank cell.
    """

    @property
    def source_vocabulary(self) -> Vocabulary | Cells:
        """The tokens of the sources by id, or the cells of sources that are pictures."""

    @property
    def target_vocabulary(self) -> Vocabulary:
        """The tokens of the targets by id."""

    @property
    def max_lengths(self) -> tuple[int, int]:
        """Places s of a source and t of a target, EOS included."""

    @property
    def entropy(self) -> float | None:
        """Nats per target token that no model can be below; None if it is not known."""

    def score(self, source: Tensor, written: Tensor) -> dict[str, float]:
        """Return errors of targets ``b t`` that were written for test sources ``b s``, by name."""


@runtime_checkable
class SlateSource(DataSource, Protocol):
    """Data module of users who are shown slates: k different items of n, one slot after the other.

    Batches of validation and test have the rewards ``b`` of known policies for each user, the float32 keys ``random``,
    ``greedy`` and ``best``, between which an agent is placed.
    """

    @property
    def items(self) -> int:
        """Number n of items: codes are in [0, items)."""

    @property
    def slots(self) -> int:
        """Number k of items in a slate."""

    @property
    def user_width(self) -> int:
        """Width d of a user vector."""

    def reward(self, user: Tensor, slate: Tensor) -> Tensor:
        """Return the expected reward of slates, ``...``: of codes ``... k``, or of points of the simplex ``... k n``.

        Users are ``... d``; their leading axes broadcast against those of the slates. Points have a gradient.
        """

    def feedback(self, user: Tensor, codes: Tensor) -> Tensor:
        """Return drawn rewards, 0 or 1 for each slot, ``... k``, of codes ``... k`` and users ``... d``."""
