"""The classifier behind frequency gates: its DCT, its removal of channels, its operations, its training."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from gumbelzoo.data.frequencies.datamodule import FrequencyData
from gumbelzoo.data.frequencies.textures import to_coefficients
from gumbelzoo.models.gates import GATES, FrequencyGate
from gumbelzoo.models.gates.dct import block_dct, dct_matrix, zigzag
from gumbelzoo.models.gates.pruning import flops, gated_inputs, kept_outputs
from torch import Tensor, nn

SMALL: dict[str, Any] = {"image_shape": (1, 8, 8), "classes": 3, "block": 2, "widths": (4, 6)}
OPTIONS: dict[str, dict[str, Any]] = {
    "exactly_k": {"k": 2},
    "fixed": {"open": [0, 2]},
    "scale": {"k": 2},
    "random_k": {"k": 2},
}


def small(**options: Any) -> FrequencyGate:
    return FrequencyGate(**{**SMALL, **options})


def batch(n: int = 16) -> dict[str, Tensor]:
    return {"image": torch.rand(n, 1, 8, 8), "label": torch.arange(n) % 3}


def test_block_dct_is_orthonormal() -> None:
    """Of several image channels; it has their energy, and equals the definition block by block."""
    assert torch.allclose(dct_matrix(4) @ dct_matrix(4).T, torch.eye(4), atol=1e-6)
    x = torch.randn(5, 2, 8, 12)
    y = block_dct(2, 4)(x)
    assert y.shape == (5, 32, 2, 3) and torch.allclose(y.square().sum((1, 2, 3)), x.square().sum((1, 2, 3)), rtol=1e-5)
    block = dct_matrix(4) @ x[0, 1, 4:8, 8:12] @ dct_matrix(4).T
    assert torch.allclose(y[0, 16:, 1, 2].view(4, 4), block, atol=1e-5)


def test_block_dct_is_that_of_the_data() -> None:
    images = torch.rand(3, 1, 32, 32)
    assert torch.allclose(0.1 * to_coefficients(images), block_dct(1, 4)(images - 0.5), atol=1e-5)


def test_zigzag_is_that_of_jpeg() -> None:
    assert zigzag(4) == [0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15]


@pytest.mark.parametrize("name", [name for name in GATES.names() if name != "exactly_k"])
def test_removed_network_equals_the_gated_one(name: str) -> None:
    """To 1e-6, and with fewer operations; a product with 0 saves nothing."""
    model = small(gates={"name": name, **OPTIONS.get(name, {})}).eval()
    with torch.no_grad():
        model.selector.slow_logits.copy_(torch.tensor([0.1, -0.4, 0.06, -0.5]))
    x = torch.rand(7, 1, 8, 8)
    removed, dense = model.removed(), nn.Sequential(model.dct, *model.network)
    assert removed[1].out_channels == removed[2].in_channels == 2
    torch.testing.assert_close(removed(x), model.logits(x), rtol=0, atol=1e-6)
    assert model.flops() == flops(removed, x[:1]) < flops(dense, x[:1])
    assert len(model.open_channels(x)[0].nonzero()) == 2


def test_flops_are_those_of_the_layers() -> None:
    """By hand: two operations for each product, of the DCT, two convolutions and the last layer."""
    model = small(gates={"name": "fixed", "open": [1, 3]}).eval()
    dct, first, second, last = 16 * 2 * 4, 16 * 4 * 2 * 9, 4 * 6 * 4 * 9, 6 * 4 * 3
    assert model.flops() == 2 * (dct + first + second + last)


def test_removal_of_linear_and_grouped_layers() -> None:
    """Groups of features follow their channel; scales go into the weights; the given layer stays as it is."""
    gates, layer, x = torch.tensor([0.0, 0.5, 0.0, 1.0]), nn.Linear(8, 3), torch.randn(5, 8)
    scale = gates.repeat_interleave(2)
    smaller = gated_inputs(layer, gates)
    torch.testing.assert_close(smaller(x[:, scale != 0]), layer(x * scale))
    assert smaller.in_features == 4 and layer.in_features == 8
    outputs = kept_outputs(nn.Linear(2, 4), gates)
    assert outputs.out_features == 2 and outputs.weight.shape == (2, 2) and outputs.bias.shape == (2,)
    for call, message in (
        (lambda: gated_inputs(nn.Conv2d(4, 4, 1, groups=2), gates), "without groups"),
        (lambda: gated_inputs(nn.Linear(7, 3), gates), "4 inputs"),
        (lambda: kept_outputs(nn.Linear(7, 3), gates), "4 outputs"),
        (lambda: gated_inputs(layer, torch.zeros(4)), "every channel is closed"),
        (lambda: kept_outputs(nn.Linear(2, 4), torch.zeros(4)), "every channel is closed"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_dynamic_gates_cannot_be_removed() -> None:
    with pytest.raises(ValueError, match="use selector 'static'"):
        small(selector="dynamic").removed()


@pytest.mark.parametrize("selector", ["static", {"name": "static", "draw": "batch"}, "dynamic"])
@pytest.mark.parametrize("name", GATES.names())
def test_gate_model_gradients(name: str, selector: Any) -> None:
    """Every trained parameter gets one; the selector of gates that ignore it is not trained."""
    model = small(gates={"name": name, **OPTIONS.get(name, {})}, selector=selector)
    metrics = model.training_metrics(batch())
    metrics["loss"].backward()
    assert not {n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())}
    frozen = {n.split(".")[0] for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == ({"dct", "selector"} if name in ("fixed", "random_k") else {"dct"})


@pytest.mark.parametrize("estimator", ["reinforce", "disarm", "rebar", "reinmax", "arsm"])
def test_gate_model_with_samples(estimator: str) -> None:
    """Leading axes of samples stay apart from those of examples, for draws per example and per batch."""
    for draw in ("example", "batch"):
        model = small(gates={"name": "bernoulli", "estimator": estimator}, selector={"name": "static", "draw": draw})
        metrics = model.training_metrics(batch())
        metrics["loss"].backward()
        assert set(metrics) == {"loss", "nll", "open"}  # an accuracy of sets, swaps or relaxed points would say nothing
        assert metrics["nll"].item() == pytest.approx(1.1, abs=0.4)
        assert model.selector.slow_logits.grad.abs().min() > 0


def test_law_without_marginals_needs_no_cost() -> None:
    gates = {"name": "exactly_k", "k": 2, "estimator": "relaxed_top_k"}
    assert "open" not in small(gates=gates, cost="none").training_metrics(batch())
    with pytest.raises(ValueError, match="marginals of a Plackett-Luce law"):
        small(gates=gates).training_metrics(batch())


def test_openness_falls_under_a_penalty() -> None:
    """Gates of no use close."""
    torch.manual_seed(0)
    model = small(cost={"name": "penalty", "weight": 4.0})
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    start = model.selector.slow_logits.detach().clone()
    for _ in range(60):
        optimizer.zero_grad()
        model.training_metrics(batch(32))["loss"].backward()
        optimizer.step()
    assert (model.selector.slow_logits < start - 0.1).all()


@pytest.mark.parametrize("name", ["bernoulli", "hard_concrete", "exactly_k"])
def test_gate_temperature_is_counted(name: str) -> None:
    """The model knows every layer whose schedule it has to advance."""
    spec = {"name": "exponential", "initial": 1.0, "rate": 0.1}
    extra = {"estimator": "relaxed_top_k"} if name == "exactly_k" else {}
    model = small(gates={"name": name, "temperature": spec, **OPTIONS.get(name, {}), **extra}, cost="none")
    (layer,) = model.relaxed_layers()
    layer.advance()
    assert layer.current_temperature() < 1


def test_frequency_gate_config_rebuilds() -> None:
    model = small(gates={"name": "exactly_k", "k": 3}, selector="dynamic", cost="none")
    again = FrequencyGate(**model.config())
    again.load_state_dict(model.state_dict())
    x = torch.rand(4, 1, 8, 8)
    assert torch.equal(again.eval().logits(x), model.eval().logits(x))


def test_frequency_gate_mistakes() -> None:
    for options, message in (
        ({"block": 3}, "block must divide"),
        ({"widths": [0]}, "widths must be"),
        ({"gates": "bernouli"}, "did you mean 'bernoulli'"),
        ({"cost": {"name": "penalty", "wheight": 1.0}}, "did you mean 'weight'"),
    ):
        with pytest.raises(ValueError, match=message):
            small(**options)
    with pytest.raises(ValueError, match="a batch must have 'label'"):
        small().training_metrics({"image": torch.rand(2, 1, 8, 8)})


def test_frequency_gate_trains(tmp_path: Any) -> None:
    """A few steps on planted frequencies; validation and test report what was found, and dynamic gates frozen."""
    import lightning as L

    torch.manual_seed(0)
    model = FrequencyGate(selector="dynamic", gates={"name": "exactly_k", "k": 4}, cost="none", widths=(4, 4))
    trainer = L.Trainer(
        max_steps=3, limit_val_batches=1, limit_test_batches=1, val_check_interval=3, logger=False, barebones=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, accelerator="cpu",
        default_root_dir=tmp_path,
    )  # fmt: skip
    data = FrequencyData(batch_size=16, eval_batch_size=100)
    trainer.fit(model, data)
    assert model.openness.sum().item() == pytest.approx(4.0, abs=1e-4)
    (metrics,) = trainer.test(model, data, verbose=False)
    assert metrics["test/open"] == pytest.approx(0.25)
    assert 4 * metrics["test/found"] + 12 * metrics["test/false"] == pytest.approx(4.0, abs=1e-4)
    assert {"test/frozen_accuracy", "test/accuracy", "test/loss"} <= set(metrics)


def test_openness_is_reduced_on_the_device_of_the_model() -> None:
    """NCCL reduces no tensor of a CPU."""
    model, seen = small().to("meta"), []
    strategy = SimpleNamespace(reduce=lambda tensor, reduce_op: seen.append(tensor) or tensor)
    model._trainer = SimpleNamespace(strategy=strategy)
    model.on_validation_epoch_start()
    model.on_validation_epoch_end()
    assert [tensor.device.type for tensor in seen] == ["meta", "meta"]


def test_views_hold_the_open_frequencies() -> None:
    """With all gates open it is the image itself; with the lowest alone the mean of each block."""
    x = torch.rand(3, 1, 8, 8)
    views = small(gates={"name": "fixed", "open": [0, 1, 2, 3]}).eval().views(x)
    torch.testing.assert_close(views["held"], x)
    assert views["open"].shape == x.shape and views["open"].min() == 1
    views = small(gates={"name": "fixed", "open": [0]}).eval().views(x)
    means = nn.functional.avg_pool2d(x, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(views["held"], means)
    assert views["open"][0, 0, :4, :4].min() == 1 and views["open"].sum() == 3 * 16
