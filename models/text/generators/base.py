"""Autoregressive models of text: one interface over networks by name in ``GENERATORS``.

p(tokens) = prod_t p(token_t | the tokens before it); what is fed before the first token is ``bos = v``, one more row of
the embedding. After its end a sentence goes on with ends, with probability 1. Axes: ``b`` batch or ``n`` samples, ``t``
time, ``p`` prefix, ``v`` vocabulary, ``d`` width of an embedded token, ``h`` of the features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from ....registry import Registry
from ...relaxed import RelaxedCategorical
from ...relaxed.sampling import argmax, categorical_sample, hard_from_soft, one_hot, straight_through
from ...relaxed.truncation import truncate
from ..relaxed_tokens import embed, embed_one_hot, ends

State = Any  # what a network remembers of the tokens before

FEEDBACKS: Registry[Callable[[Tensor], Tensor]] = Registry("feedback")


@FEEDBACKS.register("soft")
def soft(point: Tensor) -> Tensor:
    """The point itself, relaxed where the estimator relaxes; gradients pass."""
    return point


@FEEDBACKS.register("straight_through")
def hard(point: Tensor) -> Tensor:
    """The one-hot of the point's largest entry, with the gradient of the point."""
    return straight_through(hard_from_soft(point.detach()), point)


@FEEDBACKS.register("detached")
def detached(point: Tensor) -> Tensor:
    """The code of the point's largest entry, without a gradient: ``... v -> ...``."""
    return argmax(point)


