"""Gradients of glimpses against ``exact``, which enumerates every path of two glimpses."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from gumbelzoo.models import GlimpseClassifier
from gumbelzoo.models.relaxed import ESTIMATORS
from torch import Tensor

WEIGHT = 0.3  # of the entropy
ONE = {"name": "reinforce", "samples": 1}
UNBIASED: dict[str, tuple[Any, int]] = {  # estimator, draws
    "leave_one_out": ({"name": "reinforce", "samples": 4, "baseline": "leave_one_out"}, 2000),
    "none": ({**ONE, "baseline": "none"}, 8000),
    "moving_average": ({**ONE, "baseline": "moving_average"}, 4000),
    "learned": ({**ONE, "baseline": "learned"}, 4000),
    "rebar": ("rebar", 4000),
    "relax": ("relax", 4000),
    "muprop": ("muprop", 4000),
    "unordered": ({"name": "unordered", "samples": 2}, 4000),
    "arsm": ("arsm", 2000),
}
FAST = ("leave_one_out", "moving_average")
COSINE = dict.fromkeys(
    [
        "straight_through_gumbel_softmax",
        "gumbel_softmax",
        "reinmax",
        "straight_through",
        "gumbel_rao",
        "gapped_straight_through",
        "decoupled_straight_through_gumbel_softmax",
        "concrete",
    ],
    0.8,
)
Scene = tuple[Tensor, Tensor, Tensor]


def gradient(model: GlimpseClassifier, scene: Scene, weight: float = WEIGHT, copies: int = 1) -> Tensor:
    """Gradient of the loss for the policy, for what it sees, and for the classifier."""
    x, label, centre = scene
    loss, _ = model.objective(
        x.repeat(copies, 1, 1, 1), label.repeat(copies), centre.repeat(copies, 1), weight
    )  # images of one call are averaged, so copies are draws
    network, policy = model.network, model.network.places.network
    weights = [policy[2].bias, policy[0].weight, network.cell.bias_ih, network.where, network.head.bias]
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, weights)])


def of_policy(gradient: Tensor) -> Tensor:
    """Part of the policy; the other weights have nearly the same gradient whatever the estimator."""
    return gradient[: 4 + 36]


def enumerated(model: GlimpseClassifier, scene: Scene) -> Tensor:
    """Mean of -log p(y) plus the KL of each choice, as a sum over all paths, one image and one path at a time."""
    total, network = torch.zeros(()), model.network
    for x, label in zip(*scene[:2], strict=True):
        for first, second in itertools.product(range(4), repeat=2):
            state, view = network.start(x[None])
            p = network.choice(state, view, 0, None)[0].softmax(-1)
            state = network.look(state, view, torch.tensor([first]))
            q = network.choice(state, view, 1, None)[0].softmax(-1)
            state = network.look(state, view, torch.tensor([second]))
            kl = sum((r * (4 * r).log()).sum() for r in (p, q))
            nll = -network.head(state)[0].log_softmax(-1)[label]
            total = total + p[first] * q[second] * (nll + WEIGHT * kl) / 2
    return total


@pytest.mark.parametrize("places", ["policy", "saliency"])
def test_exact_equals_enumeration(places: str, make: Callable[..., GlimpseClassifier], scene: Scene) -> None:
    """Value and gradient of ``exact`` are those of a loop over all paths."""
    model = make(estimator="exact", places=places)
    loss, truth = model.objective(*scene, WEIGHT)[0], enumerated(model, scene)
    torch.testing.assert_close(loss, truth)
    weights = list(model.parameters())
    found, expected = (torch.autograd.grad(value, weights) for value in (loss, truth))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in UNBIASED]
)
def test_glimpse_gradient_is_unbiased(name: str, make: Callable[..., GlimpseClassifier], scene: Scene) -> None:
    """|z| < 4 of the mean over many draws along the exact gradient, and of each coordinate with Bonferroni's margin.

    A gradient that leaks through a drawn place, or a place whose log-probability is missing or follows the last
    glimpse, would show here.
    """
    estimator, draws = UNBIASED[name]
    truth, repeats = gradient(make(estimator="exact"), scene), 100
    model = make(estimator=estimator)
    torch.manual_seed(2)
    drawn = torch.stack([gradient(model, scene, copies=repeats) for _ in range(draws // repeats)])
    z = (drawn.mean(0) - truth) / (drawn.std(0) / len(drawn) ** 0.5).clamp(min=1e-9)
    along = drawn @ truth / truth.norm()
    z_along = (along.mean() - truth.norm()) / (along.std() / len(along) ** 0.5)
    print(f"{name}: z along the gradient {float(z_along):.2f}, largest of a coordinate {float(z.abs().max()):.2f}")
    assert abs(float(z_along)) < 4 and float(z.abs().max()) < 7  # tens of means: the tails are those of t


@pytest.mark.parametrize("name", COSINE)
def test_biased_glimpse_gradient_is_near(name: str, make: Callable[..., GlimpseClassifier], scene: Scene) -> None:
    """Cosine and relative bias of the policy's mean gradient are printed; the cosine is a known one."""
    truth = of_policy(gradient(make(estimator="exact"), scene, 0.0))
    model = make(estimator=name, temperature=0.7)
    torch.manual_seed(2)
    mean = of_policy(torch.stack([gradient(model, scene, 0.0, copies=400) for _ in range(5)]).mean(0))
    cosine = float(torch.cosine_similarity(mean, truth, dim=0))
    print(f"{name}: cosine {cosine:.3f}, relative bias {float((mean - truth).norm() / truth.norm()):.2f}")
    assert cosine > COSINE[name]


def test_every_pathwise_estimator_is_compared() -> None:
    assert set(COSINE) == {
        name for name in ESTIMATORS if ESTIMATORS[name].pathwise and ESTIMATORS[name].categories is None
    }


@pytest.mark.parametrize("estimator", ["straight_through_gumbel_softmax", UNBIASED["leave_one_out"][0]])
def test_every_glimpse_parameter_learns(estimator: Any, make: Callable[..., GlimpseClassifier], scene: Scene) -> None:
    """Each gets a gradient that is not 0, from the classes alone."""
    model = make(estimator=estimator)
    model.objective(*(part.repeat(20, *[1] * (part.ndim - 1)) for part in scene), 0.0)[0].backward()
    for name, weight in model.network.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all() and weight.grad.any(), name
