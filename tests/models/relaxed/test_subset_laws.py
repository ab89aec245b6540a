"""The two laws of k of n against enumeration in NumPy: probabilities, marginals, gradients, draws."""

import itertools
import math

import numpy as np
import pytest
import torch
from gumbelzoo.models.relaxed.densities import categorical_kl, log_prob
from gumbelzoo.models.relaxed.subset import conditional_bernoulli, plackett_luce
from gumbelzoo.models.relaxed.subset.exact import subsets
from gumbelzoo.models.relaxed.subset.top_k import k_hot, relaxed_top_k, top_k
from torch import Tensor

SIZES = [(1, 1), (4, 1), (4, 2), (5, 4), (5, 5), (8, 3), (10, 5)]  # n, k
KINDS = ("plain", "wide", "extreme", "masked", "equal")


def logits_of(kind: str, n: int, k: int) -> Tensor:
    """Float64 logits of a row; masked ones allow just more than k items, where there are as many."""
    x = torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(10 * n + k))
    if kind == "masked":
        return x.masked_fill(torch.arange(n) >= min(n, k + 1), -math.inf)
    return {"plain": x, "wide": 20 * x, "extreme": 1e4 * x.sign(), "equal": torch.full_like(x, 3.0)}[kind]


def sets_of(logits: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """All sets as k-hot rows, ``c n``, and their log-probabilities under a conditional Bernoulli, ``c``."""
    rows = np.array(
        [[i in chosen for i in range(len(logits))] for chosen in itertools.combinations(range(len(logits)), k)]
    )
    scores = np.where(rows, logits, 0.0).sum(-1)
    top = scores.max()
    return rows.astype(float), scores - top - np.log(np.exp(scores - top).sum())


def orders_of(logits: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """All ordered draws, ``o k``, and their log-probabilities under Plackett-Luce, ``o``."""
    orders = np.array(list(itertools.permutations(range(len(logits)), k)))
    found = np.zeros(len(orders))
    for o, order in enumerate(orders):
        left = logits.copy()
        for code in order:
            found[o] += left[code] - np.logaddexp.reduce(left)
            left[code] = -np.inf
    return orders, found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "k"), SIZES)
def test_conditional_bernoulli_enumerated(n: int, k: int, kind: str) -> None:
    """Probabilities of all sets, marginals, and both of their gradients."""
    logits = logits_of(kind, n, k).requires_grad_()
    rows, log_p = sets_of(logits.detach().numpy(), k)
    p = np.exp(log_p)
    mean = (p[:, None] * rows).sum(0)
    covariance = (p[:, None, None] * (rows - mean)[:, :, None] * (rows - mean)[:, None, :]).sum(0)

    found = conditional_bernoulli.log_prob(logits, torch.from_numpy(rows), k)
    assert np.allclose(found.detach().numpy(), log_p, atol=1e-9)
    marginals = conditional_bernoulli.marginals(logits, k)
    assert np.allclose(marginals.detach().numpy(), mean, atol=1e-10)
    (gradient,) = torch.autograd.grad(conditional_bernoulli.log_partition(logits, k), logits)
    assert np.allclose(gradient.numpy(), mean, atol=1e-10)
    for i in range(n):
        (gradient,) = torch.autograd.grad(marginals[i], logits, retain_graph=True)
        assert np.allclose(gradient.numpy(), covariance[i], atol=1e-10)


@pytest.mark.parametrize(("n", "k"), [(4, 2), (3, 3), (5, 3)])
def test_conditional_bernoulli_gradcheck(n: int, k: int) -> None:
    """First and second derivatives, in double precision."""
    logits, prior = torch.randn(2, 1, n, dtype=torch.float64).unbind()
    logits.requires_grad_(), prior.requires_grad_()
    z = conditional_bernoulli.sample(logits, k)
    assert torch.autograd.gradcheck(lambda x: conditional_bernoulli.log_prob(x, z, k), logits)
    assert torch.autograd.gradgradcheck(lambda x: conditional_bernoulli.marginals(x, k), logits)
    assert torch.autograd.gradcheck(lambda x, y: conditional_bernoulli.kl(x, y, k), (logits, prior))


