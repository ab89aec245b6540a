"""SeqGAN's synthetic benchmark (Yu et al. 2017, arXiv:1609.05473, section 5.1): text of a known distribution.

The oracle is an LSTM with random parameters over 5,000 meaningless words. A sentence has 20 words. The oracle gives
every sentence its probability, so samples of a model can be scored: NLL_oracle, in nats per token. This metric alone is
optimized by repeating the oracle's most probable sentence (``greedy`` below). Report it with NLL_test, the model's own
nats per token on held-out sentences, and with the share of distinct samples.

Axes: ``b`` batch, ``t`` time, ``v`` vocabulary, ``d`` embedding, ``h`` hidden, ``g`` gates i, f, o, c concatenated.
"""

from __future__ import annotations

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
from ..storage import READ_ERRORS, Folders, read_verified, unpickle_arrays
from .splits import Sequences, TextSplits, text_set

VOCAB_SIZE, HIDDEN, LENGTH = 5000, 32, 20
SIZES = 10_000, 2_000, 5_000
CHUNK = 250  # sentences at a time, so that their logits stay in the processor's cache
START_TOKEN = 0  # input of the first step

PUBLISHED = "seqgan_oracle/target_params.npz"
PICKLE = "seqgan_oracle/target_params_py3.pkl"
URL = "https://raw.githubusercontent.com/LantaoYu/SeqGAN/e2b52fb6309851b14765290e8a972ccac09f1bec/save/target_params_py3.pkl"
MD5 = "44b63e55e0e67ac363523759808d3c78"
GATES = "i f o_gate c"
NAMES = ["embedding", *(f"{part}{gate}" for gate in GATES.split() for part in "WUb"), "W_out", "b_out"]


