"""Softmax of perturbed logits: values, gradients of any order, compiled and transformed calls; log-softmax."""

from collections.abc import Callable

import pytest
import torch
from gumbelzoo.models.relaxed import softmax
from gumbelzoo.models.relaxed.noise import gumbel_noise
from gumbelzoo.models.relaxed.sampling import gumbel_softmax, tempered_softmax
from gumbelzoo.models.relaxed.softmax import drawn_softmax, log_softmax, perturbed_softmax
from gumbelzoo.models.relaxed.surrogate import straight_through
from torch import Tensor, library
from torch.autograd import forward_ad

OPERATOR = torch.ops.gumbelzoo.perturbed_softmax


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def compose(logits: Tensor, temperature: float | Tensor, noise: Tensor | None = None) -> Tensor:
    """The definition, by PyTorch's own operators."""
    return ((logits if noise is None else logits + noise) / temperature).softmax(-1)


@pytest.mark.parametrize("k", [1, 2, 10, 15, 16, 17, 300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("perturbed", [True, False])
def test_value_and_gradient(k: int, dtype: torch.dtype, perturbed: bool) -> None:
    """Of masked logits and a temperature per row too."""
    logits = randn(5, 7, k, dtype=dtype)
    logits[0, :, 1:] = -torch.inf
    noise = randn(5, 7, k, seed=1, dtype=dtype) if perturbed else None
    weight = randn(5, 7, k, seed=2, dtype=dtype)
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-14}[dtype]
    for temperature in (0.7, torch.tensor(0.7), torch.rand(5, 1, 1) + 0.3, torch.rand(5, 7, 1) + 0.3):
        temperature = temperature.to(dtype) if isinstance(temperature, Tensor) else temperature
        given = [logits.clone().requires_grad_() for _ in range(2)]
        soft, expected = perturbed_softmax(given[0], temperature, noise), compose(given[1], temperature, noise)
        assert soft is not None
        torch.testing.assert_close(soft, expected, rtol=tolerance, atol=tolerance)
        gradients = [
            torch.autograd.grad((y * weight).sum(), x)[0] for y, x in zip((soft, expected), given, strict=True)
        ]
        torch.testing.assert_close(*gradients, rtol=10 * tolerance, atol=10 * tolerance)


def test_value_over_several_blocks() -> None:
    """Also where the last block is shorter."""
    for shape in [(7000, 10), (300, 500), (3, softmax._BLOCK + 1)]:
        logits, noise, weight = randn(*shape).requires_grad_(), randn(*shape, seed=1), randn(*shape, seed=2)
        soft, expected = perturbed_softmax(logits, 0.5, noise), compose(logits, 0.5, noise)
        assert soft is not None
        torch.testing.assert_close(soft, expected)
        gradients = [torch.autograd.grad((y * weight).sum(), logits)[0] for y in (soft, expected)]
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("k", [3, 20])
def test_any_layout(k: int) -> None:
    """Transposed, expanded and empty tensors, and a single row."""
    layouts: dict[str, Callable[[Tensor], Tensor]] = {
        "transposed": lambda x: x.transpose(0, 1),
        "expanded": lambda x: x[:1].expand(4, -1, -1),
        "strided": lambda x: x[:, ::2],
        "empty": lambda x: x[:0],
        "row": lambda x: x[0, 0],
    }
    for name, layout in layouts.items():
        logits, noise = layout(randn(4, 6, k)).requires_grad_(), layout(randn(4, 6, k, seed=1))
        soft = perturbed_softmax(logits, 0.5, noise)
        assert soft is not None
        torch.testing.assert_close(soft, compose(logits, 0.5, noise), msg=name)
        weight = layout(randn(4, 6, k, seed=2))
        gradients = [torch.autograd.grad((y * weight).sum(), logits)[0] for y in (soft, compose(logits, 0.5, noise))]
        torch.testing.assert_close(*gradients, msg=name)


def test_extreme_logits() -> None:
    """Rows that overflow an exponential are right; rows without a class are NaN, as PyTorch's softmax has them."""
    for k in (3, 20):
        logits = randn(4, k) * 1e4
        logits[3] = -torch.inf
        soft = perturbed_softmax(logits, 0.1)
        torch.testing.assert_close(soft, compose(logits, 0.1), equal_nan=True)


def test_drawn_noise_is_that_of_the_layer() -> None:
    """One seed gives the noise of ``gumbel_noise``, over blocks of odd rows too, and the gradient of that sample."""
    for shape in [(4, 3), (7001, 11), (301, 501), (3, softmax._BLOCK + 1)]:
        logits, weight = randn(*shape).requires_grad_(), randn(*shape, seed=2)
        for temperature in (0.5, torch.rand(shape[0], 1) + 0.3):
            soft = drawn_softmax(logits, temperature, torch.Generator().manual_seed(1))
            expected = compose(logits, temperature, gumbel_noise(logits, generator=torch.Generator().manual_seed(1)))
            assert soft is not None
            torch.testing.assert_close(soft, expected)
            gradients = [torch.autograd.grad((y * weight).sum(), logits)[0] for y in (soft, expected)]
            torch.testing.assert_close(*gradients)


def test_drawn_softmax_is_differentiable_twice() -> None:
    logits = randn(4, 5).requires_grad_()
    soft = drawn_softmax(logits, 0.7, torch.Generator().manual_seed(1))
    noise = gumbel_noise(logits, generator=torch.Generator().manual_seed(1))
    seconds = []
    for y in (soft, compose(logits, 0.7, noise)):
        assert y is not None
        (gradient,) = torch.autograd.grad(y.square().sum(), logits, create_graph=True)
        seconds.append(torch.autograd.grad(gradient.square().sum(), logits)[0])
    torch.testing.assert_close(*seconds)


def test_compiled_draw_equals_eager() -> None:
    logits = randn(40, 7).requires_grad_()

    def loss(logits: Tensor) -> Tensor:
        return (gumbel_softmax(2 * logits, torch.tensor(0.7)) ** 2).sum()

    gradients = []
    for function in (loss, torch.compile(loss, fullgraph=True)):
        torch.manual_seed(3)
        gradients.append(torch.autograd.grad(function(logits), logits)[0])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("k", [3, 17])
def test_second_derivative(k: int) -> None:
    logits = randn(2, 2, k, dtype=torch.float64).requires_grad_()
    noise = randn(2, 2, k, seed=1, dtype=torch.float64).requires_grad_()
    temperature = torch.rand(2, 1, 1, dtype=torch.float64) + 0.5
    assert torch.autograd.gradcheck(lambda a, b: OPERATOR(a, b, temperature), (logits, noise))
    assert torch.autograd.gradgradcheck(lambda a, b: OPERATOR(a, b, temperature), (logits, noise))


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # of opcheck
def test_operator_is_registered_right() -> None:
    """Schema, fake tensors, autograd and ahead-of-time tracing, by PyTorch's own checks."""
    logits, noise = randn(4, 5).requires_grad_(), randn(4, 5, seed=1)
    library.opcheck(OPERATOR, (logits, noise, torch.tensor(0.7)))
    library.opcheck(OPERATOR, (logits, None, torch.rand(4, 1) + 0.3))
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")  # the last one compares two draws
    library.opcheck(torch.ops.gumbelzoo.drawn_softmax, (logits, torch.tensor(0.7)), test_utils=tests)
    soft = compose(logits.detach(), 0.7).requires_grad_()
    library.opcheck(torch.ops.gumbelzoo.softmax_gradient, (noise.requires_grad_(), soft, torch.tensor(0.7)))


def test_compiled_call_equals_eager() -> None:
    logits, noise = randn(40, 7).requires_grad_(), randn(40, 7, seed=1)

    def loss(logits: Tensor) -> Tensor:
        return (gumbel_softmax(2 * logits, torch.tensor(0.7), noise=noise) ** 2).sum()

    gradients = [torch.autograd.grad(f(logits), logits)[0] for f in (loss, torch.compile(loss, fullgraph=True))]
    torch.testing.assert_close(*gradients)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch imports it for forward mode
def test_transforms_and_forward_mode() -> None:
    """vmap, jacrev, jacfwd, hessian and dual numbers go through PyTorch's own operators."""
    logits = randn(3, 4, dtype=torch.float64)
    weight = randn(4, seed=1, dtype=torch.float64)

    def cost(row: Tensor) -> Tensor:
        return (tempered_softmax(row, 0.5) * weight).sum() ** 2

    inputs = logits[0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cost(inputs), inputs)
    torch.testing.assert_close(torch.func.jacrev(cost)(logits[0]), gradient)
    torch.testing.assert_close(torch.func.jacfwd(cost)(logits[0]), gradient)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(cost))(logits)[0], gradient)
    hessian = torch.autograd.functional.hessian(cost, logits[0])
    torch.testing.assert_close(torch.func.hessian(cost)(logits[0]), hessian)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(logits[0], weight)
        tangent = forward_ad.unpack_dual(cost(dual)).tangent
    torch.testing.assert_close(tangent, gradient @ weight)


