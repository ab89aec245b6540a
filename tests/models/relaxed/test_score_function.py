"""Score-function estimators against their formulas written as loops, and the multi-sample bound."""

import itertools
import math

import numpy as np
import pytest
import torch
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical
from gumbelzoo.models.relaxed.estimators.arsm import swapped_codes
from gumbelzoo.models.relaxed.estimators.unordered import beam_search, set_weights
from gumbelzoo.models.relaxed.estimators.vimco import without_each
from gumbelzoo.models.relaxed.noise import gumbel_noise
from torch import Tensor


def test_reinforce_equals_its_formula(small_problem: object) -> None:
    """Kool et al. 2019, eq. 8, sample by sample."""
    logits, weight, scale = small_problem.given
    leaf, noise = logits.clone().requires_grad_(), gumbel_noise((3, 1, 3, 3))
    layer = RelaxedCategorical({"name": "reinforce", "samples": 3})
    cost = small_problem.cost(weight, scale)
    value = layer.expectation(leaf[None], cost, noise=noise)
    value.sum().backward()
    one_hots = [torch.nn.functional.one_hot((logits + g[0]).argmax(-1), 3).float() for g in noise]
    costs = [cost(z).item() for z in one_hots]
    expected = torch.zeros_like(logits)
    for s in range(3):
        baseline = sum(costs[:s] + costs[s + 1 :]) / 2
        expected += (costs[s] - baseline) * (one_hots[s] - logits.softmax(-1)) / 3
    assert value.item() == pytest.approx(sum(costs) / 3, rel=1e-5)
    assert leaf.grad is not None
    assert torch.allclose(leaf.grad, expected, atol=1e-5)


def test_moving_average_of_past_batches() -> None:
    """The current batch does not count, and an infinite cost is not remembered."""
    layer = RelaxedCategorical({"name": "reinforce", "samples": 1, "baseline": "moving_average"})
    baseline, p = layer.estimator.baseline, torch.ones(4, 1, 2)
    batches = [torch.full((4,), value) for value in (3.0, 5.0, 4.0)]
    seen = [baseline(batch, p).item() for batch in batches]
    assert seen == pytest.approx([0.0, 3.0, (0.95 * 3 + 5) / 1.95])
    before = baseline(batches[0], p)
    baseline(torch.full((4,), torch.inf), p)
    assert baseline(batches[0], p).isfinite() and before.isfinite()


def test_moving_average_of_training_alone() -> None:
    """In eval mode it is read, and stays as it is."""
    layer = RelaxedCategorical({"name": "reinforce", "baseline": "moving_average"})
    baseline, p = layer.estimator.baseline, torch.ones(4, 1, 2)
    baseline(torch.full((4,), 3.0), p)
    assert [baseline.eval()(torch.full((4,), 9.0), p).item() for _ in range(2)] == [3.0, 3.0]


def test_learned_baseline_lowers_the_variance() -> None:
    """It learns in the model's optimizer step. The cost of an example is predictable from its logits."""
    torch.manual_seed(0)
    layers = {
        baseline: RelaxedCategorical({"name": "reinforce", "samples": 1, "baseline": baseline}, event_shape=(2, 3))
        for baseline in ("moving_average", "learned")
    }
    optimizer = torch.optim.Adam(layers["learned"].parameters(), lr=1e-2)
    spread = {}
    for _ in range(300):
        logits = torch.randn(100, 2, 3, requires_grad=True)
        offset = 10 * logits.detach()[:, 0, 0]
        for baseline, layer in layers.items():
            value = layer.expectation(logits, lambda z, o=offset: o + z[..., 0].sum(-1))
            optimizer.zero_grad()
            (gradient,) = torch.autograd.grad(value.sum(), logits, retain_graph=True)
            spread[baseline] = gradient.var().item()
            if baseline == "learned":
                value.mean().backward()
                optimizer.step()
    assert spread["learned"] < 0.5 * spread["moving_average"]


