"""The VQ-VAE over all quantizers: exact codes, gradients, its bound against enumeration, its figures."""

import itertools
import math
from typing import Any

import lightning as L
import pytest
import torch
from gumbelzoo.data import ImageData
from gumbelzoo.models.quantizers import QUANTIZERS
from gumbelzoo.models.relaxed import ESTIMATORS
from gumbelzoo.models.vqvae.likelihoods import LIKELIHOODS
from gumbelzoo.models.vqvae.vqvae import VQVAE
from torch import Tensor

SEVERAL = {"codebooks": 2, "quantizer_options": {"codebook_size": 6}}
OPTIONS: dict[str, dict[str, Any]] = {"fsq": {"levels": [3, 3, 2]}, "product": SEVERAL, "residual": SEVERAL}


def small(quantizer: str = "gumbel", image_shape: tuple[int, ...] = (1, 8, 8), **arguments: Any) -> VQVAE:
    torch.manual_seed(0)
    options = {**OPTIONS.get(quantizer, {"codebook_size": 6}), **arguments.pop("quantizer_options", {})}
    given = {"widths": (6, 8), "dim": 4, **arguments}
    return VQVAE(image_shape, quantizer=quantizer, quantizer_options=options, **given)


def images(number: int = 6, shape: tuple[int, ...] = (1, 8, 8), levels: int = 256) -> Tensor:
    return torch.randint(levels, (number, *shape), generator=torch.Generator().manual_seed(1)) / (levels - 1)


def trained(model: VQVAE, x: Tensor, steps: int = 3, rate: float = 1e-2) -> VQVAE:
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        model.training_metrics({"image": x})["loss"].backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("quantizer", QUANTIZERS.names())
def test_decode_of_encode_is_reconstruct_and_what_training_would_decode(quantizer: str, batch_norm: bool) -> None:
    x = images(8)
    model = trained(small(quantizer, batch_norm=batch_norm), x).eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    codes = model.encode(x)
    assert codes.shape == (8, 2, 2, model.quantizer.codebooks) and codes.dtype == torch.int64
    assert torch.equal(codes, model.encode(x))
    assert torch.equal(codes[:3], model.encode(x[:3]))  # an image's codes are its own
    assert torch.equal(model.decode(codes), model.reconstruct(x))
    vectors = model.quantizer(model.features(x)).vectors
    assert torch.equal(model.likelihood.mean(model.outputs(vectors)), model.reconstruct(x))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("quantizer", QUANTIZERS.names())
def test_a_model_of_another_precision_trains_and_its_codes_stay_in_float32(quantizer: str, dtype: torch.dtype) -> None:
    model, x = small(quantizer, quantizer_options={}).to(dtype), images(32).to(dtype)
    before = model.training_metrics({"image": x})["loss"].item()
    trained(model, x, steps=20).eval()
    assert model.training_metrics({"image": x})["loss"].item() < before
    assert {p.dtype for p in model.encoder.parameters()} == {dtype}
    held = [t.dtype for t in model.quantizer.state_dict().values() if t.is_floating_point()]
    assert set(held) <= {torch.float64 if dtype == torch.float64 else torch.float32}
    assert torch.equal(model.decode(model.encode(x)), model.reconstruct(x))
    assert model.reconstruct(x).dtype == dtype


@pytest.mark.parametrize("likelihood", LIKELIHOODS.names())
@pytest.mark.parametrize("quantizer", QUANTIZERS.names())
def test_every_trainable_parameter_gets_a_gradient(quantizer: str, likelihood: str) -> None:
    x = images(32, (2, 8, 8), LIKELIHOODS[likelihood].levels or 256)
    deep = {"residual_blocks": 1, "top_kernel": 0, "kernel": 4}
    model = trained(small(quantizer, (2, 8, 8), likelihood=likelihood, **deep), x, steps=1)
    model.zero_grad()
    model.training_metrics({"image": x})["loss"].backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("estimator", [name for name in ESTIMATORS.names() if name != "exact"])
def test_any_estimator_trains_the_encoder_the_codebook_and_the_decoder(estimator: str) -> None:
    size = ESTIMATORS[estimator].categories or 6
    model = small(quantizer_options={"estimator": estimator, "codebook_size": size})
    x = images(32)
    trained(model, x, steps=1)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    trained(model, x, steps=1)
    for name, value in model.named_parameters():
        assert value.isfinite().all() and (not value.requires_grad or not torch.equal(value, before[name])), name


