"""Metrics of the estimator benchmark, on a cost that is small enough for enumeration."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from gumbelzoo.benchmarks.estimators import bench, estimators, report
from gumbelzoo.benchmarks.estimators.bench import Setup, Variant
from gumbelzoo.benchmarks.estimators.estimators import NOTES, over_temperature, setups, unbiased_variants
from gumbelzoo.benchmarks.estimators.gradient_quality import gradient_draws, gradient_metrics, seconds_per_call
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical
from gumbelzoo.models.relaxed.estimators.exact import configurations
from gumbelzoo.models.relaxed.sampling import one_hot
from torch import Tensor

N, K, DRAWS = 2, 3, 4000


@pytest.fixture
def logits() -> Tensor:
    """``b n k``."""
    return torch.randn(3, N, K, generator=torch.Generator().manual_seed(0))


def cost(rows: Tensor, z: Tensor) -> Tensor:
    """A nonlinear cost, different for every row."""
    weight = torch.randn(3, N, K, generator=torch.Generator().manual_seed(1))
    return (z * weight[rows]).sum((-1, -2)).exp()


def measured(name: str, logits: Tensor, draws: int = DRAWS, **options: object) -> dict[str, float]:
    torch.manual_seed(2)
    exact = gradient_draws(RelaxedCategorical("exact"), logits, cost, 1)[0]
    layer = RelaxedCategorical({"name": name, **options}, 1.0)
    return gradient_metrics(gradient_draws(layer, logits, cost, draws), exact, layer.estimator.cost_evaluations(N, K))


def straight_through_bias(logits: Tensor) -> float:
    """Bias of straight-through at temperature 1, by enumeration, with the Jacobian of the softmax written out."""
    p, rows = logits.softmax(-1), torch.arange(3)
    z = one_hot(configurations(N, K), K)[:, None].expand(-1, 3, -1, -1).clone().requires_grad_()  # c b n k
    value = cost(rows, z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    weight = (z * p).sum(-1).prod(-1)[..., None, None]  # c b 1 1
    biased = (weight * p * (slope - (p * slope).sum(-1, keepdim=True))).sum(0)
    exact = (weight * value[..., None, None] * (z - p)).sum(0)
    return float(((biased - exact).norm() / exact.norm()).detach())


def test_exact_estimator_has_no_bias_and_no_noise(logits: Tensor) -> None:
    """Its cosine is 1, also at equal cost."""
    got = measured("exact", logits, draws=2)
    assert got["bias"] < 1e-6 and got["std"] < 1e-6 and got["net_square"] < 1e-12
    for name in ("cosine", report.EQUAL):
        assert got[name] == pytest.approx(1.0)


def test_unbiased_estimator_has_no_net_bias(logits: Tensor) -> None:
    """Its plain bias is the floor."""
    got = measured("reinforce", logits, samples=4, baseline="none")
    assert got["bias"] == pytest.approx(got["floor"], rel=0.5)
    assert abs(got["net_square"]) < 3 * got["net_square_error"]
    assert got["floor"] == pytest.approx(got["std"] / DRAWS**0.5)
    assert got["cosine"] == pytest.approx((1 + got["floor"] ** 2) ** -0.5, abs=0.01)
    assert got[report.EQUAL] == pytest.approx((1 + got["std"] ** 2 / 25) ** -0.5, rel=0.01)


def test_standard_error_of_the_net_bias(logits: Tensor) -> None:
    """It is the spread of repeated measurements, for a biased estimator; for an unbiased one it is a bound."""
    exact = gradient_draws(RelaxedCategorical("exact"), logits, cost, 1)[0]
    torch.manual_seed(3)
    draws = gradient_draws(RelaxedCategorical("straight_through_gumbel_softmax"), logits, cost, 100 * 1000)
    repeated = [gradient_metrics(part, exact, 1) for part in draws.split(1000)]
    spread = torch.tensor([one["net_square"] for one in repeated]).std()
    expected = torch.tensor([one["net_square_error"] ** 2 for one in repeated]).mean().sqrt()
    assert float(spread / expected) == pytest.approx(1.0, abs=0.25)


def test_straight_through_bias_by_enumeration(logits: Tensor) -> None:
    """The measured net bias is within three standard errors of it."""
    got, expected = measured("straight_through", logits), straight_through_bias(logits)
    assert expected > 0.1
    assert abs(got["net_square"] - expected**2) < 3 * got["net_square_error"]


def test_metrics_of_two_draws() -> None:
    """They are computed by hand for a known gradient."""
    got = gradient_metrics(torch.tensor([[3.0, 0.0], [5.0, 0.0]]), torch.tensor([2.0, 0.0]), evaluations=50)
    assert got["bias"] == pytest.approx(1.0)
    assert got["std"] == pytest.approx(2**0.5 / 2)
    assert got["net_square"] == pytest.approx((4 - 1) / 4)
    assert got[report.EQUAL] == pytest.approx(4 / (16 - 1 + 2 / 2) ** 0.5)
    assert got["log-variance"] == pytest.approx(math.log(2 / 2))


def test_draws_do_not_depend_on_the_chunk_size(logits: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image has its own cost, so a wrong order would show."""
    layer = RelaxedCategorical("exact")
    whole = gradient_draws(layer, logits, cost, 3)
    monkeypatch.setattr("gumbelzoo.benchmarks.estimators.gradient_quality.DECODED", 1)
    assert torch.allclose(gradient_draws(layer, logits, cost, 3), whole, atol=1e-6)
    assert whole.shape == (3, *logits.shape)


