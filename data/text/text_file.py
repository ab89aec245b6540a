"""Text sets from files of one sentence a line: splits, vocabulary, metrics of samples.

The vocabulary is that of the training split. Without a test file a tenth of the lines is the test split, the same lines
every time. A tenth of the remaining lines is the validation split. A held-out split all of whose sentences are also in
training is an error; a smaller overlap is stated in the metadata.

Text files are read in the normal form NFC. ``<unk>`` in a file is the unknown token.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ...evaluation import Corpus, bleu, copied, distinct, novelty, self_bleu
from ...vocabulary import EOS, NORMAL_FORM, UNKNOWN, Tokenization, Vocabulary
from ..keyed_random import SPLIT, permutation
from ..storage import Folders
from .splits import Sequences, TextSplits, text_set
from .tokenization import Sentences, build_vocabulary, encode, read_sentences

ORDERS = (2, 3, 4, 5)
MAX_CELLS = 1 << 25  # tokens and padding of all splits, of 8 bytes each
FILE_OPTIONS = ("level", "min_count", "max_vocabulary", "longest_line")  # of TextData, for every file


def hold_out(sentences: Sentences) -> tuple[Sentences, Sentences]:
    """Split off a tenth of at least ten sentences, the same ones every time: the remaining and those held out."""
    n = len(sentences) // 10
    order = permutation(len(sentences), (SPLIT, len(sentences))).tolist()
    return sentences.select(sorted(order[n:])), sentences.select(sorted(order[:n]))


def overlap(train: Sentences, held_out: Sentences, fix: str) -> int:
    """Count the sentences of ``held_out`` that are also in ``train``.

    Raises:
        ValueError: all of them are; the message ends in ``fix``.
    """
    known = set(map(tuple, train.tokens))
    shared = sum(tuple(sentence) in known for sentence in held_out.tokens)
    if shared == len(held_out):
        raise ValueError(
            f"every line of {held_out.path} that is held out (from line {held_out.numbers[0]} on) is also in the "
            f"training text {train.path}; {fix}"
        )
    return shared


def text_splits(train: Sentences, test: Sentences | None, min_count: int, max_vocabulary: int | None) -> TextSplits:
    """Split and encode the sentences of one or two files.

    Raises:
        ValueError: too few sentences, or too many of the longest one's length; a held-out split whose sentences are
            all in training too; errors of ``build_vocabulary`` and ``encode``.
    """
    if len(train) < (11 if test is None else 10):
        raise ValueError(
            f"{train.path} has text in only {len(train)} lines, the last of them line {train.numbers[-1]}; a tenth is "
            "held out for each of test and validation, so give at least 11 (10 with a test file)"
        )
    # Splits. The overlap counts validation as training.
    source = train.path.name
    if test is None:
        train, test = hold_out(train)
    else:
        source += f" and {test.path.name}"
    shared = overlap(train, test, "give a test file of other sentences")
    train, valid = hold_out(train)
    overlap(train, valid, "remove the repeated lines, or give more text")
    # Width. It pads every sentence, so that one long line can make a large array.
    parts = train, valid, test
    width = 1 + max(len(sentence) for part in parts for sentence in part.tokens)
    if (cells := width * sum(map(len, parts))) > MAX_CELLS:
        place = next(
            f"{part.path} line {number}"
            for part in parts
            for number, sentence in zip(part.numbers, part.tokens, strict=True)
            if len(sentence) == width - 1
        )
        raise ValueError(
            f"all sentences padded to the {width - 1} tokens of {place} are {cells:,} tokens, more than {MAX_CELLS:,}; "
            "split the longest lines, or give fewer"
        )
    # Vocabulary and token ids.
    vocabulary = build_vocabulary(train, min_count, max_vocabulary)
    ids, unknown = zip(*(encode(part, vocabulary) for part in parts), strict=True)
    marked = sum(part.counts[UNKNOWN] for part in parts)
    train_ids, valid_ids, test_ids = (Sequences.from_sentences(part, width, vocabulary) for part in ids)
    metadata = {
        "level": f"{vocabulary.level}, {len(vocabulary):,} tokens, at most {width} in a sentence with its EOS"
        + (f"; normal form {vocabulary.normal_form}" if vocabulary.normal_form else ""),
        "unknown": f"{unknown[0]:.2%} of the training tokens, {unknown[2]:.2%} of the test tokens"
        + (f"; {marked:,} of all are {UNKNOWN} in the text itself" if marked else ""),
        "overlap": f"{shared:,} of {len(test):,} test sentences are also in training or validation",
        "BLEU": f"mean over the samples, each against all {len(test):,} test sentences (Self-BLEU: against all other "
        "samples); an order without matches counts as 0.1 matches",
    }
    return TextSplits(
        vocabulary,
        train_ids,
        valid_ids,
        test_ids,
        source,
        partial(score, vocabulary, train_ids, test_ids),
        partial(reference_samples, train_ids, valid_ids),
        metadata,
    )


def score(vocabulary: Vocabulary, train: Sequences, test: Sequences, samples: Tensor) -> dict[str, float]:
    """Compute metrics of quality and diversity of samples ``b t``. Unknown words count as one word.

    - ``bleu_n``: BLEU against the test sentences; higher is better.
    - ``self_bleu_n``: BLEU against the other samples; lower is more diverse. It grows with the number of samples, which
      is 10,000 in the literature.
    - ``novelty_n``: share of n-grams that are not in training.
    - ``distinct``: share of different samples.
    - ``copied``: share of samples that are training sentences.
    - ``samples``: number of samples.
    """
    written, training = _corpus(Sequences.from_tokens(samples, vocabulary), vocabulary), _corpus(train, vocabulary)
    # An unknown word of a test sentence matches no <unk> of a sample.
    known = test.tokens.masked_fill(test.tokens == vocabulary.ids[UNKNOWN], len(vocabulary))
    references = Corpus(known.numpy(), _corpus(test, vocabulary).lengths)
    quality, similarity = bleu(written, references, max(ORDERS)), self_bleu(written, max(ORDERS))
    new = novelty(written, training, max(ORDERS))
    return {
        **{f"bleu_{n}": quality[n] for n in ORDERS},
        **{f"self_bleu_{n}": similarity[n] for n in ORDERS},
        **{f"novelty_{n}": new[n] for n in ORDERS},
        "distinct": distinct(samples.numpy()),
        "copied": copied(written, training),
        "samples": float(len(samples)),
    }


def _corpus(sequences: Sequences, vocabulary: Vocabulary) -> Corpus:
    """Return the sentences without EOS."""
    ended = (sequences.tokens == vocabulary.ids[EOS]).any(1)
    return Corpus(sequences.tokens.numpy(), (sequences.lengths - ended.long()).numpy())


def reference_samples(train: Sequences, valid: Sequences, n: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw up to ``n`` real sentences without replacement from training text, and from held-out text."""
    chosen = [part.tokens[torch.randperm(len(part), generator=generator)[:n]] for part in (train, valid)]
    return dict(zip(("training text", "held-out text"), chosen, strict=True))


@text_set("text", "path", "test_path", *FILE_OPTIONS)
def text(
    folders: Folders,
    path: str | None = None,
    test_path: str | None = None,
    level: str = "lossless_word",
    min_count: int = 2,
    max_vocabulary: int | None = None,
    longest_line: int = 200,
) -> TextSplits:
    """Read any file of one sentence a line, in the normal form NFC.

    Args:
        folders: unused.
        path: training file, UTF-8.
        test_path: test file; without it a tenth of the lines of ``path`` is the test split.
        level: tokenization, ``lossless_word``, ``word`` or ``character``.
        min_count: a token that training has less often is unknown.
        max_vocabulary: most tokens in the vocabulary, ``<eos>`` and ``<unk>`` included.
        longest_line: most tokens in a line.

    Raises:
        ValueError: no path is given.
    """
    if path is None:
        raise ValueError("name='text' needs a path: the UTF-8 file of one sentence a line")
    tokenization = Tokenization(level, NORMAL_FORM)
    train = read_sentences(Path(path), tokenization, longest_line)
    test = read_sentences(Path(test_path), tokenization, longest_line) if test_path else None
    return text_splits(train, test, min_count, max_vocabulary)
