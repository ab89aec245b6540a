"""Properties of every quantizer in every form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from gumbelzoo.models.quantizers import QUANTIZERS, Quantizer, distances
from gumbelzoo.models.quantizers.composite import Composite
from gumbelzoo.registry import Spec
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Make = Callable[[], Quantizer]
LARGE = {"codebook_size": 1000}
COMPOSITES = [name for name in QUANTIZERS.names() if issubclass(QUANTIZERS[name], Composite)]
SINGLE = [name for name in QUANTIZERS.names() if name not in COMPOSITES]


def trained(make: Make, z: Tensor) -> Quantizer:
    """A quantizer after two batches: k-means has run and moving averages have moved."""
    quantizer = make()
    for _ in range(2):
        quantizer(z + 0.1 * torch.randn_like(z))
    return quantizer.eval()


def state(quantizer: Quantizer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in quantizer.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_forms_cover_the_registry(forms: dict[str, Spec]) -> None:
    assert {QUANTIZERS.read(spec)[0] for spec in forms.values()} == set(QUANTIZERS.names())


@pytest.mark.parametrize("name", QUANTIZERS.names())
def test_quantizer_takes_its_context(name: str) -> None:
    assert QUANTIZERS.build(name, dim=8, positions=None).dim == QUANTIZERS.build(name, dim=8, positions=6).dim == 8


@pytest.mark.parametrize("positions", [(), (3,), (3, 2)])
def test_shapes(make: Make, positions: tuple[int, ...]) -> None:
    quantizer, z = make(), torch.randn(20, *positions, 4)
    for mode in (True, False):
        quantized = quantizer.train(mode)(z)
        assert quantized.vectors.shape == z.shape and quantized.vectors.dtype == torch.float32
        assert quantized.codes.shape == (20, *positions, quantizer.codebooks) and quantized.codes.dtype == torch.int64
        assert quantized.codes.min() >= 0 and quantized.codes.max() < quantizer.codebook_size
        assert quantized.loss.shape == () and quantized.loss.dtype == torch.float32
        assert all(value.shape == () and not value.requires_grad for value in quantized.metrics.values())
    assert quantizer.sample_codes(z).shape == quantized.codes.shape
    assert quantizer.kl(z).shape == (20,)


def test_every_parameter_gets_gradient(make: Make) -> None:
    """So does the input."""
    quantizer, z = make(), torch.randn(64, 3, 4, requires_grad=True)
    weight = torch.linspace(0.5, 2.0, 4)
    value, quantized = quantizer.expectation(z, lambda v: (weight * (v - 0.3).square()).sum((-1, -2)))
    assert value.shape == (64,)
    (value.mean() + quantized.loss).backward()
    for name, tensor in [("z", z), *quantizer.named_parameters()]:
        if tensor.requires_grad:
            assert tensor.grad is not None and tensor.grad.isfinite().all() and tensor.grad.abs().sum() > 0, name


def test_decode_equals_eval_vectors(make: Make, z: Tensor) -> None:
    """Bit for bit: codes hold all that the decoder sees."""
    quantizer = trained(make, z)
    quantized = quantizer(z)
    assert torch.equal(quantizer.encode(z), quantized.codes)
    assert torch.equal(quantizer.decode(quantized.codes), quantized.vectors)
    assert torch.equal(quantizer.decode(quantizer.encode(z)), quantized.vectors)
    assert len(quantized.codes.unique()) > 1


def test_eval_is_deterministic(make: Make, z: Tensor) -> None:
    """Eval mode has no noise, k-means or statistics; ``encode`` has no side effects in any mode."""
    quantizer = make()
    before, drawn = state(quantizer), torch.get_rng_state()
    codes = quantizer.encode(z)
    first, second = quantizer.eval()(z), quantizer(z)
    assert torch.equal(first.vectors, second.vectors) and torch.equal(first.loss, second.loss)
    assert torch.equal(first.codes, second.codes) and torch.equal(first.codes, codes)
    quantizer.kl(z)
    assert torch.equal(drawn, torch.get_rng_state())
    quantizer.expectation(z, lambda v: v.sum((-1, -2, -3)))
    assert same(before, state(quantizer))


def test_autocast_gives_the_codes_of_float32(make: Make) -> None:
    """Half-precision distances would lose codes."""
    z = 30 + torch.randn(200, 4, generator=torch.Generator().manual_seed(2))  # bfloat16 steps are 0.25 there
    quantizer = trained(make, z)
    expected, kl = quantizer(z), quantizer.kl(z)
    with torch.autocast("cpu", torch.bfloat16):
        quantized = quantizer(z)
        assert torch.equal(quantizer.encode(z), expected.codes)
        assert torch.equal(quantizer.decode(expected.codes), expected.vectors)
        assert torch.equal(quantizer.kl(z), kl)
    assert torch.equal(quantized.codes, expected.codes) and torch.equal(quantized.vectors, expected.vectors)
    assert torch.equal(quantized.loss, expected.loss)
    assert torch.equal(quantizer.encode(z.bfloat16()), quantizer.encode(z.bfloat16().float()))


def test_autocast_trains_in_float32(make: Make, z: Tensor) -> None:
    plain, cast = make(), make()
    for seed in (0, 1):
        torch.manual_seed(seed)
        expected = plain(z)
        torch.manual_seed(seed)
        with torch.autocast("cpu", torch.bfloat16):
            quantized = cast(z)
        assert torch.equal(quantized.vectors, expected.vectors) and torch.equal(quantized.loss, expected.loss)
    assert same(state(plain), state(cast))


def test_loss_is_a_mean_over_positions(make: Make, z: Tensor) -> None:
    """It does not depend on the batch size."""
    quantizer = trained(make, z)
    assert quantizer(z.repeat(7, 1, 1, 1)).loss.item() == pytest.approx(quantizer(z).loss.item(), rel=1e-5)


def test_kl_and_rate(make: Make, z: Tensor) -> None:
    """They are those of a uniform code, unless codes are drawn."""
    quantizer = trained(make, z)
    kl, rate = quantizer.kl(z), quantizer(z).metrics["rate"]
    full = quantizer.codebooks * math.log(quantizer.codebook_size)
    assert kl.mean().item() == pytest.approx(6 * rate.item(), rel=1e-5)
    if quantizer.stochastic:
        assert 0 < rate < full
    else:
        assert rate.item() == pytest.approx(full) and (kl == kl[0]).all()
        assert torch.equal(quantizer.sample_codes(z), quantizer.encode(z))


def test_loaded_state_gives_the_same_codes(make: Make, z: Tensor) -> None:
    quantizer, other = trained(make, z), make()
    for parameter in other.parameters():
        parameter.data.add_(1.0)
    other.load_state_dict(quantizer.state_dict())
    assert torch.equal(other.eval()(z).vectors, quantizer(z).vectors)
    moved, again = quantizer.train(), other.train()
    torch.manual_seed(0)
    moved(z)
    torch.manual_seed(0)
    again(z)
    assert same(state(moved), state(again))


def test_double_precision_is_kept(make: Make) -> None:
    quantizer, z = make().double(), torch.randn(8, 3, 4, dtype=torch.float64)
    quantized = quantizer(z)
    assert quantized.vectors.dtype == torch.float64 and quantized.loss.dtype == torch.float32


class Largest(TorchDispatchMode):
    """Number of elements of the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for value in made if isinstance(made, tuple | list) else [made]:
            if isinstance(value, Tensor):
                self.elements = max(self.elements, value.untyped_storage().nbytes() // value.element_size())
        return made


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "vector", **LARGE},
        {"name": "vector", **LARGE, "update": "loss", "cosine": True, "gradient": "rotation"},
        {"name": "sim_vq", **LARGE},
        {"name": "fsq", "levels": (10, 10, 10)},
        {"name": "product", "codebooks": 2, "quantizer": {"name": "vector", **LARGE}},
        {"name": "residual", "codebooks": 2, "quantizer": {"name": "vector", **LARGE}},
    ],
)
def test_memory_grows_with_n_plus_k(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    """No tensor has n x k elements, forward or backward, in k-means or in moving averages."""
    monkeypatch.setitem(distances.CHUNK, "cpu", 100_000)
    quantizer, z = QUANTIZERS.build(spec, dim=8, positions=2), torch.randn(1000, 2, 8, requires_grad=True)
    with Largest() as largest:
        for _ in range(2):
            quantized = quantizer(z)
            (quantized.vectors.square().mean() + quantized.loss).backward()
    assert largest.elements < 110_000  # the chunk, in whole blocks; n x k is 2,000,000


@pytest.mark.parametrize("codes", [[[6]], [[-1]], [[0, 0, 0]]])
def test_bad_codes_raise(codes: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"codes must have shape \(\.\.\., 1\) with whole values in \[0, 6\)"):
        QUANTIZERS["vector"](4, codebook_size=6).decode(torch.tensor(codes))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
@pytest.mark.parametrize(("name", "size"), [("vector", 6), ("vector", 512), ("gumbel", 300)])
def test_codes_of_any_integer_dtype(name: str, size: int, dtype: torch.dtype) -> None:
    quantizer = QUANTIZERS[name](4, codebook_size=size).eval()
    codes = torch.tensor([[5], [0]])
    assert torch.equal(quantizer.decode(codes.to(dtype)), quantizer.decode(codes))
    with pytest.raises(ValueError, match="codes must be whole numbers"):
        quantizer.decode(codes.float())


def test_bad_vectors_raise(make: Make) -> None:
    quantizer, z = make(), torch.zeros(2, 3)
    for method in (quantizer, quantizer.encode, quantizer.kl, quantizer.sample_codes):
        with pytest.raises(ValueError, match="vectors of width 4, got 3"):
            method(z)
    with pytest.raises(ValueError, match="vectors of width 4, got 3"):
        quantizer.expectation(z, lambda v: v.sum(-1))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vector", {"codebook_size": 1}, "codebook_size must be a whole number >= 2"),
        ("vector", {"gradient": "identity"}, "gradient must be one of straight_through, rotation"),
        ("vector", {"update": "adam"}, "update must be one of ema, loss"),
        ("vector", {"decay": 1.0}, r"decay and dead_code_threshold in \[0, 1\)"),
        ("vector", {"dead_code_threshold": 1.0}, r"dead_code_threshold in \[0, 1\)"),
        ("vector", {"kmeans_batches": -1}, "kmeans_batches must be a whole number >= 0"),
        ("vector", {"positions": 3}, "unknown argument of quantizer 'vector': 'positions'"),
        ("gumbel", {"logits": "dot"}, "logits must be one of distance, linear"),
        ("gumbel", {"codebooks": 3}, "dim must be divisible by codebooks, got 4 and 3"),
        ("gumbel", {"estimator": "gumbel"}, "unknown estimator"),
        ("gumbel", {"estimator": {"name": "reinforce", "sample": 3}}, "did you mean 'samples'"),
        ("fsq", {"levels": (3, 1)}, "levels must be"),
        ("fsq", {"levels": ()}, "levels must be a list"),
        ("fsq", {"levels": [2] * 63}, r"fewer than 2\^63 codes"),
        ("product", {"codebooks": 3}, "dim must be divisible by codebooks, got 4 and 3"),
        ("product", {"codebooks": 0}, "codebooks must be a whole number >= 1"),
        ("product", {"quantizer": "gumbel", "codebooks": 2}, "with its own codebooks=2"),
        ("product", {"quantizer": {"name": "vector", "codebook": 3}}, "did you mean 'codebook_size'"),
        ("residual", {"quantizer": "vectors"}, "did you mean 'vector'"),
        ("residual", {"codebooks": 0}, "codebooks must be a whole number >= 1"),
    ],
)
def test_bad_arguments_raise(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QUANTIZERS.build({"name": name, **options}, dim=4, positions=6)


def test_bad_width_raises() -> None:
    with pytest.raises(ValueError, match="dim must be a whole number >= 1"):
        QUANTIZERS.build("vector", dim=0, positions=6)


@pytest.mark.parametrize("inner", [*SINGLE, {"name": "vector", "cosine": True}], ids=str)
@pytest.mark.parametrize("middle", [None, *COMPOSITES])
@pytest.mark.parametrize("outer", COMPOSITES)
def test_composition_runs_or_is_refused(outer: str, middle: str | None, inner: Spec) -> None:
    """A composition that can be built trains, evaluates, encodes and decodes."""
    spec: Spec = inner if middle is None else {"name": middle, "codebooks": 2, "quantizer": inner}
    name, options = QUANTIZERS.read(inner)
    refused = QUANTIZERS[name].stochastic or ("residual" in (outer, middle) and "cosine" in options)
    if refused:
        with pytest.raises(ValueError, match=r"draws the codes of a position together|takes no cosine"):
            QUANTIZERS.build({"name": outer, "codebooks": 2, "quantizer": spec}, dim=8, positions=3)
        return
    quantizer = QUANTIZERS.build({"name": outer, "codebooks": 2, "quantizer": spec}, dim=8, positions=3)
    z = torch.randn(20, 3, 8, requires_grad=True)
    quantized = quantizer(z)
    (quantized.vectors.square().mean() + quantized.loss).backward()
    assert z.grad is not None and z.grad.isfinite().all() and z.grad.abs().sum() > 0
    quantized = quantizer.eval()(z)
    assert torch.equal(quantizer.decode(quantizer.encode(z)), quantized.vectors)
    assert ("distortion" in quantized.metrics) == (name != "fsq" or "residual" in (outer, middle))
