"""Sparsification by gates: gradients against enumeration, the penalty, removal, pruning of a trained network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.models.gates import GATES, FrequencyGate, SparseClassifier
from gumbelzoo.models.gates.objective import gated_metrics
from gumbelzoo.models.relaxed import ESTIMATORS
from torch import Tensor

SMALL: dict[str, Any] = {"image_shape": (1, 4, 4), "classes": 3, "network": {"name": "mlp", "hidden": [5, 4]}}
TINY: dict[str, Any] = {"image_shape": (1, 2, 2), "classes": 3, "network": {"name": "mlp", "hidden": [3]}}
OPTIONS: dict[str, dict[str, Any]] = {"exactly_k": {"k": 9}, "scale": {"k": 20}, "random_k": {"k": 22}}
ESTIMATED = [name for name in ESTIMATORS.names() if name not in ("exact", "unordered")]


def small(**options: Any) -> SparseClassifier:
    return SparseClassifier(**{**SMALL, **options})


def batch(n: int = 8, side: int = 4) -> dict[str, Tensor]:
    return {"image": torch.rand(n, 1, side, side), "label": torch.arange(n) % 3}


def gradients(estimator: str, draws: int) -> Tensor:
    """Gradients of the objective for the gates' logits ``d n``, a row for each draw, of one image."""
    torch.manual_seed(1)  # the same network for all estimators
    gates = {"name": "bernoulli", "estimator": estimator, "temperature": 0.5}
    model, x = SparseClassifier(**TINY, gates=gates), torch.tensor([[0.9, 0.2], [0.4, 0.7]]).expand(draws, 1, 2, 2)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.mul_(3.0)  # so that gates matter
    logits = torch.linspace(-0.5, 1.0, 7).expand(draws, 7).clone().requires_grad_()
    label = torch.zeros(draws, dtype=torch.int64)
    loss = gated_metrics(model.gates, model.cost, logits, lambda z: model.network(x, z), label)["loss"]
    return draws * torch.autograd.grad(loss, logits)[0]


@pytest.mark.parametrize("name", ESTIMATED)
def test_sparse_gradient_against_exact(name: str, z_scores: Any) -> None:
    """All 128 choices of seven gates: |z| < 4 for unbiased estimators; bias and cosine of the others are printed."""
    exact = gradients("exact", 1)[0].double()
    found = gradients(name, 4000)
    if ESTIMATORS[name].unbiased:
        assert z_scores(found, exact).abs().max() < 4
        return
    mean = found.double().mean(0)
    cosine = torch.cosine_similarity(mean, exact, dim=0)
    print(f"{name}: bias {(mean - exact).norm() / exact.norm():.3f}, cosine {cosine:.3f}")
    assert cosine > 0.6


@pytest.mark.parametrize("name", ["hard_concrete", "bernoulli"])
def test_penalty_closes_every_unit(name: str) -> None:
    """The gradient of the penalty is positive for every gate, as a part of the loss: public code has its sign wrong."""
    for price in ("units", "operations", "layers"):
        model = small(gates=name, price=price, cost={"name": "penalty", "weight": 0.5})
        metrics = model.training_metrics(batch())
        (gradient,) = torch.autograd.grad(metrics["loss"] - metrics["nll"], model.selector.slow_logits)
        assert (gradient > 0).all()
        assert metrics["loss"] > metrics["nll"]
        assert model.cost.prices.sum().item() == pytest.approx(1.0)


def test_price_of_a_layer() -> None:
    """All units of a layer together have the same price as those of another."""
    model = small(price="layers")
    sums = [part.sum().item() for part in model.cost.prices.split(model.network.sizes)]
    assert sums == pytest.approx([1 / len(sums)] * len(sums)) and len(sums) > 1


@pytest.mark.parametrize("name", ["hard_concrete", "bernoulli"])
def test_expected_open_units_are_drawn(name: str) -> None:
    """``open`` times the number of gates is the mean count of gates that are not 0."""
    model = small(gates=name, start=0.6)
    seen: list[Tensor] = []
    forward = model.network.forward
    model.network.forward = lambda x, gates: seen.append(gates.detach()) or forward(x, gates)  # type: ignore[method-assign]
    expected = model.training_metrics(batch(20_000))["open"].item() * 25
    counts = (seen[0].reshape(-1, 25) != 0).sum(-1).double()
    assert abs(counts.mean() - expected) < 4 * counts.std() / len(counts) ** 0.5


@pytest.mark.parametrize("name", GATES.names())
def test_sparse_classifier_removal(name: str) -> None:
    """To 1e-6, with every kind of gate, and as many units as are open."""
    model = small(gates={"name": name, **OPTIONS.get(name, {})}, cost="none").eval()
    with torch.no_grad():
        model.selector.slow_logits.copy_(torch.arange(25).roll(3).sub(10) / 40)
    x, smaller = torch.rand(7, 1, 4, 4), model.removed()
    torch.testing.assert_close(smaller(x), model.logits(x), rtol=0, atol=1e-6)
    assert sum(model.units()) == len(model.open_units().nonzero())
    layers = [layer for layer in smaller if isinstance(layer, torch.nn.Linear)]
    assert model.flops() == 2 * sum(layer.weight.numel() for layer in layers)
    assert [layer.in_features for layer in layers] == model.units()


