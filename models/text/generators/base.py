"""Autoregressive language models: one interface over the networks in ``GENERATORS``.

p(tokens) = prod_t p(token_t | earlier tokens). The first input is ``bos = v``, one extra row of the embedding. EOS is
absorbing: after it only EOS follows, with probability 1. With labels, p(tokens | label): the label's embedding is added
to that of every input. Axes: ``b`` batch, ``n`` samples, ``t`` time, ``p`` prefix,
``v`` vocabulary, ``d`` embedding width, ``h`` feature width.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from ....ranges import check_temperature
from ....registry import Registry
from ....vocabulary import Vocabulary
from ...relaxed import RelaxedCategorical, select
from ...relaxed.sampling import categorical_sample, one_hot
from ...relaxed.surrogate import upcast
from ...relaxed.truncation import truncate
from ..relaxed_tokens import eos_mass
from .dropout import without_dropout
from .feedback import FEEDBACKS

State = Any  # what a network carries from one position to the next


class LanguageModel(nn.Module):
    """Base class of generators. A subclass writes ``features`` and its stepwise form, ``initial_state`` and ``step``.

    Dropout applies to teacher forcing only, in parallel or stepwise; samples and roll-outs are drawn without it.

    Args:
        vocabulary: v tokens, with EOS if sentences end.
        max_length: t of samples.
        width: d.
        features: h.

    Example:
        >>> vocabulary = Vocabulary(["<eos>", "a", "b"])
        >>> model = GENERATORS.build({"name": "lstm", "hidden": 16}, vocabulary=vocabulary, max_length=5)
        >>> tokens = model.sample(4)  # n t, token ids
        >>> log_prob = model.log_prob(tokens, vocabulary.lengths(tokens))  # n t, nats
        >>> relaxed_tokens = model.rollout(4, RelaxedCategorical("reinmax"))  # n t v, differentiable
    """

    def __init__(self, vocabulary: Vocabulary, max_length: int, width: int, features: int) -> None:
        super().__init__()
        self.vocab_size, self.max_length, self.eos_id = len(vocabulary), max_length, vocabulary.eos
        self.embedding = nn.Embedding(self.vocab_size + 1, width)
        self.head = nn.Linear(features, self.vocab_size)
        self.label_embedding: nn.Module | None = None

    def condition(self, classes: int) -> None:
        """Make the model conditional on labels in [0, classes)."""
        self.label_embedding = nn.Embedding(classes, self.embedding.embedding_dim)

    def condition_on_vectors(self, width: int) -> None:
        """Make the model conditional on vectors ``b width``, which are given in the place of labels."""
        self.label_embedding = nn.Linear(width, self.embedding.embedding_dim)

    @property
    def classes(self) -> int:
        """Number of labels; 0 for an unconditional model, or one that is conditional on vectors."""
        return getattr(self.label_embedding, "num_embeddings", 0)

    def features(self, x: Tensor) -> Tensor:
        """Features of every position from the embedded inputs up to it, ``b t d -> b t h``."""
        raise NotImplementedError

    def initial_state(self, b: int) -> State:
        """State before the first position."""
        raise NotImplementedError

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """``features`` of the next position, ``b d -> b h``, and the state after it."""
        raise NotImplementedError

    def begin(self, b: int) -> tuple[Tensor, State]:
        """Embedded BOS, ``b d``, and the initial state."""
        return repeat(self.embedding.weight[-1], "d -> b d", b=b), self.initial_state(b)

    # -- likelihood ---------------------------------------------------------------------------------------------------

    def logits(self, tokens: Tensor, label: Tensor | None = None) -> Tensor:
        """Logits of every token given earlier ones and the label ``b``, ``b t -> b t v``."""
        bos = torch.full_like(tokens[:, :1], self.vocab_size)
        x = self.embedding(torch.cat([bos, tokens[:, :-1]], 1))
        return self.head(self.features(self.add_label(x, label)))

    def add_label(self, x: Tensor, label: Tensor | None) -> Tensor:
        """Add the embedding of the labels ``b``, if the model has any, to embedded inputs ``b d`` or ``b t d``."""
        if (label is None) != (self.label_embedding is None):
            raise ValueError("a conditional language model needs a label, and another takes none")
        if label is None or self.label_embedding is None:
            return x
        shift = self.label_embedding(label)
        return x + (shift if x.ndim == 2 else shift[:, None])

    def log_prob(
        self, tokens: Tensor, lengths: Tensor | None = None, temperature: float = 1.0, label: Tensor | None = None
    ) -> Tensor:
        """Log-probability of each token given earlier ones, ``b t -> b t`` nats.

        Args:
            tokens: ``b t``.
            lengths: ``b``; later positions are 0.
            temperature: of the distributions, as in ``sample``.
            label: ``b``, for a conditional model.

        Raises:
            ValueError: errors of ``check_temperature``.
        """
        check_temperature(temperature)
        return token_log_prob(self.logits(tokens, label) / temperature, tokens, lengths)

    # -- samples ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        max_length: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        prefix: Tensor | None = None,
        banned: int | None = None,
        label: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw exact samples, ``-> n t``, padded with EOS.

        Args:
            n: number of samples.
            max_length: t, instead of the model's own.
            temperature, top_k, top_p: see ``truncate``.
            prefix: first tokens of the samples, ``p`` for all or ``n p``.
            banned: a token id that is never drawn.
            label: ``n``, for a conditional model.
            generator: the source of the noise.

        Raises:
            ValueError: a prefix longer than t, or of another number of samples; errors of ``truncate``.
        """
        max_length = self.max_length if max_length is None else max_length
        prefix = check_prefix(prefix, n, max_length)
        tokens: list[Tensor] = []
        ended = torch.zeros(n, dtype=torch.bool, device=self.head.weight.device)
        with without_dropout(self):
            x, state = self.begin(n)
            for position in range(max_length):
                features, state = self.step(self.add_label(x, label), state)
                if position < prefix.shape[1]:
                    token = prefix[:, position]
                else:
                    logits = self.head(features)
                    if banned is not None:
                        logits[:, banned] = -math.inf
                    token = categorical_sample(truncate(logits, top_k, top_p, temperature), generator=generator)
                if self.eos_id is not None:
                    token = token.masked_fill(ended, self.eos_id)
                    ended = token == self.eos_id
                tokens.append(token)
                if bool(ended.all()):
                    break
                x = self.embedding(token)
        return F.pad(torch.stack(tokens, 1), (0, max_length - len(tokens)), value=self.eos_id or 0)

    def rollout(
        self, n: int, layer: RelaxedCategorical, feedback: str = "soft", generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw differentiable samples ``-> n t v`` through ``layer``: relaxed or one-hot, as its estimator defines.

        ``feedback`` is the input of the next step, and so the path of gradients from later to earlier tokens:

        - ``soft``: the sample itself, with its gradient;
        - ``straight_through``: the one-hot of its largest entry, with the sample's gradient;
        - ``detached``: that one-hot without gradient: each token gets gradients from its own position only.

        For estimators with one-hot samples the first two are the same. EOS is absorbing: each later token is mixed with
        EOS in proportion to the EOS mass already fed.

        Args:
            n: number of samples.
            layer: the sampler, in training mode.
            feedback: see above.
            generator: the source of the noise.

        Raises:
            ValueError: an unknown feedback; an estimator without a pathwise gradient.
        """
        feed, alive = FEEDBACKS[feedback], torch.ones(n, 1, device=self.head.weight.device)
        relaxed_tokens = []
        with without_dropout(self):
            x, state = self.begin(n)
            table = self.embedding.weight[:-1]
            for position in range(self.max_length):
                features, state = self.step(x, state)
                token = layer(self.head(features), generator=generator)  # n v
                if self.eos_id is not None:
                    eos = one_hot(torch.tensor(self.eos_id, device=token.device), self.vocab_size, token.dtype)
                    token = torch.lerp(eos, token, alive.to(token.dtype))
                fed = feed(token)
                if self.eos_id is not None:
                    # No product with the old value: a token after EOS carries its mass already.
                    alive = 1 - eos_mass(fed, self.eos_id)[:, None]
                relaxed_tokens.append(token)
                if position + 1 < self.max_length:
                    x = select(fed, table, one_hot=layer.one_hot_samples)
        return torch.stack(relaxed_tokens, 1)


GENERATORS: Registry[type[LanguageModel]] = Registry(
    "generator", context=("vocabulary", "max_length"), base=LanguageModel
)


def token_log_prob(logits: Tensor, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Log-probability of tokens ``b t`` under logits ``b t v``, ``-> b t`` nats, 0 from ``lengths`` (``b``) on.

    It is float32 at least.
    """
    rows = rearrange(upcast(logits), "b t v -> (b t) v")
    nll = F.cross_entropy(rows, tokens.flatten(), reduction="none")
    log_prob = -nll.unflatten(0, tokens.shape)
    return log_prob if lengths is None else log_prob.masked_fill(~length_mask(lengths, tokens.shape[1]), 0.0)


def length_mask(lengths: Tensor, max_length: int) -> Tensor:
    """True at the positions before each length, ``b -> b max_length``."""
    return torch.arange(max_length, device=lengths.device) < lengths[:, None]


def check_prefix(prefix: Tensor | None, n: int, max_length: int) -> Tensor:
    """Return a prefix for each of n samples, ``n p``; ValueError if it does not fit."""
    if prefix is None:
        return torch.empty(n, 0, dtype=torch.int64)
    if prefix.ndim == 1:
        prefix = repeat(prefix, "p -> n p", n=n)
    if len(prefix) != n or prefix.shape[1] > max_length:
        raise ValueError(
            f"a prefix of {prefix.shape[1]} tokens for {len(prefix)} samples does not fit {n} samples of {max_length}"
        )
    return prefix
