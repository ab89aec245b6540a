"""Likelihoods of target tokens given a context, for ``attention``: of a target that is known, or of all tokens.

A token is written with head(tanh(state + context)). Axes: ``b`` batch, ``t`` steps, ``s`` places, ``v`` tokens, ``d``
width.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


def log_probs(head: nn.Module, state: Tensor, context: Tensor) -> Tensor:
    """Compute the log-probabilities of all tokens in nats, ``... d -> ... v``; axes of 1 broadcast."""
    return head((state + context).tanh()).float().log_softmax(-1)


@dataclass(frozen=True)
class TargetLogProb:
    """log p(y | context) of a target.

    Args:
        head: from d to v.
        state: of the decoder, ``b t d``.
        target: token ids, ``b t``.
    """

    head: nn.Module
    state: Tensor
    target: Tensor

    def __call__(self, context: Tensor) -> Tensor:
        """Compute it for contexts ``... b t d``, ``-> ... b t``."""
        log_p = log_probs(self.head, self.state, context)
        return log_p.gather(-1, self.target.expand(log_p.shape[:-1])[..., None]).squeeze(-1)

    def of_places(self, values: Tensor, allowed: Tensor) -> Tensor:
        """Compute it for the value ``b s d`` of each allowed place, ``b t s``; it is 0 elsewhere.

        Most pairs of a step and a place are padding in a batch of lengths that differ; nothing is computed for them.
        """
        row, step, place = allowed.nonzero(as_tuple=True)
        state = self.state.flatten(0, 1).index_select(0, row * allowed.shape[1] + step)
        context = values.flatten(0, 1).index_select(0, row * allowed.shape[2] + place)
        log_p = log_probs(self.head, state, context).gather(-1, self.target[row, step][:, None]).squeeze(-1)
        return log_p.new_zeros(allowed.shape).masked_scatter(allowed, log_p)


@dataclass(frozen=True)
class TokenLogProb:
    """log p(v | context) of every token v at one step; the tokens have the axis of the steps.

    Args:
        head: from d to v.
        state: of the decoder, ``b 1 d``.
    """

    head: nn.Module
    state: Tensor

    def __call__(self, context: Tensor) -> Tensor:
        """Compute it for contexts that all tokens share, ``... b 1 d -> ... b v``."""
        return log_probs(self.head, self.state, context).squeeze(-2)

    def of_places(self, values: Tensor, allowed: Tensor) -> Tensor:
        """Compute it for the value ``b s d`` of each place, ``b v s``; one evaluation gives all tokens."""
        return log_probs(self.head, self.state, values).mT
