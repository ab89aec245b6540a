"""The VQ-VAE with every quantizer: exact codes, gradients, its bound against enumeration, its metrics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import lightning as L
import pytest
import torch
from gumbelzoo.data import ImageData
from gumbelzoo.models.networks.convolutional import GRID_DECODERS, GRID_ENCODERS
from gumbelzoo.models.quantizers import QUANTIZERS
from gumbelzoo.models.relaxed import ESTIMATORS
from gumbelzoo.models.vqvae import vqvae
from gumbelzoo.models.vqvae.likelihoods import LIKELIHOODS
from gumbelzoo.models.vqvae.vqvae import VQVAE
from torch import Tensor, nn

PAIR = {"codebooks": 2, "quantizer": {"name": "vector", "codebook_size": 6}}
OPTIONS: dict[str, dict[str, Any]] = {"fsq": {"levels": [3, 3, 2]}, "product": PAIR, "residual": PAIR}


def small(
    quantizer: str = "gumbel",
    image_shape: Sequence[int] = (1, 8, 8),
    widths: Sequence[int] = (6, 8),
    options: dict[str, Any] | None = None,
    **arguments: Any,
) -> VQVAE:
    """``options`` are the quantizer's; those of ``conv`` in ``arguments`` are of both networks."""
    torch.manual_seed(0)
    shared = ("kernel", "residual_blocks", "batch_norm")
    both = {name: arguments.pop(name) for name in shared if name in arguments}
    top = {"top_kernel": arguments.pop("top_kernel")} if "top_kernel" in arguments else {}
    return VQVAE(
        image_shape,
        **{"dim": 4, **arguments},
        encoder={"name": "conv", "widths": widths, **both},
        decoder={"name": "conv", "widths": widths[::-1], **both, **top},
        quantizer={"name": quantizer, **OPTIONS.get(quantizer, {"codebook_size": 6}), **(options or {})},
    )


def images(number: int = 6, shape: tuple[int, ...] = (1, 8, 8), levels: int = 256) -> Tensor:
    return torch.randint(levels, (number, *shape), generator=torch.Generator().manual_seed(1)) / (levels - 1)


def trained(model: VQVAE, x: Tensor, steps: int = 3, rate: float = 1e-2) -> VQVAE:
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        model.training_metrics({"image": x})["loss"].backward()
        optimizer.step()
    return model


def quiet_trainer(**arguments: Any) -> L.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return L.Trainer(max_epochs=1, accelerator="cpu", enable_model_summary=False, **quiet, **arguments)


# -- codes and gradients ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("quantizer", QUANTIZERS.names())
def test_decode_of_encode_is_reconstruct(quantizer: str, batch_norm: bool) -> None:
    """It is also what the decoder gets in training; an image's codes do not depend on its batch; nothing changes."""
    x = images(8)
    model = trained(small(quantizer, batch_norm=batch_norm), x).eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    codes = model.encode(x)
    assert codes.shape == (8, 2, 2, model.quantizer.codebooks) and codes.dtype == torch.int64
    assert torch.equal(codes, model.encode(x))
    assert torch.equal(codes[:3], model.encode(x[:3]))
    assert torch.equal(model.decode(codes), model.reconstruct(x))
    vectors = model.quantizer(model.features(x)).vectors
    assert torch.equal(model.likelihood.mean(model.outputs(vectors)), model.reconstruct(x))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("quantizer", QUANTIZERS.names())
def test_codes_stay_float32_in_other_precisions(quantizer: str, dtype: torch.dtype) -> None:
    """The networks take the precision, and the model trains."""
    options = {} if quantizer in OPTIONS else {"codebook_size": 6}
    model, x = small(quantizer, options=options).to(dtype), images(32).to(dtype)
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
def test_every_parameter_gets_gradient(quantizer: str, likelihood: str) -> None:
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
def test_every_estimator_trains_every_parameter(estimator: str) -> None:
    size = ESTIMATORS[estimator].categories or 6
    model = small(options={"estimator": estimator, "codebook_size": size})
    x = images(32)
    trained(model, x, steps=1)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    trained(model, x, steps=1)
    for name, value in model.named_parameters():
        assert value.isfinite().all() and (not value.requires_grad or not torch.equal(value, before[name])), name


