"""Text in memory, as one LightningDataModule for everything that is a sequence of tokens."""

from __future__ import annotations

import inspect
from functools import cached_property

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from ...vocabulary import Vocabulary
from ..licences import licence_of
from ..loader import TensorLoader
from ..storage import Folders
from . import corpora, grammar, oracle  # noqa: F401  (importing a maker registers its text set)
from .splits import TEXT_SETS, Sequences, TextSplits


class TextData(LightningDataModule):
    """Batches of ``{"tokens": int64 b t, "length": int64 b}``; the conventions are those of ``gumbelzoo.data``.

    Args:
        name: oracle (SeqGAN's synthetic benchmark, drawn), oracle_published (the authors' own oracle), grammar
            (arithmetic strings, drawn), text (any file), captions, tinyshakespeare, names, smiles or smiles_qm9.
        path: For text: the training file, UTF-8, one sentence a line.
        test_path: For text: the test file; without it the test split is a tenth of the lines of ``path``. A tenth of
            those that are left is the validation split, with a test file too.
        level: For files: word or character; the named corpora have their own.
        min_count: For files: tokens that the training split has less often are unknown; 2 if not given.
        max_vocabulary: For files: so many tokens at most, with end and unknown.
        longest_line: For files: tokens that a line may have; 200 if not given.
        batch_size: Sequences in a training batch, per process; the remainder of an epoch is dropped.
        eval_batch_size: Sequences in a validation or test batch, per process, at most.
        root: Folder of the data sets; else GUMBELZOO_DATA, else the user's cache folder. What is missing is downloaded.
        seed: Of the order of the training sequences.

    Raises:
        ValueError: unknown name, an argument that the set has no use for, a bad file, a batch size that does not fit.
        FileNotFoundError: a file is missing and could not be downloaded.
    """

    def __init__(
        self,
        name: str = "oracle",
        path: str | None = None,
        test_path: str | None = None,
        level: str | None = None,
        min_count: int | None = None,
        max_vocabulary: int | None = None,
        longest_line: int | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        root: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.name: str = name
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.root = root
        self.seed = seed
        self._make = TEXT_SETS[name]
        optional = {
            "path": path,
            "test_path": test_path,
            "level": level,
            "min_count": min_count,
            "max_vocabulary": max_vocabulary,
            "longest_line": longest_line,
        }
        self._options = {key: value for key, value in optional.items() if value is not None}
        known = inspect.signature(self._make).parameters
        if useless := [key for key in self._options if key not in known]:
            raise ValueError(f"the text set '{name}' takes no {useless[0]}; leave it out, or use name='text'")

    @cached_property
    def splits(self) -> TextSplits:
        """The sequences. Read, drawn or downloaded at the first use."""
        return self._make(Folders(self.root), **self._options)

    @property
    def vocabulary(self) -> Vocabulary:
        """What the ids mean."""
        return self.splits.vocabulary

    @property
    def max_length(self) -> int:
        """The width t of every batch."""
        return self.splits.train.tokens.shape[1]

    def score(self, samples: Tensor) -> dict[str, float]:
        """What the set knows about samples of a model, by name; the function of each set says what its figures are.

        Args:
            samples: token ids ``b t``; what comes after the first end does not count.

        Raises:
            ValueError: another shape or type, no samples, or ids that are no tokens.
        """
        size = len(self.vocabulary)
        if samples.ndim != 2 or samples.dtype != torch.int64 or samples.numel() == 0:
            raise ValueError(f"samples must be int64 token ids 'b t', got {samples.dtype} {tuple(samples.shape)}")
        if samples.min() < 0 or samples.max() >= size:
            raise ValueError(f"samples must be ids in [0, {size}), got {int(samples.min())} to {int(samples.max())}")
        samples = samples.cpu()
        behind = torch.arange(samples.shape[1]) >= self.vocabulary.lengths(samples)[:, None]  # b t
        return self.splits.score(samples.masked_fill(behind, self.vocabulary.pad))

    def anchors(self, n: int, generator: torch.Generator) -> dict[str, dict[str, float]]:
        """The scores of what a model is compared with, such as the truth itself, from ``n`` sequences each."""
        return {name: self.score(samples) for name, samples in self.splits.anchors(n, generator).items()}

    def facts(self) -> dict[str, str]:
        """What is printed beside every result."""
        splits = self.splits
        sizes = f"{len(splits.train):,} training, {len(splits.valid):,} validation, {len(splits.test):,} test"
        licence = licence_of(self.name)
        return {"data set": self.name, "source": splits.source, "split": sizes, **splits.facts, "licence": licence}

    def prepare_data(self) -> None:
        """Download what is missing, in one process per machine."""
        self.splits  # noqa: B018

    def setup(self, stage: str | None = None) -> None:
        """Read or draw the sequences; nothing happens the second time."""
        self.splits  # noqa: B018

    def train_dataloader(self) -> TensorLoader:
        """Shuffled batches, except where the trainer overfits a few of them."""
        shuffle = not getattr(self.trainer, "overfit_batches", 0)
        return self._loader(self.splits.train, self.batch_size, shuffle)

    def val_dataloader(self) -> TensorLoader:
        """Every validation sequence once."""
        return self._loader(self.splits.valid, self.eval_batch_size)

    def test_dataloader(self) -> TensorLoader:
        """Every test sequence once."""
        return self._loader(self.splits.test, self.eval_batch_size)

    def _loader(self, split: Sequences, batch_size: int, shuffle: bool = False) -> TensorLoader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        tensors = {"tokens": split.tokens, "length": split.lengths}
        return TensorLoader(tensors, batch_size, shuffle=shuffle, seed=self.seed, rank=rank, world_size=world_size)
