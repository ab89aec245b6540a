"""Sampling functions: distributions, edge cases, dtypes, transforms and errors."""

from collections.abc import Callable

import pytest
import torch
from gumbelzoo.models.relaxed.noise import exponential_noise, gumbel_noise
from gumbelzoo.models.relaxed.sampling import (
    categorical_sample,
    exponential_race,
    gumbel_max,
    gumbel_softmax,
    hard_from_soft,
    one_hot,
    tempered_softmax,
)
from gumbelzoo.models.relaxed.surrogate import straight_through
from gumbelzoo.models.relaxed.temperature import align_temperature
from scipy import stats
from torch import Tensor

SAMPLERS = [gumbel_max, exponential_race, categorical_sample]
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
Sampler = Callable[..., Tensor]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


def st_gumbel_softmax(logits: Tensor, temperature: float | Tensor, **options: object) -> Tensor:
    soft = gumbel_softmax(logits, temperature, **options)
    return straight_through(hard_from_soft(soft), soft)


def is_one_hot(z: Tensor) -> bool:
    return bool(((z == 0) | (z == 1)).all() and (z.float().sum(-1) == 1).all())


def chi_square(codes: Tensor, logits: Tensor) -> float:
    """The p-value of the codes' frequencies, classes with fewer than 10 expected draws pooled."""
    expected = logits.double().softmax(-1) * codes.numel()
    observed = torch.bincount(codes.flatten(), minlength=len(logits)).double()
    rare = expected < 10
    if rare.any():
        expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
        observed = torch.cat([observed[~rare], observed[rare].sum()[None]])
    return stats.chisquare(observed.numpy(), expected.numpy()).pvalue


# -- distributions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", SAMPLERS)
@pytest.mark.parametrize("k", [2, 10, 64, 65, 96, 1000])
def test_frequencies_equal_softmax(sample: Sampler, k: int) -> None:
    logits, rows = 2 * randn(k, seed=k), 200_000 if k < 100 else 20_000
    codes = sample(logits.expand(rows, k), generator=generator())
    assert codes.shape == (rows,)
    assert codes.dtype == torch.int64
    assert chi_square(codes, logits) > 1e-3


@pytest.mark.parametrize("sample", SAMPLERS)
def test_frequencies_of_many_classes(sample: Sampler) -> None:
    logits = 3 * randn(5003)
    codes = torch.cat([sample(logits.expand(2_000, 5003), generator=generator(i)) for i in range(10)])
    assert chi_square(codes, logits) > 1e-3


@pytest.mark.parametrize("sample", SAMPLERS)
def test_rare_classes_after_a_dominant_one(sample: Sampler) -> None:
    # 300 classes of 2e-6 each follow one of 0.9994: float32 sums near 1 have steps of 6e-8.
    logits = torch.full((301,), 2e-6).log()
    logits[0] = torch.tensor(1 - 300 * 2e-6).log()
    codes = torch.cat([sample(logits.expand(50_000, 301), generator=generator(i)) for i in range(8)])
    observed, expected = (codes != 0).sum().item(), 300 * 2e-6 * len(codes)
    assert abs(observed - expected) < 4 * expected**0.5


def test_gumbel_max_is_argmax_of_relaxed_sample() -> None:
    logits = randn(5000, 10)
    noise = gumbel_noise(logits, generator=generator())
    codes = gumbel_max(logits, noise=noise)
    for temperature in (0.1, 1.0, 10.0):
        assert torch.equal(codes, gumbel_softmax(logits, temperature, noise=noise).argmax(-1))
    assert torch.equal(codes, exponential_race(logits, noise=(-noise).exp()))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_relaxed_sample_equals_the_formula(temperature: float) -> None:
    logits = randn(100, 7)
    noise = gumbel_noise(logits, generator=generator())
    expected = ((logits.double() + noise.double()) / temperature).softmax(-1)
    torch.testing.assert_close(
        gumbel_softmax(logits, temperature, noise=noise).double(), expected, rtol=1e-4, atol=1e-6
    )


def test_generator_repeats_the_draw() -> None:
    """It leaves the global state alone."""
    state, logits = torch.get_rng_state(), randn(50, 100)
    for sample in [*SAMPLERS, lambda x, generator: gumbel_softmax(x, 1.0, generator=generator)]:
        first = sample(logits, generator=generator(1))
        assert torch.equal(first, sample(logits, generator=generator(1)))
        assert not torch.equal(first, sample(logits, generator=generator(2)))
    assert torch.equal(torch.get_rng_state(), state)


