"""Mistakes that the layer names, and transforms around it."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical
from gumbelzoo.models.relaxed.baselines import MovingAverage
from gumbelzoo.models.relaxed.latent_usage import LatentUsage
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

ANNEALED: list[dict[str, object]] = [
    {"name": "exponential"},
    {"name": "linear"},
    {"name": "cosine"},
    {"name": "multiplicative"},
    {"name": "piecewise"},
]
SEVERAL = {"concrete", "gumbel_softmax", "reinforce", "rebar", "muprop", "arsm", "unordered", "relax", "vimco"}


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def warned(layer: RelaxedCategorical, calls: int, advance_at: int | None = None) -> int:
    """Number of warnings in some training calls."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for call in range(calls):
            layer(torch.zeros(1, 2))
            if call == advance_at:
                layer.advance()
    return sum("without advance()" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("temperature", ANNEALED)
def test_schedule_that_stands_still_warns_once(temperature: dict[str, object]) -> None:
    """After 1,000 training calls, but not of a layer that has ever advanced."""
    layer = RelaxedCategorical(temperature=temperature)
    assert warned(layer, 999) == 0
    assert warned(layer, 1500) == 1
    assert warned(RelaxedCategorical(temperature=temperature), 1200, advance_at=500) == 0


@pytest.mark.parametrize("temperature", [0.5, {"name": "learned"}])
def test_constant_temperature_never_warns(temperature: float | dict[str, object]) -> None:
    assert warned(RelaxedCategorical(temperature=temperature), 1100) == 0


def test_eval_calls_do_not_count() -> None:
    layer = RelaxedCategorical(temperature="exponential")
    assert warned(layer.eval(), 1100) == warned(layer.train(), 900) == 0


@pytest.mark.parametrize("name", sorted(SEVERAL))
@pytest.mark.parametrize("training", [True, False])
def test_cost_that_flattens_the_samples(name: str, training: bool) -> None:
    """It would be a sum over the batch."""
    layer = RelaxedCategorical({"name": name, "samples": 4}, event_shape=(3, 2)).train(training)
    with pytest.raises(ValueError, match=r"^cost must return one value per sample and example, .*\(4,\)"):
        layer.expectation(randn(5, 3, 2), lambda z: z.flatten(1)[:, :1].sum(1))


@pytest.mark.parametrize("name", ["disarm", "exact"])
def test_cost_that_flattens_the_configurations(name: str) -> None:
    with pytest.raises(ValueError, match=r"^cost must return one value per sample and example"):
        RelaxedCategorical(name).expectation(randn(5, 3, 2), lambda z: z.flatten(1)[:, :1].sum(1))


@pytest.mark.parametrize("name", [name for name in ESTIMATORS.names() if ESTIMATORS[name].pathwise])
@pytest.mark.parametrize(
    "cost",
    [
        lambda z: z.detach().sum((-1, -2)),
        lambda z: z.argmax(-1).float().sum(-1),
        lambda z: torch.from_numpy(z.numpy().sum((-1, -2))),
    ],
)
def test_black_box_cost_of_a_pathwise_estimator(name: str, cost: Callable[[Tensor], Tensor]) -> None:
    layer, logits = RelaxedCategorical(name), randn(5, 3, 2).requires_grad_()
    with pytest.raises(ValueError, match=r"^this estimator needs a cost with a gradient for z; use 'reinforce'"):
        layer.expectation(logits, cost)
    with torch.no_grad():
        assert layer.expectation(logits, cost).shape == (5,)


def test_error_of_a_cost_is_its_own() -> None:
    def cost(z: Tensor) -> Tensor:
        raise RuntimeError("of the cost")

    with pytest.raises(RuntimeError, match="of the cost"):
        RelaxedCategorical().expectation(randn(5, 3, 2), cost)


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "exponential", "initial": 0.5, "minimum": 1.0},
        {"name": "exponential", "initial": 0.3},
        {"name": "multiplicative", "minimum": 2.5},
    ],
)
def test_minimum_above_the_initial_temperature(spec: dict[str, object]) -> None:
    """Also where one of them is the default."""
    with pytest.raises(ValueError, match="needs minimum <= initial, got minimum"):
        RelaxedCategorical(temperature=spec)
    RelaxedCategorical(temperature={"name": "exponential", "initial": 0.5})