@pytest.mark.parametrize("kind", ["plain", "masked", "equal"])
@pytest.mark.parametrize(("n", "k"), [(4, 1), (4, 2), (5, 4), (8, 3)])
def test_conditional_bernoulli_draws(n: int, k: int, kind: str) -> None:
    """Frequencies of all sets, by a chi-square test; those that are masked never come."""
    logits, draws = logits_of(kind, n, k), 20_000
    rows, log_p = sets_of(logits.numpy(), k)
    z = conditional_bernoulli.sample(logits.expand(draws, n), k, generator=torch.Generator().manual_seed(n))
    code = 2 ** np.arange(n)
    counts = {int(row @ code): 0 for row in rows} | {
        int(c): int(m) for c, m in zip(*np.unique(z.numpy() @ code, return_counts=True), strict=True)
    }
    assert len(counts) == len(rows)
    observed, expected = np.array([counts[int(row @ code)] for row in rows]), draws * np.exp(log_p)
    assert (observed[expected == 0] == 0).all()
    known = expected > 0
    chi = ((observed - expected)[known] ** 2 / expected[known]).sum()
    free = known.sum() - 1
    assert chi < free + 4 * math.sqrt(2 * free) + 4


def test_draws_have_the_marginals() -> None:
    """The example of the SIMPLE paper's code, which draws the k largest of perturbed log-probabilities beside it.

    Those are of another law: .412, .686, .617, .286.
    """
    p, draws = torch.tensor([0.3, 0.6, 0.5, 0.2]), 200_000
    logits, target = p.logit(), [0.357, 0.762, 0.660, 0.222]
    assert conditional_bernoulli.marginals(logits, 2).tolist() == pytest.approx(target, abs=6e-4)
    z = conditional_bernoulli.sample(logits.expand(draws, 4), 2, generator=torch.Generator().manual_seed(0))
    assert z.mean(0).tolist() == pytest.approx(target, abs=4 * 0.5 / draws**0.5 + 6e-4)
    other = k_hot(plackett_luce.sample(p.log().expand(draws, 4), 2, generator=torch.Generator().manual_seed(0)), 4)
    assert other.mean(0).tolist() == pytest.approx([0.412, 0.686, 0.617, 0.286], abs=4 * 0.5 / draws**0.5 + 6e-4)


@pytest.mark.parametrize("kind", [*KINDS, "lowest"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_draw_has_k_ones(kind: str, dtype: torch.dtype) -> None:
    """With logits of +-1e4, with masks, and with the lowest finite logit in their place."""
    for n, k in [*SIZES, (40, 7), (40, 33)]:
        if kind == "lowest":
            logits = torch.full((n,), torch.finfo(dtype).min, dtype=dtype)
            logits[: k + 1] = 0.0
        else:
            logits = logits_of(kind, n, k).to(dtype)
        rows = logits.expand(50, n)
        for z in (conditional_bernoulli.sample(rows, k), k_hot(plackett_luce.sample(rows, k), n, dtype)):
            assert z.dtype == dtype and ((z == 0) | (z == 1)).all() and (z.sum(-1) == k).all()
            assert (z[:, logits.isneginf()] == 0).all()
        marginals = conditional_bernoulli.marginals(logits, k)
        assert marginals.isfinite().all() and marginals.sum().item() == pytest.approx(k, rel=1e-5)
        assert conditional_bernoulli.log_prob(rows, conditional_bernoulli.sample(rows, k), k).isfinite().all()


def test_extreme_logits_in_float32() -> None:
    """k logits of 1e4 have a sum without decimals in float32; differences of less than one survive."""
    logits = 1e4 + torch.tensor([0.25, 0.5, -0.25, 0.75, -2e4])
    small = logits.double() - 1e4
    found = conditional_bernoulli.marginals(logits, 3)
    torch.testing.assert_close(found, conditional_bernoulli.marginals(small, 3).float())


def test_one_of_n_is_the_categorical() -> None:
    logits, prior = torch.randn(2, 5, 7).unbind()
    torch.testing.assert_close(conditional_bernoulli.marginals(logits, 1), logits.softmax(-1))
    torch.testing.assert_close(conditional_bernoulli.kl(logits, prior, 1), categorical_kl(logits, prior))
    torch.testing.assert_close(conditional_bernoulli.kl(logits, None, 1), categorical_kl(logits))
    codes = torch.randint(7, (5,))
    expected = log_prob(logits, codes)
    torch.testing.assert_close(conditional_bernoulli.log_prob(logits, k_hot(codes[:, None], 7), 1), expected)
    torch.testing.assert_close(plackett_luce.log_prob(logits, codes[:, None], 1), expected)


def test_n_of_n_is_certain() -> None:
    logits = torch.randn(3, 6, requires_grad=True)
    assert (conditional_bernoulli.sample(logits, 6) == 1).all()
    for value in (
        conditional_bernoulli.log_prob(logits, torch.ones(3, 6), 6),
        conditional_bernoulli.kl(logits, None, 6),
    ):
        torch.testing.assert_close(value, torch.zeros(3))
    marginals = conditional_bernoulli.marginals(logits, 6)
    torch.testing.assert_close(marginals, torch.ones(3, 6))
    (gradient,) = torch.autograd.grad(marginals.sum(), logits)
    assert gradient.abs().max() < 1e-6


def test_subset_kl_by_enumeration() -> None:
    """Against the uniform prior, which includes masked items, another one, and one that masks."""
    logits = torch.randn(6, dtype=torch.float64).masked_fill(torch.arange(6) == 2, -math.inf).requires_grad_()
    prior = torch.randn(6, dtype=torch.float64)
    (_, log_q), (_, log_p) = sets_of(logits.detach().numpy(), 3), sets_of(prior.numpy(), 3)
    q, finite = np.exp(log_q), np.isfinite(log_q)
    for given, target in ((None, np.full(20, -math.log(20))), (prior, log_p)):
        found = conditional_bernoulli.kl(logits, given, 3)
        assert found.item() == pytest.approx((q[finite] * (log_q - target)[finite]).sum())
        (gradient,) = torch.autograd.grad(found, logits)
        assert gradient.isfinite().all() and gradient[2] == 0
    assert conditional_bernoulli.kl(logits, logits.detach(), 3).item() == pytest.approx(0.0, abs=1e-12)
    assert conditional_bernoulli.kl(logits, prior.masked_fill(torch.arange(6) == 1, -math.inf), 3) == math.inf


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "k"), [(1, 1), (4, 2), (5, 4), (5, 5), (6, 3)])
def test_plackett_luce_enumerated(n: int, k: int, kind: str) -> None:
    """Probabilities of all ordered draws, and finite gradients."""
    logits = logits_of(kind, n, k).requires_grad_()
    with np.errstate(invalid="ignore"):
        orders, log_p = orders_of(logits.detach().numpy(), k)
    found = plackett_luce.log_prob(logits, torch.from_numpy(orders), k)
    log_p[np.isnan(log_p)] = -np.inf
    assert np.allclose(found.detach().numpy(), log_p, atol=1e-8)
    assert found.exp().sum().item() == pytest.approx(1.0)
    (gradient,) = torch.autograd.grad(found[found.isfinite()].sum() + found.exp().sum(), logits)
    assert gradient.isfinite().all()
    repeated = torch.zeros(k, dtype=torch.int64)
    assert k == 1 or plackett_luce.log_prob(logits, repeated, k) == -math.inf


