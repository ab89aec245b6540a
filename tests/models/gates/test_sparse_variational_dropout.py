"""Sparse variational dropout: noise, KL, weights that are removed, and the smaller network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.models.gates import SparseVariationalDropout
from gumbelzoo.models.gates.variational_linear import VariationalLinear, negative_kl, useful_inputs
from torch import Tensor

SMALL: dict[str, Any] = {"image_shape": (1, 4, 4), "classes": 3, "hidden": [5, 4], "examples": 100}


def batch(n: int = 8) -> dict[str, Tensor]:
    return {"image": torch.rand(n, 1, 4, 4), "label": torch.arange(n) % 3}


def noisy(layer: VariationalLinear, share: float) -> None:
    """Make a share of the weights noise: log alpha is 5, and -5 for the others."""
    with torch.no_grad():
        chosen = torch.where(torch.rand_like(layer.slow_log_variance) < share, 5.0, -5.0)
        layer.slow_log_variance.copy_((chosen + layer.mean.weight.square().log()) / 10)


def test_noise_of_outputs_is_that_of_weights() -> None:
    """Mean and variance of the outputs are those of Gaussian weights."""
    layer = VariationalLinear(6, 3)
    noisy(layer, 0.5)
    x = torch.randn(1, 6)
    found = layer(x.expand(40_000, 6)).detach().double()
    variance = (x.square() @ (layer.log_alpha.exp() * layer.mean.weight.square()).T).detach()[0].double()
    assert ((found.mean(0) - layer.mean(x)[0]).abs() < 4 * (variance / 40_000).sqrt()).all()
    assert torch.allclose(found.var(0), variance, rtol=0.05)


def test_kl_of_the_log_uniform_prior() -> None:
    """Of the derivative of -KL by sampling: d/d log alpha of 1/2 log alpha - E log |N(1, alpha)|."""
    log_alpha = torch.tensor([-2.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(negative_kl(log_alpha).sum(), log_alpha)
    noise = torch.randn(400_000, 1, dtype=torch.float64)
    step = 0.1

    def exact(value: Tensor) -> Tensor:
        return 0.5 * value - (1 + (value / 2).exp() * noise).abs().log().mean(0)

    measured = (exact(log_alpha.detach() + step) - exact(log_alpha.detach() - step)) / (2 * step)
    assert torch.allclose(slope, measured, atol=0.02)
    assert negative_kl(torch.tensor(10.0)).abs() < 0.01 and negative_kl(torch.tensor(-10.0)) < -4


def test_evaluation_has_no_noise() -> None:
    """The means of the weights that are kept, and the same outputs twice."""
    layer = VariationalLinear(8, 4)
    noisy(layer, 0.5)
    layer.eval()
    x = torch.randn(3, 8)
    assert torch.equal(layer(x), layer(x))
    torch.testing.assert_close(layer(x), layer.sparse()(x))
    assert 0 < layer.kept().float().mean() < 1 and torch.equal(layer.sparse().weight != 0, layer.kept())


def test_units_without_weights_are_removed() -> None:
    """Pixels and hidden units that do not reach the output; outputs are equal to 1e-6."""
    model = SparseVariationalDropout(**SMALL).eval()
    for layer in model.layers:
        noisy(layer, 0.6)
    x = torch.rand(5, 1, 4, 4)
    torch.testing.assert_close(model.removed()(x), model.logits(x), rtol=0, atol=1e-6)
    linear = [layer for layer in model.removed() if isinstance(layer, torch.nn.Linear)]
    assert [layer.in_features for layer in linear] == model.units() and sum(model.units()) < 16 + 5 + 4
    assert model.flops() == 2 * sum(layer.weight.numel() for layer in linear)


def test_removed_network_has_the_dtype_of_the_model() -> None:
    model, x = SparseVariationalDropout(**SMALL).eval().double(), torch.rand(5, 1, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(model.removed()(x), model.logits(x), rtol=0, atol=1e-12)
    assert model.flops() == SparseVariationalDropout(**SMALL).flops()


def test_removed_network_has_the_device_of_the_model() -> None:
    layer = VariationalLinear(6, 3).to("meta").sparse()
    assert layer.weight.device.type == layer.bias.device.type == "meta"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_noise_is_finite_in_mixed_precision(dtype: torch.dtype) -> None:
    """Where inputs are 0 as well, whose variance is 0 in half precision; outputs have the dtype of autocast."""
    layer, x = VariationalLinear(6, 3), torch.stack([torch.zeros(6), torch.randn(6)]).requires_grad_()
    with torch.autocast("cpu", dtype):
        outputs = layer(x)
    outputs.float().sum().backward()
    assert outputs.dtype == dtype
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in (x, *layer.parameters()))


def test_useful_inputs() -> None:
    """An input whose weights lead to units of no use is of no use."""
    first, second = torch.tensor([[1.0, 0, 0], [0, 2.0, 0]]), torch.tensor([[0.0, 3.0]])
    assert [used.tolist() for used in useful_inputs([first, second])] == [[False, True, False], [False, True]]


def test_variational_dropout_gradients() -> None:
    model = SparseVariationalDropout(**SMALL)
    metrics = model.training_metrics(batch())
    metrics["loss"].backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
    torch.testing.assert_close(metrics["loss"], metrics["nll"] + metrics["kl"])
    doubled = SparseVariationalDropout(**{**SMALL, "examples": 200})
    doubled.load_state_dict(model.state_dict())
    torch.testing.assert_close(doubled.kl(), model.kl() / 2)


def test_kl_rises_in_its_warmup(tmp_path: Path) -> None:
    """From 0 to its full weight."""
    import lightning as L
    from gumbelzoo.data import ImageData

    data = ImageData("digits", binarization="none", batch_size=16)
    images = len(data.splits.train)
    model = SparseVariationalDropout((1, 8, 8), hidden=[4], warmup=4, examples=images)
    seen: list[float] = []
    metrics = model.training_metrics

    def recorded(data: Any) -> dict[str, Tensor]:
        found = metrics(data)
        seen.append(((found["loss"] - found["nll"]) / found["kl"]).item())
        return found

    model.training_metrics = recorded  # type: ignore[method-assign]
    trainer = L.Trainer(
        max_steps=6, limit_val_batches=1, limit_test_batches=1, val_check_interval=3, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, accelerator="cpu",
        default_root_dir=tmp_path,
    )  # fmt: skip
    with pytest.raises(ValueError, match=f"training images, {images}, got 60000; set --model.examples={images}"):
        trainer.fit(SparseVariationalDropout((1, 8, 8), examples=60_000), data)  # its KL would be too light
    trainer.fit(model, data)
    assert seen == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1], abs=1e-3)
    (found,) = trainer.test(model, data, verbose=False)
    assert found["test/open"] > 0.9 and found["test/loss"] == pytest.approx(found["test/nll"] + found["test/kl"])
