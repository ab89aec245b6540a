"""Network of a sequence-to-sequence model: an encoder of places, an LSTM over the target, scores, and a head.

The attention is not fed back into the LSTM, so that the choices of all steps are independent given the target, and the
likelihood of the hard model can be enumerated step by step. Axes: ``b`` batch, ``s`` places of a source, ``t`` steps of
a target, ``v`` target tokens, ``d`` width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...interfaces import Batch
from .attention import LogProb
from .attentions import Attention
from .encoders import Encoder
from .tokens import TargetLogProb, TokenLogProb

State = tuple[Tensor, Tensor]


class AttentionNetwork(nn.Module):
    """Scores of the places and likelihoods of the tokens, which an ``Attention`` joins.

    Args:
        attention: what may replace the scores.
        encoder: of the sources.
        vocab_size: number of tokens of the target.
        width: d.
    """

    def __init__(self, attention: Attention, encoder: Encoder, vocab_size: int, width: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.attention, self.encoder = attention, encoder
        self.embedding = nn.Embedding(self.vocab_size + 1, width)  # the last row is BOS
        self.start = nn.Linear(width, 2 * width)
        self.decoder = nn.LSTM(width, width, batch_first=True)
        self.query = nn.Linear(width, width).requires_grad_(attention.reads_scores)
        self.of_state, self.of_value = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.head = nn.Linear(width, self.vocab_size)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor, LogProb, Tensor]:
        """Return scores ``b t s``, values ``b s d``, the likelihood of the targets, and a mask of the steps ``b t``.

        A step of padding may look at the first place alone, so that the exact marginal computes nothing for the others.
        """
        values, places, first = self.begin(batch["source"], batch["source_length"])
        target = batch["target"]
        bos = torch.full_like(target[:, :1], self.vocab_size)
        output, _ = self.decoder(self.embedding(torch.cat([bos, target[:, :-1]], 1)), first)  # b t d
        steps = torch.arange(target.shape[1], device=target.device) < batch["target_length"][:, None]
        allowed = places[:, None] & (steps[..., None] | (torch.arange(places.shape[1], device=target.device) == 0))
        scores = self.scores(output, values, allowed)
        return scores, self.of_value(values), TargetLogProb(self.head, self.of_state(output), target), steps

    def begin(self, source: Tensor, length: Tensor) -> tuple[Tensor, Tensor, State]:
        """Return values ``b s d``, a mask of the places ``b s``, and the first state of the LSTM."""
        values = self.encoder(source, length)
        last = values[torch.arange(len(values), device=values.device), length - 1]  # EOS knows the length
        hidden, cell = self.start(last).tanh()[None].chunk(2, -1)
        places = torch.arange(source.shape[1], device=source.device) < length[:, None]
        return values, places, (hidden.contiguous(), cell.contiguous())

    def scores(self, output: Tensor, values: Tensor, allowed: Tensor, start: int = 0) -> Tensor:
        """Return the logits of the places for outputs ``b t d`` of the LSTM from step ``start`` on, ``b t s``.

        ``allowed`` are the places that a step may look at, ``b t s``, or ``b 1 s`` for all steps.
        """
        dots = self.query(output) @ values.mT / values.shape[-1] ** 0.5
        return self.attention.scores(dots.masked_fill(~allowed, -torch.inf), start)

    def write(self, source: Tensor, length: Tensor, steps: int, choose: Callable[[Tensor], Tensor]) -> Tensor:
        """Write targets ``b t`` for sources; after EOS, id 0, comes only EOS.

        Args:
            source: token ids ``b s``, or cells ``b s h w``.
            length: places of each source, ``b``.
            steps: t.
            choose: takes the log-probabilities of a step, ``b v`` nats, and returns its tokens, ``b``.
        """
        values, places, state = self.begin(source, length)
        read, last = self.of_value(values), torch.full_like(length, self.vocab_size)
        written: list[Tensor] = []
        for step in range(steps):
            output, state = self.decoder(self.embedding(last)[:, None], state)  # b 1 d
            # The attention's own likelihood gives all tokens, where it gives one in training.
            scores = self.scores(output, values, places[:, None], step)  # b 1 s
            log_prob = TokenLogProb(self.head, self.of_state(output))
            last = choose(self.attention.log_likelihood(scores, read, log_prob)).masked_fill(last == 0, 0)
            written.append(last)
        return torch.stack(written, 1)