# -- edge cases --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", SAMPLERS)
@pytest.mark.parametrize("k", [5, 64, 100, 5000])
def test_masked_classes_are_never_drawn(sample: Sampler, k: int) -> None:
    allowed = torch.rand(k, generator=generator(k)) < 0.3
    allowed[k // 2] = True
    logits = torch.where(allowed, -40.0, 40.0).expand(2000, k)
    by_mask = sample(logits, mask=allowed, generator=generator())
    assert allowed[by_mask].all()
    by_logit = sample(logits.masked_fill(~allowed, -torch.inf), generator=generator())
    assert torch.equal(by_mask, by_logit)


@pytest.mark.parametrize("sample", SAMPLERS)
@pytest.mark.parametrize("k", [1, 5, 100, 5000])
def test_all_but_one_masked(sample: Sampler, k: int) -> None:
    only = torch.randint(k, (500,), generator=generator())
    mask = torch.nn.functional.one_hot(only, k).bool()
    assert torch.equal(sample(randn(500, k), mask=mask), only)


@pytest.mark.parametrize("u", [0.0, 1 - 2.0**-53, 1.0])
def test_inversion_with_extreme_uniforms(u: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """No class of weight zero is drawn, also where sums are rounded."""
    logits = torch.full((3, 200), -torch.inf)
    logits[:, 10:50] = 0.0
    logits[:, 120] = torch.tensor(1e-12).log()
    cumsum = torch.Tensor.cumsum
    monkeypatch.setattr(torch, "rand", lambda shape, dtype, device, generator: torch.full(shape, u, dtype=dtype))
    monkeypatch.setattr(torch.Tensor, "cumsum", lambda x, dim: cumsum(x, dim) + 1e-30)
    assert categorical_sample(logits).tolist() == [10 if u == 0 else 120] * 3


@pytest.mark.parametrize("given", ["mask", "logit"])
@pytest.mark.parametrize("kind", ["number", "per row"])
@pytest.mark.parametrize("relax", [gumbel_softmax, st_gumbel_softmax, tempered_softmax])
def test_masked_classes_have_finite_gradients(given: str, kind: str, relax: Sampler) -> None:
    """They get no weight, and no NaN reaches logits or temperature."""
    logits = randn(6, 5).requires_grad_()
    mask = torch.eye(6, 5).bool() | (torch.arange(6) > 3)[:, None]  # all but one masked in the first rows
    mask[4, 2] = False
    mask[:, 0] |= ~mask.any(-1)
    temperature = torch.linspace(0.5, 2, 6).requires_grad_() if kind == "per row" else 0.7
    if given == "mask" and relax is not tempered_softmax:
        y = relax(logits, temperature, mask=mask)
    else:
        y = relax(logits.masked_fill(~mask, -torch.inf), temperature)
    assert (y[~mask] == 0).all()
    assert y.isfinite().all()
    torch.testing.assert_close(y.sum(-1), torch.ones(6))
    (y * randn(6, 5, seed=1)).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert (logits.grad[~mask] == 0).all()
    assert (logits.grad[5] != 0).all()
    if isinstance(temperature, Tensor):
        assert temperature.grad is not None
        assert temperature.grad.isfinite().all()
        assert temperature.grad[5] != 0


@pytest.mark.parametrize("temperature", [1e-4, 1e-2, 1.0, 100.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_finite_at_any_temperature_and_dtype(temperature: float, dtype: torch.dtype) -> None:
    logits = (10 * randn(500, 20)).to(dtype).requires_grad_()
    y = gumbel_softmax(logits, temperature)
    assert y.dtype == dtype
    assert y.isfinite().all()
    (y * randn(500, 20, seed=1).to(dtype)).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    logits = randn(300, 50).to(dtype)
    noise = gumbel_noise(logits, generator=generator())
    y = gumbel_softmax(logits, 0.5, noise=noise)
    assert torch.equal(y, gumbel_softmax(logits.float(), 0.5, noise=noise).to(dtype))
    assert torch.equal(gumbel_max(logits, noise=noise), gumbel_max(logits.float(), noise=noise))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_changes_nothing(dtype: torch.dtype) -> None:
    logits = randn(300, 100).to(dtype)
    noise = gumbel_noise(logits, generator=generator())
    y, hard = gumbel_softmax(logits, 0.5, noise=noise), st_gumbel_softmax(logits, 0.5, noise=noise)
    codes = [sample(logits, generator=generator(1)) for sample in SAMPLERS]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(gumbel_softmax(logits, 0.5, noise=noise), y)
        assert y.dtype == dtype
        assert torch.equal(st_gumbel_softmax(logits, 0.5, noise=noise), hard)
        for sample, expected in zip(SAMPLERS, codes, strict=True):
            assert torch.equal(sample(logits, generator=generator(1)), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_straight_through_value_and_gradient(dtype: torch.dtype) -> None:
    """A one-hot value with the gradient of the relaxed sample."""
    logits = randn(2000, 10).to(dtype).requires_grad_()
    noise, weight = gumbel_noise(logits, generator=generator()), randn(2000, 10, seed=1).to(dtype)
    soft = gumbel_softmax(logits, 0.7, noise=noise)
    hard = straight_through(hard_from_soft(soft), soft)
    assert is_one_hot(hard)
    assert hard.dtype == dtype
    (gradient,) = torch.autograd.grad((hard * weight).sum(), logits)
    (expected,) = torch.autograd.grad((gumbel_softmax(logits, 0.7, noise=noise) * weight).sum(), logits)
    assert torch.equal(gradient, expected)
    assert (gradient != 0).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_ties_give_one_hot_vectors(dtype: torch.dtype) -> None:
    tied = torch.tensor([[0.25] * 4, [0.5, 0.5, 0, 0], [0, 0.1, 0.45, 0.45]], dtype=dtype)
    assert torch.equal(hard_from_soft(tied).argmax(-1), torch.tensor([0, 0, 2]))
    assert is_one_hot(hard_from_soft(tied))
    assert hard_from_soft(tied).dtype == dtype
    z = one_hot(torch.tensor([[0, 3], [1, 1]]), 4, dtype)
    assert z.shape == (2, 2, 4)
    assert z.dtype == dtype
    assert is_one_hot(z)
    assert gumbel_max(tied, noise=torch.zeros(3, 4)).tolist() == [0, 0, 2]


# -- temperatures ------------------------------------------------------------------------------------------------------


def test_temperature_is_aligned_from_the_left() -> None:
    logits = randn(3, 3, 3)  # every axis alike, so that a wrong broadcast raises no error
    noise = gumbel_noise(logits, generator=generator())
    per_row = torch.rand(3, 3, generator=generator()) + 0.5
    for temperature in (per_row, per_row[:, 0], per_row[:, :1], per_row[:1], per_row[0, 0], per_row[..., None]):
        y = gumbel_softmax(logits, temperature, noise=noise)
        full = torch.as_tensor(align_temperature(temperature, logits))  # a scalar is returned as a number
        for i in range(3):
            for j in range(3):
                expected = gumbel_softmax(logits[i, j], full.expand(3, 3, 1)[i, j].item(), noise=noise[i, j])
                torch.testing.assert_close(y[i, j], expected)
    by_sample = align_temperature(per_row[:, 0], logits)
    assert isinstance(by_sample, Tensor)
    assert torch.equal(by_sample, per_row[:, :1, None])


def test_temperature_of_a_network_gets_a_gradient() -> None:
    network = torch.nn.Linear(4, 1)
    logits, x = randn(6, 3, 5), randn(6, 4)
    y = gumbel_softmax(logits, network(x).exp(), generator=generator())  # b 1
    (y * randn(6, 3, 5, seed=1)).sum().backward()
    assert network.weight.grad is not None
    assert (network.weight.grad != 0).all()


@pytest.mark.parametrize("shape", [(3,), (4, 3), (4, 2, 5), (4, 2, 1, 1)])
def test_temperature_of_wrong_shape_raises(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="temperature of shape"):
        gumbel_softmax(torch.zeros(4, 2, 5), torch.ones(shape))


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_temperature_raises(temperature: float) -> None:
    for value in (temperature, torch.tensor(temperature), torch.tensor([1.0, temperature])):
        for relax in (gumbel_softmax, tempered_softmax):
            with pytest.raises(ValueError, match=r"temperature must be > 0.*gumbel_max"):
                relax(torch.zeros(2, 3), value)


@pytest.mark.parametrize("k", [3, 100])
@pytest.mark.parametrize("sample", [*SAMPLERS, lambda x: gumbel_softmax(x, 1.0), lambda x: tempered_softmax(x, 1.0)])
def test_bad_logits_raise(sample: Sampler, k: int) -> None:
    logits = randn(4, k)
    for value, message in ((torch.nan, "NaN"), (torch.inf, "inf")):
        bad = logits.clone()
        bad[2, 1] = value
        with pytest.raises(ValueError, match=message):
            sample(bad)
    bad = logits.clone()
    bad[2] = -torch.inf
    with pytest.raises(ValueError, match="all classes of a row are masked"):
        sample(bad)


# -- transforms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", SAMPLERS)
@pytest.mark.parametrize("k", [7, 100])
def test_non_contiguous_logits(sample: Sampler, k: int) -> None:
    logits = randn(k, 6, 5).permute(2, 1, 0)
    assert torch.equal(sample(logits, generator=generator()), sample(logits.contiguous(), generator=generator()))
    every_other = randn(6, 2 * k)[:, ::2]
    expected = gumbel_softmax(every_other.contiguous(), 0.5, generator=generator())
    assert torch.equal(gumbel_softmax(every_other, 0.5, generator=generator()), expected)


@pytest.mark.parametrize("k", [5, 200])
def test_vmap(k: int) -> None:
    logits = randn(2000, 3, k)
    for sample in SAMPLERS:
        codes = torch.func.vmap(sample, randomness="different")(logits)
        assert codes.shape == (2000, 3)
        assert codes.dtype == torch.int64
        same_logits = torch.func.vmap(sample, randomness="different")(logits[:1].expand(2000, 3, k))
        assert chi_square(same_logits[:, 0], logits[0, 0]) > 1e-3
    for relax in (gumbel_softmax, st_gumbel_softmax):
        y = torch.func.vmap(lambda x, t, relax=relax: relax(x, t), randomness="different")(
            logits, torch.rand(2000) + 0.5
        )
        assert y.shape == logits.shape
        torch.testing.assert_close(y.sum(-1), torch.ones(2000, 3))


def test_gradient_transforms() -> None:
    logits, noise, weight = randn(4, 3, 5), gumbel_noise((4, 3, 5), generator=generator()), randn(5, seed=1)

    def loss(x: Tensor, noise: Tensor) -> Tensor:
        return (gumbel_softmax(x, 0.7, noise=noise) * weight).sum()

    per_example = torch.func.vmap(torch.func.grad(loss))(logits, noise)
    torch.testing.assert_close(per_example, torch.func.grad(loss)(logits, noise))
    x = logits.clone().requires_grad_()
    torch.testing.assert_close(per_example, torch.autograd.grad(loss(x, noise), x)[0])


@pytest.mark.parametrize("shape", [(), (3,), (3, 2)])
def test_double_backward(shape: tuple[int, ...]) -> None:
    logits = randn(3, 2, 4).double().requires_grad_()
    temperature = (torch.rand(shape, generator=generator()).double() + 0.5).requires_grad_()
    noise = gumbel_noise(logits, generator=generator()).double()

    def relax(logits: Tensor, temperature: Tensor) -> Tensor:
        return gumbel_softmax(logits, temperature, noise=noise)

    assert torch.autograd.gradcheck(relax, (logits, temperature))
    assert torch.autograd.gradgradcheck(relax, (logits, temperature))
    assert torch.autograd.gradgradcheck(lambda x: gumbel_softmax(x, 0.7, noise=noise), (logits,))


def test_compiled_relaxed_samples_equal_eager() -> None:
    """Their gradients too."""

    def step(logits: Tensor, temperature: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        mask = torch.arange(logits.shape[-1]) != 1
        relaxed = gumbel_softmax(logits, temperature, noise=noise, mask=mask)
        return relaxed, st_gumbel_softmax(logits, 0.5, noise=noise)

    temperature, noise = torch.rand(30) + 0.5, gumbel_noise((30, 2, 9), generator=generator())
    results = []
    for run in (step, torch.compile(step, fullgraph=True)):
        logits, t = randn(30, 2, 9).requires_grad_(), temperature.clone().requires_grad_()
        relaxed, hard = run(logits, t, noise)
        ((relaxed + hard) * randn(9, seed=1)).sum().backward()
        results.append((relaxed, hard, logits.grad, t.grad))
    assert is_one_hot(results[1][1])
    torch.testing.assert_close(results[1], results[0])


def test_compiled_draws_equal_eager_draws() -> None:
    def draw(logits: Tensor) -> tuple[Tensor, ...]:
        return gumbel_softmax(logits, 0.7), gumbel_max(logits), exponential_race(logits)

    logits = randn(50, 9)
    torch.manual_seed(0)
    expected = draw(logits)
    torch.manual_seed(0)
    torch.testing.assert_close(torch.compile(draw, fullgraph=True)(logits), expected)


def test_compiled_categorical_sample() -> None:
    logits = 2 * randn(300)
    codes = torch.compile(lambda x: categorical_sample(x), fullgraph=True)(logits.expand(20_000, 300))
    assert chi_square(codes, logits) > 1e-3


def test_noise_is_fresh_and_differs_between_rows() -> None:
    y = gumbel_softmax(torch.zeros(50, 4), 1.0)
    assert len(y.unique(dim=0)) == 50
    assert not torch.equal(y, gumbel_softmax(torch.zeros(50, 4), 1.0))
    assert exponential_noise(y).unique().numel() == 200