def exact_bounds(model: VQVAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """-log p(x) and the negative ELBO, ``b`` nats each, from the definitions, over all codes of all positions."""
    k, positions = model.quantizer.codebook_size, math.prod(model.grid)
    codes = torch.tensor(list(itertools.product(range(k), repeat=positions))).reshape(-1, *model.grid, 1)
    log_q = model.quantizer.posterior(model.features(x)).log_softmax(-1).flatten(1, -2)  # b n k
    log_q = log_q[:, torch.arange(positions), codes.flatten(1)].sum(-1)  # b c
    log_prior = -positions * math.log(k)
    log_p = -torch.stack([model.nll(image.expand(len(codes), *image.shape), codes) for image in x])  # b c
    return -(log_p + log_prior).logsumexp(-1), (log_q.exp() * (log_q - log_p - log_prior)).sum(-1)


TINY = {"image_shape": (1, 4, 4), "likelihood": "logistic_mixture", "likelihood_options": {"components": 1}}


@torch.no_grad()
def test_the_bound_of_a_gumbel_quantizer_is_the_elbo_by_enumeration() -> None:
    model = small(**TINY, widths=(4,), quantizer_options={"codebook_size": 3}).eval()
    for parameter in model.parameters():
        parameter.add_(0.4 * torch.randn_like(parameter))
    x = images(2, (1, 4, 4))
    nll, elbo = exact_bounds(model, x)
    torch.manual_seed(1)
    draws = torch.stack([model.bound(x[i : i + 1].expand(4000, -1, -1, -1)) for i in range(2)])
    assert (draws.std(1) > 1e-3).all()  # the draws differ, so that the test can fail
    assert ((draws.mean(1) - elbo).abs() < 4 * draws.std(1) / 4000**0.5).all()
    assert (elbo > nll).all()


def test_bits_per_dim_of_the_logs_are_the_bound() -> None:
    data = ImageData("digits", binarization="threshold", eval_batch_size=97)
    for quantizer in ("gumbel", "vector"):
        options = {"start_batches": 0}  # a Gumbel quantizer that is uncertain: draws are not modes
        model = small(quantizer, likelihood="bernoulli", learning_rate=1e-2, quantizer_options=options)
        trainer = quiet_trainer(limit_train_batches=5)
        trainer.fit(model, data)
        torch.manual_seed(0)
        (figures,) = trainer.test(model, data, verbose=False)
        model.eval()
        x = torch.cat([batch["image"] for batch in data.test_dataloader()])
        bits = torch.cat([model.bound(x) for _ in range(20)]) / (64 * math.log(2))
        assert figures["test/bits_per_dim"] == pytest.approx(
            bits.mean().item(), abs=5 * bits.std().item() / len(x) ** 0.5
        )
        error = (model.reconstruct(x) - x).square().mean() / data.variance
        assert figures["test/nmse"] == pytest.approx(error.item(), rel=1e-4)
        counts = model.encode(x).flatten().bincount(minlength=6).double()
        entropy = torch.special.entr(counts / counts.sum()).sum()
        assert figures["test/perplexity"] == pytest.approx(entropy.exp().item(), rel=1e-4)
        assert figures["test/usage"] == pytest.approx((counts > 0).double().mean().item())


def test_a_deterministic_rate_is_that_of_a_uniform_code() -> None:
    model = small("vector", likelihood="categorical").eval()
    x = images()
    expected = model.nll(x, model.encode(x)) + 4 * math.log(6)
    assert torch.allclose(model.bound(x), expected)


def quiet_trainer(**arguments: Any) -> L.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return L.Trainer(max_epochs=1, accelerator="cpu", enable_model_summary=False, **quiet, **arguments)


@pytest.mark.parametrize("quantizer", ["vector", "gumbel"])
def test_the_loss_is_that_of_its_docstring(quantizer: str) -> None:
    x = images(16)
    model = trained(small(quantizer), x, steps=2).eval()
    model.quantizer.eval()
    torch.manual_seed(5)
    metrics = model.training_metrics({"image": x})
    z = model.features(x)
    if quantizer == "gumbel":  # the rate of an image, over its pixels
        own = model.quantizer.kl(z).mean() / 64
    else:
        own = 0.25 * (z - model.quantizer.decode(model.encode(x))).square().mean()
        error = (model.reconstruct(x) - x).square().mean() * 12
        assert metrics["nmse"].item() == pytest.approx(error.item(), rel=1e-4)  # the variance of uniform noise is 1/12
    assert metrics["loss"].item() == pytest.approx((metrics["nmse"] + own).item(), rel=1e-4)


def test_setup_takes_mean_and_variance_from_the_data_once() -> None:
    data = ImageData("digits", binarization="none")
    model = small("vector")
    quiet_trainer(limit_train_batches=1).fit(model, data)
    pixels = data.splits.train.images.float() / 255
    assert model.likelihood.data_mean.item() == pytest.approx(pixels.mean().item(), rel=1e-4)
    assert model.likelihood.data_variance.item() == pytest.approx(pixels.var().item(), rel=1e-3)
    z = model.features(pixels)
    with torch.no_grad():
        scaled = (pixels - pixels.mean()) / pixels.std()
        assert torch.allclose(z, model.encoder(scaled).movedim(1, -1), atol=1e-3)


@pytest.mark.parametrize("quantizer", ["vector", "gumbel"])
def test_it_overfits_a_few_images(quantizer: str) -> None:
    x = ImageData("digits", binarization="none").splits.train.images[:8].float() / 255
    options: dict[str, Any] = {"codebook_size": 16, "revive": 0.0}
    # few vectors for each code, the start by k-means puts codes on nearly all of them
    options |= {"kl_weight": 1e-3, "start_batches": 0} if quantizer == "gumbel" else {"decay": 0.9}
    model = small(quantizer, widths=(16, 32), dim=8, quantizer_options=options)
    model.initialise(x.mean().item(), x.var().item())
    trained(model, x, steps=150, rate=1e-2).eval()
    error = (model.reconstruct(x) - x).square().mean() / x.var()
    assert error < 0.25


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({"quantizer_options": {"codebook_size": 64}}, 48_913),
        ({"quantizer_options": {"codebook_size": 128}}, 49_937),
    ],
)
def test_the_network_of_the_published_mnist_figure(arguments: dict[str, Any], count: int) -> None:
    """The Keras example's network has 48,913 parameters with 64 codes, its codebook counted."""
    model = VQVAE(**arguments)
    extra = sum(p.numel() for name, p in model.named_parameters() if "log_" in name)  # learned scales of ours
    assert sum(p.numel() for p in model.parameters()) - extra == count


