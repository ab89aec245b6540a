"""Learning the tokens of byte-pair encoding, by the library ``tokenizers``; see ``byte_pairs.py`` for their use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...byte_pairs import LETTERS


def learn_tokens(sentences: Iterable[Sequence[str]], size: int, min_count: int) -> list[str]:
    """Return the bytes and the most frequent merged pairs, in the order of merging.

    Args:
        sentences: words of each, from ``split_pieces``; pairs are merged within a word only.
        size: most tokens.
        min_count: fewest occurrences of a pair that is merged.

    Raises:
        ValueError: the library is not installed.
    """
    try:
        from tokenizers import Tokenizer
        from tokenizers.models import BPE
        from tokenizers.pre_tokenizers import Split
        from tokenizers.trainers import BpeTrainer
    except ImportError:
        raise ValueError("level=bpe learns its tokens with a library; pip install 'gumbelzoo[bpe]'") from None

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = Split("\n", "removed")  # no word has a line end: its byte has another letter
    trainer = BpeTrainer(
        vocab_size=size,
        min_frequency=min_count,
        initial_alphabet=LETTERS,
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator(("\n".join(words) for words in sentences), trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=ids.__getitem__)
