"""Distribution and bounds of the noise, and the transforms under which it works."""

import pytest
import torch
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.models.relaxed.noise import exponential_noise, gumbel_noise
from scipy import stats
from torch import Tensor


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def all_finite(draws: int, chunk: int = 10_000_000) -> None:
    for i in range(draws // chunk):
        exponential = exponential_noise((chunk,), generator=generator(i))
        assert exponential.min() > 0
        assert exponential.max() < torch.inf
        assert exponential.log_().isfinite().all()


def test_ten_million_draws_are_finite() -> None:
    all_finite(10_000_000)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_billion_draws_are_finite() -> None:
    all_finite(1_000_000_000)


@pytest.mark.parametrize("bits", [0, -1], ids=["all bits 0", "all bits 1"])
def test_extreme_bits_are_finite(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "gumbelzoo.models.relaxed.noise._SFC64.draw", lambda self, n: torch.full((n,), bits, dtype=torch.int64)
    )
    assert gumbel_noise((3,)).isfinite().all()
    assert exponential_noise((3,)).min() > 0


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_has_its_distribution(seed: int) -> None:
    """Kolmogorov-Smirnov over more than one chunk, and an odd number of draws."""
    assert stats.kstest(gumbel_noise((1_000_001,), generator=generator(seed)).numpy(), "gumbel_r").pvalue > 1e-3
    assert stats.kstest(exponential_noise((1_000_001,), generator=generator(seed)).numpy(), "expon").pvalue > 1e-3


def test_upper_tail_is_complete_and_fine() -> None:
    noise = exponential_noise((20_000_000,), generator=generator())
    for bound in (1e-3, 1e-4, 1e-5, 1e-6):  # the smallest exponentials are the largest Gumbels
        expected = bound * len(noise)
        assert abs((noise < bound).sum().item() - expected) < 5 * expected**0.5
    smallest = noise[noise < 1e-5]
    assert len(smallest.unique()) >= len(smallest) - 5


def test_neighbours_and_halves_are_independent() -> None:
    x = exponential_noise((2, 500_000), generator=generator())
    for a, b in [(x[:, ::2], x[:, 1::2]), (x[0], x[1]), (x[:, :-2], x[:, 2:])]:
        correlation = torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]
        assert abs(correlation.item()) < 5 / a.numel() ** 0.5


def test_generator_and_seed_repeat_the_draw() -> None:
    state = torch.get_rng_state()
    assert torch.equal(gumbel_noise((7, 3), generator=generator(1)), gumbel_noise((7, 3), generator=generator(1)))
    assert not torch.equal(gumbel_noise((7, 3), generator=generator(1)), gumbel_noise((7, 3), generator=generator(2)))
    assert torch.equal(torch.get_rng_state(), state)  # a generator leaves the global state alone
    torch.manual_seed(0)
    first, second = gumbel_noise((5,)), gumbel_noise((5,))
    torch.manual_seed(0)
    assert torch.equal(gumbel_noise((5,)), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (3, 1, 5)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    assert gumbel_noise(shape).shape == shape
    assert gumbel_noise(torch.zeros(shape, dtype=torch.bfloat16)).shape == shape


def test_noise_is_float32() -> None:
    """For logits of any dtype, and under autocast."""
    for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.int64):
        assert gumbel_noise(torch.zeros(4, dtype=dtype)).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert gumbel_noise((4,)).dtype == torch.float32


@pytest.mark.parametrize("given", ["tensor", "shape"])
def test_vmap_follows_its_randomness(given: str) -> None:
    def draw(x: Tensor) -> Tensor:
        return gumbel_noise(x if given == "tensor" else x.shape)

    x = torch.zeros(4, 3)
    assert len(torch.func.vmap(draw, randomness="different")(x).unique()) == 12
    assert len(torch.func.vmap(draw, randomness="same")(x).unique()) == 3
    nested = torch.func.vmap(torch.func.vmap(draw, randomness="different"), randomness="different")
    assert len(nested(torch.zeros(2, 4, 3)).unique()) == 24
    with pytest.raises(RuntimeError, match="random"):
        torch.func.vmap(draw)(x)


def test_compiled_noise_equals_eager() -> None:
    """Every call draws fresh noise."""

    @torch.compile(fullgraph=True)
    def two(x: Tensor) -> tuple[Tensor, Tensor]:
        return gumbel_noise(x), gumbel_noise(x)

    x = torch.zeros(40, 5)
    torch.manual_seed(0)
    first, second = two(x)
    torch.manual_seed(0)
    torch.testing.assert_close(first, gumbel_noise(x))
    torch.testing.assert_close(second, gumbel_noise(x))
    assert not torch.equal(first, second)
    assert not torch.equal(first, two(x)[0])


def test_compiled_generator_repeats_the_draw() -> None:
    source = generator(5)
    draw = torch.compile(lambda x: gumbel_noise(x, generator=source) * 2)
    torch.testing.assert_close(draw(torch.zeros(6)), gumbel_noise((6,), generator=generator(5)) * 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_noise_ignores_the_default_dtype(dtype: torch.dtype) -> None:
    """Lightning's true half precision changes the default within a step."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        noise = gumbel_noise((10_000,))
        layer = RelaxedCategorical(temperature=0.7)
        assert layer.current_temperature().dtype == torch.float32
    finally:
        torch.set_default_dtype(before)
    assert noise.dtype == torch.float32 and noise.isfinite().all() and len(noise.unique()) > 9_900