def test_muprop_equals_its_formula(small_problem: object) -> None:
    logits, weight, scale = small_problem.given
    leaf, noise = logits.clone().requires_grad_(), gumbel_noise((1, 3, 3))
    cost = small_problem.cost(weight, scale)
    RelaxedCategorical("muprop").expectation(leaf[None], cost, noise=noise).sum().backward()
    mean = logits.softmax(-1).requires_grad_()
    z = torch.nn.functional.one_hot((logits + noise[0]).argmax(-1), 3).float()
    (grad,) = torch.autograd.grad(cost(mean), mean)
    residual = cost(z) - cost(mean) - (grad * (z - mean)).sum()
    theta = logits.clone().requires_grad_()
    (direct,) = torch.autograd.grad((theta.softmax(-1) * grad).sum(), theta)
    assert leaf.grad is not None
    assert torch.allclose(leaf.grad, residual * (z - mean) + direct, atol=1e-5)


def test_disarm_of_more_categories_raises() -> None:
    with pytest.raises(ValueError, match="use 'arsm'"):
        RelaxedCategorical("disarm", event_shape=(3, 4))
    with pytest.raises(ValueError, match="use 'arsm'"):
        RelaxedCategorical("disarm").expectation(torch.zeros(2, 3), lambda z: z[:, 0])


def test_disarm_has_less_variance(problem: object) -> None:
    """Than REINFORCE with two samples."""
    if problem.k != 2:
        pytest.skip("disarm is for k = 2")
    antithetic = problem.estimate("disarm", 40_000)[1].var(0).sum()
    assert antithetic < problem.estimate("reinforce", 40_000, samples=2)[1].var(0).sum()


def test_arsm_equals_its_formula(small_problem: object) -> None:
    """Yin et al. 2019, eqs. 8 and 9, swap by swap. Swaps keep no graph: only the sample trains the cost."""
    logits, weight, scale = small_problem.given
    leaf, own, noise = logits.clone().requires_grad_(), weight.clone().requires_grad_(), gumbel_noise((3, 3))
    evaluated: list[tuple[bool, int]] = []

    def cost(z: Tensor) -> Tensor:
        value = small_problem.cost(own, scale)(z)
        evaluated.append((value.requires_grad, value.numel()))
        return value

    value = RelaxedCategorical("arsm").expectation(leaf[None], cost, noise=noise[None])
    value.sum().backward()
    assert sorted(evaluated) == [(False, 3), (True, 1)]

    def f(c: int, j: int) -> Tensor:
        swapped = noise.clone()
        swapped[:, [c, j]] = noise[:, [j, c]]
        z = torch.nn.functional.one_hot((logits + swapped).argmax(-1), 3).float()
        return small_problem.cost(weight, scale)(z)

    share = (-noise).softmax(-1)
    expected = torch.zeros_like(logits)
    for n, c, j in itertools.product(range(3), repeat=3):
        contrast = f(c, j) - sum(f(m, j) for m in range(3)) / 3
        expected[n, c] += contrast * (1 / 3 - share[n, j])
    assert value.item() == pytest.approx(f(0, 0).item(), rel=1e-5)
    assert leaf.grad is not None and torch.allclose(leaf.grad, expected, atol=1e-5)
    z = torch.nn.functional.one_hot((logits + noise).argmax(-1), 3).float()
    (alone,) = torch.autograd.grad(small_problem.cost(own, scale)(z), own)
    assert torch.allclose(own.grad, alone, atol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3, 10])
