"""Interface of the layer: modes, masks, temperatures, noise, errors, numerics."""

import subprocess
import sys

import pytest
import torch
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical
from gumbelzoo.models.relaxed.noise import gumbel_noise
from torch import Tensor

PATHWISE = [name for name in ESTIMATORS.names() if ESTIMATORS[name].pathwise]
SCORE = sorted(set(ESTIMATORS.names()) - set(PATHWISE))


def is_one_hot(z: Tensor) -> bool:
    return bool(((z == 0) | (z == 1)).all() and (z.sum(-1) == 1).all())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise_for(layer: RelaxedCategorical, logits: Tensor, seed: int = 0) -> Tensor:
    """Noise of one sample, with a leading axis for an estimator with several draws."""
    draws = layer.estimator.noise_draws
    return gumbel_noise((draws, *logits.shape) if draws > 1 else logits.shape, generator=generator(seed))


@pytest.mark.parametrize("name", PATHWISE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_sample_is_on_the_simplex(name: str, dtype: torch.dtype) -> None:
    """It has the logits' dtype, and is exactly one-hot where ``one_hot_forward`` says so."""
    logits = torch.randn(50, 20, 10, generator=generator()).to(dtype).requires_grad_()
    z = RelaxedCategorical(name)(logits)
    assert z.dtype == dtype
    assert z.shape == logits.shape
    assert torch.allclose(z.float().sum(-1), torch.ones(50, 20), atol=1e-2)
    assert is_one_hot(z) == ESTIMATORS[name].one_hot_forward
    (z * torch.randn(10, generator=generator()).to(dtype)).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().sum() > 0


@pytest.mark.parametrize("name", PATHWISE)
def test_eval_is_deterministic_and_one_hot(name: str) -> None:
    logits = torch.randn(5, 3, 4, generator=generator())
    layer = RelaxedCategorical(name).eval()
    z = layer(logits)
    assert is_one_hot(z)
    assert torch.equal(z, layer(logits))
    assert torch.equal(z.argmax(-1), layer.mode(logits))


@pytest.mark.parametrize("name", ESTIMATORS.names())
def test_eval_expectation_is_discrete(name: str) -> None:
    k = ESTIMATORS[name].categories or 5
    layer = RelaxedCategorical(name, event_shape=(3, k)).eval()

    def cost(z: Tensor) -> Tensor:
        assert is_one_hot(z)
        return z[..., 0].sum(-1)

    logits = torch.zeros(4000, 3, k)
    value = layer.expectation(logits, cost, generator=generator())
    assert value.shape == (4000,)
    assert value.mean().item() == pytest.approx(3 / k, abs=0.05)


@pytest.mark.parametrize("name", SCORE)
def test_forward_without_pathwise_gradient_raises(name: str) -> None:
    with pytest.raises(ValueError, match=r"layer\.expectation"):
        RelaxedCategorical(name, event_shape=(2, 2))(torch.zeros(2, 2))


@pytest.mark.parametrize("name", PATHWISE)
def test_given_noise_and_generator_repeat_a_draw(name: str) -> None:
    logits = torch.randn(6, 2, 5, generator=generator())
    layer = RelaxedCategorical(name, 0.7)
    noise = noise_for(layer, logits, seed=3)
    assert torch.equal(layer(logits, noise=noise), layer(logits, noise=noise))
    assert torch.equal(layer(logits, generator=generator(3)), layer(logits, noise=noise))
    assert not torch.equal(layer(logits, generator=generator(4)), layer(logits, noise=noise))
    with pytest.raises(ValueError, match="noise must have shape"):
        layer(logits, noise=noise[0])


@pytest.mark.parametrize("name", PATHWISE)
@pytest.mark.parametrize("how", ["mask", "logits"])
def test_masked_categories_are_never_drawn(name: str, how: str) -> None:
    mask = torch.tensor([[True, False, True, True], [False, False, True, False]])
    logits = torch.randn(500, 2, 4, generator=generator()).requires_grad_()
    layer = RelaxedCategorical(
        name, {"name": "learned", "initial": 0.5} if ESTIMATORS[name].learns_temperature else 0.5
    )
    if how == "mask":
        z = layer(logits, mask=mask)
        codes = layer.sample(logits, mask=mask)
    else:
        masked = logits.masked_fill(~mask, -torch.inf)
        z, codes = layer(masked), layer.sample(masked)
    assert (z[:, ~mask] == 0).all()
    assert mask[torch.arange(2), codes].all()
    assert (z[:, 1, 2] == 1).all()
    (z * torch.randn(4, generator=generator())).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert (logits.grad[:, ~mask] == 0).all()
    if layer.log_temperature is not None:
        assert layer.log_temperature.grad is not None
        assert layer.log_temperature.grad.isfinite()


@pytest.mark.parametrize("name", PATHWISE)
def test_fully_masked_row_raises(name: str) -> None:
    with pytest.raises(ValueError, match="mask"):
        RelaxedCategorical(name)(torch.randn(2, 3), mask=torch.tensor([[True, True, True], [False, False, False]]))


@pytest.mark.parametrize("temperature", [0.0, -0.5, float("nan"), torch.tensor(0.0)])
def test_nonpositive_temperature_raises(temperature: float | Tensor) -> None:
    with pytest.raises(ValueError, match="temperature must be > 0"):
        RelaxedCategorical()(torch.randn(2, 3), temperature=temperature)


@pytest.mark.parametrize("name", PATHWISE)
def test_tiny_temperature_is_finite(name: str) -> None:
    logits = torch.randn(100, 10, generator=generator()).requires_grad_()
    z = RelaxedCategorical(name, 1e-4)(logits)
    (z * torch.randn(10)).sum().backward()
    assert z.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_temperature_per_call() -> None:
    """One per example or per latent, and one that a network predicts."""
    logits = torch.randn(4, 3, 5, generator=generator())
    noise = gumbel_noise(logits.shape, generator=generator())
    layer = RelaxedCategorical("gumbel_softmax")
    per_example = torch.tensor([0.1, 0.5, 1.0, 5.0])
    per_latent = torch.rand(4, 3, generator=generator()) + 0.1
    rows = layer(logits, temperature=per_example, noise=noise)
    latents = layer(logits, temperature=per_latent, noise=noise)
    for b in range(4):
        alone = layer(logits[b], temperature=per_example[b].item(), noise=noise[b])
        assert torch.allclose(rows[b], alone)
        for n in range(3):
            alone = layer(logits[b, n], temperature=per_latent[b, n].item(), noise=noise[b, n])
            assert torch.allclose(latents[b, n], alone)
    network = torch.nn.Linear(7, 1)
    predicted = torch.nn.functional.softplus(network(torch.randn(4, 7))).squeeze(-1)
    layer(logits, temperature=predicted, noise=noise).square().sum().backward()
    assert network.weight.grad is not None
    assert network.weight.grad.abs().sum() > 0


def test_temperature_with_several_samples() -> None:
    layer = RelaxedCategorical({"name": "gumbel_softmax", "samples": 3})
    logits, temperature = torch.randn(4, 2, 5), torch.tensor([0.1, 0.5, 1.0, 5.0])
    noise = gumbel_noise((3, 4, 2, 5))
    value = layer.expectation(logits, lambda z: z.square().sum((-1, -2)), temperature=temperature, noise=noise)
    single = RelaxedCategorical("gumbel_softmax")
    by_hand = [single(logits, temperature=temperature, noise=noise[s]).square().sum((-1, -2)) for s in range(3)]
    assert torch.allclose(value, torch.stack(by_hand).mean(0))


def test_noise_of_another_shape_is_no_sample() -> None:
    """It would be the same noise in every row."""
    with pytest.raises(ValueError, match=r"noise must have shape \(5, 3\), got \(3,\)"):
        RelaxedCategorical().sample(torch.zeros(5, 3), noise=torch.zeros(3))


def test_sample_frequencies_and_mode() -> None:
    logits = torch.tensor([0.5, -1.0, 2.0, 0.0])
    layer = RelaxedCategorical()
    counts = torch.bincount(layer.sample(logits.expand(40_000, 4), generator=generator()), minlength=4)
    expected = logits.softmax(-1) * 40_000
    assert ((counts - expected) ** 2 / expected).sum() < 16.3  # 99.9% of chi-square with 3 degrees of freedom
    assert layer.mode(logits).item() == 2


@pytest.mark.parametrize("name", PATHWISE)
def test_compiled_equals_eager_for_the_same_noise(name: str) -> None:
    logits = torch.randn(16, 4, 8, generator=generator())
    layer = RelaxedCategorical(name, 0.5)
    noise = noise_for(layer, logits)
    compiled = torch.compile(layer, fullgraph=True)
    weight = torch.randn(8, generator=generator())
    gradients = []
    for function in (layer, compiled):
        leaf = logits.clone().requires_grad_()
        z = function(leaf, noise=noise)
        (z * weight).sum().backward()
        gradients.append((z.detach(), leaf.grad))
    assert torch.allclose(gradients[0][0], gradients[1][0], atol=1e-6)
    assert torch.allclose(gradients[0][1], gradients[1][1], atol=1e-6)


@pytest.mark.parametrize("name", PATHWISE)
def test_vmap(name: str) -> None:
    layer = RelaxedCategorical(name)
    logits = torch.zeros(6, 3, 5)
    z = torch.func.vmap(layer, randomness="different")(logits)
    assert z.shape == logits.shape
    assert not torch.equal(z[0], z[1])
    noise = noise_for(layer, logits)
    axes = (0, noise.ndim - logits.ndim)
    mapped = torch.func.vmap(lambda row, g: layer(row, noise=g), in_dims=axes)(logits, noise)
    assert torch.allclose(mapped, layer(logits, noise=noise), atol=1e-6)


@pytest.mark.parametrize("name", PATHWISE)
def test_double_backward(name: str) -> None:
    logits = torch.randn(3, 4, dtype=torch.float64, generator=generator()).requires_grad_()
    layer = RelaxedCategorical(name, 0.8).double()
    noise = noise_for(layer, logits).double()
    if ESTIMATORS[name].one_hot_forward:  # the value is constant: differentiate the relaxed gradient again
        (first,) = torch.autograd.grad(layer(logits, noise=noise).pow(2).sum(), logits, create_graph=True)
        (second,) = torch.autograd.grad(first.pow(2).sum(), logits)
        assert second.isfinite().all()
        assert second.abs().sum() > 0
    else:
        assert torch.autograd.gradgradcheck(lambda x: layer(x, noise=noise), logits)


@pytest.mark.parametrize("name", PATHWISE)
def test_permuted_logits(name: str) -> None:
    logits = torch.randn(5, 7, 6, generator=generator()).permute(2, 0, 1)
    layer = RelaxedCategorical(name)
    noise = noise_for(layer, logits)
    assert not logits.is_contiguous()
    assert torch.equal(layer(logits, noise=noise), layer(logits.contiguous(), noise=noise))


@pytest.mark.parametrize("name", PATHWISE)
def test_autocast_changes_nothing(name: str) -> None:
    logits = torch.randn(50, 10, generator=generator())
    layer = RelaxedCategorical(name)
    plain = layer(logits, generator=generator(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(logits, generator=generator(1)), plain)


def test_construction_errors_name_the_fix() -> None:
    with pytest.raises(ValueError, match="did you mean 'gumbel_softmax'"):
        RelaxedCategorical("gumble_softmax")
    with pytest.raises(ValueError, match="did you mean 'samples'"):
        RelaxedCategorical({"name": "reinforce", "sample": 3})
    with pytest.raises(ValueError, match="samples >= 2"):
        RelaxedCategorical({"name": "reinforce", "samples": 1})
    with pytest.raises(ValueError, match=r"65536|configurations"):
        RelaxedCategorical("exact").expectation(torch.zeros(1, 20, 10), lambda z: z.sum((-1, -2)))
    with pytest.raises(ValueError, match="one value per example"):
        RelaxedCategorical().expectation(torch.zeros(2, 3, 4), lambda z: z.sum((0, 2)))
    with pytest.raises(ValueError, match="argument of temperature schedule 'learned': 'minimum'"):
        RelaxedCategorical(temperature={"name": "learned", "minimum": 0.1})
    with pytest.raises(ValueError, match=r"inner_samples >= 1, got True"):
        RelaxedCategorical({"name": "gumbel_rao", "inner_samples": True})
    with pytest.raises(ValueError, match="gap must be finite and >= 0, got inf"):
        RelaxedCategorical({"name": "gapped_straight_through", "gap": torch.inf})


@pytest.mark.parametrize("name", ESTIMATORS.names())
@pytest.mark.parametrize(("value", "message"), [(torch.nan, "NaN"), (-torch.inf, "all classes of a row are masked")])
def test_bad_rows_raise_in_every_method(name: str, value: float, message: str) -> None:
    k = ESTIMATORS[name].categories or 3
    layer = RelaxedCategorical(name, event_shape=(2, k))
    logits = torch.zeros(4, 2, k)
    logits[1, 0] = value
    for use in (layer.expectation, layer.eval().expectation):
        with pytest.raises(ValueError, match=message):
            use(logits, lambda z: z[..., 0].sum(-1).square())
    for pick in (layer, layer.mode, layer.sample):  # in eval mode
        with pytest.raises(ValueError, match=message):
            pick(logits)


@pytest.mark.parametrize("name", ESTIMATORS.names())
def test_temperature_is_learned_or_refused(name: str) -> None:
    spec, k = {"name": "learned", "initial": 0.5}, ESTIMATORS[name].categories or 3
    if not ESTIMATORS[name].learns_temperature:
        with pytest.raises(ValueError, match=f"cannot be learned through estimator '{name}'"):
            RelaxedCategorical(name, spec, event_shape=(2, k))
        return
    layer = RelaxedCategorical(name, spec, event_shape=(2, k))
    logits = torch.randn(64, 2, k, generator=generator(), requires_grad=True)
    layer.expectation(logits, lambda z: z[..., 0].prod(-1).exp(), generator=generator()).sum().backward()
    assert layer.log_temperature is not None
    assert layer.log_temperature.grad is not None
    assert layer.log_temperature.grad.abs() > 0


MISTAKES = """
import numpy as np, torch
from gumbelzoo.models.relaxed import RelaxedCategorical, RelaxedSubset, select
layer, logits = RelaxedCategorical(), torch.randn(4, 3, requires_grad=True)
for mistake in (
    lambda: layer(np.zeros((2, 3))),
    lambda: RelaxedSubset(2)([1.0, 2.0]),
    lambda: layer.expectation(logits, lambda z: None),
    lambda: RelaxedCategorical("reinforce").expectation(logits, lambda z: 3.0),
    lambda: layer(logits, mask=torch.ones(4, 2, dtype=torch.bool)),
    lambda: RelaxedSubset([1, 2]),
    lambda: select(layer(logits), torch.randn(3)),
):
    try:
        mistake()
    except ValueError as error:
        print(error)
"""
SAID = [
    "logits must be a tensor, got ndarray; use torch.as_tensor(logits)",
    "logits must be a tensor, got list; use torch.as_tensor(logits)",
    "cost must return a tensor of one value per example, got NoneType",
    "cost must return a tensor of one value per example, got float",
    "mask must broadcast to logits of shape (4, 3) on cpu, got shape (4, 2) on cpu",
    "k must be a whole number >= 1, got [1, 2]",
    "select needs z of shape (..., n) or codes, and values of shape (..., n, d); got (4, 3) and (3,); "
    "one number each is values[:, None]",
]


def test_what_is_no_tensor_is_one_line() -> None:
    """In a process of its own: here beartype would refuse it."""
    done = subprocess.run([sys.executable, "-c", MISTAKES], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == SAID
