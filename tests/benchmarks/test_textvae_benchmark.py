"""The benchmark of text VAEs: its command trains and resumes, and its page says what was not reached."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gumbelzoo.benchmarks.text import textvae, textvae_report
from gumbelzoo.benchmarks.text.textvae_rows import ROWS, Row
from gumbelzoo.models.text.vae import LATENTS, MATCHINGS


def recorded(**metrics: float) -> dict[str, Any]:
    return {"metrics": {f"test/{name}": value for name, value in metrics.items()}, "minutes": 1.0, "test_minutes": 1.0}


def test_textvae_goals() -> None:
    """Each figure of a goal counts, and bounds are compared with the language model of the same seed."""
    figures: dict[str, float] = {"kl": 4.0, "shuffle_cost": 5.0, "elbo": 44.0, "mutual_information": 3.0}
    model = {"runs": {"0": recorded(bound=40.0), "1": recorded(bound=41.0)}}
    record: dict[str, Any] = {"language_model": model}
    record["gumbel_softmax"] = {"runs": {"1": recorded(bound=41.4, **figures)}}
    assert textvae_report.above(record["gumbel_softmax"], record) == [pytest.approx(0.4)]
    assert textvae_report.goals(record).count("Reached.") == 2
    for worse in ({"bound": 41.6}, {"kl": 2.9}, {"shuffle_cost": 1.0}):
        changed = {**record, "gumbel_softmax": {"runs": {"1": recorded(**{"bound": 41.4, **figures, **worse})}}}
        assert textvae_report.goals(changed).count("**Not reached.**") == 2, worse
    changed = {
        **record,
        "gumbel_softmax": {"runs": {"1": recorded(**{"bound": 41.4, **figures, "mutual_information": 1.0})}},
    }
    assert textvae_report.goals(changed).endswith(
        "besides: 1.00. **Not reached.**"
    ) and "Reached." in textvae_report.goals(changed)
    without_model = {"language_model": model, "gumbel_softmax": {"runs": {"2": recorded(bound=39.0, **figures)}}}
    assert textvae_report.goals(without_model).count("**Not reached.**") == 2  # no seed in common
    for test, said in ((0.6, "0.600, 3.00, 5.00. **Not reached.**"), (0.55, "0.550, 3.00, 5.00. Reached.")):
        accuracies = {"critic_accuracy": test, "validation_accuracy": 0.5, "files_accuracy": 0.65}
        critic = {"runs": {"0": recorded(bound=50.0, **accuracies, **figures)}}
        line = textvae_report.goals({**record, "adversarial": critic}).splitlines()[-1]
        assert said in line and "On validation captions it is 0.500" in line
    assert "| 4.00 | 3.00 |" in textvae_report.rows_table({"gumbel_softmax": record["gumbel_softmax"]}, record)


@pytest.mark.parametrize("name", ROWS)
def test_textvae_row_is_possible(name: str, describe: Callable[..., Any]) -> None:
    """Its options are those of ``fit``."""
    model = "text_gan" if name == "language_model" else "text_vae"
    model_class, arguments, _ = describe(ROWS[name].config, ROWS[name].options)
    assert model_class(**arguments).registry_name == model
    if model == "text_vae":
        assert LATENTS.read(arguments.get("latent", "categorical")) and MATCHINGS.read(arguments.get("matching", "kl"))


@pytest.mark.slow
@pytest.mark.real_data
def test_textvae_command_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished runs are not trained again; the language model and the adversarial row have figures of their own."""
    monkeypatch.chdir(tmp_path)
    short = ("--trainer.max_steps=2", "--trainer.limit_val_batches=1", "--trainer.limit_test_batches=1")
    few = ("--model.test_samples=10",)
    some = ("--model.bound_samples=2", "--model.bound_sentences=10")
    rows = {name: ROWS[name] for name in ("language_model", "adversarial")}
    for name, row in rows.items():
        options = (*row.options, *short, *few, *(some if name == "adversarial" else ()))
        rows[name] = Row(row.section, options, row.config, (0,))
    for module in (textvae, textvae_report):
        monkeypatch.setattr(module, "ROWS", rows)
    monkeypatch.setattr(textvae, "RECORD", tmp_path / "textvae.json")
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)
    monkeypatch.setattr("sys.argv", ["textvae.py", "--out", "runs"])
    textvae.main()
    record = json.loads((tmp_path / "textvae.json").read_text())
    assert {"test/bound", "test/nll"} <= record["language_model"]["runs"]["0"]["metrics"].keys()
    accuracies = {"test/critic_accuracy", "test/validation_accuracy", "test/files_accuracy"}
    assert accuracies <= record["adversarial"]["runs"]["0"]["metrics"].keys()
    assert "## Goals" in (tmp_path / "textvae.md").read_text() and (tmp_path / "textvae.png").is_file()
    monkeypatch.setattr(textvae, "finish", lambda *arguments: pytest.fail("it is finished"))
    monkeypatch.setattr("sys.argv", ["textvae.py", "--out", "runs"])
    textvae.main()
    assert json.loads((tmp_path / "textvae.json").read_text()) == record
