"""Data module of text: every data set that is sequences of tokens."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from ...vocabulary import Vocabulary
from ..base import InMemoryData, register_data
from ..storage import Folders
from . import corpora, grammar, oracle, text_file  # noqa: F401  (importing a reader registers its text sets)
from .splits import TEXT_SETS, TextSplits


@register_data("text")
class TextData(InMemoryData):
    """Text in batches of ``{"tokens": int64 b t, "length": int64 b}``; conventions in ``interfaces.TextSource``.

    Args:
        name: oracle (SeqGAN's synthetic benchmark, drawn), oracle_published (its authors' oracle), grammar
            (arithmetic strings, drawn), text (any file), captions, tinyshakespeare, names, smiles or smiles_qm9.
        path: training file, for name=text: UTF-8, one sentence a line. At most 128 MiB and 1 million lines.
        test_path: test file, for name=text; default: a tenth of the lines of ``path``. Validation is a tenth of the
            remaining lines of ``path``.
        level: rule that splits a line into tokens, for files. lossless_word, the default for name=text: words of any
            script with their marks, single characters elsewhere, each with the space before it, so that samples are
            spaced as the text is. word: ASCII hyphens and apostrophes, no combining marks; spaces around punctuation
            are lost. character: every code point. Each named corpus has its own default. A model's vocabulary
            records the rule; that of name=text also the normal form, NFC.
        min_count: fewest occurrences in the training split, for files; rarer tokens become ``<unk>``. Default 2.
        max_vocabulary: most tokens in the vocabulary, for files, with ``<eos>`` and ``<unk>``.
        longest_line: most tokens in a line, for files; a longer line is an error. Default 200.
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
        level: str | None = None,
        min_count: int | None = None,
        max_vocabulary: int | None = None,
        longest_line: int | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        root: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(name, batch_size, eval_batch_size, root, seed)
        optional = {
            "path": path,
            "test_path": test_path,
            "level": level,
            "min_count": min_count,
            "max_vocabulary": max_vocabulary,
            "longest_line": longest_line,
        }
        self._set = TEXT_SETS[name]
        self._options = {key: value for key, value in optional.items() if value is not None}
        if unknown := [key for key in self._options if key not in self._set.options]:
            raise ValueError(f"the text set '{name}' takes no {unknown[0]}; leave it out, or use name='text'")

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
        size = len(self.vocabulary)
        if samples.ndim != 2 or samples.dtype != torch.int64 or samples.numel() == 0:
            raise ValueError(f"samples must be int64 token ids 'b t', got {samples.dtype} {tuple(samples.shape)}")
        if samples.min() < 0 or samples.max() >= size:
            raise ValueError(f"samples must be ids in [0, {size}), got {int(samples.min())} to {int(samples.max())}")
        samples = samples.cpu()
        padding = torch.arange(samples.shape[1]) >= self.vocabulary.lengths(samples)[:, None]  # b t
        return self.splits.score(samples.masked_fill(padding, self.vocabulary.pad))

    def details(self) -> dict[str, str]:
        """Return the metadata of the text set."""
        return dict(self.splits.metadata)
