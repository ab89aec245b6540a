"""Batches that no quantizer may learn from, and transforms around it: refused before anything has moved, or right."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from gumbelzoo.models.quantizers import Quantizer
from gumbelzoo.models.quantizers.vector import VectorQuantizer
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

Make = Callable[[], Quantizer]


def state(quantizer: Quantizer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in quantizer.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def total(vectors: Tensor) -> Tensor:
    return vectors.flatten(1).sum(1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("batches", [0, 2])
@pytest.mark.parametrize("coordinate", [0, 3])
def test_bad_vector_moves_no_statistics(make: Make, z: Tensor, bad: float, batches: int, coordinate: int) -> None:
    """One NaN would stay in a moving average for ever: also the last coordinate, which a last codebook takes."""
    quantizer = make()
    for _ in range(batches):
        quantizer(z)
    before, broken = state(quantizer), z.clone()
    broken[-1, -1, -1, coordinate] = bad
    with pytest.raises(ValueError, match=r"^vectors to quantize contain NaN or inf"):
        quantizer(broken)
    with pytest.raises(ValueError, match=r"^vectors to quantize contain NaN or inf"):
        quantizer.expectation(broken, total)
    assert same(before, state(quantizer))
    with pytest.raises(ValueError, match=r"^vectors to quantize contain NaN or inf"):
        quantizer.eval().encode(broken)


def test_vectors_whose_squares_overflow(make: Make, z: Tensor) -> None:
    quantizer = make()
    before = state(quantizer)
    with pytest.raises(ValueError, match="their squares overflow"):
        quantizer(1e30 * z)
    assert same(before, state(quantizer))


def test_vectors_of_another_precision(make: Make, z: Tensor) -> None:
    """As NumPy gives, whose floats are float64: named before a matrix product fails."""
    with pytest.raises(ValueError, match=r"takes vectors of torch.float32, got torch.float64; use z.to"):
        make()(z.double())
    with pytest.raises(ValueError, match=r"takes vectors of torch.float64, got torch.float32; use z.to"):
        make().double().eval().encode(z)


def test_empty_batch(make: Make) -> None:
    """Means over no vectors do not exist; codes and KL of none are none."""
    quantizer, empty = make(), torch.randn(0, 3, 2, 4)
    before = state(quantizer)
    for mode in (True, False):
        quantizer.train(mode)
        for call in (lambda: quantizer(empty), lambda: quantizer.expectation(empty, total)):
            with pytest.raises(ValueError, match=r"one vector or more, got shape \(0, 3, 2, 4\)"):
                call()
        codes = quantizer.encode(empty)
        assert codes.shape == quantizer.sample_codes(empty).shape == (0, 3, 2, quantizer.codebooks)
        assert quantizer.decode(codes).shape == empty.shape
        assert quantizer.kl(empty).shape == (0,)
    assert same(before, state(quantizer))


def test_frozen_quantizer_does_not_move(make: Make, z: Tensor) -> None:
    """In training mode too, and it moves again once it is trained again."""
    quantizer = make()
    quantizer(z)
    before = state(quantizer.requires_grad_(False))
    with torch.no_grad():
        for _ in range(3):
            quantizer(z)
            quantizer.expectation(z, total)
    assert same(before, state(quantizer))
    quantizer.requires_grad_(True)(z)
    assert same(before, state(quantizer)) != quantizer.learns()


def gradient(call: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    z = z.clone().requires_grad_()
    torch.manual_seed(3)
    (grad,) = torch.autograd.grad((call(z) * torch.linspace(-1, 2, 4)).square().sum(), z)
    return grad


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_is_right_or_refused(make: Make, z: Tensor, reentrant: bool) -> None:
    """A second forward pass would see another codebook, and count the batch twice."""
    plain, recomputed = make(), make()
    for quantizer in (plain, recomputed):
        torch.manual_seed(1)
        for _ in range(3):
            quantizer(z)
    expected = gradient(lambda a: sum(plain(a)[::2]), z)  # vectors and loss

    def call(a: Tensor) -> Tensor:
        return checkpoint(lambda b: sum(recomputed(b)[::2]), a, use_reentrant=reentrant)

    if plain.learns():
        with pytest.raises(ValueError, match=r"^activation checkpointing cannot recompute .* the codebook"):
            backward(call, z)
    elif not reentrant:
        assert torch.equal(gradient(call, z), expected)
    if not reentrant or plain.learns():
        assert same(state(plain), state(recomputed))


def backward(call: Callable[[Tensor], Tensor], z: Tensor) -> None:
    torch.manual_seed(3)
    call(z.clone().requires_grad_()).square().sum().backward()


def test_vmap(make: Make, z: Tensor) -> None:
    quantizer = make()
    quantizer(z)
    if quantizer.learns():
        with pytest.raises(ValueError, match=r"cannot learn inside a torch.func transform"):
            torch.func.vmap(lambda a: quantizer(a).vectors, randomness="different")(z[:, None])
    quantizer.eval()
    vectors, codes = torch.func.vmap(lambda a: quantizer(a)[:2])(z[:, None])
    assert torch.equal(codes[:, 0], quantizer.encode(z))
    assert torch.allclose(vectors[:, 0], quantizer(z).vectors, atol=1e-6)
    assert torch.allclose(torch.func.vmap(quantizer.decode)(codes)[:, 0], quantizer(z).vectors, atol=1e-6)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore::torch.jit.TracerWarning")
def test_traced_codes_are_those_of_the_input(make: Make, z: Tensor) -> None:
    """Not those of the example, also for more examples than it had."""
    quantizer = make()
    quantizer(z)
    traced, other = torch.jit.trace_module(quantizer.eval(), {"encode": z}), torch.randn(7, 3, 2, 4)
    assert torch.equal(traced.encode(other), quantizer.encode(other))


def test_fake_tensors_have_the_shapes(make: Make, z: Tensor) -> None:
    """A codebook cannot learn from them."""
    quantizer = make()
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        if quantizer.learns():
            with pytest.raises(ValueError, match="or from fake tensors"):
                quantizer(mode.from_tensor(z))
        quantizer.eval()
        quantized = quantizer(mode.from_tensor(z))
        assert quantized.vectors.shape == z.shape and quantizer.decode(quantized.codes).shape == z.shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_codes_of_another_type_are_refused(make: Make, dtype: torch.dtype) -> None:
    quantizer = make()
    with pytest.raises(ValueError, match="codes must be whole numbers"):
        quantizer.decode(torch.zeros(3, quantizer.codebooks, dtype=dtype))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Dynamo does not know how to trace")
def test_compiled_quantizer_refuses_bad_vectors(z: Tensor) -> None:
    """In training mode, where it reads values anyway."""
    quantizer = VectorQuantizer(4, 16)
    compiled = torch.compile(quantizer, backend="eager")
    compiled(z)
    before = state(quantizer)
    with pytest.raises(ValueError, match="contain NaN"):
        compiled(z * math.nan)
    assert same(before, state(quantizer))
