"""Metrics of generated text, and the real text that it is compared with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...evaluation import Corpus, bleu, copied, distinct, novelty, self_bleu
from ...vocabulary import BPE, Tokenization, Vocabulary
from .splits import Sequences

ORDERS = (2, 3, 4, 5)
WORDS = Tokenization("lossless_word")  # in which text of level bpe is compared


def score(vocabulary: Vocabulary, train: Sequences, test: Sequences, samples: Tensor) -> dict[str, float]:
    """Compute metrics of quality and diversity of samples ``b t``. Unknown words count as one word.

    Those of n-grams are of the vocabulary's tokens; of level ``bpe`` of words, so that they do not depend on the pairs.

    - ``bleu_n``: BLEU against the test sentences; higher is better.
    - ``self_bleu_n``: BLEU against the other samples; lower is more diverse. It grows with the number of samples, which
      is 10,000 in the literature.
    - ``novelty_n``: share of n-grams that are not in training.
    - ``distinct``: share of different samples.
    - ``copied``: share of samples that are training sentences.
    - ``samples``: number of samples.
    """
    parts = Sequences.from_tokens(samples, vocabulary), train, test
    if vocabulary.level == BPE:
        written, training, references = _word_corpora(vocabulary, *parts)
        different = len({vocabulary.decode(row) for row in samples}) / len(samples)  # one text has many spellings
    else:
        written, training, references = (_corpus(part, vocabulary) for part in parts)
        different = distinct(samples.numpy())
        if vocabulary.unk is not None:  # an unknown word of a test sentence matches no <unk> of a sample
            known = test.tokens.masked_fill(test.tokens == vocabulary.unk, len(vocabulary))
            references = Corpus(known.numpy(), references.lengths)
    quality, similarity = bleu(written, references, max(ORDERS)), self_bleu(written, max(ORDERS))
    new = novelty(written, training, max(ORDERS))
    return {
        **{f"bleu_{n}": quality[n] for n in ORDERS},
        **{f"self_bleu_{n}": similarity[n] for n in ORDERS},
        **{f"novelty_{n}": new[n] for n in ORDERS},
        "distinct": different,
        "copied": copied(written, training),
        "samples": float(len(samples)),
    }


def _corpus(sequences: Sequences, vocabulary: Vocabulary) -> Corpus:
    """Return the sentences without EOS."""
    lengths = sequences.lengths
    if vocabulary.eos is not None:
        lengths = lengths - (sequences.tokens == vocabulary.eos).any(1).long()
    return Corpus(sequences.tokens.numpy(), lengths.numpy())


def _word_corpora(vocabulary: Vocabulary, *parts: Sequences) -> list[Corpus]:
    """Return the sentences as ids of their words, the same ones in all parts."""
    ids: dict[str, int] = {}
    corpora = []
    for part in parts:
        lines = [WORDS.split(vocabulary.decode(row)) for row in part.tokens]
        rows = [[ids.setdefault(word, len(ids)) for word in line] for line in lines]
        tokens = np.zeros((len(rows), max(1, *map(len, rows))), np.int64)
        for padded, row in zip(tokens, rows, strict=True):
            padded[: len(row)] = row
        corpora.append(Corpus(tokens, np.array([len(row) for row in rows])))
    return corpora


def reference_samples(train: Sequences, valid: Sequences, n: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw up to ``n`` real sentences without replacement from training text, and from held-out text."""
    chosen = [part.tokens[torch.randperm(len(part), generator=generator)[:n]] for part in (train, valid)]
    return dict(zip(("training text", "held-out text"), chosen, strict=True))
