"""Every estimator of k of n against exact enumeration in NumPy."""

import itertools
import math

import numpy as np
import pytest
import torch
from gumbelzoo.models.relaxed import RelaxedSubset
from gumbelzoo.models.relaxed.subset import SUBSET_ESTIMATORS, conditional_bernoulli
from torch import Tensor

NAMES = SUBSET_ESTIMATORS.names()
# law, unbiased, pathwise, exact value, k-hot, learns temperature, least samples, cost evaluations of 2 rows, 2 of 4
FACTS = {
    "exact": ("conditional_bernoulli", True, False, True, True, False, 1, 37),
    "reinforce": ("conditional_bernoulli", True, False, True, True, False, 2, 4),
    "relaxed_top_k": ("plackett_luce", False, True, False, False, True, 1, 1),
    "simple": ("conditional_bernoulli", False, True, True, True, False, 1, 1),
    "straight_through_top_k": ("plackett_luce", False, True, True, True, True, 1, 1),
}
# Bias |mean gradient - exact| / |exact| at temperature 1 and cosine with the exact gradient, from a million draws.
BIAS = {
    "relaxed_top_k": (0.4459, 0.9887),
    "simple": (0.2031, 0.9862),
    "straight_through_top_k": (0.2416, 0.9871),
}
N, K = 5, 2


