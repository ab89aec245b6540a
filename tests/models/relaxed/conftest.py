"""Problems small enough to enumerate in NumPy, as the exact reference of the estimators."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import cached_property

import jaxtyping
import numpy as np
import pytest
import torch
from gumbelzoo.models.relaxed import RelaxedCategorical
from torch import Tensor


class Problem:
    """n latents of k categories, with a cost in which they interact and that has its own parameters."""

    def __init__(self, n: int, k: int) -> None:
        self.n, self.k = n, k
        draw = torch.Generator().manual_seed(0)
        self.logits = torch.randn(n, k, generator=draw)
        self.weight = torch.randn(n, k, generator=draw) / n**0.5
        self.scale = torch.tensor(0.7)
        self.given = (self.logits, self.weight, self.scale)

    @staticmethod
    def cost(weight: Tensor, scale: Tensor) -> Callable[[Tensor], Tensor]:
        """``... n k -> ...``; neither linear nor quadratic in any latent."""
        return lambda z: (z * weight).sum((-1, -2)).exp() + scale * z[..., 0].prod(-1) + scale.square() * z[..., 1, 1]

    # -- the same in NumPy, at every configuration at once -------------------------------------------------------------

    @cached_property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """Logits, weight and scale in float64."""
        return tuple(t.double().numpy() for t in self.given)

    @cached_property
    def one_hots(self) -> np.ndarray:
        """All configurations, ``c n k``."""
        return np.eye(self.k)[np.array(list(itertools.product(range(self.k), repeat=self.n)))]

    @cached_property
    def p(self) -> np.ndarray:
        """Probabilities of the categories, ``n k``."""
        exponentials = np.exp(self.arrays[0])
        return exponentials / exponentials.sum(-1, keepdims=True)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Probabilities of the configurations, ``c``."""
        return (self.one_hots * self.p).sum(-1).prod(-1)

    @cached_property
    def cost_gradients(self) -> np.ndarray:
        """Gradients of the cost for z at all configurations, ``c n k``."""
        _, weight, scale = self.arrays
        z = self.one_hots
        gradients = np.exp((z * weight).sum((-1, -2)))[:, None, None] * weight
        for latent in range(self.n):
            gradients[:, latent, 0] += scale * np.delete(z[..., 0], latent, axis=1).prod(-1)
        gradients[:, 1, 1] += scale**2
        return gradients

    @cached_property
    def exact(self) -> tuple[np.ndarray, ...]:
        """Value and gradients for logits, weight and scale, from the definitions."""
        _, weight, scale = self.arrays
        z, p = self.one_hots, self.probabilities
        exponential, all_zero = np.exp((z * weight).sum((-1, -2))), z[..., 0].prod(-1)
        cost = exponential + scale * all_zero + scale**2 * z[:, 1, 1]
        d_logits = ((p * cost)[:, None, None] * (z - self.p)).sum(0)  # the score of a categorical
        d_weight = ((p * exponential)[:, None, None] * z).sum(0)
        d_scale = (p * (all_zero + 2 * scale * z[:, 1, 1])).sum()
        return (p * cost).sum(), d_logits, d_weight, d_scale

    # -- estimates -----------------------------------------------------------------------------------------------------

    def estimate(self, name: str, draws: int, temperature: float = 1.0, **options: object) -> tuple[Tensor, ...]:
        """Per draw: value ``d`` and gradients for logits ``d n k``, weight ``d n k`` and scale ``d``."""
        layer = RelaxedCategorical({"name": name, **options}, temperature, event_shape=(self.n, self.k))
        torch.manual_seed(1)
        # One row per draw: gradients of the sum are the gradients of every draw.
        logits, weight, scale = (t.expand(draws, *t.shape).clone().requires_grad_() for t in self.given)
        value = layer.expectation(logits, self.cost(weight, scale))
        return value.detach(), *torch.autograd.grad(value.sum(), [logits, weight, scale])


@pytest.fixture(autouse=True)
def _unchecked_when_compiled(request: pytest.FixtureRequest) -> Iterator[None]:
    """Disable the shape checks in `test_compiled_...`, since `torch.compile` cannot trace them.

    The compiler is reset too: it recompiles a function a few times only, over all tests.
    """
    compiled = request.node.name.startswith("test_compiled")
    jaxtyping.config.update("jaxtyping_disable", compiled)
    if compiled:
        torch.compiler.reset()
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def unannotated() -> Iterator[None]:
    """Without the run-time check of annotations, as users run it."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


_PROBLEMS = {"3x3": Problem(3, 3), "8x4": Problem(4, 8), "2x12": Problem(12, 2)}  # categories x latents


@pytest.fixture(params=_PROBLEMS)
def problem(request: pytest.FixtureRequest) -> Problem:
    """Each of the three supports in turn."""
    return _PROBLEMS[request.param]


@pytest.fixture
def small_problem() -> Problem:
    """Three latents of three categories."""
    return _PROBLEMS["3x3"]


@pytest.fixture
def z_scores() -> Callable[[Tensor, object], Tensor]:
    """Distance of the mean of draws ``d ...`` from its target in standard errors, per coordinate."""

    def scores(draws: Tensor, target: object) -> Tensor:
        draws, expected = draws.double(), torch.as_tensor(target, dtype=torch.float64)
        error = draws.std(0) / len(draws) ** 0.5
        return (draws.mean(0) - expected) / error.clamp(min=1e-6 * expected.abs().max())

    return scores