def test_functions_are_timed_in_turns() -> None:
    """A function is called until its seconds are used."""
    calls: list[str] = []
    times = seconds_per_call({name: lambda name=name: calls.append(name) for name in "ab"}, turns=3, seconds=1.0)
    assert "".join(calls) == "ab" * 4
    assert set(times) == {"a", "b"}
    calls.clear()
    seconds_per_call({"a": lambda: calls.append("a")}, turns=3, seconds=1e-12)
    assert calls == ["a"]


def test_every_estimator_is_measured() -> None:
    """The notes name the one that is not."""
    present = {variant.estimator for setup in setups().values() for variant in setup.variants}
    assert {f"`{name}`" for name in set(ESTIMATORS.names()) - present} == {"`concrete`"}
    assert "`concrete` has no row" in NOTES
    for setup in setups().values():
        for variant in setup.variants:
            if ESTIMATORS[variant.estimator].categories in (None, setup.categories):
                variant.layer(setup.latents, setup.categories)


def made_row(estimator: str, temperature: float | None, evaluations: int, net: float, std: float) -> report.Row:
    unbiased = net == 0.0
    numbers = dict.fromkeys(report.NUMBERS, 0.5) | {"std": std, report.EQUAL: 1 / (1 + net + std / 10)}
    return numbers | {
        "estimator": estimator, "options": {"samples": evaluations}, "temperature": temperature, "learned": False,
        "unbiased": unbiased, "pathwise": not unbiased, "evaluations": evaluations, "seconds": 1e-3 * evaluations,
        "net_square": net**2, "net_square_error": 0.01,
    }  # fmt: skip


def test_report_keeps_the_findings(tmp_path: Path) -> None:
    """All else on the page is written anew."""
    rows = [made_row("gumbel_softmax", tau, 1, tau, 1 / tau) for tau in (0.1, 0.5, 1.0)]
    rows += [made_row("reinforce", None, s, 0.0, 2 / s) for s in (1, 4)]
    target = tmp_path / "estimators.md"
    target.write_text(f"outdated\n\n{report.FINDINGS}\n\nA finding.\n")
    report.write({"8x4": rows, "other": rows}, {"8x4": "a description"}, "Notes.", tmp_path / "estimators.py")
    text = target.read_text()
    assert text.endswith(f"{report.FINDINGS}\n\nA finding.\n") and "outdated" not in text
    assert "| gumbel_softmax | 0.5 | 1 | 0.588 | 0.50 |" in text
    assert "| reinforce, samples=4 |  | 4 | 0.952 | < 0.17 |" in text
    assert (tmp_path / "estimators.png").stat().st_size > 10_000


@pytest.mark.real_data
def test_page_of_two_models(real: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small VAEs are trained for a few steps; every unbiased estimator has a row."""
    real("mnist_static")
    for name, value in {"VAE_STEPS": 3, "LEARNING_STEPS": 2, "DRAWS": 4, "TURNS": 1}.items():
        monkeypatch.setattr(bench, name, value)
    biased = list(over_temperature([Variant("gumbel_softmax")], (0.5, 1.0)))
    leave_one_out = Variant("reinforce", {"baseline": "leave_one_out", "samples": 4})
    small = {
        "3x2": Setup(2, 3, Variant("gumbel_softmax", {}, 1.0), [*biased, *unbiased_variants(3)], timed=True),
        "other": Setup(2, 3, leave_one_out, biased),
    }
    monkeypatch.setattr(estimators, "setups", lambda: small)
    monkeypatch.setattr(estimators, "__file__", str(tmp_path / "estimators.py"))
    monkeypatch.setattr("sys.argv", ["estimators.py", "--out", str(tmp_path / "out")])
    estimators.main()
    text = (tmp_path / "estimators.md").read_text()
    assert NOTES in text and "- other: negative ELBO" in text and "| gumbel_softmax | 0.5 |" in text
    for variant in unbiased_variants(3):
        assert variant.estimator == "disarm" or f"| {variant.estimator}" in text


def test_finished_value_is_not_computed_again(tmp_path: Path) -> None:
    """It is kept in the set-up's folder."""
    measured = object.__new__(bench.Bench)
    measured.folder = tmp_path
    assert measured.remembered("x", lambda: 1) == 1
    assert measured.remembered("x", lambda: 2) == 1
    assert json.loads((tmp_path / "measurements.json").read_text()) == {"x": 1}