def test_the_layers_of_the_published_cifar_network() -> None:
    """128 channels, 32 inside two residual blocks: the layers of Sonnet's example, in its order."""
    model = VQVAE((3, 32, 32), (64, 128), 4, residual_blocks=2, residual_width=32, top_kernel=0, dim=64)

    def shapes(network: torch.nn.Module) -> list[list[int]]:
        return [list(p.shape) for name, p in network.named_parameters() if name.endswith("weight")]

    block = [[32, 128, 3, 3], [128, 32, 1, 1]]
    assert shapes(model.encoder) == [[64, 3, 4, 4], [128, 64, 4, 4], [128, 128, 3, 3], *block, *block, [64, 128, 1, 1]]
    assert shapes(model.decoder) == [[128, 64, 3, 3], *block, *block, [128, 64, 4, 4], [64, 3, 4, 4]]


def test_samples_are_images_of_uniform_codes() -> None:
    model = small(widths=(6,)).eval()
    drawn = model.sample(9, generator=torch.Generator().manual_seed(0))
    assert drawn.shape == (9, 1, 8, 8)
    assert torch.equal(drawn, model.sample(9, generator=torch.Generator().manual_seed(0)))
    assert not torch.equal(drawn, model.sample(9, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantizer": "vektor"}, "did you mean 'vector'"),
        ({"likelihood": "bernouli"}, "did you mean 'bernoulli'"),
        ({"quantizer_options": {"codebok_size": 4}}, "did you mean 'codebook_size'"),
        ({"likelihood_options": {"noize": 4}, "likelihood": "gaussian"}, "did you mean 'noise'"),
        ({"widths": (4, 4, 4)}, "divisible by 8, not 28 x 28"),
        ({"widths": ()}, "give at least one"),
        ({"kernel": 5}, "kernel must be 3 or 4"),
        ({"lr_schedule": "linear"}, "lr_schedule must be one of"),
    ],
)
def test_bad_arguments_name_the_fix(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VQVAE(**arguments)


def test_bad_inputs_name_the_fix() -> None:
    model = small()
    with pytest.raises(ValueError, match=r"image_shape='\[1, 28, 28\]'"):
        model.encode(torch.zeros(2, 1, 28, 28))
    with pytest.raises(ValueError, match=r"shape \(b, 2, 2, q\), got \(2, 3, 3, 1\)"):
        model.decode(torch.zeros(2, 3, 3, 1, dtype=torch.int64))
    with pytest.raises(ValueError, match="6"):
        model.decode(torch.full((2, 2, 2, 1), 6))
    with pytest.raises(ValueError, match="nothing to learn"):
        model.initialise(0.5, 0.0)


@pytest.mark.parametrize(
    ("quantizer", "likelihood", "monitor"),
    [("gumbel", "mse", "loss"), ("vector", "mse", "nmse"), ("fsq", "categorical", "bits_per_dim")],
)
def test_the_best_is_that_of_what_is_learned(quantizer: str, likelihood: str, monitor: str) -> None:
    """The commitment of nearest codes grows with the scale of the vectors while reconstructions get better."""
    assert small(quantizer, likelihood=likelihood).monitor == f"val/{monitor}"
