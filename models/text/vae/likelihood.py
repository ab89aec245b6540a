"""Likelihood of sentences given z, by teacher forcing. Axes: ``b`` batch, ``t`` time, ``c`` width of the context.

Word dropout: Bowman et al. 2016 (arXiv:1511.06349), section 3.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import repeat
from torch import Tensor, nn

from ...relaxed.surrogate import upcast
from ..generators.base import LanguageModel, length_mask

ROWS = 1024  # tokens whose logits exist at a time


def decoder_inputs(generator: LanguageModel, tokens: Tensor, word_dropout: float = 0.0) -> Tensor:
    """Return BOS and all tokens ``b t`` but the last; a blank, BOS again, takes the place of some of them.

    Args:
        generator: whose BOS it is.
        tokens: ids.
        word_dropout: probability that a token is blanked.
    """
    bos = torch.full_like(tokens[:, :1], generator.vocab_size)
    before = tokens[:, :-1]
    if word_dropout:
        blank = torch.rand(before.shape, device=tokens.device) < word_dropout
        before = before.masked_fill(blank, generator.vocab_size)
    return torch.cat([bos, before], 1)


def sentence_nll(generator: LanguageModel, inputs: Tensor, tokens: Tensor, lengths: Tensor, context: Tensor) -> Tensor:
    """Compute -log p(x | context) in nats, in float32 at least, for contexts ``... b c``, ``-> ... b``.

    Args:
        generator: conditional on vectors of width c.
        inputs: ``b t``, from ``decoder_inputs``.
        tokens: targets ``b t``.
        lengths: of the targets, ``b``; nothing behind the longest is computed.
        context: with any axes before ``b``, such as several draws of z.
    """
    leading = context.shape[:-1]
    copies, t = math.prod(leading[:-1]), int(lengths.max())
    x = repeat(generator.embedding(inputs[:, :t]), "b t d -> (s b) t d", s=copies)
    features = generator.features(generator.add_label(x, context.flatten(0, -2)))  # (s b) t h
    here = length_mask(lengths, t).repeat(copies, 1)
    nll = _token_nll(generator.head, features[here], tokens[:, :t].repeat(copies, 1)[here])
    return nll.new_zeros(here.shape).masked_scatter(here, nll).sum(1).view(leading)


def _token_nll(head: nn.Module, features: Tensor, targets: Tensor) -> Tensor:
    """-log p of each target, some at a time: the logits of all draws would not fit into memory."""
    parts = zip(features.split(ROWS), targets.split(ROWS), strict=True)
    return torch.cat([F.cross_entropy(upcast(head(part)), target, reduction="none") for part, target in parts])
