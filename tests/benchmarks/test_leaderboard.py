"""The leaderboard's rows can be trained, choose as they say, are not run twice, and are in the page."""

import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from gumbelzoo import create_model
from gumbelzoo.benchmarks.common import readme
from gumbelzoo.benchmarks.leaderboard import leaderboard
from gumbelzoo.benchmarks.leaderboard import table as leaderboard_table
from gumbelzoo.benchmarks.leaderboard.leaderboard import ROWS, SEVERAL_STEPS, Row
from gumbelzoo.commands.configs import find_config
from gumbelzoo.models import CategoricalVAE

SMALL = (
    "--data.name=digits",
    "--model.image_shape=[1,8,8]",
    "--model.bound_samples=2",
    "--model.lr_warmup=0",
    "--trainer.max_steps=6",
)
TAUS = (0.5, 1.0)


def arguments(name: str) -> tuple[Any, dict[str, Any]]:
    """The configuration of a row, and the model's arguments in it, before anything is chosen."""
    row = ROWS[name]
    content = yaml.safe_load(find_config(row.config).read_text())
    given = content["model"]["init_args"]
    if row.config == "catvae_mnist":
        given["estimator"] = row.estimator or name
    for option in row.options:
        key, value = option.removeprefix("--").split("=", 1)
        part, field = key.split(".")
        (given if part == "model" else content[part])[field] = yaml.safe_load(value)
    return content, given


