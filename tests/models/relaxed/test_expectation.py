"""``layer.expectation`` with every estimator: temperatures, dtypes, masks, shapes, compilation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical
from torch import Tensor

NAMES = ESTIMATORS.names()
BUILT_FOR_A_SHAPE: list[tuple[str, dict[str, Any]]] = [
    ("relax", {}),
    ("unordered", {}),
    ("reinforce", {"baseline": "learned"}),
    ("reinforce", {"baseline": "learned", "samples": 1}),
]
LEARN: list[tuple[str, dict[str, Any]]] = [("rebar", {}), ("relax", {}), ("reinforce", {"baseline": "learned"})]


def layer_for(name: str, n: int = 2, temperature: Any = 1.0, **options: Any) -> RelaxedCategorical:
    torch.manual_seed(0)
    return RelaxedCategorical({"name": name, **options}, temperature, event_shape=(n, categories(name)))


def categories(name: str) -> int:
    return ESTIMATORS[name].categories or 3


def logits_for(name: str, *shape: int) -> Tensor:
    return torch.randn(*shape, categories(name), generator=torch.Generator().manual_seed(1)).requires_grad_()


def cost(z: Tensor) -> Tensor:
    """``... n k -> ...``."""
    return z[..., 0].sum(-1).exp() + z[..., 1].prod(-1)


def estimate(layer: RelaxedCategorical, logits: Tensor, **given: Any) -> list[Tensor]:
    """Value, and gradients for the logits and the estimator's own parameters, always with the same noise."""
    value = layer.expectation(logits, cost, generator=torch.Generator().manual_seed(2), **given)
    leaves = [logits, *(p for p in layer.parameters() if p.requires_grad)]
    gradients = torch.autograd.grad(value.sum(), leaves, materialize_grads=True)
    return [value.detach(), *gradients]


def assert_equal(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("samples", [None, 3])
def test_temperature_per_example(name: str, samples: int | None) -> None:
    if name == "exact" and samples:
        pytest.skip("exact draws no samples")
    layer = layer_for(name, **({"samples": samples} if samples else {}))
    logits = logits_for(name, 3, 2)
    together = estimate(layer, logits, temperature=torch.tensor([0.4, 1.0, 2.5]))
    for row, temperature in enumerate((0.4, 1.0, 2.5)):
        alone = estimate(layer, logits, temperature=temperature)
        assert_equal([t[row] for t in together[:2]], [t[row] for t in alone[:2]])


@pytest.mark.parametrize("name", NAMES)
def test_autocast_changes_nothing(name: str) -> None:
    layer, logits = layer_for(name), logits_for(name, 64, 2)
    expected = estimate(layer_for(name), logits)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = estimate(layer, logits)
    assert all((one == other).all() for one, other in zip(found, expected, strict=True))


compiles = pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf"
)  # raised by the compiler


@compiles
@pytest.mark.parametrize(
    ("name", "temperature", "options"),
    [
        *((name, 1.0, {}) for name in NAMES),
        *((name, {"name": "learned"}, {}) for name in ("rebar", "relax", "gumbel_rao")),
        ("reinforce", 1.0, {"baseline": "learned"}),
        ("reinforce", 1.0, {"baseline": "learned", "samples": 1}),
    ],
)
def test_compiled_equals_eager(name: str, temperature: Any, options: dict[str, Any]) -> None:
    """Also for estimators whose own parameters learn through a second derivative."""
    check_compiled(name, temperature, options, "aot_eager")


@compiles
@pytest.mark.parametrize(
    ("name", "options"), [("rebar", {}), ("relax", {}), ("reinforce", {"baseline": "learned"})], ids=str
)
def test_compiled_by_the_default_backend(name: str, options: dict[str, Any]) -> None:
    """It frees and reuses buffers of a backward pass that is not the last one."""
    check_compiled(name, 1.0, options, "inductor")


def check_compiled(name: str, temperature: Any, options: dict[str, Any], backend: str) -> None:
    """Check that value and gradients of a compiled call equal the eager ones."""
    logits = logits_for(name, 8, 2)
    found = []
    for compiled in (False, True):
        layer = layer_for(name, temperature=temperature, **options)
        function = torch.compile(layer.expectation, backend=backend) if compiled else layer.expectation
        torch.manual_seed(3)
        value = function(logits, cost)
        own = list(layer.parameters())
        found.append([value.detach(), *torch.autograd.grad(value.sum(), [logits, *own], materialize_grads=True)])
    assert_equal(*found)


