"""The exact marginal of one variable: formula, gradient, masks, and its place above the bounds."""

from __future__ import annotations

import math

import pytest
import torch
from gumbelzoo.models.relaxed import RelaxedCategorical
from torch import Tensor

LAYER = RelaxedCategorical("exact")


def test_marginal_formula() -> None:
    """log sum_i q_i p_i; gradients are the responsibilities, and the responsibilities minus q."""
    torch.manual_seed(0)
    logits, log_likelihood = (torch.randn(5, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    value = LAYER.log_marginal(logits, log_likelihood)
    q = logits.softmax(-1)
    torch.testing.assert_close(value, (q * log_likelihood.exp()).sum(-1).log())
    value.sum().backward()
    responsibilities = q * log_likelihood.exp() / value.exp()[:, None]
    torch.testing.assert_close(log_likelihood.grad, responsibilities.detach())
    torch.testing.assert_close(logits.grad, (responsibilities - q).detach())
    assert torch.autograd.gradcheck(LAYER.log_marginal, (logits, log_likelihood))


@pytest.mark.parametrize("how", ["mask", "logits"])
@pytest.mark.parametrize("k", [3, 20])
def test_masked_category_has_no_marginal(how: str, k: int) -> None:
    """Whatever its likelihood is: infinite, or NaN where a mask hides padding."""
    mask = torch.ones(4, k, dtype=torch.bool)
    mask[:, 1] = False
    logits = torch.randn(4, k, requires_grad=True)
    log_likelihood = torch.randn(4, k)
    log_likelihood[:, 1] = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0])
    log_likelihood.requires_grad_()
    given = logits if how == "mask" else logits.masked_fill(~mask, -math.inf)
    value = LAYER.log_marginal(given, log_likelihood, mask=mask if how == "mask" else None)
    kept = [t.detach()[mask].view(4, k - 1) for t in (logits, log_likelihood)]
    torch.testing.assert_close(value, LAYER.log_marginal(*kept))
    value.sum().backward()
    for leaf in (logits, log_likelihood):
        assert leaf.grad is not None and leaf.grad.isfinite().all()
        assert (leaf.grad[:, 1] == 0).all() and (leaf.grad[mask] != 0).all()


def test_impossible_data_has_marginal_zero() -> None:
    logits, log_likelihood = torch.zeros(2, 3).requires_grad_(), torch.full((2, 3), -math.inf)
    log_likelihood[1, 0] = -1.0
    value = LAYER.log_marginal(logits, log_likelihood)
    value[1].backward()
    torch.testing.assert_close(value, torch.tensor([-math.inf, -1 - math.log(3)]))
    assert logits.grad is not None and logits.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_marginal_of_other_dtypes(dtype: torch.dtype) -> None:
    """Computed and returned in float32 at least."""
    logits, log_likelihood = torch.randn(5, 4).to(dtype), torch.randn(5, 4).to(dtype)
    value = LAYER.log_marginal(logits, log_likelihood)
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    expected = LAYER.log_marginal(logits.double(), log_likelihood.double())
    torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-6)


def test_marginal_is_above_bound_and_expectation() -> None:
    """Exact in all three: log p >= bound of 3 samples >= of 2 >= E[log p(x | z)]; with one sample they are equal."""
    torch.manual_seed(0)
    logits, log_likelihood = torch.randn(200, 4, dtype=torch.float64), 3 * torch.randn(200, 4, dtype=torch.float64)

    def given(z: Tensor) -> Tensor:
        return (z * log_likelihood).sum(-1)

    marginal = LAYER.log_marginal(logits, log_likelihood)
    three, two, one = (LAYER.multi_sample_bound(logits, given, m) for m in (3, 2, 1))
    expectation = LAYER.expectation(logits, given)
    assert (marginal > three).all() and (three > two).all() and (two > expectation).all()
    torch.testing.assert_close(one, expectation)
    torch.testing.assert_close(LAYER.eval().log_marginal(logits, log_likelihood), marginal)
    LAYER.train()


@pytest.mark.usefixtures("unannotated")
def test_marginal_of_wrong_inputs_raises() -> None:
    with pytest.raises(ValueError, match="needs one log-likelihood per class"):
        LAYER.log_marginal(torch.zeros(2, 3), torch.zeros(2, 1))
    with pytest.raises(ValueError, match="all classes of a row are masked"):
        LAYER.log_marginal(torch.full((2, 3), -math.inf), torch.zeros(2, 3))


def test_compiled_marginal() -> None:
    logits, log_likelihood = torch.randn(5, 4), torch.randn(5, 4)
    compiled = torch.compile(LAYER.log_marginal, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(logits, log_likelihood), LAYER.log_marginal(logits, log_likelihood))