class Problem:
    """Two of five items, with a cost in which they interact and that has its own parameters."""

    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(N, generator=generator)
    weight = torch.randn(N, generator=generator)
    scale = torch.tensor(0.7)

    @staticmethod
    def cost(z: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        """``... n -> ...``."""
        return (z * weight).sum(-1).exp() + scale * z[..., 0] * z[..., 1] + scale.square() * z[..., 2]

    def sets(self, law: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All sets ``c n``, their probabilities ``c``, and the gradients of the log-probabilities ``c n``."""
        logits = self.logits.double().numpy()
        rows = np.array([[float(i in s) for i in range(N)] for s in itertools.combinations(range(N), K)])
        if law == "conditional_bernoulli":
            p = np.exp(rows @ logits)
            p /= p.sum()
            return rows, p, rows - p @ rows
        p, score = np.zeros(len(rows)), np.zeros((len(rows), N))
        for order in itertools.permutations(range(N), K):
            left, one, gradient = np.exp(logits), 1.0, np.zeros(N)
            for code in order:
                share = left / left.sum()
                one *= share[code]
                gradient += np.eye(N)[code] - share
                left = left * (np.arange(N) != code)
            row = next(c for c, s in enumerate(rows) if set(np.flatnonzero(s)) == set(order))
            p[row] += one
            score[row] += one * gradient
        return rows, p, score / p[:, None]

    def exact(self, law: str) -> tuple[np.ndarray, ...]:
        """Value and gradients for logits, weight and scale, from the definitions."""
        rows, p, score = self.sets(law)
        weight, scale = self.weight.double().numpy(), 0.7
        exponential, pair = np.exp(rows @ weight), rows[:, 0] * rows[:, 1]
        cost = exponential + scale * pair + scale**2 * rows[:, 2]
        d_weight = (p * exponential) @ rows
        return p @ cost, (p * cost) @ score, d_weight, p @ (pair + 2 * scale * rows[:, 2])

    def estimate(self, name: str, draws: int, temperature: float = 1.0) -> tuple[Tensor, ...]:
        """Per draw: value ``d`` and gradients for logits ``d n``, weight ``d n`` and scale ``d``."""
        torch.manual_seed(1)
        leaves = [t.expand(draws, *t.shape).clone().requires_grad_() for t in (self.logits, self.weight, self.scale)]
        value = RelaxedSubset(K, name, temperature).expectation(leaves[0], lambda z: self.cost(z, *leaves[1:]))
        return value.detach(), *torch.autograd.grad(value.sum(), leaves)


PROBLEM = Problem()


def test_tables_have_every_subset_estimator() -> None:
    assert set(FACTS) == set(NAMES)
    assert set(BIAS) == {name for name in NAMES if not SUBSET_ESTIMATORS[name].unbiased}


@pytest.mark.parametrize("name", NAMES)
def test_subset_estimator_facts(name: str) -> None:
    """Facts are as declared, cost evaluations as counted, and draws k-hot where they are said to be."""
    kind, estimator, rows = SUBSET_ESTIMATORS[name], RelaxedSubset(2, name).estimator, 0
    facts = (kind.law, kind.unbiased, kind.pathwise, kind.exact_value, kind.one_hot_forward, kind.learns_temperature)
    assert FACTS[name] == (*facts, kind.minimum_samples, estimator.cost_evaluations(2, 4))

    def cost(z: Tensor) -> Tensor:
        nonlocal rows
        rows += z.shape[:-2].numel()
        assert bool(((z == 0) | (z == 1)).all() and (z.sum(-1) == 2).all()) == kind.one_hot_forward
        return z[..., 0].sum(-1).square()

    RelaxedSubset(2, name).expectation(torch.randn(5, 2, 4, requires_grad=True), cost)
    assert rows == 5 * estimator.cost_evaluations(2, 4)


@pytest.mark.parametrize("name", NAMES)
def test_subset_law_of_an_estimator(name: str) -> None:
    """Frequencies of the sets that its cost sees are those of the law that it states, and not of the other."""
    draws, seen = 60_000, []
    layer = RelaxedSubset(K, name, 1e-3).eval()
    layer.expectation(PROBLEM.logits.expand(draws, N), lambda z: seen.append(z) or z[..., 0])
    laws = ("conditional_bernoulli", "plackett_luce")
    found = seen[0].reshape(-1, N).double().mean(0)
    marginals = {law: torch.from_numpy(PROBLEM.sets(law)[1] @ PROBLEM.sets(law)[0]) for law in laws}
    error = 0.5 / math.sqrt(seen[0].numel() / N)
    assert (found - marginals[layer.law]).abs().max() < 4 * error
    (other,) = set(laws) - {layer.law}
    assert (found - marginals[other]).abs().max() > 8 * error


def test_subset_exact_equals_enumeration() -> None:
    leaves = [t.double().requires_grad_() for t in (PROBLEM.logits, PROBLEM.weight, PROBLEM.scale)]
    value = RelaxedSubset(K, "exact").expectation(leaves[0][None], lambda z: PROBLEM.cost(z, *leaves[1:]))
    gradients = torch.autograd.grad(value.sum(), leaves)
    for got, expected in zip(
        [value.detach().squeeze(0), *gradients], PROBLEM.exact("conditional_bernoulli"), strict=True
    ):
        assert np.allclose(got.numpy(), expected, atol=1e-10)


def test_subset_reinforce_is_unbiased(z_scores: object) -> None:
    """In value and in all gradients; |z| < 4 in every coordinate."""
    for draws, exact in zip(PROBLEM.estimate("reinforce", 60_000), PROBLEM.exact("conditional_bernoulli"), strict=True):
        assert z_scores(draws, exact).abs().max() < 4


@pytest.mark.parametrize("name", [name for name in NAMES if not SUBSET_ESTIMATORS[name].unbiased])
def test_biased_subset_estimators(name: str, z_scores: object) -> None:
    """Bias and cosine against the exact gradient of their own law; an exact value and its gradients are unbiased."""
    kind, exact = SUBSET_ESTIMATORS[name], PROBLEM.exact(SUBSET_ESTIMATORS[name].law)
    value, d_logits, *d_own = PROBLEM.estimate(name, 60_000)
    if kind.exact_value:
        for draws, target in zip([value, *d_own], [exact[0], *exact[2:]], strict=True):
            assert z_scores(draws, target).abs().max() < 4
    target, mean = torch.as_tensor(exact[1]), d_logits.double().mean(0)
    error = d_logits.double().var(0).sum().sqrt() / len(d_logits) ** 0.5 / target.norm()
    bias, cosine = (mean - target).norm() / target.norm(), torch.cosine_similarity(mean, target, dim=0)
    print(f"{name}: bias {bias:.4f}, cosine {cosine:.4f}")
    assert abs(bias - BIAS[name][0]) < 4 * error and BIAS[name][0] > 4 * error
    assert abs(cosine - BIAS[name][1]) < 4 * error


def test_relaxed_top_k_bias_vanishes() -> None:
    """With the temperature, in value and gradient."""
    exact = PROBLEM.exact("plackett_luce")
    errors = []
    for temperature in (1.0, 0.05):
        value, d_logits, *_ = PROBLEM.estimate("relaxed_top_k", 60_000, temperature)
        errors.append((abs(value.mean() - exact[0]), (d_logits.mean(0) - torch.as_tensor(exact[1])).norm()))
    assert errors[1][0] < 0.3 * errors[0][0] and errors[1][1] < 0.3 * errors[0][1], errors


def test_simple_is_exact_for_linear_costs() -> None:
    """Its gradient is that of the marginals, whatever is drawn."""
    logits, weight = PROBLEM.logits.double().expand(3, N).clone().requires_grad_(), PROBLEM.weight.double()
    found = []
    for name in ("simple", "exact"):
        value = RelaxedSubset(K, name).expectation(logits, lambda z: (z * weight).sum(-1))
        found.append(torch.autograd.grad(value.sum(), logits)[0])
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_subset_half_precision(name: str, dtype: torch.dtype) -> None:
    """Results equal those of float32 for the same logits and noise, up to rounding."""
    rounded, found = torch.randn(64, 2, 4).to(dtype), []
    for logits in (rounded.clone().requires_grad_(), rounded.float().requires_grad_()):
        generator = torch.Generator().manual_seed(2)
        value = RelaxedSubset(2, name).expectation(
            logits, lambda z: (50 * z[..., 0]).float().sum(-1).square(), generator=generator
        )
        value.sum().backward()
        assert logits.grad is not None and logits.grad.dtype == logits.dtype
        found.append((value.detach().float(), logits.grad.float()))
    for half, whole in zip(*found, strict=True):
        assert (half - whole).norm() / whole.norm() < (1e-2 if dtype == torch.bfloat16 else 2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_masked_items_get_no_gradient(name: str) -> None:
    """Also with a cost that is infinite where an item is masked, for those that enumerate."""
    mask, price = torch.tensor([True, False, True, True]), torch.tensor([1.0, 9.0, 4.0, 2.0])
    leaf = torch.randn(64, 2, 4, requires_grad=True)
    value = RelaxedSubset(2, name).expectation(leaf, lambda z: (z * price).sum((-1, -2)), mask=mask)
    value.square().sum().backward()
    bound = 12.001 if SUBSET_ESTIMATORS[name].one_hot_forward else 14.0
    assert (value <= bound).all()
    assert leaf.grad is not None and leaf.grad.isfinite().all()
    assert (leaf.grad[..., 1] == 0).all()
    if name == "exact":
        infinite = torch.where(mask, 1.0, math.inf)
        value = RelaxedSubset(2, name).expectation(
            leaf, lambda z: torch.where(z > 0, infinite, 0.0).sum((-1, -2)), mask=mask
        )
        assert torch.allclose(value, torch.tensor(4.0))


def test_subset_reinforce_with_a_mask(z_scores: object) -> None:
    mask = torch.tensor([True, True, False, True, True])
    found = []
    for name, draws in (("exact", 1), ("reinforce", 40_000)):
        rows = PROBLEM.logits.expand(draws, N).clone().requires_grad_()
        value = RelaxedSubset(K, name).expectation(
            rows, lambda z: PROBLEM.cost(z, PROBLEM.weight, PROBLEM.scale), mask=mask
        )
        found.append(torch.autograd.grad(value.sum(), rows)[0])
    assert z_scores(found[1], found[0][0]).abs().max() < 4


@pytest.mark.parametrize("name", NAMES)
def test_subset_cost_errors(name: str) -> None:
    """A cost of another shape, and one without a gradient for z."""
    layer, logits = RelaxedSubset(2, name), torch.zeros(4, 3, requires_grad=True)
    with pytest.raises(ValueError, match="one value per example"):
        layer.expectation(logits, lambda z: z.mean())
    if SUBSET_ESTIMATORS[name].pathwise:
        with pytest.raises(ValueError, match="use 'reinforce'"):
            layer.expectation(logits, lambda z: (z[..., 0] > 0.5).float())
    else:
        layer.expectation(logits, lambda z: (z[..., 0] > 0.5).float()).sum().backward()
        assert logits.grad is not None and logits.grad.abs().sum() > 0


def test_subset_exact_is_bounded() -> None:
    layer = RelaxedSubset(8, "exact")
    with pytest.raises(ValueError, match=r"enumerates 125970\^1 configurations, more than 65536"):
        layer.expectation(torch.zeros(1, 20), lambda z: z.sum(-1))
    with pytest.raises(ValueError, match=r"enumerates 45\^3 configurations"):
        layer.expectation(torch.zeros(1, 3, 10), lambda z: z.sum((-1, -2)))


def test_score_is_the_gradient_of_log_prob() -> None:
    """z minus the marginals, which REINFORCE uses in closed form."""
    logits = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    z = conditional_bernoulli.sample(logits, 2)
    (gradient,) = torch.autograd.grad(conditional_bernoulli.log_prob(logits, z, 2).sum(), logits)
    torch.testing.assert_close(gradient, z - conditional_bernoulli.marginals(logits, 2).detach())
