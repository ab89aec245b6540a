"""Data module of text: every data set that is sequences of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ...vocabulary import Vocabulary
from ..base import InMemoryData, register_data
from ..storage import Folders
from . import corpora, grammar, oracle  # noqa: F401  (importing a reader registers its text sets)
from .ids import MEMORY, ids_in_memory, ids_splits
from .own_text import check_used, dataset_in_memory, text_in_memory
from .rules import Rules
from .splits import TEXT_SETS, TextSplits


@register_data("text")
class TextData(InMemoryData):
    """Text in batches of ``{"tokens": int64 b t, "length": int64 b}``; conventions in ``interfaces.TextSource``.

    Args:
        name: oracle (SeqGAN's synthetic benchmark, drawn), oracle_published (its authors' oracle), grammar
            (arithmetic strings, drawn), text (your own), captions, tinyshakespeare, names, smiles or smiles_qm9.
        path: training text, for name=text: a UTF-8 file of one sentence a line; a folder of such .txt files; an .npy
            file of ids ``n t``, or an .npz file with ``tokens`` and perhaps ``label``; or the folder of a data set that
            the library ``datasets`` saved. At most 128 MiB and 1 million lines.
        test_path: test text of the same kind, for name=text; default: a tenth of the lines of ``path``. Validation is a
            tenth of the remaining lines of ``path``. A saved data set may have both, ``test`` and ``validation``.
        labels: where the class of each line is, for name=text; default: there are none. tab: each line is
            label<TAB>text. files: in the name of the file, or of the folder within ``path`` that it is in. Of a saved
            data set, the column of the labels. log_p: for smiles and smiles_qm9, thirds of logP: low, middle, high.
        labels_path: file with a label a line, for the lines of ``path``.
        column: column of the text in a saved data set. Default text.
        vocabulary_path: file of one token a line, for files, in the place of the tokens of training. Of ids, the token
            of each; default: an id stands for itself.
        level: rule that splits a line into tokens, for files. lossless_word, the default for name=text: words of any
            script with their marks, single characters elsewhere, each with the space before it, so that samples are
            spaced as the text is. word: ASCII hyphens and apostrophes, no combining marks; spaces around punctuation
            are lost. character: every code point. bpe: byte pairs, learned from the training split by the library
            ``tokenizers``; nothing is unknown. Each named corpus has its own default. A model's vocabulary records the
            rule; that of name=text also the normal form, NFC.
        min_count: fewest occurrences in the training split, for files; rarer tokens become ``<unk>``, rarer byte pairs
            are not merged. Default 2.
        max_vocabulary: most tokens in the vocabulary, for files, with ``<eos>`` and ``<unk>``. Of level bpe 4096.
        longest_line: most tokens in a sequence, for files; a longer one is an error. Default 200.
        lines_per_sequence: consecutive lines of a file that make one sequence, joined by " / ". Default 1.
        batch_size: sequences in a training batch, per process; the remainder of an epoch is dropped.
        eval_batch_size: most sequences in a validation or test batch, per process.
        root: folder of the data sets; default GUMBELZOO_DATA, else the user's cache folder. Missing files are
            downloaded.
        seed: seed of the order of training sequences.

    Raises:
        ValueError: unknown name, an argument that the text set does not take, a bad file, a batch size that does not
            fit.
        FileNotFoundError: a file is missing and could not be downloaded.

    Example:
        >>> data = TextData("grammar", batch_size=20)
        >>> batch = next(iter(data.train_dataloader()))
        >>> batch["tokens"].shape, data.max_length
        (torch.Size([20, 12]), 12)
        >>> metrics = data.score(batch["tokens"])
        >>> metrics["valid"]
        1.0
    """

    def __init__(
        self,
        name: str = "oracle",
        path: str | None = None,
        test_path: str | None = None,
        labels: str | None = None,
        labels_path: str | None = None,
        column: str | None = None,
        vocabulary_path: str | None = None,
        level: str | None = None,
        min_count: int | None = None,
        max_vocabulary: int | None = None,
        longest_line: int | None = None,
        lines_per_sequence: int | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        root: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(name, batch_size, eval_batch_size, root, seed)
        optional: dict[str, Any] = {
            "path": path,
            "test_path": test_path,
            "labels": labels,
            "labels_path": labels_path,
            "column": column,
            "vocabulary_path": vocabulary_path,
            "level": level,
            "min_count": min_count,
            "max_vocabulary": max_vocabulary,
            "longest_line": longest_line,
            "lines_per_sequence": lines_per_sequence,
        }
        self._set = TEXT_SETS[name]
        self._options = {key: value for key, value in optional.items() if value is not None}
        if unknown := [key for key in self._options if key not in self._set.options]:
            raise ValueError(f"the text set '{name}' takes no {unknown[0]}; leave it out, or use name='text'")

    @classmethod
    def from_lines(
        cls,
        lines: Sequence[str],
        test_lines: Sequence[str] | None = None,
        labels: Any = None,
        test_labels: Any = None,
        vocabulary: Sequence[str] | None = None,
        **options: Any,
    ) -> TextData:
        """Make a data module of lists of text; ``options`` are arguments of the constructor.

        Args:
            lines: training text, one sentence each; without ``test_lines`` a tenth is held out for test.
            test_lines: test text.
            labels, test_labels: class of each line, by name or number, as a list, an array or a tensor.
            vocabulary: tokens in the place of those of training.

        Raises:
            ValueError: what a file of these lines would raise.

        Example:
            >>> data = TextData.from_lines([f"{i} is not {i + 1}." for i in range(200)], level="character")
            >>> data.vocabulary.decode(data.splits.train.tokens[0])
            '0 is not 1.'
        """
        data = cls("text", **options)
        data.splits = text_in_memory(lines, test_lines, labels, test_labels, vocabulary=vocabulary, **data._options)
        return data

    @classmethod
    def from_dataset(cls, dataset: Any, column: str = "text", labels: str | None = None, **options: Any) -> TextData:
        """Make a data module of a ``Dataset`` or ``DatasetDict`` of the library ``datasets``.

        Args:
            dataset: the training text, or a mapping with ``train`` and perhaps ``validation`` and ``test``.
            column, labels: columns of text and labels.
            options: arguments of the constructor.
        """
        data = cls("text", **options)
        data.splits = dataset_in_memory(dataset, column, labels, **data._options)
        return data

    @classmethod
    def from_ids(
        cls,
        tokens: Any,
        labels: Any = None,
        vocabulary: Sequence[str] | None = None,
        level: str = "word",
        **options: Any,
    ) -> TextData:
        """Make a data module of an array of ids ``n t`` and of classes ``n``.

        Args:
            tokens, labels: whole numbers, as a tensor, an array or lists.
            vocabulary, level: token of each id, and the rule that joins them; None makes each id its own token.
            options: arguments of the constructor.
        """
        data = cls("text", **options)
        check_used(data._options, MEMORY, "an array in memory")
        rules = Rules(level, vocabulary=vocabulary, **data._options)
        data.splits = ids_splits(ids_in_memory(tokens, labels), None, rules)
        return data

    @cached_property
    def splits(self) -> TextSplits:
        """The sequences. Read, drawn or downloaded at first use."""
        return self._set.read(Folders(self.root), **self._options)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens by id."""
        return self.splits.vocabulary

    @property
    def max_length(self) -> int:
        """Width t of every batch."""
        return self.splits.train.tokens.shape[1]

    @property
    def classes(self) -> int:
        """Number of classes: labels are in [0, classes). 0 without labels."""
        return self.splits.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, in their order; empty where they have none."""
        return self.splits.class_names

    def test_sequences(self) -> tuple[Tensor, Tensor]:
        """Return token ids ``b t`` and lengths ``b`` of the test split."""
        return self.splits.test.tokens, self.splits.test.lengths

    def reference_samples(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return up to ``n`` sequences ``n t`` from each source that a model is compared with, by name.

        ``score`` gives their metrics.
        """
        return self.splits.reference_samples(n, generator)

    def score(self, samples: Tensor) -> dict[str, float]:
        """Return metrics of generated samples by name; each text set documents its own in ``score``.

        Args:
            samples: token ids ``b t``; tokens after the first EOS are ignored.

        Raises:
            ValueError: another shape or type, no samples, or ids outside the vocabulary.
        """
        return self.splits.score(self._padded(samples))

    def label_metrics(self, samples: Tensor, labels: Tensor) -> dict[str, float]:
        """Return metrics of samples ``b t`` and the labels ``b`` that were asked for, by name; none of most text sets.

        Raises:
            ValueError: errors of ``score``; another number of labels.
        """
        metrics, padded = self.splits.label_metrics, self._padded(samples)
        if labels.shape != samples.shape[:1]:
            raise ValueError(f"give a label for each of the {len(samples)} samples, got {tuple(labels.shape)}")
        return metrics(padded, labels.cpu()) if metrics else {}

    def _padded(self, samples: Tensor) -> Tensor:
        """Samples on the CPU, padded after their EOS; errors are those of ``score``."""
        size = len(self.vocabulary)
        if samples.ndim != 2 or samples.dtype != torch.int64 or samples.numel() == 0:
            raise ValueError(f"samples must be int64 token ids 'b t', got {samples.dtype} {tuple(samples.shape)}")
        if samples.min() < 0 or samples.max() >= size:
            raise ValueError(f"samples must be ids in [0, {size}), got {int(samples.min())} to {int(samples.max())}")
        samples = samples.cpu()
        padding = torch.arange(samples.shape[1]) >= self.vocabulary.lengths(samples)[:, None]  # b t
        return samples.masked_fill(padding, self.vocabulary.pad)

    def details(self) -> dict[str, str]:
        """Return the metadata of the text set."""
        return dict(self.splits.metadata)
