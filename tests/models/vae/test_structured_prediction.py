"""Structured output prediction: bounds and gradients through two stochastic layers against exact enumeration."""

import itertools
import json
from pathlib import Path

import pytest
import torch
from gumbelzoo.callbacks.metrics_file import read_metrics
from gumbelzoo.data import ImageData
from gumbelzoo.models.relaxed import ESTIMATORS
from gumbelzoo.models.vae.structured_prediction import StructuredPrediction
from gumbelzoo.train import main
from torch import Tensor

SMALL = {"image_shape": (1, 4, 4), "latents": 2, "categories": 3}


def small(**arguments: object) -> StructuredPrediction:
    torch.manual_seed(0)
    model = StructuredPrediction(**{**SMALL, **arguments})  # type: ignore[arg-type]
    model.initialise(torch.rand(1, 4, 4))
    with torch.no_grad():  # a new model is nearly uniform
        for parameter in model.links.parameters():
            parameter.add_(0.7 * torch.randn_like(parameter))
    return model


def images(number: int) -> Tensor:
    return torch.rand(number, 1, 4, 4, generator=torch.Generator().manual_seed(1)).round()


def exact_terms(model: StructuredPrediction, x: Tensor) -> tuple[Tensor, Tensor]:
    """Compute p(z_2 | x) and log p(y | z_2) for all 9 configurations from the weights, ``b c`` each."""
    one_hots = torch.eye(3)[torch.tensor(list(itertools.product(range(3), repeat=2)))].flatten(1)  # c n*k
    (w1, b1), (w2, b2), (w3, b3) = ((link[1].weight, link[1].bias) for link in model.links)

    def probabilities(logits: Tensor) -> Tensor:
        rows = logits.unflatten(-1, (2, 3)).softmax(-1).flatten(-2)
        return torch.stack([rows[:, z.bool()].prod(-1) for z in one_hots], -1)

    upper, lower = x[:, 0, :2].flatten(1), x[:, 0, 2:].flatten(1)
    mean_upper, mean_lower = model.base_rate[0, :2].flatten(), model.base_rate[0, 2:].flatten()
    z1 = probabilities((upper - mean_upper) @ w1.T + b1)
    z2 = z1 @ probabilities(one_hots @ w2.T + b2)
    pixels = torch.sigmoid(one_hots @ w3.T + b3 + torch.log(mean_lower / (1 - mean_lower)))
    log_p = torch.distributions.Bernoulli(pixels).log_prob(lower[:, None]).sum(-1)
    return z2, log_p


def test_exact_estimator_loss_equals_enumeration() -> None:
    model, x = small(estimator="exact"), images(6)
    p, log_p = exact_terms(model, x)
    expected = -(p * log_p).sum(-1).mean()
    loss = model.training_metrics({"image": x})["loss"]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    parameters = list(model.links.parameters())
    for got, exact in zip(*(torch.autograd.grad(value, parameters) for value in (loss, expected)), strict=True):
        assert torch.allclose(got, exact, atol=1e-5)


@torch.no_grad()
def test_bound_equals_enumeration() -> None:
    model, x = small().eval(), images(1)
    p, log_p = (term[0] for term in exact_terms(model, x))
    pairs = -torch.logaddexp(log_p[:, None], log_p) + torch.log(torch.tensor(2.0))
    elbo, two, nll = -(p @ log_p), p @ pairs @ p, -torch.logsumexp(p.log() + log_p, -1)
    assert elbo > two + 0.05 and two > nll + 0.05
    torch.manual_seed(0)
    for m, expected in ((1, elbo), (2, two)):
        bounds = model.importance_weighted_bound(x.expand(10_000, -1, -1, -1), samples=m)
        error = bounds.std().item() / len(bounds) ** 0.5
        assert bounds.mean().item() == pytest.approx(expected.item(), abs=4 * error)
    assert model.importance_weighted_bound(x, samples=200_000).item() == pytest.approx(nll.item(), abs=0.01)


