"""What is not a logit, a code or a mask, and tensors without a value: traced and fake ones."""

from collections.abc import Callable

import pytest
import torch
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.models.relaxed.densities import categorical_kl, concrete_log_prob, entropy, log_prob
from gumbelzoo.models.relaxed.sampling import (
    argmax,
    categorical_sample,
    exponential_race,
    gumbel_max,
    gumbel_softmax,
    hard_from_soft,
    mask_logits,
    mode,
    one_hot,
    tempered_softmax,
)
from gumbelzoo.models.relaxed.surrogate import straight_through
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def log_density(logits: Tensor, temperature: Tensor) -> Tensor:
    return concrete_log_prob(logits.log_softmax(-1), logits, temperature)


WHOLE = [torch.int64, torch.uint8, torch.bool]
TAKES_LOGITS = {
    "gumbel_max": gumbel_max,
    "exponential_race": exponential_race,
    "categorical_sample": categorical_sample,
    "gumbel_softmax": lambda logits: gumbel_softmax(logits, 1.0),
    "tempered_softmax": lambda logits: tempered_softmax(logits, 1.0),
    "straight_through, hard": lambda logits: straight_through(logits, randn(*logits.shape)),
    "straight_through, soft": lambda logits: straight_through(randn(*logits.shape), logits),
    "hard_from_soft": hard_from_soft,
    "argmax": argmax,
    "mode": mode,
    "mask_logits": lambda logits: mask_logits(logits, None),
    "entropy": entropy,
    "categorical_kl": categorical_kl,
    "log_prob": lambda logits: log_prob(logits, torch.zeros(logits.shape[:-1], dtype=torch.int64)),
    "layer": lambda logits: RelaxedCategorical()(logits),
    "layer, eval": lambda logits: RelaxedCategorical().eval()(logits),
    "layer, expectation": lambda logits: RelaxedCategorical().expectation(logits, lambda z: z[..., 0]),
    "layer, kl": lambda logits: RelaxedCategorical().kl(logits),
    "layer, sample": lambda logits: RelaxedCategorical().sample(logits),
    "layer, mode": lambda logits: RelaxedCategorical().mode(logits),
}


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize("name", TAKES_LOGITS)
def test_whole_number_logits_are_refused(name: str, dtype: torch.dtype) -> None:
    """Cast back to whole numbers, probabilities would be zeros."""
    with pytest.raises(ValueError, match=r"^(logits|values|hard|soft) must be floating point, got .*\.float\(\)$"):
        TAKES_LOGITS[name](torch.tensor([[1, 2, 3]]).to(dtype))


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize("name", TAKES_LOGITS)
def test_logits_without_a_class_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must have a last axis of one class or more, got shape"):
        TAKES_LOGITS[name](torch.zeros(3, 0))


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_codes_of_another_type_are_refused(dtype: torch.dtype) -> None:
    codes = torch.tensor([1, 0]).to(dtype)
    for call in (lambda: one_hot(codes, 3), lambda: log_prob(randn(2, 3), codes)):
        with pytest.raises(ValueError, match=r"codes must be whole numbers, got torch\.(float32|bool)"):
            call()


@pytest.mark.usefixtures("unannotated")
def test_codes_of_any_integer_type_are_encoded() -> None:
    for dtype in (torch.uint8, torch.int32):
        assert one_hot(torch.tensor([2, 0], dtype=dtype), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
        assert torch.equal(
            log_prob(randn(2, 3), torch.tensor([2, 0], dtype=dtype)), log_prob(randn(2, 3), torch.tensor([2, 0]))
        )


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float32])
def test_mask_that_is_not_boolean_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=r"^mask must be boolean, True where .*; use mask\.bool\(\)$"):
        gumbel_max(randn(2, 3), mask=torch.ones(2, 3, dtype=dtype))


@pytest.mark.parametrize("sample", [gumbel_softmax, tempered_softmax, log_density])
def test_whole_number_temperature_is_that_number(sample: Callable[..., Tensor]) -> None:
    """A tensor of whole numbers is not rounded to anything else."""
    for temperature in (torch.tensor(2), torch.tensor([2, 1])):
        torch.manual_seed(0)
        expected = sample(randn(2, 3), temperature.float())
        torch.manual_seed(0)
        assert torch.equal(sample(randn(2, 3), temperature), expected)


@pytest.mark.usefixtures("unannotated")
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_traced_mode_is_not_that_of_the_example() -> None:
    traced = torch.jit.trace(hard_from_soft, randn(4, 9))
    assert torch.equal(traced(randn(4, 9, seed=5)), hard_from_soft(randn(4, 9, seed=5)))
    graph = make_fx(hard_from_soft)(randn(4, 9))
    assert torch.equal(graph(randn(4, 9, seed=5)), hard_from_soft(randn(4, 9, seed=5)))


def test_fake_tensors_have_the_shapes() -> None:
    with FakeTensorMode() as mode:
        logits = mode.from_tensor(randn(4, 9))
        assert gumbel_softmax(logits, 1.0).shape == hard_from_soft(logits).shape == (4, 9)
        assert gumbel_max(logits).shape == categorical_sample(logits).shape == (4,)
