"""The chosen value: codes, one-hot and relaxed choices against the matrix product."""

from __future__ import annotations

import importlib

import pytest
import torch
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical, select
from gumbelzoo.models.relaxed.sampling import one_hot
from torch import Tensor

module = importlib.import_module("gumbelzoo.models.relaxed.select")  # the package has the function by this name
N, D = 4, 3
# leading axes of z and of values
SHAPES = [
    ((), ()),
    ((5,), ()),
    ((2, 5), ()),
    ((5,), (5,)),
    ((2, 5), (2, 1)),
    ((2, 5), (5,)),
    ((), (5,)),
    ((2, 1), (3,)),
]
shapes = pytest.mark.parametrize(("leading", "batch"), SHAPES)


def product(z: Tensor, values: Tensor) -> Tensor:
    return (z[..., None] * values).sum(-2)


def make(leading: tuple[int, ...], batch: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Codes, their one-hots and values, in float64."""
    torch.manual_seed(0)
    codes = torch.randint(N, leading)
    return codes, one_hot(codes, N, torch.float64), torch.randn(*batch, N, D, dtype=torch.float64)


@shapes
def test_codes_and_one_hots_select_rows(leading: tuple[int, ...], batch: tuple[int, ...]) -> None:
    codes, z, values = make(leading, batch)
    expected = product(z, values)
    for chosen in (select(codes, values), select(codes.byte(), values), select(z, values, one_hot=True)):
        assert torch.equal(chosen, expected)
    torch.testing.assert_close(select(z, values), expected)
    mixture = z.softmax(-1)
    torch.testing.assert_close(select(mixture, values), product(mixture, values))


@shapes
def test_gradients_are_the_product_s(leading: tuple[int, ...], batch: tuple[int, ...]) -> None:
    """Of first and second order, for z and for the values."""
    _, z, values = make(leading, batch)

    def gradients(function: object) -> list[Tensor]:
        leaves = [z.clone().requires_grad_(), values.clone().requires_grad_()]
        first = torch.autograd.grad(function(*leaves).exp().sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves)
        third = first[1].detach(), *second
        return [first[0].detach(), *third]

    expected = gradients(product)
    for got in (gradients(lambda z, v: select(z, v, one_hot=True)), gradients(select)):
        for g, e in zip(got, expected, strict=True):
            torch.testing.assert_close(g, e)


def test_codes_give_values_a_gradient() -> None:
    codes, z, values = make((2, 5), (5,))
    leaf, other = values.clone().requires_grad_(), values.clone().requires_grad_()
    select(codes, leaf).exp().sum().backward()
    product(z, other).exp().sum().backward()
    torch.testing.assert_close(leaf.grad, other.grad)


@pytest.mark.parametrize("name", ESTIMATORS.names())
def test_one_hot_samples_are_known(name: str) -> None:
    """``layer.one_hot_samples`` holds for every z that a cost sees, in control variates too."""
    k, seen = ESTIMATORS[name].categories or 3, []
    layer = RelaxedCategorical(name, event_shape=(2, k))

    def cost(z: Tensor) -> Tensor:
        seen.append(z.detach())
        return z[..., 0].sum(-1).square()

    for training in (True, False):
        seen.clear()
        layer.train(training).expectation(torch.randn(64, 2, k, requires_grad=True), cost)
        assert layer.one_hot_samples == all(bool(((z == 0) | (z == 1)).all()) for z in seen)
    assert layer.one_hot_samples


@pytest.mark.parametrize("batch", [(), (6,)])
@pytest.mark.parametrize("fast", [True, False])
def test_select_under_vmap(batch: tuple[int, ...], fast: bool) -> None:
    _, z, values = make((6,), batch)

    def gradient(z: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.grad(lambda *x: select(*x, one_hot=fast).exp().sum(), argnums=(0, 1))(z, values)

    got = torch.func.vmap(gradient, in_dims=(0, 0 if batch else None))(z, values)
    rows = [gradient(z[i], values[i] if batch else values) for i in range(6)]
    for g, expected in zip(got, zip(*rows, strict=True), strict=True):
        torch.testing.assert_close(g, torch.stack(expected))


@pytest.mark.parametrize("how", ["codes", "one_hot", "relaxed"])
def test_compiled_select(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (module._SelectOneHot, module._ScatterOneHot):
        for name in ("forward", "setup_context", "backward"):  # without the check of annotations
            monkeypatch.setattr(kind, name, staticmethod(getattr(kind, name).__wrapped__))
    codes, z, values = make((2, 5), (5,))

    def run(z: Tensor, values: Tensor) -> Tensor:
        return select(codes if how == "codes" else z, values, one_hot=how == "one_hot").exp().sum()

    results = []
    for function in (run, torch.compile(run, fullgraph=True, backend="aot_eager")):
        leaves = z.clone().requires_grad_(), values.clone().requires_grad_()
        function(*leaves).backward()
        results.append([leaf.grad for leaf in leaves if leaf.grad is not None])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("fast", [True, False])
def test_select_in_mixed_precision(fast: bool) -> None:
    """The result has the dtype of the values, and each gradient that of its own input."""
    _, z, values = make((2, 5), (5,))
    z, values = z.float().requires_grad_(), values.bfloat16().requires_grad_()
    chosen = select(z, values, one_hot=fast)
    assert chosen.dtype == torch.bfloat16
    chosen.sum().backward()
    assert z.grad is not None and z.grad.dtype == torch.float32
    assert values.grad is not None and values.grad.dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        mixed = select(z, values.float(), one_hot=fast)
    mixed.float().sum().backward()
    torch.testing.assert_close(mixed.float(), chosen.float(), atol=0.05, rtol=0.05)


@pytest.mark.parametrize(
    ("z", "values", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(4, 5), "select needs z of shape"),
        (torch.tensor(1.0), torch.zeros(4, 5), "select needs z of shape"),
        (torch.zeros(2, 4), torch.zeros(4), "select needs z of shape"),
        (torch.zeros(2, 4), torch.zeros(3, 4, 5), "do not broadcast; insert axes of 1"),
        (torch.tensor([0, 4]), torch.zeros(4, 5), r"codes must be in \[0, 4\), one of 4 values, got 4"),
        (torch.tensor([0, -1]), torch.zeros(2, 4, 5), r"codes must be in \[0, 4\), one of 4 values, got -1"),
        (torch.tensor([True]), torch.zeros(4, 5), "codes must be whole numbers"),
    ],
)
def test_select_of_wrong_inputs_raises(z: Tensor, values: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        select(z, values)
    assert "\n" not in str(error.value)