@pytest.mark.parametrize("name", NAMES)
def test_empty_batch(name: str) -> None:
    logits = logits_for(name, 0, 2)
    value, gradient, *_ = estimate(layer_for(name), logits)
    assert value.shape == (0,) and gradient.shape == logits.shape


@pytest.mark.parametrize("name", NAMES)
def test_one_latent_without_its_axis(name: str) -> None:
    """Logits ``b k`` with a cost ``b`` equal one latent ``b 1 k``."""
    options = {"samples": 2} if name == "unordered" else {}  # of three configurations
    wide = layer_for(name, n=1, **options)
    torch.manual_seed(0)
    layer = RelaxedCategorical({"name": name, **options}, event_shape=(categories(name),))
    logits = logits_for(name, 5)
    values = []
    for one, rows, event in ((layer, logits, 1), (wide, logits[:, None], 2)):
        torch.manual_seed(4)
        value = one.expectation(rows, lambda z, event=event: z.flatten(-event)[..., 0].exp())
        values.append([value.detach(), *torch.autograd.grad(value.sum(), logits)])
    assert_equal(*values)


@pytest.mark.parametrize(("name", "options"), LEARN)
def test_frozen_estimator_parameters(name: str, options: dict[str, Any]) -> None:
    """They change neither the value nor the gradient of the logits."""
    logits = logits_for(name, 4, 2)
    expected = estimate(layer_for(name, **options), logits)[:2]
    layer = layer_for(name, **options).requires_grad_(False)
    assert_equal(estimate(layer, logits), expected)


@pytest.mark.parametrize(("name", "options"), BUILT_FOR_A_SHAPE)
@pytest.mark.parametrize("t", [5, 3])
def test_wrong_event_shape_raises(name: str, options: dict[str, Any], t: int) -> None:
    """Also where the shapes would broadcast, as 3 x 3 does, into a biased estimate."""
    layer, logits = layer_for(name, **options), logits_for(name, 3, t, 2)
    with pytest.raises(ValueError, match=r"built for event_shape=\(2, 3\).*examples of shape \(\d, 2, 3\)"):
        layer.expectation(logits, lambda z: cost(z).sum(-1))
    assert layer.expectation(logits, cost).shape == (3, t)


@pytest.mark.parametrize("name", ["muprop", "rebar", "relax"])
def test_inference_mode_raises(name: str) -> None:
    layer, logits = layer_for(name), logits_for(name, 2, 2)
    with torch.inference_mode(), pytest.raises(ValueError, match="inference_mode"):
        layer.expectation(logits, cost)


@pytest.mark.parametrize("name", ["gumbel_softmax", "vimco", "reinforce"])
def test_bound_takes_mask_and_temperature(name: str) -> None:
    logits, mask = logits_for(name, 4, 2), torch.tensor([True, True, False])
    layer = layer_for(name, temperature=0.7)

    def log_weight(z: Tensor) -> Tensor:
        return cost(z) + 100 * z[..., 2].sum(-1)

    def bound(logits: Tensor, **given: Any) -> Tensor:
        return layer.multi_sample_bound(logits, log_weight, 3, generator=torch.Generator().manual_seed(0), **given)

    filled = logits.masked_fill(~mask, -torch.inf)
    assert_equal([bound(logits, mask=mask, temperature=2.0)], [bound(filled, temperature=2.0)])
    assert (bound(logits, mask=mask) < 10).all()
    moves = not torch.equal(bound(logits, mask=mask), bound(logits, mask=mask, temperature=2.0))
    assert moves == ESTIMATORS[name].learns_temperature


@pytest.mark.parametrize("name", ["gumbel_softmax", "concrete"])
@pytest.mark.parametrize("training", [True, False])
def test_kl_takes_a_mask(name: str, training: bool) -> None:
    logits, mask = logits_for(name, 4, 2), torch.tensor([True, False, True])
    layer = layer_for(name).train(training)
    masked = layer.kl(logits, mask=mask, generator=torch.Generator().manual_seed(0))
    filled = layer.kl(logits.masked_fill(~mask, -torch.inf), generator=torch.Generator().manual_seed(0))
    assert_equal([masked], [filled])
    assert not torch.equal(masked, layer.kl(logits, generator=torch.Generator().manual_seed(0)))