@pytest.mark.parametrize("draw", ["example", "batch"])
@pytest.mark.parametrize("name", GATES.names())
def test_sparse_classifier_gradients(name: str, draw: str) -> None:
    """Every trained parameter gets one; the selector of gates that ignore it is not trained."""
    gates = {"name": name, **OPTIONS.get(name, {}), **({"k": 22} if name.endswith("_k") else {})}
    model = small(gates=gates, draw=draw, start=0.9)
    model.training_metrics(batch(64))["loss"].backward()
    assert not {n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())}
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == ({"selector.slow_logits"} if name in ("fixed", "random_k") else set())


@pytest.mark.parametrize("draw", ["example", "batch"])
def test_gates_are_drawn_per_example_or_batch(draw: str) -> None:
    """A switch that public code confuses: with one draw all images have the same gates."""
    model = small(gates="bernoulli", draw=draw, start=0.5)
    seen: list[Tensor] = []
    forward = model.network.forward
    model.network.forward = lambda x, gates: seen.append(gates) or forward(x, gates)  # type: ignore[method-assign]
    model.training_metrics(batch(30))
    assert seen[0].shape[-2] == (30 if draw == "example" else 1)
    assert (len(seen[0][0].unique(dim=0)) > 1) == (draw == "example")


@pytest.mark.parametrize("draw", ["example", "batch"])
def test_constant_pixel_gets_the_penalty_only(draw: str) -> None:
    """So it closes; the cross-entropy moves the gates of all other pixels."""
    model, data = small(draw=draw, cost={"name": "penalty", "weight": 0.5}, start=0.5), batch(50)
    data["image"][:, :, 0] = 0.0
    totals = []
    for _ in range(40):
        metrics = model.training_metrics(data)
        totals.append(torch.autograd.grad(metrics["nll"], model.selector.slow_logits)[0])
    gradient = torch.stack(totals).abs().sum(0)
    assert not gradient[:4].any() and (gradient[4:16] > 0).all()


def test_training_goes_on_from_a_trained_network() -> None:
    """``init_from`` brings the network and not the gates, and is no part of the configuration."""
    trained = small(gates="fixed")
    model = small(gates={"name": "fixed", "open": [0, 17, 22]}, init_from=trained)
    assert torch.equal(model.network.stages[1][0].weight, trained.network.stages[1][0].weight)
    assert model.units() == [1, 1, 1] and "init_from" not in model.config()
    resolved = SparseClassifier.resolve({"init_from": "name"}, lambda name: trained)
    assert resolved["init_from"] is trained
    for other, message in (
        ("name", "loaded model"),
        (small(network="mlp"), "same network"),
        (small(classes=4), "same network, image_shape and classes"),
        (FrequencyGate(), "same"),
    ):
        with pytest.raises(ValueError, match=message):
            small(init_from=other)


def test_sparse_classifier_config_rebuilds() -> None:
    model = small(gates={"name": "bernoulli", "estimator": "disarm"}, price="operations")
    again = SparseClassifier(**model.config())
    again.load_state_dict(model.state_dict())
    x = torch.rand(4, 1, 4, 4)
    assert torch.equal(again.eval().logits(x), model.eval().logits(x))


def test_pixels_that_are_left_are_shown() -> None:
    model = small(gates={"name": "fixed", "open": [5, 16, 22]}).eval()
    x = torch.rand(2, 1, 4, 4)
    views = model.views(x)
    assert views["open"].flatten(1).nonzero()[:, 1].tolist() == [5, 5] and torch.equal(views["held"], views["open"] * x)
    lenet = SparseClassifier((1, 16, 16), network={"name": "lenet5", "channels": [2, 2], "hidden": 3})
    assert lenet.views(torch.rand(1, 1, 16, 16)) == {}


def test_sparse_classifier_mistakes() -> None:
    for options, message in (
        ({"network": "mpl"}, "did you mean 'mlp'"),
        ({"price": "flops"}, "price must be one of units, operations, layers"),
        ({"draw": "rows"}, "draw must be one of example, batch"),
        ({"gates": {"name": "exactly_k", "k": 26}}, "k=26 of 25"),
    ):
        with pytest.raises(ValueError, match=message):
            small(**options)
    with pytest.raises(ValueError, match="a batch must have 'label'"):
        small().training_metrics({"image": torch.rand(2, 1, 4, 4)})


def test_sparse_classifier_trains(tmp_path: Path) -> None:
    """The loss of evaluation is the cross-entropy plus the cost, and the share of open gates is logged."""
    import lightning as L
    from gumbelzoo.data import ImageData

    model = SparseClassifier((1, 8, 8), network={"name": "mlp", "hidden": [6]}, cost={"name": "penalty", "weight": 0.5})
    trainer = L.Trainer(
        max_steps=2, limit_val_batches=1, limit_test_batches=1, val_check_interval=2, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, accelerator="cpu",
        default_root_dir=tmp_path,
    )  # fmt: skip
    data = ImageData("digits", binarization="none", batch_size=16)
    trainer.fit(model, data)
    (metrics,) = trainer.test(model, data, verbose=False)
    openness = model.gates.open_probability(model.selector(torch.zeros(1))).mean().item()
    assert metrics["test/loss"] - metrics["test/nll"] == pytest.approx(0.5 * openness, abs=1e-5)
    assert metrics["test/open"] == 1.0 and 0 <= metrics["test/accuracy"] <= 1
