"""Enciphered strings: hidden keys, known alignments, known entropy."""

from __future__ import annotations

import math

import pytest
import torch
from gumbelzoo.data import PairData
from gumbelzoo.data.pairs import cipher
from gumbelzoo.data.storage import Folders


def test_cipher_without_noise_is_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each target letter is the alphabet's of the aligned source letter; lengths, EOS and padding fit."""
    monkeypatch.setattr(cipher, "NOISE", 0.0)
    pairs, key = cipher.draw(300, 0, 1), cipher.alphabet(0).tolist()
    for source, target, places, length in zip(
        pairs.source.tolist(),
        pairs.target.tolist(),
        pairs.alignment.tolist(),
        pairs.target_length.tolist(),
        strict=True,
    ):
        letters = length - 1
        assert cipher.SHORTEST <= letters <= cipher.LONGEST
        assert sorted(places[:letters]) == list(range(letters))
        assert [key[source[place]] for place in places[:letters]] == target[:letters]
        assert all(source[:letters]) and not any(source[letters:] + target[letters:])
        assert set(places[letters:]) <= {-1}
    assert torch.equal(pairs.source_length, pairs.target_length)
    assert sorted(key) == list(range(len(cipher.LETTERS) + 1)) and key[0] == 0


def test_cipher_entropy_is_that_of_the_key() -> None:
    """The mean -log p of the targets under the distribution that they are drawn from, within four standard errors."""
    data = PairData("cipher")
    test, letters = data.splits.test, len(cipher.LETTERS)
    read = cipher.alphabet(0)[test.source.gather(1, test.alignment.clamp(min=0))]
    p = torch.where(read == test.target, 1 - cipher.NOISE, 0.0) + cipher.NOISE / letters
    nll = -p.double().log()[test.alignment >= 0]
    share = float((test.alignment >= 0).sum() / test.target_length.sum())
    assert data.entropy is not None
    assert abs(float(nll.mean()) * share - data.entropy) < 4 * float(nll.std()) / math.sqrt(len(nll))
    assert f"{data.entropy:.4f} nats" in data.metadata()["entropy"]


def test_cipher_depends_on_its_seed() -> None:
    folders = Folders(None)
    first, again, other = (cipher.cipher(folders, seed) for seed in (0, 0, 1))
    assert torch.equal(first.train.target, again.train.target)
    assert not torch.equal(cipher.permutations(0), cipher.permutations(1))
    assert not torch.equal(first.train.source, other.train.source)
    assert not torch.equal(first.test.source, first.valid.source)


def test_pair_batches() -> None:
    data = PairData("cipher", batch_size=7)
    batch = next(iter(data.train_dataloader()))
    assert {key: tuple(value.shape) for key, value in batch.items()} == {
        "source": (7, 10), "target": (7, 10), "source_length": (7,), "target_length": (7,), "alignment": (7, 10)
    }  # fmt: skip
    assert data.max_lengths == (10, 10) and len(data.source_vocabulary) == 17


def test_unknown_pairs_raise() -> None:
    with pytest.raises(ValueError, match="unknown set of pairs: 'cypher'; did you mean 'cipher'"):
        PairData("cypher")