def test_autocast_and_inference_mode() -> None:
    logits = randn(6, 5)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        soft = tempered_softmax(logits, 0.5)
    assert soft.dtype == torch.float32
    torch.testing.assert_close(soft.clone(), compose(logits, 0.5))


@pytest.mark.parametrize("k", [1, 2, 10, 15, 16, 40])
def test_log_softmax(k: int) -> None:
    """Values and gradients are PyTorch's, of large, masked and forbidden rows too."""
    logits = 100 * randn(6, k)
    logits[0, 1:], logits[1] = -torch.inf, logits[1] + 1e6
    logits.requires_grad_()
    torch.testing.assert_close(log_softmax(logits), logits.log_softmax(-1))
    weight = randn(6, k, seed=1)
    results = (log_softmax(logits), logits.log_softmax(-1))
    gradients = [torch.autograd.grad((y.exp() * weight).sum(), logits)[0] for y in results]
    torch.testing.assert_close(*gradients)
    assert log_softmax(torch.full((2, k), -torch.inf)).isnan().all()
    assert log_softmax(logits.bfloat16()).dtype == torch.float32


def test_straight_through_costs_no_pass() -> None:
    """The value is the hard sample itself, the gradient that of the soft one, to any order."""
    logits = randn(4, 3, dtype=torch.float64).requires_grad_()
    hard = torch.eye(3, dtype=torch.float64)[[0, 2, 1, 1]]
    z = straight_through(hard, tempered_softmax(logits, 0.5))
    assert torch.equal(z, hard) and z.data_ptr() == hard.data_ptr()
    weight = randn(4, 3, seed=1, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((z * weight).sum(), logits, create_graph=True)
    (expected,) = torch.autograd.grad((compose(logits, 0.5) * weight).sum(), logits, create_graph=True)
    torch.testing.assert_close(gradient, expected)
    second = [torch.autograd.grad(g.square().sum(), logits, retain_graph=True)[0] for g in (gradient, expected)]
    torch.testing.assert_close(*second)
    assert straight_through(hard, compose(logits, 0.5).detach()) is hard
    mapped = torch.func.vmap(torch.func.grad(lambda x, h: (straight_through(h, compose(x, 0.5)) * weight[0]).sum()))
    assert mapped(logits.detach(), hard).shape == logits.shape