def test_samples_are_images_of_uniform_codes() -> None:
    model = small(widths=(6,)).eval()
    samples = model.sample(9, generator=torch.Generator().manual_seed(0))
    assert samples.shape == (9, 1, 8, 8)
    assert torch.equal(samples, model.sample(9, generator=torch.Generator().manual_seed(0)))
    assert not torch.equal(samples, model.sample(9, generator=torch.Generator().manual_seed(1)))


# -- the objective ----------------------------------------------------------------------------------------------------


def exact_bounds(model: VQVAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """-log p(x) and the negative ELBO, ``b`` nats each, from the definitions, over all codes of all positions."""
    k, positions = model.quantizer.codebook_size, math.prod(model.grid)
    codes = torch.tensor(list(itertools.product(range(k), repeat=positions))).reshape(-1, *model.grid, 1)
    log_q = model.quantizer.posterior(model.features(x)).log_softmax(-1).flatten(1, -2)  # b n k
    log_q = log_q[:, torch.arange(positions), codes.flatten(1)].sum(-1)  # b c
    log_prior = -positions * math.log(k)
    log_p = -torch.stack([model.nll(image.expand(len(codes), *image.shape), codes) for image in x])  # b c
    return -(log_p + log_prior).logsumexp(-1), (log_q.exp() * (log_q - log_p - log_prior)).sum(-1)


def test_samples_of_a_large_codebook_have_no_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of 2^20 codes would take 1 GiB; small codebooks sample as they always did."""
    monkeypatch.setattr(vqvae, "categorical_sample", None)
    model = small("fsq", options={"levels": [16] * 5}, dim=5).eval()
    codes, decode = [], model.decode
    monkeypatch.setattr(model, "decode", lambda drawn: (codes.append(drawn), decode(drawn))[1])
    assert model.sample(64, generator=torch.Generator().manual_seed(0)).shape == (64, 1, 8, 8)
    assert codes[0].shape == (64, *model.grid, 1)
    assert codes[0].double().mean().item() == pytest.approx(2**19, rel=0.2) and codes[0].max() < 2**20


@torch.no_grad()
def test_gumbel_negative_elbo_by_enumeration() -> None:
    mixture = {"name": "logistic_mixture", "components": 1}
    model = small("gumbel", (1, 4, 4), (4,), {"codebook_size": 3}, likelihood=mixture).eval()
    for parameter in model.parameters():
        parameter.add_(0.4 * torch.randn_like(parameter))
    x = images(2, (1, 4, 4))
    nll, elbo = exact_bounds(model, x)
    torch.manual_seed(1)
    draws = torch.stack([model.negative_elbo(x[i : i + 1].expand(4000, -1, -1, -1)) for i in range(2)])
    assert (draws.std(1) > 1e-3).all()  # the draws differ, so that the test can fail
    assert ((draws.mean(1) - elbo).abs() < 4 * draws.std(1) / 4000**0.5).all()
    assert (elbo > nll).all()


def test_deterministic_rate_is_uniform() -> None:
    model = small("vector", likelihood="categorical").eval()
    x = images()
    expected = model.nll(x, model.encode(x)) + 4 * math.log(6)
    assert torch.allclose(model.negative_elbo(x), expected)


def test_test_metrics_against_their_definitions() -> None:
    data = ImageData("digits", binarization="threshold", eval_batch_size=97)
    for quantizer in ("gumbel", "vector"):
        options = {"kmeans_batches": 0}  # a Gumbel quantizer that is uncertain: draws are not modes
        optimizer = {"learning_rate": 1e-2}
        model = small(quantizer, options=options, likelihood="bernoulli", optimizer=optimizer)
        trainer = quiet_trainer(limit_train_batches=5)
        trainer.fit(model, data)
        torch.manual_seed(0)
        (metrics,) = trainer.test(model, data, verbose=False)
        model.eval()
        x = torch.cat([batch["image"] for batch in data.test_dataloader()])
        bits = torch.cat([model.negative_elbo(x) for _ in range(20)]) / (64 * math.log(2))
        tolerance = 5 * bits.std().item() / len(x) ** 0.5
        assert metrics["test/bits_per_dim"] == pytest.approx(bits.mean().item(), abs=tolerance)
        error = (model.reconstruct(x) - x).square().mean() / data.variance
        assert metrics["test/nmse"] == pytest.approx(error.item(), rel=1e-4)
        counts = model.encode(x).flatten().bincount(minlength=6).double()
        entropy = torch.special.entr(counts / counts.sum()).sum()
        assert metrics["test/perplexity"] == pytest.approx(entropy.exp().item(), rel=1e-4)
        assert metrics["test/usage"] == pytest.approx((counts > 0).double().mean().item())


@pytest.mark.parametrize("quantizer", ["vector", "gumbel"])
def test_loss_is_that_of_the_docstring(quantizer: str) -> None:
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


@pytest.mark.parametrize(
    ("quantizer", "likelihood", "monitor"),
    [("gumbel", "mse", "loss"), ("vector", "mse", "nmse"), ("fsq", "categorical", "bits_per_dim")],
)
def test_monitor_ignores_the_commitment_loss(quantizer: str, likelihood: str, monitor: str) -> None:
    """It grows with the scale of the vectors while reconstructions improve."""
    assert small(quantizer, likelihood=likelihood).monitor == f"val/{monitor}"


def test_mean_and_variance_come_from_the_data() -> None:
    data = ImageData("digits", binarization="none")
    model = small("vector")
    quiet_trainer(limit_train_batches=1).fit(model, data)
    pixels = data.splits.train.images.float() / 255
    assert model.likelihood.data_mean.item() == pytest.approx(pixels.mean().item(), rel=1e-4)
    assert model.likelihood.data_variance.item() == pytest.approx(pixels.var().item(), rel=1e-3)
    z = model.features(pixels)
    with torch.no_grad():
        standardized = (pixels - pixels.mean()) / pixels.std()
        assert torch.allclose(z, model.encoder(standardized).movedim(1, -1), atol=1e-3)


@pytest.mark.parametrize("quantizer", ["vector", "gumbel"])
def test_overfits_a_few_images(quantizer: str) -> None:
    x = ImageData("digits", binarization="none").splits.train.images[:8].float() / 255
    options: dict[str, Any] = {"codebook_size": 16, "dead_code_threshold": 0.0}
    # With few vectors per code, k-means puts codes on nearly all of them.
    options |= {"kl_weight": 1e-3, "kmeans_batches": 0} if quantizer == "gumbel" else {"decay": 0.9}
    model = small(quantizer, widths=(16, 32), dim=8, options=options)
    model.initialise(x.mean().item(), x.var().item())
    trained(model, x, steps=150, rate=1e-2).eval()
    error = (model.reconstruct(x) - x).square().mean() / x.var()
    assert error < 0.25


# -- networks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("codebook_size", "count"), [(64, 48_913), (128, 49_937)])
def test_size_of_the_keras_example(codebook_size: int, count: int) -> None:
    """Its network has 48,913 parameters with 64 codes, the codebook counted; the learned scales are ours."""
    model = VQVAE(quantizer={"name": "gumbel", "codebook_size": codebook_size})
    extra = sum(p.numel() for name, p in model.named_parameters() if "log_" in name)
    assert sum(p.numel() for p in model.parameters()) - extra == count


def test_layers_of_the_sonnet_example() -> None:
    """128 channels, 32 inside two residual blocks, in the order of Sonnet's example on CIFAR-10."""
    both = {"name": "conv", "kernel": 4, "residual_blocks": 2, "residual_width": 32}
    decoder = {**both, "widths": [128, 64], "top_kernel": 0}
    model = VQVAE((3, 32, 32), 64, encoder={**both, "widths": [64, 128]}, decoder=decoder)

    def shapes(network: nn.Module) -> list[list[int]]:
        return [list(p.shape) for name, p in network.named_parameters() if name.endswith("weight")]

    block = [[32, 128, 3, 3], [128, 32, 1, 1]]
    assert shapes(model.encoder) == [[64, 3, 4, 4], [128, 64, 4, 4], [128, 128, 3, 3], *block, *block, [64, 128, 1, 1]]
    assert shapes(model.decoder) == [[128, 64, 3, 3], *block, *block, [128, 64, 4, 4], [64, 3, 4, 4]]


class Patches(nn.Conv2d):
    """A linear map of square patches."""

    def __init__(self, image_shape: Sequence[int], dim: int, patch: int = 4) -> None:
        channels, height, width = image_shape
        super().__init__(channels, dim, kernel_size=patch, stride=patch)
        self.grid = (height // patch, width // patch)


class FromPatches(nn.ConvTranspose2d):
    """The transpose of ``Patches``, with as many outputs as the likelihood asks for."""

    def __init__(self, image_shape: Sequence[int], dim: int, outputs: int, patch: int = 4) -> None:
        super().__init__(dim, outputs, kernel_size=patch, stride=patch)


@pytest.fixture
def patches(monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's own encoder and decoder, registered under one name."""
    for registry in (GRID_ENCODERS, GRID_DECODERS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    GRID_ENCODERS.register("patches")(Patches)
    GRID_DECODERS.register("patches")(FromPatches)
    return "patches"


@pytest.mark.parametrize("likelihood", ["mse", "categorical"])
def test_encoder_and_decoder_from_outside(patches: str, likelihood: str) -> None:
    own = {"name": patches, "patch": 2}
    model = VQVAE((1, 8, 12), 4, own, own, {"name": "vector", "codebook_size": 6}, likelihood)
    x = images(6, (1, 8, 12))
    before = model.training_metrics({"image": x})["loss"].item()
    trained(model, x, steps=10).eval()
    assert model.training_metrics({"image": x})["loss"].item() < before
    assert model.grid == (4, 6) and model.encode(x).shape == (6, 4, 6, 1)
    assert VQVAE(**model.config()).config() == model.config()
    with pytest.raises(ValueError, match=r"the grid 4 x 6 to outputs of shape \(\d+, 16, 24\)"):
        VQVAE((1, 8, 12), 4, own, patches, likelihood=likelihood)


def test_seed_draws_codebook_before_networks() -> None:
    """Learning the grid from the encoder draws no random number."""
    model = small("vector")
    torch.manual_seed(0)
    assert torch.equal(model.quantizer.codebook.weight, torch.randn(6, 4) / 2)
    assert torch.equal(model.encoder[0].weight, nn.Conv2d(1, 6, 3, stride=2).weight)


# -- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantizer": "vektor"}, "did you mean 'vector'"),
        ({"likelihood": "bernouli"}, "did you mean 'bernoulli'"),
        (
            {"quantizer": {"name": "fsq", "levels": [16] * 10}},
            r"of 2\^24 at most, .* 1 x 1099511627776: .* fewer",
        ),
        ({"encoder": "cnv"}, "unknown grid encoder: 'cnv'; did you mean 'conv'"),
        ({"decoder": "cnv"}, "unknown grid decoder: 'cnv'; did you mean 'conv'"),
        ({"quantizer": {"name": "vector", "codebok_size": 4}}, "did you mean 'codebook_size'"),
        ({"likelihood": {"name": "gaussian", "noize": 4}}, "did you mean 'noise'"),
        ({"encoder": {"name": "conv", "dim": 4}}, "unknown argument of grid encoder 'conv': 'dim'"),
        ({"encoder": {"name": "conv", "widths": [4, 4, 4]}}, "divisible by 8, not 28 x 28"),
        ({"encoder": {"name": "conv", "widths": []}}, "give at least one"),
        ({"encoder": {"name": "conv", "widths": [4]}}, r"outputs of shape \(1, 56, 56\).* as many widths"),
        ({"decoder": {"name": "conv", "widths": []}}, "give at least one"),
        ({"decoder": {"name": "conv", "widths": [4]}}, r"outputs of shape \(1, 14, 14\).* as many widths"),
        ({"decoder": {"name": "conv", "top_kernel": 2}}, "top_kernel odd or 0"),
        ({"encoder": {"name": "conv", "kernel": 5}}, "kernel must be 3 or 4"),
        ({"decoder": {"name": "conv", "kernel": 5}}, "kernel must be 3 or 4"),
        ({"optimizer": {"schedule": "linear"}}, "optimizer.schedule must be one of"),
    ],
    ids=str,
)
def test_argument_mistakes_name_the_fix(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        VQVAE(**arguments)
    assert "\n" not in str(caught.value)


def test_input_mistakes_name_the_fix() -> None:
    model = small()
    with pytest.raises(ValueError, match=r"image_shape='\[1, 28, 28\]'"):
        model.encode(torch.zeros(2, 1, 28, 28))
    with pytest.raises(ValueError, match=r"shape \(b, 2, 2, q\), got \(2, 3, 3, 1\)"):
        model.decode(torch.zeros(2, 3, 3, 1, dtype=torch.int64))
    with pytest.raises(ValueError, match="6"):
        model.decode(torch.full((2, 2, 2, 1), 6))
    with pytest.raises(ValueError, match="nothing to learn"):
        model.initialise(0.5, 0.0)