def test_codes_of_swapped_noise(k: int) -> None:
    """They are those of the noise with two entries exchanged, where classes are masked too."""
    torch.manual_seed(0)
    logits, noise = 2 * torch.randn(5, 4, 3, k), gumbel_noise((5, 4, 3, k))
    logits[0, 0, 0, 1:] = -torch.inf
    pairs = torch.combinations(torch.arange(k))
    codes = swapped_codes(logits, noise, pairs)
    assert codes.shape == (k * (k - 1) // 2, 5, 4, 3)
    for code, (c, j) in zip(codes, pairs.tolist(), strict=True):
        swapped = noise.clone()
        swapped[..., c], swapped[..., j] = noise[..., j], noise[..., c]
        assert torch.equal(code, (logits + swapped).argmax(-1))


def test_beam_search_draws_without_replacement() -> None:
    """The set {a, b} has probability p(a) p(b) / (1 - p(a)) + p(b) p(a) / (1 - p(b))."""
    torch.manual_seed(0)
    log_p, rows = torch.randn(2, 3).log_softmax(-1), 60_000
    codes, log_joint = beam_search(log_p.expand(rows, 2, 3), gumbel_noise((2, rows, 2, 3)))
    p = (log_p.exp()[0, :, None] * log_p.exp()[1]).flatten()
    flat = codes[..., 0] * 3 + codes[..., 1]
    assert (flat[0] != flat[1]).all()
    assert torch.allclose(log_joint.exp(), p[flat])
    for a, b in itertools.combinations(range(9), 2):
        expected = p[a] * p[b] / (1 - p[a]) + p[a] * p[b] / (1 - p[b])
        observed = ((flat.amin(0) == a) & (flat.amax(0) == b)).float().mean()
        assert abs(observed - expected) < 4.5 * (expected * (1 - expected) / rows).sqrt()


def test_set_weights_equal_sums_over_orders() -> None:
    p = np.array([0.3, 0.1, 0.25, 0.05])

    def complete(drawn: tuple[int, ...]) -> float:
        total = 0.0
        for order in itertools.permutations(set(range(4)) - set(drawn)):
            left, product = 1 - p[list(drawn)].sum(), 1.0
            for a in order:
                product, left = product * p[a] / left, left - p[a]
            total += product
        return total

    weights, baselines = set_weights(torch.tensor(p).log())
    assert np.allclose(weights, [p[a] * complete((a,)) / complete(()) for a in range(4)])
    for a, b in itertools.product(range(4), repeat=2):
        expected = p[b] * complete(tuple({a, b})) / complete((a,))
        assert baselines[a, b].item() == pytest.approx(expected)


def test_unordered_with_all_configurations(small_problem: object) -> None:
    """It is exact."""
    torch.manual_seed(0)
    logits = torch.randn(5, 1, 4, requires_grad=True)
    gradients = []
    for name, options in (("unordered", {"samples": 4}), ("exact", {})):
        layer = RelaxedCategorical({"name": name, **options}, event_shape=(1, 4))
        value = layer.expectation(logits, lambda z: (z * torch.arange(4.0)).sum((-1, -2)).exp())
        gradients.append(torch.autograd.grad(value.sum(), logits)[0])
    assert torch.allclose(*gradients, atol=1e-4)


# -- the multi-sample bound --------------------------------------------------------------------------------------------


def bound_gradients(name: str, m: int, draws: int, event: tuple[int, int] = (2, 3)) -> tuple[Tensor, ...]:
    """Value ``d`` and gradients ``d n k`` of the bound, for logits and the log-weight's own parameters."""
    draw = torch.Generator().manual_seed(0)
    logits, weight = (torch.randn(event, generator=draw).expand(draws, *event).clone() for _ in range(2))
    logits.requires_grad_(), weight.requires_grad_()

    def log_weight(z: Tensor) -> Tensor:  # with a term that depends on the logits directly, as -log q(z | x) does
        return (z * weight).sum((-1, -2)).square() - (z * logits.log_softmax(-1)).sum((-1, -2))

    shape = (event[0], m, event[1]) if name == "unordered" else event
    torch.manual_seed(1)
    value = RelaxedCategorical(name, event_shape=shape).multi_sample_bound(logits, log_weight, m)
    return value.detach(), *torch.autograd.grad(value.sum(), [logits, weight])


@pytest.mark.parametrize("name", ["vimco", "reinforce", "rebar", "muprop", "unordered", "arsm"])
@pytest.mark.parametrize("m", [1, 3])
def test_bound_is_unbiased(name: str, m: int, z_scores: object) -> None:
    for draws, exact in zip(bound_gradients(name, m, 30_000), bound_gradients("exact", m, 1), strict=True):
        assert z_scores(draws, exact[0]).abs().max() < 4


def test_exact_bound_equals_enumeration() -> None:
    draw = torch.Generator().manual_seed(0)
    logits, weight = (torch.randn((2, 3), generator=draw).double().numpy() for _ in range(2))
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    z = np.eye(3)[np.array(list(itertools.product(range(3), repeat=2)))]
    log_q = (z * log_p).sum((-1, -2))
    w = np.exp((z * weight).sum((-1, -2)) ** 2 - log_q)
    expected = sum(np.exp(log_q[a] + log_q[b]) * np.log((w[a] + w[b]) / 2) for a in range(9) for b in range(9))
    assert bound_gradients("exact", 2, 1)[0].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS.names() if ESTIMATORS[name].pathwise])
