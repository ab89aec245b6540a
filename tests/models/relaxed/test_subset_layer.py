"""Interface of ``RelaxedSubset``: modes, masks, temperatures, noise, errors."""

import math
from collections.abc import Callable

import pytest
import torch
from gumbelzoo.models.relaxed import RelaxedCategorical, RelaxedSubset
from gumbelzoo.models.relaxed.noise import gumbel_noise
from gumbelzoo.models.relaxed.subset import SUBSET_ESTIMATORS, plackett_luce
from torch import Tensor

NAMES = SUBSET_ESTIMATORS.names()
PATHWISE = [name for name in NAMES if SUBSET_ESTIMATORS[name].pathwise]
CONDITIONAL = [name for name in NAMES if SUBSET_ESTIMATORS[name].law == "conditional_bernoulli"]
ORDERED = [name for name in NAMES if SUBSET_ESTIMATORS[name].law == "plackett_luce"]


def is_k_hot(z: Tensor, k: int) -> bool:
    return bool(((z == 0) | (z == 1)).all() and (z.sum(-1) == k).all())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", PATHWISE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_subset_draw_and_gradient(name: str, dtype: torch.dtype) -> None:
    """Of the logits' dtype, of sum k, and exactly k-hot where the estimator says so."""
    logits = torch.randn(50, 4, 10, generator=generator()).to(dtype).requires_grad_()
    z = RelaxedSubset(3, name)(logits)
    assert z.dtype == dtype and z.shape == logits.shape
    assert torch.allclose(z.float().sum(-1), torch.tensor(3.0), atol=3e-2)
    assert is_k_hot(z, 3) == SUBSET_ESTIMATORS[name].one_hot_forward
    (z * torch.randn(10, generator=generator()).to(dtype)).sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all()
    assert (logits.grad != 0).float().mean() > 0.9


@pytest.mark.parametrize("name", PATHWISE)
def test_subset_eval_is_the_mode(name: str) -> None:
    logits, layer = torch.randn(5, 7, generator=generator()), RelaxedSubset(2, name).eval()
    assert is_k_hot(layer(logits), 2)
    assert torch.equal(layer(logits), layer(logits)) and torch.equal(layer(logits), layer.mode(logits))
    assert torch.equal(layer.mode(logits).nonzero()[:, 1].view(5, 2), logits.topk(2).indices.sort(-1).values)


@pytest.mark.parametrize("name", NAMES)
def test_subset_eval_expectation_is_exact(name: str) -> None:
    """The cost sees k-hot draws of the law, and the mean is that of its samples."""
    logits, layer = torch.zeros(4000, 5), RelaxedSubset(2, name).eval()

    def cost(z: Tensor) -> Tensor:
        assert is_k_hot(z, 2)
        return z[..., 0]

    value = layer.expectation(logits, cost, generator=generator())
    assert value.shape == (4000,) and value.mean().item() == pytest.approx(0.4, abs=0.04)


@pytest.mark.parametrize("name", PATHWISE)
def test_subset_noise_and_generator(name: str) -> None:
    logits, layer = torch.randn(6, 2, 5, generator=generator()), RelaxedSubset(2, name, 0.7)
    noise = gumbel_noise(logits.shape, generator=generator(3))
    assert torch.equal(layer(logits, noise=noise), layer(logits, noise=noise))
    assert torch.equal(layer(logits, generator=generator(3)), layer(logits, noise=noise))
    assert not torch.equal(layer(logits, generator=generator(4)), layer(logits, noise=noise))
    assert torch.equal(layer.sample(logits, noise=noise), layer.sample(logits, generator=generator(3)))
    if SUBSET_ESTIMATORS[name].one_hot_forward:
        assert torch.equal(layer(logits, noise=noise), layer.sample(logits, noise=noise))
    for use in (layer, layer.sample):
        with pytest.raises(ValueError, match="noise must have shape"):
            use(logits, noise=noise[0])


@pytest.mark.parametrize("name", PATHWISE)
@pytest.mark.parametrize("how", ["mask", "logits"])
def test_masked_items_are_never_drawn(name: str, how: str) -> None:
    mask = torch.tensor([[True, False, True, True], [False, False, True, True]])
    logits = torch.randn(500, 2, 4, generator=generator()).requires_grad_()
    layer = RelaxedSubset(2, name, 0.5)
    given = {"mask": mask} if how == "mask" else {}
    masked = logits if how == "mask" else logits.masked_fill(~mask, -math.inf)
    for z in (layer(masked, **given), layer.sample(masked, **given), layer.mode(masked, **given)):
        assert (z[:, ~mask] == 0).all()
        assert torch.allclose(z[:, 1, 2:], torch.tensor(1.0))
    (layer(masked, **given) * torch.randn(4)).sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all() and (logits.grad[:, ~mask] == 0).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.0, -math.inf, -math.inf], "a row allows 1 items and k=2 are drawn"),
        ([-math.inf] * 3, "all classes of a row are masked"),
        ([0.0, math.nan, 0.0], "NaN"),
        ([0.0, math.inf, 0.0], r"\+inf"),
    ],
)
def test_bad_rows_of_items_raise(name: str, row: list[float], message: str) -> None:
    logits = torch.zeros(4, 3)
    logits[1] = torch.tensor(row)
    layer = RelaxedSubset(2, name)
    uses: list[Callable[[Tensor], object]] = [
        lambda x: layer.expectation(x, lambda z: z[..., 0]),
        layer.sample,
        layer.mode,
    ]
    for use in (*uses, *([layer.marginals, layer.kl] if name in CONDITIONAL else [])):
        with pytest.raises(ValueError, match=message) as caught:
            use(logits)
        assert "\n" not in str(caught.value)


