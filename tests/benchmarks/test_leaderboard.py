"""Leaderboard: its rows train, are tuned on validation data and run once; its pages show the record."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from gumbelzoo import create_model
from gumbelzoo.benchmarks.common import pages
from gumbelzoo.benchmarks.common.runs import test_metrics as metrics_of
from gumbelzoo.benchmarks.leaderboard import costs, leaderboard
from gumbelzoo.benchmarks.leaderboard.rows import ROWS, SEVERAL_STEPS, STEPS, Row
from gumbelzoo.benchmarks.leaderboard.table import Record, collect
from gumbelzoo.models import CategoricalVAE

SMALL = (
    "--data.name=digits",
    "--model.image_shape=[1,8,8]",
    "--model.bound_samples=2",
    "--model.optimizer.warmup=0",
    "--trainer.max_steps=6",
)
TAUS = (0.5, 1.0)
NETWORKS = {"encoder": {"name": "mlp", "hidden": [8]}, "decoder": {"name": "mlp", "hidden": [8]}}
TINY = {"image_shape": [1, 4, 4], **NETWORKS, "latents": 3}


@pytest.mark.parametrize("name", ROWS)
def test_row_has_a_gradient(name: str, describe: Callable[..., Any]) -> None:
    """Its encoder gets one; a row with several samples has its own number of samples and steps."""
    row = ROWS[name]
    model_class, arguments, steps = describe(row.config, row.command_options(name))
    several = row.section == "several"
    assert steps == (SEVERAL_STEPS if several else STEPS)
    assert arguments.get("training_samples", 1) == (int(name.rpartition("_")[2]) if several else 1)
    categories = {"categories": 4} if model_class is CategoricalVAE else {}
    model = model_class(**{**arguments, **TINY, **categories})
    model.train().training_metrics({"image": torch.rand(2, 1, 4, 4).round()})["loss"].backward()
    first = next(value for name, value in model.named_parameters() if name.startswith("encoder") and value.dim() == 2)
    assert first.grad is not None and first.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "estimator", "temperature"),
    [
        ("reinforce_learned", {"name": "reinforce", "samples": 1, "baseline": "learned"}, 0.5),
        ("vimco_1", {"name": "vimco", "samples": 2}, 0.5),
        (
            "straight_through_annealed",
            "straight_through",
            {"name": "exponential", "initial": 1.0, "minimum": 0.5, "rate": 1e-4},
        ),
        ("gaussian", None, None),
    ],
)
def test_row_options_reach_the_model(name: str, estimator: Any, temperature: Any, describe: Callable[..., Any]) -> None:
    """Estimator and temperature are those of the row."""
    _, arguments, _ = describe(ROWS[name].config, ROWS[name].command_options(name))
    assert (arguments.get("estimator"), arguments.get("temperature")) == (estimator, temperature)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two rows of a few steps on digits, tuned, trained and tested; a third has not begun."""
    several = (*SMALL, "--model.training_samples=3")
    rows = {
        "gumbel_softmax": Row(options=SMALL, temperatures=TAUS),
        "gumbel_softmax_3": Row("gumbel_softmax", several, section="several", learning_rates=()),
        "reinmax": Row(options=SMALL),
    }
    monkeypatch.setattr(leaderboard, "ROWS", rows)
    monkeypatch.setattr(leaderboard, "TUNING_STEPS", 3)
    monkeypatch.setattr(leaderboard, "RECORD", tmp_path / "leaderboard.json")
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    (tmp_path / "README.md").write_text("<!-- leaderboard -->\n<!-- /leaderboard -->\n")
    monkeypatch.setattr(costs, "DRAWS", 5)
    monkeypatch.setattr("sys.argv", ["gumbelzoo"])
    out = tmp_path / "board"
    assert leaderboard.job((out, "gumbel_softmax", 1)) == "gumbel_softmax: seed 1 done"
    assert leaderboard.job((out, "gumbel_softmax_3", 0)) == "gumbel_softmax_3: seed 0 done"
    return out


def elbo(run: Path) -> float:
    with (run / "catvae_mnist/1/metrics.csv").open(newline="") as file:
        return min(float(line["val/elbo"]) for line in csv.DictReader(file) if line.get("val/elbo"))


def test_selection_is_on_validation_data(board: Path) -> None:
    """The final run has the best temperature and learning rate, and is not trained twice."""
    row = board / "gumbel_softmax"
    elbos = [elbo(row / f"tune_lr0.001_tau{tau:g}") for tau in TAUS]
    assert elbos[0] != elbos[1]
    tau = TAUS[elbos[1] < elbos[0]]
    rate = min((1e-3, 2e-3), key=lambda rate: elbo(row / f"tune_lr{rate:g}_tau{tau:g}"))
    final = row / "seed1/catvae_mnist/1"
    content = yaml.safe_load((final / "config.yaml").read_text())
    arguments = content["model"]["init_args"]
    assert (arguments["temperature"], arguments["optimizer"]["learning_rate"]) == (tau, rate)
    assert content["seed_everything"] == 1 and content["trainer"]["max_steps"] == 6
    assert not list((board / "gumbel_softmax_3").glob("tune*"))

    files = {path: path.stat().st_mtime_ns for path in board.rglob("*.json")}
    (final / "test.json").unlink()
    assert leaderboard.job((board, "gumbel_softmax", 1)) == "gumbel_softmax: seed 1 done"
    again = {path for path, time in files.items() if path.stat().st_mtime_ns != time}
    assert again == {final / "test.json"}