class Generator(nn.Module):
    """Subclasses write ``features`` and, with the same result one token at a time, ``start`` and ``step``.

    Dropout is for learning from real text, at once or step by step: whatever is sampled or rolled out is without.

    Args:
        size: v.
        length: t of what is generated.
        end: the token that ends a sentence; None for sequences of a fixed length.
        width: d.
        features: h.
    """

    def __init__(self, size: int, length: int, end: int | None, width: int, features: int) -> None:
        super().__init__()
        self.size, self.length, self.end = size, length, end
        self.embedding = nn.Embedding(size + 1, width)
        self.head = nn.Linear(features, size)

    def features(self, x: Tensor) -> Tensor:
        """Features of every place from the embedded tokens up to the one before it, ``b t d -> b t h``."""
        raise NotImplementedError

    def start(self, b: int) -> State:
        """What is remembered before the first token."""
        raise NotImplementedError

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """``features`` of the next place, ``b d -> b h``, and what is remembered then."""
        raise NotImplementedError

    def begin(self, b: int) -> tuple[Tensor, State]:
        """What is fed first, ``b d``, and the state before it."""
        return repeat(self.embedding.weight[-1], "d -> b d", b=b), self.start(b)

    # -- likelihood ---------------------------------------------------------------------------------------------------

    def logits(self, tokens: Tensor) -> Tensor:
        """Logits of every token given those before it, ``b t -> b t v``."""
        bos = torch.full_like(tokens[:, :1], self.size)
        return self.head(self.features(self.embedding(torch.cat([bos, tokens[:, :-1]], 1))))

    def log_prob(self, tokens: Tensor, lengths: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """log p of each token given those before it, ``b t -> b t`` nats.

        Args:
            tokens: ``b t``.
            lengths: ``b``; the places from there on are 0.
            temperature: of the distributions, as in ``sample``.
        """
        logits = self.logits(tokens)
        return token_log_prob(logits if temperature == 1 else logits / temperature, tokens, lengths)

    # -- samples ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        length: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        prefix: Tensor | None = None,
        banned: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Exact draws, ``-> n length``; sentences that end are filled with ends.

        Args:
            n: how many.
            length: instead of the model's own.
            temperature, top_k, top_p: see ``truncate``.
            prefix: tokens that the samples begin with, ``p`` for all or ``n p``.
            banned: a token that is never drawn.
            generator: the source of the noise.

        Raises:
            ValueError: a prefix longer than the samples, or that does not fit them; what ``truncate`` says.
        """
        length = self.length if length is None else length
        given = check_prefix(prefix, n, length)
        tokens: list[Tensor] = []
        ended = torch.zeros(n, dtype=torch.bool, device=self.head.weight.device)
        with without_dropout(self):
            x, state = self.begin(n)
            for place in range(length):
                features, state = self.step(x, state)
                if place < given.shape[1]:
                    token = given[:, place]
                else:
                    logits = self.head(features)
                    if banned is not None:
                        logits[:, banned] = -math.inf
                    token = categorical_sample(truncate(logits, top_k, top_p, temperature), generator=generator)
                if self.end is not None:
                    token = token.masked_fill(ended, self.end)
                    ended = token == self.end
                tokens.append(token)
                if bool(ended.all()):
                    break
                x = self.embedding(token)
        rest = length - len(tokens)
        return F.pad(torch.stack(tokens, 1), (0, rest), value=self.end or 0)

    def rollout(
        self, n: int, layer: RelaxedCategorical, feedback: str = "soft", generator: torch.Generator | None = None
    ) -> Tensor:
        """Differentiable samples ``-> n t v``, every token through ``layer``: relaxed or one-hot as its estimator says.

        How the gradient of a later token reaches an earlier one is said by ``feedback``, what the next step is fed:

        - ``soft``: the sample itself, with its gradient;
        - ``straight_through``: the one-hot of its largest entry, with the sample's gradient;
        - ``detached``: that one-hot without a gradient: every token learns from its own place alone.

        For estimators whose samples are one-hot the first two are the same. After an end come ends: as far as what was
        fed is the end, and for a relaxed sample that is partly, the later tokens are.

        Args:
            n: how many.
            layer: the sampler, in training mode.
            feedback: see above.
            generator: the source of the noise.

        Raises:
            ValueError: an unknown feedback; an estimator without a pathwise gradient.
        """
        look_up = embed_one_hot if layer.estimator.exact_value else embed  # exact samples are one-hot
        feed, going = FEEDBACKS[feedback], torch.ones(n, 1, device=self.head.weight.device)
        points = []
        with without_dropout(self):
            x, state = self.begin(n)
            table = self.embedding.weight[:-1]
            for place in range(self.length):
                features, state = self.step(x, state)
                point = layer(self.head(features), generator=generator)  # n v
                if self.end is not None:
                    end = one_hot(torch.tensor(self.end, device=point.device), self.size, point.dtype)
                    point = torch.lerp(end, point, going.to(point.dtype))
                fed = feed(point)
                if self.end is not None:
                    going = 1 - ends(fed, self.end)[:, None]  # a sample that follows an end has it already
                points.append(point)
                if place + 1 < self.length:
                    x = look_up(fed, table)
        return torch.stack(points, 1)


GENERATORS: Registry[type[Generator]] = Registry("generator")
GIVEN = ("size", "length", "end")  # what a model of text tells its networks


def token_log_prob(logits: Tensor, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
    """log p of tokens ``b t`` under logits ``b t v``, ``-> b t`` nats, 0 from ``lengths`` (``b``) on."""
    nats = F.cross_entropy(rearrange(logits, "b t v -> (b t) v"), tokens.flatten(), reduction="none")
    log_prob = -nats.unflatten(0, tokens.shape)
    return log_prob if lengths is None else log_prob.masked_fill(~places(lengths, tokens.shape[1]), 0.0)


def places(lengths: Tensor, width: int) -> Tensor:
    """Which places of each row count: ``b -> b width``, boolean."""
    return torch.arange(width, device=lengths.device) < lengths[:, None]


def check_prefix(prefix: Tensor | None, n: int, length: int) -> Tensor:
    """A prefix for each of n samples, ``n p``; ValueError if there is no room for it."""
    if prefix is None:
        return torch.empty(n, 0, dtype=torch.int64)
    if prefix.ndim == 1:
        prefix = repeat(prefix, "p -> n p", n=n)
    if len(prefix) != n or prefix.shape[1] > length:
        raise ValueError(
            f"a prefix of {prefix.shape[1]} tokens for {len(prefix)} samples does not fit {n} samples of {length}"
        )
    return prefix


@contextmanager
def without_dropout(module: nn.Module) -> Iterator[None]:
    """Eval mode inside, then the mode it was in; RNNs, without dropout here, keep it: cuDNN's backward asks for it."""
    training = module.training
    for part in module.modules():
        part.training = training and isinstance(part, nn.RNNBase)
    try:
        yield
    finally:
        module.train(training)
