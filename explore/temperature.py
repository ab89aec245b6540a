"""What the temperature does to one choice of k categories: draws, their argmax, and gradients beside the exact one.

Gumbel-Softmax and straight-through: Jang, Gu & Poole 2017 (arXiv:1611.01144). The quadratic cost is that of Tucker et
al. 2017 (arXiv:1703.07370), section 5.1. Everything is computed by the relaxed-sampling layer. Axes: ``d`` draws, ``k``
categories, ``m`` numbers of draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.relaxed import ESTIMATORS, RelaxedCategorical
from ..models.relaxed.noise import gumbel_noise
from ..registry import Spec, unknown_name

MAX_CATEGORIES = 10
MAX_LOGIT = 20.0  # of one category, in nats
MAX_DRAWS = 20_000
TEMPERATURES = (0.01, 100.0)  # least and greatest
# On an expectation `concrete` is `gumbel_softmax`, and `vimco` is `reinforce`; `exact` is what all are compared with.
NOT_SHOWN = ("concrete", "exact", "vimco")
OPTIONS = {"reinforce": {"samples": 2}, "unordered": {"samples": 2}}  # the fewest that they take


@dataclass(frozen=True)
class Draws:
    """Relaxed and straight-through draws of the same noise.

    Attributes:
        soft: Gumbel-Softmax draws ``d k``.
        hard: straight-through Gumbel-Softmax draws ``d k``, exactly one-hot.
        frequency: share of the draws in which each category has the largest entry, ``k``.
        probabilities: softmax(logits), ``k``.
    """

    soft: Tensor
    hard: Tensor
    frequency: Tensor
    probabilities: Tensor


@dataclass(frozen=True)
class Gradients:
    """Gradient of E[cost(z)] for the logits, exact and as an estimator gives it.

    Attributes:
        exact: by enumeration, ``k``.
        mean: mean of all draws of the estimator, ``k``.
        counts: numbers of draws ``m``, powers of two and the last.
        error: |mean of the first draws - exact| at each count, ``m``; with more draws it falls to the bias.
        bias: ``error`` of all draws.
        spread: standard deviation of one draw, the root of the summed variances.
        standard_error: of the mean: spread / sqrt(draws). A bias within two of them is none that these draws show.
        evaluations: cost evaluations of one draw.
    """

    exact: Tensor
    mean: Tensor
    counts: tuple[int, ...]
    error: Tensor
    bias: float
    spread: float
    standard_error: float
    evaluations: int


def _place(z: Tensor) -> Tensor:
    """Return the mean place of a choice among 0, 1/(k-1), ..., 1, ``... k -> ...``."""
    return z @ torch.linspace(0, 1, z.shape[-1], dtype=z.dtype)


def linear(z: Tensor) -> Tensor:
    """Compute x, the place of the category between 0 and 1."""
    return _place(z)


def quadratic(z: Tensor) -> Tensor:
    """Compute (x - 0.45)^2."""
    return (_place(z) - 0.45).square()


def steep(z: Tensor) -> Tensor:
    """Compute sigmoid(20 (x - 0.7)): nearly a step, and so nearly flat at the one-hot points."""
    return torch.sigmoid(20 * (_place(z) - 0.7))


COSTS: dict[str, Callable[[Tensor], Tensor]] = {"linear": linear, "quadratic": quadratic, "steep": steep}
FORMULAS = {"linear": "x", "quadratic": "(x - 0.45)²", "steep": "sigmoid(20 (x - 0.7))"}


def estimators(k: int) -> list[str]:
    """Return the names of the estimators that are shown for k categories."""
    return [name for name in ESTIMATORS if name not in NOT_SHOWN and ESTIMATORS[name].categories in (None, k)]


def check_choice(logits: Sequence[float], temperature: float, draws: int) -> Tensor:
    """Return the logits as a tensor ``k``.

    Raises:
        ValueError: too few or too many categories, a logit, a temperature or a number of draws out of range.
    """
    if not 2 <= len(logits) <= MAX_CATEGORIES:
        raise ValueError(f"give 2 to {MAX_CATEGORIES} logits, one per category, got {len(logits)}")
    if not all(abs(value) <= MAX_LOGIT for value in logits):  # so NaN is refused too
        raise ValueError(f"logits must lie between -{MAX_LOGIT:g} and {MAX_LOGIT:g}, got {list(logits)}")
    low, high = TEMPERATURES
    if not low <= temperature <= high:
        raise ValueError(f"temperature must lie between {low:g} and {high:g}, got {temperature}")
    if not 1 <= draws <= MAX_DRAWS:
        raise ValueError(f"the number of draws must lie between 1 and {MAX_DRAWS:,}, got {draws}")
    return torch.tensor([float(value) for value in logits])


def draw(logits: Sequence[float], temperature: float, draws: int, seed: int = 0) -> Draws:
    """Draw from one choice; the same seed gives the same noise at every temperature.

    Args:
        logits: of the categories, ``k``.
        temperature: of the relaxation.
        draws: number of draws d.
        seed: of the noise.

    Raises:
        ValueError: what ``check_choice`` refuses.
    """
    row = check_choice(logits, temperature, draws)
    noise = gumbel_noise((draws, len(row)), generator=torch.Generator().manual_seed(seed))
    return relax(row, temperature, noise)


def relax(logits: Tensor, temperature: float, noise: Tensor) -> Draws:
    """Compute the draws of given Gumbel noise, ``k`` and ``d k``."""
    rows = logits.expand_as(noise)
    soft = RelaxedCategorical("gumbel_softmax", temperature)(rows, noise=noise)
    hard = RelaxedCategorical("straight_through_gumbel_softmax", temperature)(rows, noise=noise)
    return Draws(soft, hard, hard.mean(0), logits.softmax(-1))


def exact_gradient(logits: Tensor, cost: str) -> Tensor:
    """Compute the gradient of E[cost(z)] for the logits by enumeration, ``k -> k``."""
    return _gradients("exact", logits, 1.0, cost, 1, 0)[0]


def gradients(
    logits: Sequence[float], temperature: float, cost: str, estimator: str, draws: int, seed: int = 0
) -> Gradients:
    """Compare an estimator's gradient with the exact one.

    Args:
        logits: of the categories, ``k``.
        temperature: of the estimator; the unbiased ones ignore it, or change only their variance with it.
        cost: a name of ``COSTS``.
        estimator: a name of ``estimators(k)``, with as few samples as it takes.
        draws: independent estimates d.
        seed: of the noise.

    Raises:
        ValueError: what ``check_choice`` refuses, an unknown cost, or an estimator that is not shown for k categories.
    """
    row = check_choice(logits, temperature, draws)
    if cost not in COSTS:
        raise ValueError(unknown_name("cost", cost, COSTS))
    if estimator not in (known := estimators(len(row))):
        raise ValueError(unknown_name(f"estimator for {len(row)} categories", estimator, known))
    exact = exact_gradient(row, cost)
    drawn = _gradients(estimator, row, temperature, cost, draws, seed)  # d k
    counts = (*(2**i for i in range(draws.bit_length()) if 2**i < draws), draws)
    sums = drawn.double().cumsum(0)[torch.tensor(counts) - 1]  # m k
    error = (sums / torch.tensor(counts)[:, None] - exact).norm(dim=-1)
    spread = float(drawn.double().var(0).sum().sqrt()) if draws > 1 else math.nan
    noise, evaluations = spread / math.sqrt(draws), cost_evaluations(estimator, len(row))
    return Gradients(exact, drawn.mean(0), counts, error, float(error[-1]), spread, noise, evaluations)


def cost_evaluations(name: str, k: int) -> int:
    """Return the cost evaluations of one estimate for one choice of k categories."""
    with torch.random.fork_rng(devices=[]):  # some estimators have a network
        return ESTIMATORS.build(_spec(name), event_shape=(1, k)).cost_evaluations(1, k)


def _spec(name: str) -> Spec:
    return {"name": name, **OPTIONS.get(name, {})}


def _gradients(name: str, logits: Tensor, temperature: float, cost: str, d: int, seed: int) -> Tensor:
    """Return independent estimates ``d k``."""
    k = len(logits)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)  # the initial weights of a control variate
        layer = RelaxedCategorical(_spec(name), temperature, event_shape=(1, k))
        rows = logits.expand(d, 1, k).clone().requires_grad_()  # each row is one estimate, d n k with n = 1
        value = layer.expectation(rows, lambda z: COSTS[cost](z).sum(-1), generator=generator)
        value.sum().backward()
    assert rows.grad is not None
    return rows.grad[:, 0]
