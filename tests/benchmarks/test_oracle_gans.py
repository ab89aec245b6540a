"""Text GANs on the oracle: the distance below the curve, and one row from training to the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gumbelzoo.benchmarks.common.pages import mean_and_error
from gumbelzoo.benchmarks.text import oracle_gans
from gumbelzoo.benchmarks.text.oracle_gans import below

ALL = oracle_gans.ROWS | oracle_gans.TRIED
CURVE = [(10.0, 7.7), (9.0, 7.6), (8.0, 8.0), (7.0, 9.0)]  # the first point is hotter than the best


@pytest.mark.parametrize("name", ALL)
def test_row_builds_its_model(name: str, describe: Callable[..., Any]) -> None:
    """The options are accepted; only the constant reward has nothing to train a discriminator for."""
    model_class, arguments, _ = describe(*ALL[name])
    model = model_class(**arguments)
    assert bool(model.objective.discriminator_parameters()) == ("constant" not in name)


def test_distance_is_at_equal_held_out_nll() -> None:
    """It is None outside of the curve."""
    assert below((8.4, 7.8), CURVE) == pytest.approx(0.1)
    assert below((8.0, 8.5), CURVE) == pytest.approx(-0.5)
    assert below((9.5, 7.65), CURVE) == pytest.approx(8.875 - 9.5)  # compared with the cold branch, not the hot one
    assert below((5.0, 7.5), CURVE) is None and below((5.0, 9.1), CURVE) is None


def test_mean_and_standard_error() -> None:
    """One value has no error."""
    assert mean_and_error([], 3) == "" and mean_and_error([1.0], 3) == "1.000"
    assert mean_and_error([1.0, 2.0, 3.0], 3) == "2.000 ± 0.577"


@pytest.mark.slow
@pytest.mark.real_data
def test_page_of_two_rows(real: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They train for one step, one as a row and one as a variation."""
    monkeypatch.setenv("GUMBELZOO_DATA", str(Path(real("seqgan_oracle/target_params.npz")).resolve()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(oracle_gans, "__file__", str(tmp_path / "oracle_gans.py"))
    monkeypatch.setattr("gumbelzoo.data.text.oracle.SIZES", (200, 100, 100))
    monkeypatch.setattr(oracle_gans, "START_ALPHAS", (1.5,))
    monkeypatch.setattr(oracle_gans, "COLDER", (2.0,))
    monkeypatch.setattr(oracle_gans, "SAMPLES", 50)
    name = "SeqGAN, constant reward"
    config, options = oracle_gans.ROWS[name]
    short = [
        "--trainer.max_steps=1",
        "--trainer.limit_val_batches=1",
        "--model.test_samples=50",
        "--model.objective.rollouts=1",
    ]
    monkeypatch.setattr(oracle_gans, "ROWS", {name: (config, [*options, *short])})
    monkeypatch.setattr(
        oracle_gans, "TRIED", {"slow, 1e-5": (config, ["--model.optimizer.learning_rate=1e-5", *short])}
    )
    monkeypatch.setattr("sys.argv", ["oracle_gans.py", "--out", "runs", "--seeds", "1"])
    oracle_gans.main()
    assert (tmp_path / "runs/SeqGAN_constant_reward/seed1" / config / "1/test.json").is_file()
    text = (tmp_path / "oracle_gans.md").read_text()
    assert "| start | 1.5 |" in text and f"| {name} | 1 |" in text and f"| {name} | 2 |" in text
    assert "| slow, 1e-5 | 1 |" in text.split("## Variations")[1]
    assert (tmp_path / "oracle_gans.png").stat().st_size > 10_000