@dataclass(frozen=True)
class Oracle:
    """LSTM language model, by its parameters."""

    embedding: Tensor  # v d
    input_weight: Tensor  # d g
    recurrent_weight: Tensor  # h g
    bias: Tensor  # g
    output_weight: Tensor  # h v
    output_bias: Tensor  # v

    def to(self, dtype: torch.dtype) -> Oracle:
        """Convert the parameters to another precision."""
        return Oracle(**{part.name: getattr(self, part.name).to(dtype) for part in fields(self)})

    def initial(self, b: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the input of the first step, ``b``, and the states before it, ``b h`` twice."""
        zeros = self.output_weight.new_zeros(b, len(self.output_weight))
        return torch.full((b,), START_TOKEN), zeros, zeros

    def step(self, token: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits ``b v`` of the token after ``token``, and the new states."""
        gates = self.embedding[token] @ self.input_weight + hidden @ self.recurrent_weight + self.bias  # b g
        input_gate, forget_gate, output_gate, candidate = gates.chunk(4, dim=-1)  # b h
        cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()
        hidden = output_gate.sigmoid() * cell.tanh()
        return hidden @ self.output_weight + self.output_bias, hidden, cell

    def nll(self, tokens: Tensor) -> Tensor:
        """Return -log p of each token given those before it, in nats: ``b t -> b t``."""
        return torch.cat([self._nll(chunk) for chunk in tokens.split(CHUNK)])

    def draw(self, noise: Tensor) -> Tensor:
        """Turn noise uniform in (0, 1) into exact samples, float64 ``b t -> b t``, by inverting the CDF.

        In double precision, so that the same noise gives the same sentences on every machine.
        """
        double = self.to(torch.float64)
        return torch.cat([double._draw(chunk) for chunk in noise.split(CHUNK)])

    def sample(self, n: int, generator: torch.Generator, length: int = LENGTH) -> Tensor:
        """Draw exact samples ``n length``."""
        return self.draw(torch.rand(n, length, dtype=torch.float64, generator=generator))

    def greedy(self, length: int = LENGTH) -> Tensor:
        """Take the most probable token at every step: ``length``."""
        token, *state = self.initial(1)
        tokens = []
        for _ in range(length):
            logits, *state = self.step(token, *state)
            token = logits.argmax(-1)
            tokens.append(token)
        return torch.cat(tokens)

    def _nll(self, tokens: Tensor) -> Tensor:
        previous, *state = self.initial(len(tokens))
        nll = []
        for token in tokens.unbind(1):
            logits, *state = self.step(previous, *state)
            nll.append(logits.logsumexp(-1) - logits.gather(-1, token[:, None])[:, 0])
            previous = token
        return torch.stack(nll, dim=1)

    def _draw(self, noise: Tensor) -> Tensor:
        token, *state = self.initial(len(noise))
        tokens = []
        for level in noise.unbind(1):
            logits, *state = self.step(token, *state)
            cdf = logits.exp_().cumsum_(-1)  # b v, not normalized; logits of a few units cannot overflow
            token = torch.searchsorted(cdf, level[:, None] * cdf[:, -1:])[:, 0]
            tokens.append(token)
        return torch.stack(tokens, dim=1)


def seeded_oracle(seed: int, v: int = VOCAB_SIZE, h: int = HIDDEN) -> Oracle:
    """Draw an oracle with standard normal parameters, as in SeqGAN."""
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
    """Build the oracle of SeqGAN's authors from its 15 arrays, three for each gate.

    Raises:
        KeyError: an array is missing.
        ValueError, RuntimeError: shapes that do not fit each other.
    """
    weights = {name: torch.tensor(arrays[name], dtype=torch.float32) for name in NAMES}
    w, u, b = (torch.cat([weights[f"{part}{gate}"] for gate in GATES.split()], dim=-1) for part in "WUb")
    oracle = Oracle(weights["embedding"], w, u, b, weights["W_out"], weights["b_out"])
    oracle.nll(torch.zeros(1, 2, dtype=torch.int64))  # fails if shapes do not fit
    return oracle


def read_published(folders: Folders) -> tuple[Oracle, str]:
    """Read the oracle of SeqGAN's authors, from the converted file, else from their pickle; and name the file.

    Raises:
        ValueError: a damaged file.
        FileNotFoundError: there is no file, and the download failed.
    """
    path = folders.find(PUBLISHED) or folders.fetch(PICKLE, [URL], MD5)
    try:
        return published_oracle(_arrays(path)), path.name
    except READ_ERRORS as error:
        raise ValueError(f"{path} is not the oracle of SeqGAN ({error}); replace it or delete it") from error


def _arrays(path: Path) -> dict[str, Any]:
    if path.suffix == ".pkl":
        return dict(zip(NAMES, unpickle_arrays(read_verified(path, MD5)), strict=True))
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return dict(archive)


def oracle_splits(oracle: Oracle, source: str, number: int, length: int, sizes: tuple[int, int, int]) -> TextSplits:
    """Draw sentences of an oracle for training, validation and test, with keys of ``number`` and the split."""
    vocabulary = Vocabulary([str(token) for token in range(len(oracle.output_bias))])
    train, valid, test = (
        Sequences.from_tokens(oracle.draw(uniform((n, length), (ORACLE_TEXT, number, split))), vocabulary)
        for split, n in enumerate(sizes)
    )
    references = partial(reference_samples, oracle, train)
    return TextSplits(vocabulary, train, valid, test, source, partial(score, oracle), references)


def score(oracle: Oracle, samples: Tensor) -> dict[str, float]:
    """Compute ``nll_oracle`` of samples ``b t``, in nats per token, and ``distinct``, the share of different ones."""
    return {"nll_oracle": float(oracle.nll(samples).mean()), "distinct": distinct(samples.numpy())}


def reference_samples(oracle: Oracle, train: Sequences, n: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Return samples of the oracle, words drawn by their training frequency, and the greedy sentence ``n`` times."""
    length = train.tokens.shape[1]
    words = torch.randint(train.tokens.numel(), (n, length), generator=generator)
    return {
        "truth": oracle.sample(n, generator, length),
        "unigram": train.tokens.flatten()[words],
        "greedy": oracle.greedy(length).expand(n, length),
    }


@text_set("oracle")
def oracle(folders: Folders) -> TextSplits:
    """Draw sentences of gumbelzoo's own oracle, whose parameters are drawn from a fixed key."""
    return oracle_splits(seeded_oracle(0), "gumbelzoo's seeded oracle", 0, LENGTH, SIZES)


@text_set("oracle_published")
def oracle_published(folders: Folders) -> TextSplits:
    """Draw sentences of the oracle of SeqGAN's authors."""
    network, file = read_published(folders)
    return oracle_splits(network, f"{file} (Yu et al. 2017)", 1, LENGTH, SIZES)