@pytest.mark.slow
def test_page_survives_the_run_folders(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made from the record."""
    run = leaderboard.finished(board)["gumbel_softmax"][1]
    monkeypatch.setattr(leaderboard, "REFERENCE", str(run))
    leaderboard.write(board)
    page, bound = leaderboard.RECORD.with_suffix(".md"), metrics_of(run)["test/bound"]
    text = page.read_text()
    one, several = text.split("## Several samples")
    assert f"| `gumbel_softmax` | **{bound:.2f}** | 1 |" in one
    assert "| `gumbel_softmax_3` |" in several
    assert "Not run yet: reinmax." in text
    assert f"| `gumbel_softmax` | **{bound:.2f}** | 1 |" in (pages.ROOT / "README.md").read_text()
    measured = [entry["cost"] for entry in json.loads(leaderboard.RECORD.read_text()).values()]
    assert all(0.2 < cost["ratio"] < 20 and cost["log_variance"] < 10 for cost in measured)

    shutil.rmtree(board)
    leaderboard.write(board)
    assert page.read_text() == text


def test_pages_show_the_record() -> None:
    """The page has every row, the README the first five."""
    record = json.loads(leaderboard.RECORD.read_text())
    assert leaderboard.RECORD.with_suffix(".md").read_text() == "\n\n".join(leaderboard.page(record)) + "\n"
    text = (pages.ROOT / "README.md").read_text()
    table = leaderboard.readme_table(record)
    assert pages.insert_table(text, "leaderboard", table) == text
    assert len(table.splitlines()) == 2 + 5


def test_record_keeps_seeds_of_the_same_choice(board: Path) -> None:
    """Seeds are added and never replaced; another choice starts the row anew."""
    run = leaderboard.finished(board)["gumbel_softmax"][1]
    record: Record = {}
    for seed in (1, 2):
        collect(record, "row", {seed: run})
    entry = record["row"]
    assert list(entry["seeds"]) == ["1", "2"] and entry["choice"]["estimator"] == "gumbel_softmax"
    found = entry["seeds"]["1"]
    assert found["bound"] == metrics_of(run)["test/bound"]
    assert found["minutes"] >= 0 and "commit" in found and "command" not in found

    results = run / "test.json"
    results.write_text(results.read_text().replace('"test/bound": ', '"test/bound": 1'))
    collect(record, "row", {1: run})
    assert entry["seeds"]["1"] == found

    config = run / "config.yaml"
    content = yaml.safe_load(config.read_text())
    content["model"]["init_args"]["optimizer"]["learning_rate"] = 0.5
    config.write_text(yaml.safe_dump(content))
    collect(record, "row", {0: run})
    assert list(record["row"]["seeds"]) == ["0"] and record["row"]["choice"]["learning_rate"] == 0.5


def test_failed_row_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is one line; the log has the reason."""
    monkeypatch.setitem(ROWS, "reinmax", Row(options=(*SMALL, "--model.latents=0")))
    assert "reinmax: FAILED" in leaderboard.job((tmp_path, "reinmax", 0))
    assert "latents" in (tmp_path / "reinmax" / "tune_lr0.001" / "log.txt").read_text()


@pytest.mark.parametrize("code", [130, 143])
def test_interrupted_row_has_not_failed(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit codes of SIGINT and SIGTERM are no failures."""
    monkeypatch.setattr("gumbelzoo.benchmarks.common.runs.gumbelzoo", lambda _: code)
    assert leaderboard.job((tmp_path, "reinmax", 0)) == "reinmax: interrupted"


@pytest.mark.parametrize("m", [1, 3])
def test_variance_is_of_the_training_gradient(m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It equals the variance of gradients of ``training_metrics`` with the same noise."""
    monkeypatch.setattr(costs, "DRAWS", 4)
    model = create_model("categorical_vae", **TINY, categories=4, temperature=0.7, training_samples=m)
    assert isinstance(model, CategoricalVAE)
    model.train()
    x = torch.rand(5, 1, 4, 4).round()
    posterior = model.posterior(x).detach()
    torch.manual_seed(0)
    got = costs.log_variance(model, x)
    torch.manual_seed(0)
    gradients = []
    for _ in range(4):
        logits = posterior.clone().requires_grad_()
        monkeypatch.setattr(model, "posterior", lambda _, logits=logits: logits)
        (5 * model.training_metrics({"image": x})["loss"]).backward()
        gradients.append(logits.grad)
    assert got == pytest.approx(math.log(torch.stack(gradients).var(0).mean()), abs=1e-4)