def test_plackett_luce_draws() -> None:
    """Frequencies of all ordered draws, by a chi-square test."""
    logits, draws = torch.randn(5, generator=torch.Generator().manual_seed(1)), 40_000
    orders, log_p = orders_of(logits.double().numpy(), 3)
    codes = plackett_luce.sample(logits.expand(draws, 5), 3, generator=torch.Generator().manual_seed(2))
    place = np.array([25, 5, 1])
    observed = np.bincount(codes.numpy() @ place, minlength=125)[orders @ place]
    expected = draws * np.exp(log_p)
    assert observed.sum() == draws
    assert ((observed - expected) ** 2 / expected).sum() < 59 + 4 * math.sqrt(2 * 59)


def test_relaxed_top_k_becomes_k_hot() -> None:
    """Its rows sum to k at any temperature, and approach the k largest as temperature -> 0."""
    keys = torch.randn(200, 8, dtype=torch.float64).masked_fill(torch.arange(8) == 5, -math.inf)
    hard = k_hot(top_k(keys, 3), 8, torch.float64)
    clear = -keys.sort(-1, descending=True).values[:, :4].diff().amax(-1) > 0.02  # of the first four
    for temperature in (1e-3, 0.1, 1.0, 10.0):
        soft = relaxed_top_k(keys, 3, temperature)
        torch.testing.assert_close(soft.sum(-1), torch.full((200,), 3.0, dtype=torch.float64))
        assert (soft[:, 5] == 0).all()
    torch.testing.assert_close(relaxed_top_k(keys, 3, 1e-3)[clear], hard[clear])


def test_relaxed_top_k_gradcheck() -> None:
    keys = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: relaxed_top_k(x, 3, 0.7), keys)


def test_subsets_are_the_combinations() -> None:
    assert subsets(5, 3).nonzero()[:, 1].view(-1, 3).tolist() == [list(c) for c in itertools.combinations(range(5), 3)]


def test_top_k_takes_the_first_on_ties() -> None:
    assert top_k(torch.zeros(2, 50), 3).tolist() == [[0, 1, 2]] * 2