@torch.no_grad()
def test_bound_in_chunks_equals_bound_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = small().eval(), images(2).repeat(50, 1, 1, 1)
    torch.manual_seed(0)
    at_once = model.importance_weighted_bound(x, samples=20)
    monkeypatch.setattr("gumbelzoo.models.relaxed.bounds.BOUND_ROWS", 7)
    in_chunks = model.importance_weighted_bound(x, samples=20)
    for example in range(2):
        one, other = at_once[example::2], in_chunks[example::2]
        assert (one.mean() - other.mean()).abs() < 4 * ((one.var() + other.var()) / len(one)).sqrt()


@pytest.mark.parametrize("estimator", ["reinforce", "rebar"])
def test_unbiased_gradient_equals_enumeration(estimator: str) -> None:
    model, x = small(estimator=estimator), images(2)
    p, log_p = exact_terms(model, x)
    parameters = list(model.links.parameters())
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(-(p * log_p).sum(-1).mean(), parameters)])
    batch = {"image": x.repeat(64, 1, 1, 1)}
    torch.manual_seed(1)
    draws = []
    for _ in range(150):
        gradients = torch.autograd.grad(model.training_metrics(batch)["loss"], parameters)
        draws.append(torch.cat([gradient.flatten() for gradient in gradients]))
    stacked = torch.stack(draws)
    z = (stacked.mean(0) - exact) / (stacked.std(0) / len(stacked) ** 0.5).clamp(min=1e-6)
    assert z.abs().max() < 4
    assert (stacked.mean(0) - exact).norm() < 0.1 * exact.norm()


