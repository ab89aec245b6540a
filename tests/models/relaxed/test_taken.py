"""No category twice: the mask of what earlier choices have taken."""

from __future__ import annotations

import math

import pytest
import torch
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical, exclude_taken
from gumbelzoo.models.relaxed.sampling import one_hot

ONE_HOT = [name for name in ESTIMATORS.names() if ESTIMATORS[name].pathwise and ESTIMATORS[name].one_hot_forward]


def test_two_relaxed_choices_are_finite() -> None:
    """Each choice masks for itself: log1p of minus their sum would be NaN."""
    logits, z = torch.zeros(3), torch.tensor([0.9, 0.1, 0.0])
    lowered = exclude_taken(logits, z, z)
    torch.testing.assert_close(lowered.exp(), torch.tensor([0.01, 0.81, 1.0]))
    torch.testing.assert_close(lowered, exclude_taken(exclude_taken(logits, z), z))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_taken_category_has_zero_gradient(dtype: torch.dtype) -> None:
    """For both one-hots and codes; a relaxed choice beside it keeps its own gradient."""
    logits = torch.zeros(2, 3, dtype=dtype, requires_grad=True)
    hard = one_hot(torch.tensor([0, 2]), 3, dtype).requires_grad_()
    relaxed = torch.tensor([0.25, 0.5, 0.25], dtype=dtype, requires_grad=True)
    lowered = exclude_taken(logits, hard, relaxed)
    assert lowered.dtype == dtype
    assert torch.equal(lowered.isneginf(), hard.bool())
    assert torch.equal(lowered, exclude_taken(logits, torch.tensor([0, 2]), relaxed))
    weight = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]], dtype=dtype)
    (lowered.softmax(-1) * weight).sum().backward()
    for leaf in (logits, hard, relaxed):
        assert leaf.grad is not None and leaf.grad.isfinite().all()
    assert (logits.grad[hard.bool()] == 0).all() and (logits.grad[~hard.bool()] != 0).all()
    assert (hard.grad[hard.bool()] == 0).all() and (hard.grad[~hard.bool()] != 0).all()


def test_taken_gradients_are_right() -> None:
    logits = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    relaxed = [torch.randn(2, 4, dtype=torch.float64).softmax(-1).requires_grad_() for _ in range(3)]
    assert torch.autograd.gradcheck(exclude_taken, (logits, *relaxed))
    assert torch.autograd.gradgradcheck(exclude_taken, (logits, *relaxed))


@pytest.mark.parametrize("name", [*ONE_HOT, "eval"])
def test_slates_have_no_repeats(name: str) -> None:
    """100,000 slates of 4 of 5 items, with a strong preference for one of them."""
    layer = RelaxedCategorical("gumbel_softmax").eval() if name == "eval" else RelaxedCategorical(name, 0.5)
    logits, slates = torch.randn(100_000 // layer.estimator.noise_draws, 5), []
    logits[:, 0] += 20
    for _ in range(4):
        slates.append(layer(exclude_taken(logits, *slates)))
    assert sum(slates).max() == 1


def test_everything_taken_raises() -> None:
    layer, z = RelaxedCategorical(), one_hot(torch.tensor([[0], [1]]), 2)
    with pytest.raises(ValueError, match="all classes of a row are masked"):
        layer(exclude_taken(torch.zeros(1, 2), *z))


def test_choice_of_wrong_size_raises() -> None:
    with pytest.raises(ValueError, match="must be among the 3 categories"):
        exclude_taken(torch.zeros(2, 3), torch.zeros(2, 1))
    with pytest.raises(ValueError, match="codes must be whole numbers"):
        exclude_taken(torch.zeros(2, 3), torch.tensor([True, False]))
    for code in (-1, 3):
        with pytest.raises(ValueError, match=rf"codes must be in \[0, 3\), one of 3 values, got {code}"):
            exclude_taken(torch.zeros(2, 3), torch.tensor([0, code]))


def test_compiled_mask_of_taken() -> None:
    logits, taken = torch.zeros(2, 3), torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0]])
    lowered = torch.compile(exclude_taken, fullgraph=True, backend="aot_eager")(logits, taken)
    half = math.log(0.5)
    torch.testing.assert_close(lowered, torch.tensor([[-math.inf, 0, 0], [half, half, 0]]))