def test_nan_moves_no_average() -> None:
    baseline = MovingAverage(None)
    baseline(torch.ones(4), torch.ones(4, 1, 2))
    baseline(torch.full((4,), torch.nan), torch.ones(4, 1, 2))
    assert baseline.total == baseline.weight == 1
    usage = LatentUsage(2, 3)
    with pytest.raises(ValueError, match="KL of latents contains NaN"):
        usage.update(torch.zeros(4, 2, dtype=torch.int64), torch.full((4, 2), torch.nan))
    assert usage.examples == 0


def gradients(layer: RelaxedCategorical, recompute: bool, **options: object) -> Tensor:
    """Gradient of one training call, the same noise in each."""
    torch.manual_seed(0)
    logits = randn(5, 3, 2).requires_grad_()

    def call(logits: Tensor) -> Tensor:
        return layer.expectation(logits, lambda z: (z * randn(3, 2, seed=1)).sum((-1, -2)).square(), **options)

    value = checkpoint(call, logits, use_reentrant=False) if recompute else call(logits)
    value.sum().backward()
    assert logits.grad is not None
    return logits.grad


@pytest.mark.parametrize("name", ["gumbel_softmax", "straight_through_gumbel_softmax", "gumbel_rao", "reinforce"])
def test_checkpointing_draws_the_noise_again(name: str) -> None:
    layer = RelaxedCategorical(name)
    assert torch.equal(gradients(layer, recompute=True), gradients(layer, recompute=False))


def test_checkpointing_of_a_generator_is_refused() -> None:
    """Its state is not restored, so the second pass would draw other noise."""
    with pytest.raises(ValueError, match=r"^activation checkpointing cannot recompute .* a generator of its own"):
        gradients(RelaxedCategorical(), recompute=True, generator=torch.Generator())


def test_checkpointing_of_an_average_is_refused() -> None:
    layer = RelaxedCategorical({"name": "reinforce", "baseline": "moving_average"})
    with pytest.raises(ValueError, match=r"^activation checkpointing cannot recompute .* a moving average"):
        gradients(layer, recompute=True)


@pytest.mark.usefixtures("unannotated")
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_traced_layer_is_that_of_its_input() -> None:
    """Of any number of examples, not the codes of the example."""
    layer, other = RelaxedCategorical().eval(), randn(7, 4, seed=5)
    assert torch.equal(torch.jit.trace(layer, randn(2, 4))(other), layer(other))


def test_vmap_over_the_layer() -> None:
    layer, logits = RelaxedCategorical(), randn(6, 3, 4)
    z = torch.func.vmap(layer, randomness="different")(logits)
    assert z.shape == logits.shape and torch.allclose(z.sum(-1), torch.ones(6, 3))
    assert torch.equal(torch.func.vmap(layer.eval())(logits), layer(logits))


def test_fake_layer_has_the_shapes() -> None:
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        logits = mode.from_tensor(randn(6, 3, 4))
        assert RelaxedCategorical()(logits).shape == RelaxedCategorical().eval()(logits).shape == (6, 3, 4)


def test_compiled_exact_takes_any_k() -> None:
    layer = RelaxedCategorical("exact")
    compiled = torch.compile(lambda logits: layer.expectation(logits, lambda z: z[..., 0].sum(-1)))
    for k in (2, 3, 4):
        assert torch.allclose(compiled(randn(5, 3, k)), randn(5, 3, k).softmax(-1)[..., 0].sum(-1), atol=1e-5)