@pytest.mark.parametrize("estimator", ESTIMATORS.names())
def test_every_estimator_trains_every_parameter(estimator: str) -> None:
    model = small(estimator=estimator, categories=ESTIMATORS[estimator].categories or 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    before = [parameter.clone() for parameter in model.parameters()]
    model.training_metrics({"image": images(64)})["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name
    optimizer.step()
    assert not any(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize(("layers", "hidden"), [(1, ()), (3, ()), (2, (7, 5))])
def test_layers_and_hidden_widths(layers: int, hidden: tuple[int, ...]) -> None:
    model, x = small(layers=layers, hidden=hidden), images(3)
    assert len(model.relaxed) == layers
    model.training_metrics({"image": x})["loss"].backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())  # type: ignore[union-attr]
    assert model.eval().importance_weighted_bound(x, samples=3).shape == (3,)
    widths = [p.shape[0] for name, p in model.links.named_parameters() if name.endswith("bias")]
    assert widths == [*[*hidden, 6] * layers, *hidden, 8]


@torch.no_grad()
def test_predictions_follow_enumeration() -> None:
    model, x = small().eval(), images(5)
    upper, lower = model.halves(x)
    predictions = model.predict(upper, 4000, generator=torch.Generator().manual_seed(0))
    assert predictions.shape == (4000, *lower.shape)
    p, log_p = exact_terms(model, x)
    likelihoods = torch.where(lower == 1, predictions, 1 - predictions).flatten(2).prod(-1)  # s b
    error = likelihoods.std(0) / len(likelihoods) ** 0.5
    assert ((likelihoods.mean(0) - (p * log_p.exp()).sum(-1)).abs() < 4 * error).all()


def test_completions_keep_upper_half() -> None:
    for model in (small().train(), small().eval()):
        x = images(5)
        upper = model.halves(x)[0]
        completions = model.complete(x, 3, generator=torch.Generator().manual_seed(0))
        assert completions.shape == (3, *x.shape)
        assert all(torch.equal(each[:, :, :2], x[:, :, :2]) for each in completions)
        predictions = model.predict(upper, 3, generator=torch.Generator().manual_seed(0))
        assert torch.equal(completions[:, :, :, 2:], predictions)
        modes = model.reconstruct(x)
        assert torch.equal(modes, model.reconstruct(x)) and torch.equal(modes[:, :, :2], x[:, :, :2])


@torch.no_grad()
def test_reconstruction_uses_modes_of_layers() -> None:
    model, x = small().eval(), images(5)
    logits = model.first_logits(x[:, :, :2])
    for link in model.links[1:]:
        logits = link(torch.nn.functional.one_hot(logits.argmax(-1), 3).float())
    expected = torch.sigmoid(logits + torch.logit(model.base_rate[:, 2:]))
    assert torch.allclose(model.reconstruct(x)[:, :, 2:], expected, atol=1e-6)


def test_new_model_predicts_mean_lower_half() -> None:
    torch.manual_seed(0)
    model = StructuredPrediction((1, 8, 8), latents=4, categories=5)
    mean = torch.rand(1, 8, 8) * 0.8 + 0.1
    model.initialise(mean)
    assert torch.allclose(model.predict(mean[None, :, :4], 200).mean((0, 1)), mean[:, 4:], atol=0.15)


CONFIG = """\
model:
  class_path: structured_prediction
  init_args:
    image_shape: [1, 8, 8]
    latents: 4
    categories: 5
    optimizer: {schedule: cosine}
    bound_samples: 20
    val_samples: 5
data:
  class_path: images
  init_args: {name: digits}
trainer: {accelerator: cpu, max_epochs: 2, limit_train_batches: 4}
"""


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Training counts steps and takes the mean from the data; the best checkpoint has the lowest bound."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["gumbelzoo"])
    Path("half.yaml").write_text(CONFIG)
    run = Path("runs/half/1")
    assert main(["fit", "--config", "half.yaml"]) == 0
    for name in ("reconstructions", "completions", "curves"):
        assert (run / "figures" / f"{name}.png").stat().st_size > 0, name
    assert not (run / "figures/samples.png").exists()
    state = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert state["relaxed.0.step"] == state["relaxed.1.step"] == 8
    assert torch.allclose(state["base_rate"], ImageData("digits").mean)
    callbacks = torch.load(run / "checkpoints/best.ckpt", weights_only=True)["callbacks"]
    assert any(name.startswith("BestCheckpoint") and "val/bound" in name for name in callbacks)
    metrics = read_metrics(run / "metrics.csv")
    assert len(metrics["val/bound"]) == 2 and metrics["val/bound"][-1][1] < metrics["val/elbo"][-1][1]

    assert main(["test", str(run)]) == 0
    metrics = json.loads((run / "test.json").read_text())["metrics"]
    assert metrics["test/bound"] < metrics["test/elbo"]
    assert main(["reconstruct", str(run), "--out", "halves.png"]) == 0
    capfd.readouterr()
    assert main(["sample", str(run)]) == 2
    assert capfd.readouterr().err.strip().endswith("cannot sample; it can: test, reconstruct")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (1, 7, 8)}, "height must be even, got 7"),
        ({"optimizer": {"schedule": "linear"}}, "optimizer.schedule must be one of"),
        ({"estimator": "gumbel"}, "unknown estimator"),
        ({"temperature": 0.0}, "> 0"),
        ({"layers": 0}, "layers"),
        ({"bound_samples": 0}, "bound_samples"),
        ({"categories": 1}, "categories must be a whole number >= 2"),
    ],
)
def test_bad_argument_raises(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StructuredPrediction(**arguments)  # type: ignore[arg-type]


def test_bad_input_raises() -> None:
    model = small()
    with pytest.raises(ValueError, match=r"image_shape='\[1, 8, 8\]'"):
        model.importance_weighted_bound(torch.zeros(2, 1, 8, 8))
    with pytest.raises(ValueError, match=r"upper halves have shape \(1, 2, 4\), got \(1, 4, 4\)"):
        model.predict(torch.zeros(2, 1, 4, 4))
