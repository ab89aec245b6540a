"""Decisions in a row: an expectation whose cost contains the next one, against the enumeration of trajectories."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical, exclude_taken, select
from torch import Tensor

UNBIASED = [(name, None) for name in ESTIMATORS.names() if ESTIMATORS[name].unbiased and name != "exact"] + [
    ("reinforce", baseline) for baseline in ("none", "moving_average", "learned")
]


def given(k: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """First logits ``k``, logits of the next choice after each one ``k k``, and the price of both ``k k``."""
    draw = torch.Generator().manual_seed(0)
    first, table, price = (torch.randn(*shape, generator=draw).to(dtype) for shape in ((k,), (k, k), (k, k)))
    return first, table, price


def price_of(slate: list[Tensor], price: Tensor) -> Tensor:
    """exp of the sum of the prices of each pair of choices in a row, ``... k`` each ``-> ...``; not linear."""
    pairs = [(select(a, price) * b).sum(-1) for a, b in itertools.pairwise(slate)]
    return torch.stack(pairs).sum(0).exp()


def value_of(
    layer: RelaxedCategorical, steps: int, first: Tensor, table: Tensor, price: Tensor, repeats: bool = False
) -> Tensor:
    """Expected price of a slate of ``steps`` items, each chosen in view of the one before; ``b``."""

    def choose(logits: Tensor, slate: list[Tensor]) -> Tensor:
        def cost(z: Tensor) -> Tensor:
            chosen = [*(other.expand_as(z) for other in slate), z]
            if len(chosen) == steps:
                return price_of(chosen, price)
            return choose(exclude_taken(select(z, table), *([] if repeats else chosen)), chosen)

        return layer.expectation(logits, cost)

    return choose(first, [])


def enumerated(steps: int, first: Tensor, table: Tensor, price: Tensor, repeats: bool = False) -> Tensor:
    """The same as a sum over all slates, in Python."""
    value, items = torch.zeros((), dtype=first.dtype), range(len(first))
    for path in itertools.product(items, repeat=steps) if repeats else itertools.permutations(items, steps):
        probability, total = first.softmax(-1)[path[0]], torch.zeros((), dtype=first.dtype)
        for i, (a, b) in enumerate(itertools.pairwise(path)):
            free = [c for c in items if repeats or c not in path[: i + 1]]
            probability = probability * table[a, b].exp() / table[a, free].exp().sum()
            total = total + price[a, b]
        value = value + probability * total.exp()
    return value


@pytest.mark.parametrize("steps", [2, 3])
def test_nested_exact_is_enumeration(steps: int) -> None:
    """In value and all gradients, with a mask that depends on the choices before."""
    leaves = [t.requires_grad_() for t in given(4)]
    expected = enumerated(steps, *leaves)
    rows = [leaves[0].expand(3, -1), *leaves[1:]]
    value = value_of(RelaxedCategorical("exact"), steps, *rows)
    torch.testing.assert_close(value, expected.expand(3))
    got = torch.autograd.grad(value.mean(), leaves)
    for gradient, truth in zip(got, torch.autograd.grad(expected, leaves), strict=True):
        torch.testing.assert_close(gradient, truth)


@pytest.mark.parametrize(("name", "baseline"), UNBIASED)
def test_nested_estimators_are_unbiased(
    name: str, baseline: str | None, z_scores: Callable[[Tensor, object], Tensor]
) -> None:
    """Two choices of four items, none twice; of two items, for disarm, the same may come again."""
    k, draws = ESTIMATORS[name].categories or 4, 20_000
    spec = {"name": name, **({"baseline": baseline} if baseline else {})}
    layer = RelaxedCategorical(spec, event_shape=(k,))
    leaves = [t.requires_grad_() for t in given(k)]
    value = enumerated(2, *leaves, repeats=k == 2)
    exact = [value, *torch.autograd.grad(value, leaves)]
    rows = [t.float().expand(draws, *t.shape).clone().requires_grad_() for t in given(k)]
    estimate = value_of(layer, 2, *rows, repeats=k == 2)
    for got, truth in zip([estimate, *torch.autograd.grad(estimate.sum(), rows)], exact, strict=True):
        assert z_scores(got.detach(), truth.detach()).abs().max() < 4


@pytest.mark.parametrize("baseline", ["moving_average", "learned"])
def test_average_of_a_nested_call_is_no_baseline_of_the_outer_one(
    baseline: str, z_scores: Callable[[Tensor, object], Tensor]
) -> None:
    """One example and one sample: the inner call fills the average with a cost that depends on the outer one."""
    layer = RelaxedCategorical({"name": "reinforce", "samples": 1, "baseline": baseline}, event_shape=(2,))
    leaf, price, gradients = torch.tensor([0.3, -0.2], requires_grad=True), torch.tensor([[2.0, 3.0], [0.5, 1.0]]), []
    start = {name: value.clone() for name, value in layer.state_dict().items()}
    for _ in range(500):
        layer.load_state_dict(start)
        value = layer.expectation(
            leaf[None], lambda z1: layer.expectation(torch.zeros_like(z1), lambda z2: (select(z1, price) * z2).sum(-1))
        )
        gradients.append(torch.autograd.grad(value.sum(), leaf)[0])
    (exact,) = torch.autograd.grad(leaf.softmax(-1) @ price.mean(-1), leaf)
    assert z_scores(torch.stack(gradients), exact).abs().max() < 4


@pytest.mark.parametrize("name", ESTIMATORS.names())
def test_nested_evaluations_multiply(name: str) -> None:
    k, rows = ESTIMATORS[name].categories or 4, 0
    layer = RelaxedCategorical(name, event_shape=(k,))

    def last(z: Tensor) -> Tensor:
        nonlocal rows
        rows += z.shape[:-1].numel()
        return z[..., 0].square()

    first = torch.randn(5, k, requires_grad=True)
    layer.expectation(first, lambda z: layer.expectation(2 * z, last)).sum().backward()
    assert rows == 5 * layer.estimator.cost_evaluations(1, k) ** 2