def test_more_than_n_items_raise() -> None:
    for use in (RelaxedSubset(4), RelaxedSubset(4).sample, RelaxedSubset(4).eval(), RelaxedSubset(4, "relaxed_top_k")):
        with pytest.raises(ValueError, match="cannot draw k=4 of 3 items"):
            use(torch.zeros(2, 3))


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize("k", [0, -1, 2.0, True])
def test_subset_size_must_be_whole(k: object) -> None:
    with pytest.raises(ValueError, match="k must be a whole number >= 1"):
        RelaxedSubset(k)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in PATHWISE])
def test_subset_forward_without_gradient_raises(name: str) -> None:
    with pytest.raises(ValueError, match=r"layer\.expectation"):
        RelaxedSubset(2, name)(torch.zeros(2, 3))


@pytest.mark.parametrize("name", NAMES)
def test_subset_temperature(name: str) -> None:
    """It is learned or refused, must be > 0, and changes the gradient of what uses it."""
    kind, learned = SUBSET_ESTIMATORS[name], {"name": "learned", "initial": 0.5}
    with pytest.raises(ValueError, match="temperature must be > 0"):
        RelaxedSubset(2, name).expectation(torch.zeros(2, 3), lambda z: z[..., 0], temperature=0.0)
    if not kind.learns_temperature:
        with pytest.raises(ValueError, match=f"cannot be learned through subset estimator '{name}'"):
            RelaxedSubset(2, name, learned)
        return
    layer = RelaxedSubset(2, name, learned)
    logits, noise = torch.randn(64, 5, requires_grad=True), gumbel_noise((64, 5))
    found = []
    for temperature in (None, 2.0):
        value = layer.expectation(logits, lambda z: z[..., :2].prod(-1).exp(), temperature=temperature, noise=noise)
        found.append(torch.autograd.grad(value.sum(), [logits, *layer.parameters()][: 1 + (temperature is None)]))
    assert found[0][1].abs() > 0
    assert not torch.allclose(found[0][0], found[1][0])


def test_subset_temperature_advances() -> None:
    layer = RelaxedSubset(2, "relaxed_top_k", {"name": "exponential", "initial": 1.0, "rate": 0.1})
    layer.advance()
    assert layer.current_temperature().item() == pytest.approx(math.exp(-0.1))
    assert layer.state_dict()["step"] == 1


@pytest.mark.parametrize("name", CONDITIONAL)
def test_conditional_bernoulli_verbs(name: str) -> None:
    """log_prob is of k-hot draws; marginals sum to k; kl is that of the law, and all take a mask."""
    layer, logits = RelaxedSubset(2, name), torch.randn(9, 5)
    mask = torch.tensor([True, True, False, True, True])
    z = layer.sample(logits, mask=mask)
    assert layer.law == "conditional_bernoulli"
    assert (layer.log_prob(logits, z, mask=mask) > layer.log_prob(logits, z)).all()
    marginals = layer.marginals(logits, mask=mask)
    assert (marginals[:, 2] == 0).all() and torch.allclose(marginals.sum(-1), torch.tensor(2.0))
    assert (layer.kl(logits, mask=mask) >= math.log(10 / 6) - 1e-6).all()
    assert torch.equal(layer.kl(logits), layer.estimator.kl(logits, None, 1.0, gumbel_noise))
    with pytest.raises(ValueError, match="a draw must be k-hot with k=2"):
        layer.log_prob(logits, torch.ones(9, 5))
    with pytest.raises(ValueError, match="a draw must be k-hot over the 5 items"):
        layer.log_prob(logits, torch.zeros(9, 4))


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize("name", ORDERED)
def test_plackett_luce_verbs(name: str) -> None:
    """log_prob is of ordered draws; kl and marginals raise one line."""
    layer, logits = RelaxedSubset(2, name), torch.randn(9, 5, requires_grad=True)
    assert layer.law == "plackett_luce"
    layer.log_prob(logits, plackett_luce.sample(logits, 2)).sum().backward()
    assert logits.grad is not None and logits.grad.abs().sum() > 0
    for use, message in (
        (layer.kl, "kl of a Plackett-Luce law"),
        (layer.marginals, "marginals of a Plackett-Luce law"),
        (lambda x: layer.log_prob(x, layer.sample(x)), "is of ordered draws: give codes"),
        (lambda x: layer.log_prob(x, torch.zeros(9, 3, dtype=torch.int64)), "must have k=2 codes"),
        (lambda x: layer.log_prob(x, torch.full((9, 2), 5)), r"codes must be in \[0, 5\)"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            use(logits)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("subset", "categorical"),
    [
        ("relaxed_top_k", "gumbel_softmax"),
        ("straight_through_top_k", "straight_through_gumbel_softmax"),
        ("simple", "straight_through"),
    ],
)
def test_one_of_n_is_relaxed_categorical(subset: str, categorical: str) -> None:
    """Value and gradient for the same noise; SIMPLE has its own use of the noise, and the same gradient."""
    logits, weight = torch.randn(30, 6, requires_grad=True), torch.randn(6)
    noise, temperature = gumbel_noise((30, 6)), 1.0 if subset == "simple" else 0.6
    found = []
    for layer in (RelaxedSubset(1, subset, temperature), RelaxedCategorical(categorical, temperature)):
        z = layer(logits, noise=noise)
        found.append((z.detach(), torch.autograd.grad((z * weight).sum(), logits)[0]))
    if subset != "simple":
        torch.testing.assert_close(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])