@pytest.mark.parametrize("name", ROWS)
def test_every_row_has_a_loss_with_a_gradient(name: str) -> None:
    content, given = arguments(name)
    m = given.get("training_samples", 1)
    assert content["trainer"]["max_steps"] == (SEVERAL_STEPS if ROWS[name].section == "several" else leaderboard.STEPS)
    assert m == (int(name.rsplit("_", 1)[1]) if ROWS[name].section == "several" else 1)
    small = {"image_shape": [1, 4, 4], "hidden": [8], "latents": 3, "categories": 4}
    if content["model"]["class_path"] == "CategoricalVAE":
        model = create_model("categorical_vae", **{**given, **small})
    else:
        model = create_model("gaussian_vae", **{**given, "image_shape": [1, 4, 4], "hidden": [8]})
    model.train().training_metrics({"image": torch.rand(2, 1, 4, 4).round()})["loss"].backward()
    first = next(value for name, value in model.named_parameters() if name.startswith("encoder") and value.dim() == 2)
    assert first.grad is not None and first.grad.abs().sum() > 0


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two rows of a few steps on digits, tuned, trained and tested; a third has not begun."""
    rows = {
        "gumbel_softmax": Row(options=SMALL, temperatures=TAUS),
        "gumbel_softmax_3": Row(
            "gumbel_softmax", (*SMALL, "--model.training_samples=3"), section="several", learning_rates=()
        ),
        "reinmax": Row(options=SMALL),
    }
    monkeypatch.setattr(leaderboard, "ROWS", rows)
    monkeypatch.setattr(leaderboard, "TUNING_STEPS", 3)
    monkeypatch.setattr(leaderboard, "RECORD", tmp_path / "leaderboard.json")
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    readme.README.write_text("<!-- leaderboard -->\n<!-- /leaderboard -->\n")
    monkeypatch.setattr(leaderboard_table, "DRAWS", 5)
    monkeypatch.setattr("sys.argv", ["gumbelzoo"])
    out = tmp_path / "board"
    assert leaderboard.job((out, "gumbel_softmax", 1)) == "gumbel_softmax: seed 1 done"
    assert leaderboard.job((out, "gumbel_softmax_3", 0)) == "gumbel_softmax_3: seed 0 done"
    return out


def elbo(run: Path) -> float:
    with (run / "catvae_mnist/1/metrics.csv").open(newline="") as file:
        return min(float(line["val/elbo"]) for line in csv.DictReader(file) if line.get("val/elbo"))


def test_runs_are_chosen_on_validation_kept_and_written_down(board: Path) -> None:
    row = board / "gumbel_softmax"
    elbos = [elbo(row / f"tune_lr0.001_tau{tau:g}") for tau in TAUS]
    assert elbos[0] != elbos[1]
    tau = TAUS[elbos[1] < elbos[0]]
    rate = min(leaderboard.LEARNING_RATES, key=lambda rate: elbo(row / f"tune_lr{rate:g}_tau{tau:g}"))
    final = row / "seed1/catvae_mnist/1"
    content = yaml.safe_load((final / "config.yaml").read_text())
    assert (content["model"]["init_args"]["temperature"], content["model"]["init_args"]["learning_rate"]) == (tau, rate)
    assert content["seed_everything"] == 1 and content["trainer"]["max_steps"] == 6
    assert not list((board / "gumbel_softmax_3").glob("tune*"))

    files = {path: path.stat().st_mtime_ns for path in board.rglob("*.json")}
    (final / "test.json").unlink()
    assert leaderboard.job((board, "gumbel_softmax", 1)) == "gumbel_softmax: seed 1 done"
    again = {path for path, time in files.items() if path.stat().st_mtime_ns != time}
    assert again == {final / "test.json"}


def test_the_page_is_made_of_the_record_which_outlives_the_folders(
    board: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = leaderboard.finished(board)["gumbel_softmax"][1]
    monkeypatch.setattr(leaderboard, "REFERENCE", str(run))
    leaderboard.write(board)
    page, figure = leaderboard.RECORD.with_suffix(".md"), leaderboard_table.test_metrics(run)["test/bound"]
    text = page.read_text()
    one, several = text.split("## Several samples")
    assert f"| `gumbel_softmax` | **{figure:.2f}** | 1 |" in one
    assert "| `gumbel_softmax_3` |" in several
    assert "Not run yet: reinmax." in text
    assert f"| `gumbel_softmax` | **{figure:.2f}** | 1 |" in readme.README.read_text()
    costs = [entry["cost"] for entry in json.loads(leaderboard.RECORD.read_text()).values()]
    assert all(0.2 < cost["ratio"] < 20 and cost["log_variance"] < 10 for cost in costs)

    shutil.rmtree(board)
    leaderboard.write(board)
    assert page.read_text() == text


def test_the_page_and_the_readme_are_those_of_the_record() -> None:
    record = json.loads(leaderboard.RECORD.read_text())
    assert leaderboard.RECORD.with_suffix(".md").read_text() == "\n\n".join(leaderboard.page(record)) + "\n"
    text = readme.README.read_text()
    assert readme.with_table(text, "leaderboard", leaderboard.readme_table(record)) == text


def test_the_record_adds_seeds_keeps_what_it_has_and_forgets_another_choice(board: Path) -> None:
    run = leaderboard.finished(board)["gumbel_softmax"][1]
    record: leaderboard_table.Record = {}
    for seed in (1, 2):
        leaderboard_table.collect(record, "row", {seed: run})
    entry = record["row"]
    assert list(entry["seeds"]) == ["1", "2"] and entry["choice"]["estimator"] == "gumbel_softmax"
    found = entry["seeds"]["1"]
    assert found["bound"] == leaderboard_table.test_metrics(run)["test/bound"]
    assert found["minutes"] >= 0 and "commit" in found and "command" not in found

    results = run / "test.json"
    results.write_text(results.read_text().replace('"test/bound": ', '"test/bound": 1'))
    leaderboard_table.collect(record, "row", {1: run})
    assert entry["seeds"]["1"] == found

    config = run / "config.yaml"
    content = yaml.safe_load(config.read_text())
    content["model"]["init_args"]["learning_rate"] = 0.5
    config.write_text(yaml.safe_dump(content))
    leaderboard_table.collect(record, "row", {0: run})
    assert list(record["row"]["seeds"]) == ["0"] and record["row"]["choice"]["learning_rate"] == 0.5


def test_a_row_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROWS, "reinmax", Row(options=(*SMALL, "--model.latents=0")))
    assert "reinmax: FAILED" in leaderboard.job((tmp_path, "reinmax", 0))
    assert "latents" in (tmp_path / "reinmax" / "tune_lr0.001" / "log.txt").read_text()


@pytest.mark.parametrize("code", [130, 143])
def test_a_run_that_is_asked_to_end_has_not_failed(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gumbelzoo.benchmarks.common.runs.gumbelzoo", lambda _: code)
    assert leaderboard.job((tmp_path, "reinmax", 0)) == "reinmax: interrupted"


@pytest.mark.parametrize("m", [1, 3])
def test_the_variance_is_of_the_gradient_that_training_descends(m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaderboard_table, "DRAWS", 4)
    small = {"image_shape": [1, 4, 4], "hidden": [8], "latents": 3, "categories": 4}
    model = create_model("categorical_vae", **small, temperature=0.7, training_samples=m)
    assert isinstance(model, CategoricalVAE)
    model.train()
    x = torch.rand(5, 1, 4, 4).round()
    posterior = model.posterior(x).detach()
    torch.manual_seed(0)
    got = leaderboard_table.log_variance(model, x)
    torch.manual_seed(0)
    gradients = []
    for _ in range(4):
        logits = posterior.clone().requires_grad_()
        monkeypatch.setattr(model, "posterior", lambda _, logits=logits: logits)
        (5 * model.training_metrics({"image": x})["loss"]).backward()
        gradients.append(logits.grad)
    assert got == pytest.approx(math.log(torch.stack(gradients).var(0).mean()), abs=1e-4)