def test_bound_of_pathwise_estimators(name: str) -> None:
    value, d_logits, d_weight = bound_gradients(name, 5, 2000)
    exact, exact_logits, _ = bound_gradients("exact", 3, 1)
    assert d_weight.isfinite().all()
    assert torch.cosine_similarity(d_logits.mean(0).flatten(), exact_logits.flatten(), dim=0) > 0.5
    if ESTIMATORS[name].exact_value:
        assert value.mean() > exact  # five copies are tighter than three


def test_vimco_baseline() -> None:
    """Each copy's weight is replaced by the geometric mean of the others. A copy of weight zero changes nothing."""
    log_weights = torch.randn(4, 6, dtype=torch.float64)
    log_weights[1, 0] = -torch.inf
    for j in range(4):
        others = torch.cat([log_weights[:j], log_weights[j + 1 :]])
        replaced = torch.cat([others, others.mean(0, keepdim=True)])
        assert torch.allclose(without_each(log_weights)[j], replaced.logsumexp(0) - math.log(4))


def test_vimco_with_one_possible_copy() -> None:
    """All other copies have weight 0: value and gradient are finite, those of the score function alone."""
    logits, noise = torch.zeros(1, 1, 2, requires_grad=True), torch.zeros(1, 1, 2, 2)
    noise[0, 0, 0, 0] = noise[0, 0, 1, 1] = 1.0  # the copies are 0 and 1
    log_weight = torch.tensor([2.0, -torch.inf])
    value = RelaxedCategorical("vimco").multi_sample_bound(
        logits, lambda z: log_weight[z.argmax(-1)].squeeze(-1), 2, noise=noise
    )
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    bound = 2 - math.log(2)
    advantages = bound - 0, bound - 2  # the other copy's baseline is the bound of two weights exp(2)
    slope = 0.5 * (advantages[0] - advantages[1])
    assert value.item() == pytest.approx(bound)
    assert gradient.flatten().tolist() == pytest.approx([slope, -slope])


def test_vimco_has_less_variance() -> None:
    """Than MuProp on the bound as one cost."""
    assert bound_gradients("vimco", 5, 20_000)[1].var(0).sum() < bound_gradients("muprop", 5, 20_000)[1].var(0).sum()


@pytest.mark.parametrize("name", ["vimco", "reinforce"])
def test_bound_takes_the_same_noise_in_both_modes(name: str) -> None:
    """VIMCO has no leading axis of samples, since its copies are each other's baseline."""
    layer, noise = RelaxedCategorical({"name": name, "samples": 4}), gumbel_noise((4, 5, 2, 3, 3))
    noise = noise[0] if name == "vimco" else noise
    logits, weight = torch.randn(5, 2, 3), torch.randn(2, 3)
    trained, evaluated = (
        layer.train(mode).multi_sample_bound(logits, lambda z: (z * weight).sum((-1, -2)), 3, noise=noise)
        for mode in (True, False)
    )
    torch.testing.assert_close(trained, evaluated)


def test_bound_in_eval_mode() -> None:
    """Exact one-hot draws, without a gradient."""
    layer = RelaxedCategorical("gumbel_softmax").eval()
    logits, price = torch.zeros(20_000, 1, 2, requires_grad=True), torch.tensor([0.0, 2.0])
    value = layer.multi_sample_bound(logits, lambda z: (z * price).sum((-1, -2)), 2)
    expected = (0 + 2 + 2 * math.log((1 + math.exp(2)) / 2)) / 4
    assert value.mean().item() == pytest.approx(expected, abs=0.03)
    assert not value.requires_grad
    with pytest.raises(ValueError, match="m >= 1"):
        layer.multi_sample_bound(logits, lambda z: z.sum((-1, -2)), 0)
