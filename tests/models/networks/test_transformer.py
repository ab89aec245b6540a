"""The transformer: cache, masks, positions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from gumbelzoo.models.networks.transformer import Transformer, attention_mask, rotary_angles, rotate
from torch import Tensor

WIDTH, LENGTH = 12, 9
POSITIONS = [pytest.param(LENGTH, id="learned"), pytest.param(None, id="rotary")]


def small(length: int | None = LENGTH, causal: bool = True, dropout: float = 0.0) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(WIDTH, depth=3, heads=2, length=length, causal=causal, dropout=dropout)
    with torch.no_grad():  # attention that prefers some positions
        for block in model.blocks:
            block.attention.inputs.weight.mul_(4)
    return model


def sequence(n: int = LENGTH, b: int = 4) -> Tensor:
    return torch.randn(b, n, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("length", POSITIONS)
@pytest.mark.parametrize("parts", [[1] * LENGTH, [4, 1, 3, 1], [LENGTH]], ids=str)
def test_cached_parts_equal_the_whole(length: int | None, parts: list[int]) -> None:
    """In float64, where the order of additions does not matter."""
    model, x = small(length).double(), sequence().double()
    cache = model.cache()
    pieces = [model(part, cache=cache) for part in x.split(parts, 1)]
    assert torch.allclose(torch.cat(pieces, 1), model(x), atol=1e-12)
    assert [entry.length for entry in cache] == [LENGTH] * 3


def test_gradients_pass_through_the_cache() -> None:
    model, x = small(), sequence().requires_grad_()
    (whole,) = torch.autograd.grad(model(x)[:, -1].square().sum(), x)
    cache = model.cache()
    last = [model(part, cache=cache) for part in x.split(1, 1)][-1]
    (parts,) = torch.autograd.grad(last.square().sum(), x)
    assert whole[:, 0].abs().sum() > 0 and torch.allclose(whole, parts, atol=1e-5)


@pytest.mark.parametrize("length", POSITIONS)
def test_causal_attention(length: int | None) -> None:
    """Gradients reach the position itself and earlier ones only."""
    model, x = small(length), sequence().requires_grad_()
    for i in (0, 3, LENGTH - 1):
        (gradient,) = torch.autograd.grad(model(x)[:, i].square().sum(), x)
        assert (gradient[:, : i + 1].abs().sum(-1) > 0).all() and not gradient[:, i + 1 :].any()


@pytest.mark.parametrize("length", POSITIONS)
def test_bidirectional_attention(length: int | None) -> None:
    model, x = small(length, causal=False), sequence().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[:, 2].square().sum(), x)
    assert (gradient.abs().sum(-1) > 0).all()


@pytest.mark.parametrize("causal", [True, False])
def test_padding_on_the_right(causal: bool) -> None:
    """Sequences of several lengths in one batch give the same outputs as each alone."""
    model, x, lengths = small(causal=causal).double(), sequence().double(), [9, 5, 1, 7]
    valid = torch.arange(LENGTH) < torch.tensor(lengths)[:, None]
    padded = x.masked_fill(~valid[..., None], 1e3)
    out = model(padded, valid=valid)
    assert out.isfinite().all()
    for i, n in enumerate(lengths):
        assert torch.allclose(out[i, :n], model(x[i : i + 1, :n])[0], atol=1e-12)


def test_padding_on_the_left_with_a_cache() -> None:
    """Prompts of several lengths that end together and are continued; rotary attention depends on distances only."""
    model, x, lengths = small(None), sequence(), [6, 3, 1, 5]
    valid = torch.arange(LENGTH) >= torch.tensor([[6 - n] for n in lengths])
    cache = model.cache()
    model(x[:, :6].masked_fill(~valid[:, :6, None], 1e3), valid=valid[:, :6], cache=cache)
    for m in range(7, LENGTH + 1):
        out = model(x[:, m - 1 : m], valid=valid[:, :m], cache=cache)
        for i, n in enumerate(lengths):
            assert torch.allclose(out[i, 0], model(x[i : i + 1, 6 - n : m])[0, -1], atol=1e-5)


@pytest.mark.parametrize("length", POSITIONS)
def test_the_order_matters(length: int | None) -> None:
    model, x = small(length), sequence()
    assert not torch.allclose(model(x)[:, -1], model(x[:, [1, 0, *range(2, LENGTH)]])[:, -1], atol=1e-3)


def test_rotary_products_depend_on_distance() -> None:
    q, k = torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(0)).double()

    def product(i: int, j: int) -> Tensor:
        angles = rotary_angles(torch.tensor([i, j]).double(), 8)
        return (rotate(q, angles[:1]) * rotate(k, angles[1:])).sum()

    assert torch.allclose(product(7, 3), product(104, 100))
    assert not torch.allclose(product(7, 3), product(7, 4))
    assert torch.allclose(rotate(q, rotary_angles(torch.tensor([5.0]), 8).double()).norm(), q.norm())


def test_no_mask_for_full_attention() -> None:
    assert attention_mask(5, 5, causal=False) is None
    assert attention_mask(1, 5, causal=True) is None
    mask = attention_mask(2, 4, causal=True)
    assert mask is not None and mask.tolist() == [[True, True, True, False], [True] * 4]


def test_padding_attends_to_itself() -> None:
    """A softmax over nothing is NaN in some kernels."""
    mask = attention_mask(3, 3, causal=True, valid=torch.tensor([[False, False, True]]))
    assert mask is not None and mask[0, 0].tolist() == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]


def test_every_transformer_weight_gets_gradient() -> None:
    """And dropout applies in training only."""
    model, x = small(dropout=0.5), sequence()
    assert not torch.equal(model(x), model(x))
    model(x).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name
    model.eval()
    assert torch.equal(model(x), model(x))


def test_transformer_mistakes_name_the_fix() -> None:
    with pytest.raises(ValueError, match="divisible"):
        Transformer(10, 1, 3)
    with pytest.raises(ValueError, match="even parts"):
        Transformer(6, 1, 2)
    with pytest.raises(ValueError, match="learned 9 positions"):
        small()(sequence(10))
    model = small(causal=False)
    with pytest.raises(ValueError, match="causal=True"):
        model(sequence(), cache=model.cache())


def test_rotary_angles_are_float32_in_16_bit_steps(default_dtype: Callable[[torch.dtype], None]) -> None:
    """Positions of eight bits would be equal from 256 on."""
    expected = rotary_angles(torch.arange(1000), 8)
    default_dtype(torch.bfloat16)
    assert torch.equal(rotary_angles(torch.arange(1000), 8), expected)