def test_subset_construction_errors() -> None:
    for arguments, message in (
        ((2, "simpel"), "did you mean 'simple'"),
        ((2, {"name": "reinforce", "sample": 3}), "did you mean 'samples'"),
        ((2, {"name": "reinforce", "samples": 1}), "samples >= 2"),
        ((2, "relaxed_top_k", -1.0), "temperature"),
    ):
        with pytest.raises(ValueError, match=message):
            RelaxedSubset(*arguments)


@pytest.mark.parametrize("name", PATHWISE)
def test_subset_under_autocast(name: str) -> None:
    logits, layer = torch.randn(50, 10, generator=generator()), RelaxedSubset(3, name)
    plain = layer(logits, generator=generator(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(logits, generator=generator(1)), plain)


@pytest.mark.parametrize("name", NAMES)
def test_subset_layer_nests(name: str) -> None:
    """A categorical choice inside the cost of a subset; both get a gradient."""
    first, weight = torch.randn(16, 4, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    inner = RelaxedCategorical("straight_through_gumbel_softmax")
    value = RelaxedSubset(2, name).expectation(
        first, lambda z: inner.expectation(z @ weight, lambda y: (y[..., 0] * z[..., 0]).exp())
    )
    value.sum().backward()
    for parameter in (first, weight):
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("name", PATHWISE)
def test_compiled_subset_equals_eager(name: str) -> None:
    """Value and gradient for the same noise, in one graph."""
    logits, layer = torch.randn(16, 6, generator=generator()), RelaxedSubset(2, name, 0.5)
    logits[:4, :2] = -math.inf
    noise, weight = gumbel_noise(logits, generator=generator(1)), torch.randn(6, generator=generator(2))
    compiled, found = torch.compile(layer, fullgraph=True, backend="aot_eager"), []
    for function in (layer, compiled):
        leaf = logits.clone().requires_grad_()
        z = function(leaf, noise=noise)
        (z * weight).sum().backward()
        found.append((z.detach(), leaf.grad))
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", PATHWISE)
def test_subset_under_vmap(name: str) -> None:
    """Rows have their own draws, and the same noise gives the same value and gradient as a batch."""
    layer, logits = RelaxedSubset(2, name), torch.zeros(6, 3, 5)
    z = torch.func.vmap(layer, randomness="different")(logits)
    assert z.shape == logits.shape and not torch.equal(z[0], z[1])
    assert torch.allclose(z.sum(-1), torch.tensor(2.0))
    noise, weight = gumbel_noise(logits), torch.randn(5)
    mapped = torch.func.vmap(lambda row, g: layer(row, noise=g))(logits, noise)
    torch.testing.assert_close(mapped, layer(logits, noise=noise))

    def loss(row: Tensor, g: Tensor) -> Tensor:
        return (layer(row, noise=g) * weight).sum()

    gradient = torch.func.vmap(torch.func.grad(loss))(logits, noise)
    leaf = logits.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(leaf, noise), leaf)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("verb", ["marginals", "kl", "sample", "mode"])
def test_compiled_subset_verbs(verb: str) -> None:
    """Those of a conditional Bernoulli law, compiled and under vmap: the same values."""
    layer, logits = RelaxedSubset(2), torch.randn(4, 5, generator=generator())
    options = {"noise": gumbel_noise(logits, generator=generator(1))} if verb == "sample" else {}
    function, expected = getattr(layer, verb), getattr(layer, verb)(logits, **options)
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(logits, **options), expected)
    rows = [*options.values()]
    mapped = torch.func.vmap(lambda row, *noise: function(row, **dict(zip(options, noise, strict=True))))
    torch.testing.assert_close(mapped(logits, *rows), expected)
