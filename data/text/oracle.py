"""SeqGAN's synthetic benchmark (Yu et al. 2017, arXiv:1609.05473, section 5.1): text whose true distribution is known.

The oracle is an LSTM with random parameters over 5,000 meaningless words, and a sentence is 20 of them. Because it
gives every sentence its probability, samples of a model can be scored: NLL_oracle, in nats per token. By itself that
figure is won by repeating the one sentence the oracle likes best (``greedy`` below), so it belongs beside NLL_test, the
model's own nats per token on held-out sentences of the oracle, and beside the share of distinct samples.

Axes: ``b`` batch, ``t`` time, ``v`` vocabulary, ``d`` embedding, ``h`` hidden, ``g`` the gates i, f, o, c side by side.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...evaluation import distinct
from ...vocabulary import Vocabulary
from ..keyed_random import ORACLE_PARAMETERS, ORACLE_TEXT, normal, uniform
from ..storage import BROKEN, Folders, read_verified
from .splits import TEXT_SETS, Sequences, TextSplits

VOCABULARY, WIDTH, LENGTH = 5000, 32, 20
SIZES = 10_000, 2_000, 5_000
ROWS = 250  # sentences at a time: their logits stay near the processor
START = 0  # the token that the oracle is fed before the first one

PUBLISHED = "seqgan_oracle/target_params.npz"
PICKLE = "seqgan_oracle/target_params_py3.pkl"
URL = "https://raw.githubusercontent.com/LantaoYu/SeqGAN/e2b52fb6309851b14765290e8a972ccac09f1bec/save/target_params_py3.pkl"
MD5 = "44b63e55e0e67ac363523759808d3c78"
GATES = "i f o_gate c"
NAMES = ["embedding", *(f"{part}{gate}" for gate in GATES.split() for part in "WUb"), "W_out", "b_out"]


@dataclass(frozen=True)
class Oracle:
    """The LSTM's parameters, and what they say."""

    embedding: Tensor  # v d
    input_weight: Tensor  # d g
    recurrent_weight: Tensor  # h g
    bias: Tensor  # g
    output_weight: Tensor  # h v
    output_bias: Tensor  # v

    def to(self, dtype: torch.dtype) -> Oracle:
        """The same oracle in another precision."""
        return Oracle(**{part.name: getattr(self, part.name).to(dtype) for part in fields(self)})

    def start(self, b: int) -> tuple[Tensor, Tensor, Tensor]:
        """The first token to feed, ``b``, and the state before it, ``b h`` twice."""
        state = self.output_weight.new_zeros(b, len(self.output_weight))
        return torch.full((b,), START), state, state

    def step(self, token: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits ``b v`` of the token after ``token``, and the new state."""
        gates = self.embedding[token] @ self.input_weight + hidden @ self.recurrent_weight + self.bias  # b g
        enter, keep, show, new = gates.chunk(4, dim=-1)  # b h
        cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = show.sigmoid() * cell.tanh()
        return hidden @ self.output_weight + self.output_bias, hidden, cell

    def nll(self, tokens: Tensor) -> Tensor:
        """-log p of each token given those before it, in nats: ``b t -> b t``."""
        return torch.cat([self._nll(rows) for rows in tokens.split(ROWS)])

    def _nll(self, tokens: Tensor) -> Tensor:
        fed, *state = self.start(len(tokens))
        nats = []
        for token in tokens.unbind(1):
            logits, *state = self.step(fed, *state)
            nats.append(logits.logsumexp(-1) - logits.gather(-1, token[:, None])[:, 0])
            fed = token
        return torch.stack(nats, dim=1)

    def draw(self, noise: Tensor) -> Tensor:
        """Exact samples from noise uniform in (0, 1), float64 ``b t -> b t``, by inverting the distribution function.

        In double precision, so that the same noise gives the same sentences on every machine.
        """
        double = self.to(torch.float64)
        return torch.cat([double._draw(rows) for rows in noise.split(ROWS)])

    def _draw(self, noise: Tensor) -> Tensor:
        token, *state = self.start(len(noise))
        tokens = []
        for level in noise.unbind(1):
            logits, *state = self.step(token, *state)
            heights = logits.exp_().cumsum_(-1)  # b v; logits of a few units cannot overflow in double precision
            token = torch.searchsorted(heights, level[:, None] * heights[:, -1:])[:, 0]
            tokens.append(token)
        return torch.stack(tokens, dim=1)

    def sample(self, n: int, generator: torch.Generator, length: int = LENGTH) -> Tensor:
        """Exact samples ``n length``."""
        return self.draw(torch.rand(n, length, dtype=torch.float64, generator=generator))

    def greedy(self, length: int = LENGTH) -> Tensor:
        """The most probable token at every step: ``length``."""
        token, *state = self.start(1)
        tokens = []
        for _ in range(length):
            logits, *state = self.step(token, *state)
            token = logits.argmax(-1)
            tokens.append(token)
        return torch.cat(tokens)


def seeded_oracle(seed: int, v: int = VOCABULARY, h: int = WIDTH) -> Oracle:
    """An oracle whose parameters are standard normal, as SeqGAN's are."""
    shapes: dict[str, tuple[int, ...]] = {
        "embedding": (v, h),
        "input_weight": (h, 4 * h),
        "recurrent_weight": (h, 4 * h),
        "bias": (4 * h,),
        "output_weight": (h, v),
        "output_bias": (v,),
    }
    keyed = enumerate(shapes.items())
    return Oracle(**{name: normal(shape, (ORACLE_PARAMETERS, seed, part)) for part, (name, shape) in keyed})


def published_oracle(arrays: dict[str, np.ndarray]) -> Oracle:
    """The oracle of SeqGAN's authors, from its 15 arrays, each gate's apart.

    Raises:
        KeyError: an array is missing.
        ValueError, RuntimeError: shapes that do not fit each other.
    """
    weights = {name: torch.tensor(arrays[name], dtype=torch.float32) for name in NAMES}
    w, u, b = (torch.cat([weights[f"{part}{gate}"] for gate in GATES.split()], dim=-1) for part in "WUb")
    oracle = Oracle(weights["embedding"], w, u, b, weights["W_out"], weights["b_out"])
    oracle.nll(torch.zeros(1, 2, dtype=torch.int64))
    return oracle


def read_published(folders: Folders) -> tuple[Oracle, str]:
    """SeqGAN's own oracle and the file it came from: the converted file, else the authors' pickle, downloaded.

    Raises:
        ValueError: a damaged file.
        FileNotFoundError: there is none, and the download failed.
    """
    path = folders.find(PUBLISHED) or folders.fetch(PICKLE, [URL], MD5)
    try:
        return published_oracle(_arrays(path)), path.name
    except BROKEN as error:
        raise ValueError(f"{path} is not the oracle of SeqGAN ({error}); replace it or delete it") from error


def _arrays(path: Path) -> dict[str, Any]:
    if path.suffix == ".pkl":  # unpickling runs code: only with the known checksum
        return dict(zip(NAMES, pickle.loads(read_verified(path, MD5), encoding="latin1"), strict=True))
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return dict(archive)


def oracle_splits(oracle: Oracle, source: str, number: int, length: int, sizes: tuple[int, int, int]) -> TextSplits:
    """Sentences of an oracle for training, validation and test, drawn with a key of ``number`` and the split."""
    vocabulary = Vocabulary([str(token) for token in range(len(oracle.output_bias))])
    train, valid, test = (
        Sequences.of(oracle.draw(uniform((n, length), (ORACLE_TEXT, number, split))), vocabulary)
        for split, n in enumerate(sizes)
    )

    def anchors(n: int, generator: torch.Generator) -> dict[str, Tensor]:
        words = torch.randint(train.tokens.numel(), (n, length), generator=generator)
        return {
            "truth": oracle.sample(n, generator, length),
            "unigram": train.tokens.flatten()[words],
            "greedy": oracle.greedy(length).expand(n, length),
        }

    return TextSplits(vocabulary, train, valid, test, source, partial(score, oracle), anchors)


def score(oracle: Oracle, samples: Tensor) -> dict[str, float]:
    """NLL_oracle of samples ``b t`` in nats per token, and the share of distinct ones among them."""
    return {"nll_oracle": float(oracle.nll(samples).mean()), "distinct": distinct(samples.numpy())}


@TEXT_SETS.register("oracle")
def oracle(folders: Folders) -> TextSplits:
    """Our own oracle, made from a fixed key."""
    return oracle_splits(seeded_oracle(0), "gumbelzoo's seeded oracle", 0, LENGTH, SIZES)


@TEXT_SETS.register("oracle_published")
def oracle_published(folders: Folders) -> TextSplits:
    """The oracle of SeqGAN's authors, with sentences of our own drawing."""
    network, file = read_published(folders)
    return oracle_splits(network, f"{file} (Yu et al. 2017)", 1, LENGTH, SIZES)
