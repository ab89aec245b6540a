"""Likelihoods of target tokens: of each place as of its context alone, and nothing computed for padding."""

from __future__ import annotations

import torch
from gumbelzoo.models.attention.tokens import TargetLogProb, TokenLogProb
from torch import Tensor, nn

B, T, S, V, D = 2, 3, 4, 5, 6


def test_places_of_a_target() -> None:
    """Values and gradients are those of each place's context; only allowed pairs are evaluated."""
    head, seen = nn.Linear(D, V), list[int]()
    head.register_forward_hook(lambda module, args, output: seen.append(output.shape[:-1].numel()))
    state, values = torch.randn(B, T, D, requires_grad=True), torch.randn(B, S, D, requires_grad=True)
    log_prob = TargetLogProb(head, state, torch.randint(V, (B, T)))
    allowed = torch.rand(B, T, S) < 0.5
    found = log_prob.of_places(values, allowed)
    assert seen == [int(allowed.sum())]
    every = torch.stack([log_prob(values[:, None, place].expand(B, T, D)) for place in range(S)], -1)
    torch.testing.assert_close(found, every * allowed)
    weight, leaves = torch.randn(B, T, S), [state, values, *head.parameters()]
    pairs = zip(*(torch.autograd.grad((x * weight).sum(), leaves) for x in (found, every * allowed)), strict=True)
    for left, right in pairs:
        torch.testing.assert_close(left, right)


def test_all_tokens_of_a_step() -> None:
    """Each is a target of its own, and their probabilities given one context sum to 1."""
    head, state, values = nn.Linear(D, V), torch.randn(B, 1, D), torch.randn(B, S, D)
    token = TokenLogProb(head, state)
    context = torch.randn(B, 1, D)
    targets = torch.arange(V).expand(B, V)

    def as_targets(context: Tensor) -> Tensor:
        return TargetLogProb(head, state.expand(B, V, D), targets)(context)

    torch.testing.assert_close(token(context), as_targets(context.expand(B, V, D)))
    places = token.of_places(values, torch.ones(B, V, S, dtype=torch.bool))
    torch.testing.assert_close(places[..., 1], as_targets(values[:, 1, None].expand(B, V, D)))
    torch.testing.assert_close(places.exp().sum(1), torch.ones(B, S))
