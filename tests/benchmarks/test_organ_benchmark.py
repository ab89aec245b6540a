"""The benchmark of ORGAN: arms are compared at equal logP, a longer run goes on from a shorter one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.benchmarks.common import runs
from gumbelzoo.benchmarks.text import organ, organ_report, organ_rows
from gumbelzoo.benchmarks.text.organ_report import claim, distance_at, goal, longest, minutes_before, page, rows_table
from gumbelzoo.benchmarks.text.organ_searches import best
from gumbelzoo.models.text.text_gan import TextGAN
from gumbelzoo.vocabulary import Vocabulary


def run(reward: float, distance: float, minutes: float = 1.0, **metrics: float) -> dict[str, Any]:
    """A tested run."""
    found = {
        "domain_reward": reward,
        "descriptor_distance": distance,
        "valid": 0.96,
        "closed_shell": 0.95,
        "heavy_atoms": 9.0,
        **metrics,
    }
    environment = {"hardware": "x", "versions": {"torch": "2"}, "commit": "a"}
    named = {f"test/{name}": float(value) for name, value in found.items()}
    return {"metrics": named, "minutes": minutes, "test_minutes": 0.5, **environment}


def entry(points: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"choice": {"search_minutes": 0.0}, "runs": points}


def arms(apart: float) -> dict[str, Any]:
    """Arms that reach logP 0.5 half-way between two stops, with distances that differ by ``apart``, more or less."""
    record = {"maximum_likelihood": entry({f"{seed} 0": run(0.2, 0.0) for seed in range(3)})}
    for name, gain in (("weight_0", 0.0), ("weight_0.2", apart)):
        points = {}
        for seed in range(3):
            points[f"{seed} 200"] = run(0.4, 4.0 - gain)
            points[f"{seed} 500"] = run(0.6, 8.0 - gain + (0.1 * seed if gain else 0.0))
        record[name] = entry(points)
    return record


def test_distance_is_interpolated_at_the_first_crossing() -> None:
    points = [(0.2, 0.0), (0.4, 4.0), (0.6, 8.0), (0.5, 9.0), (0.7, 10.0)]
    assert distance_at(points, 0.5) == pytest.approx(((4**0.5 + 8**0.5) / 2) ** 2)
    assert distance_at(points, 0.3) == pytest.approx(1.0)
    assert distance_at(points, 0.8) is None


def test_discriminator_must_help_by_two_errors() -> None:
    """A gain that is the same in all seeds is one; a gain that seeds make is none, and one seed decides nothing."""
    assert "at logP 0.50, interpolated in its root along each arm's steps: 5.83 ± 0.00 without" in claim(arms(1.0))
    assert "keeps samples closer to the data" in claim(arms(1.0))
    assert "adds nothing" in claim(arms(0.01))
    single = {name: entry({k: r for k, r in row["runs"].items() if k[0] == "0"}) for name, row in arms(1.0).items()}
    assert "One seed decides nothing." in claim(single)
    assert claim({}).count("not both arms reach it") == 3


def test_configuration_is_compared_with_its_control() -> None:
    """By differences of the same seed, each in its sense: a higher logP is better, a larger distance worse."""

    def pair(reward: float, distance: float, seeds: int = 3) -> dict[str, Any]:
        jitter, same = [0.0, 0.01, -0.01], {"unique_10k": 0.9, "nll": 1.0}
        both = {f"{seed} 5000": run(0.5 + reward + jitter[seed], 8.0 + distance, **same) for seed in range(seeds)}
        alone = {f"{seed} 5000": run(0.5, 8.0 + jitter[seed], **same) for seed in range(3)}
        return {organ_rows.LONGEST: entry(both), organ_rows.LONGEST_CONTROL: entry(alone)}

    text = longest(pair(0.1, 1.0))
    assert "logP 0.100 ± 0.006 (better), unique@10k 0.000 ± 0.000 (no difference), distance 1.00 ± 0.01 (worse)" in text
    assert text.endswith("; 3 seeds.")
    assert "logP 0.002 ± 0.006 (no difference)" in longest(pair(0.002, -1.0))
    assert "distance -1.00 ± 0.01 (better)" in longest(pair(0.002, -1.0))
    assert longest(pair(0.1, 0.0, seeds=1)).count("(one seed decides nothing)") == 4
    assert longest({}) == "Not both have been run."


def test_goal_needs_all_of_it() -> None:
    good = {"unique_10k": 0.92, "internal_diversity": 0.9}
    reached = {"weight_0": entry({"0 200": run(0.5, 1.0, **good), "0 1500": run(0.61, 1.0, **good)})}
    assert goal(reached) == "Reached. `weight_0` after 1,500 steps (1 seed)"
    for lack in ({"unique_10k": 0.8}, {"closed_shell": 0.5}, {"heavy_atoms": 10.0}, {"valid": 0.9}):
        assert goal({"weight_0": entry({"0 1500": run(0.61, 1.0, **{**good, **lack})})}) == "**Not reached.**"


def test_minutes_of_a_curve_are_those_of_its_parts() -> None:
    """A record keeps the minutes of each part; the table shows their sum."""
    row = entry({"0 200": run(0.3, 1, 2.0), "0 500": run(0.4, 1, 3.0), "1 200": run(0.3, 1, 9.0)})
    assert minutes_before(row, 0, 1500) == 5.0 and minutes_before(row, 0, 200) == 0.0
    row["runs"]["0 1500"] = run(0.5, 1, 4.0)
    assert "| 1 | 9.0 |" in rows_table({"weight_0": row})


def test_search_keeps_different_sentences() -> None:
    """A copy of the best sentence comes after the second best, whatever rule training has for copies."""
    reward = {"name": "token_share", "tokens": ["a"]}
    vocabulary = Vocabulary(["<eos>", "a", "b"], level="character")
    model = TextGAN(vocabulary, 3, objective={"name": "organ", "domain_reward": reward, "copies": "unique"})
    tokens = torch.tensor([[2, 2, 0], [1, 1, 0], [1, 1, 0], [1, 2, 0]])
    assert best(model, tokens, 2).tolist() == [[1, 1, 0], [1, 2, 0]]


@pytest.mark.slow
def test_longer_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On strings of a grammar: stops of one run, whose folder has the last of them; what is finished is kept."""
    objective = "{name: organ, domain_reward: {name: token_share, tokens: [x], characters: true}, weight: 0}"
    short = ("--model.pretraining.steps=2", "--model.test_samples=20", "--trainer.limit_test_batches=1")
    row = organ_rows.Row("", (f"--model.objective={objective}", *short), steps=2)
    monkeypatch.chdir(tmp_path)
    for module in (organ, organ_report):
        for name, value in {
            "ROWS": {"weight_0": row},
            "SEARCHES": (),
            "SEEDS": (0,),
            "STOPS": (1, 2, 3),
        }.items():
            monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(organ, "CONFIG", "textgan_grammar")
    monkeypatch.setattr(organ, "PRETRAINING", 2)
    monkeypatch.setattr(organ, "RECORD", tmp_path / "organ.json")
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)

    def command(*options: str) -> str:
        monkeypatch.setattr("sys.argv", ["organ.py", "--out", "runs", *options])
        organ.main()
        return (tmp_path / "organ.md").read_text()

    assert "Not run yet." in command("--page")
    command()
    record = json.loads((tmp_path / "organ.json").read_text())
    assert list(record["weight_0"]["runs"]) == ["0 1", "0 2", "0 3"]
    assert runs.fit_record(tmp_path / "runs/weight_0/seed0/textgan_grammar/1")["batches"] == 5
    with monkeypatch.context() as patch:
        patch.setattr(organ, "finish", lambda *arguments, **options: pytest.fail("it is finished"))
        command()
    (tmp_path / "organ.json").unlink()
    with pytest.raises(SystemExit, match="failed: weight_0"):  # its networks after fewer steps are gone
        command()
    assert list(json.loads((tmp_path / "organ.json").read_text())["weight_0"]["runs"]) == ["0 3"]


def test_page_without_runs() -> None:
    assert page({})[-1] == "Not run yet."


@pytest.mark.parametrize("name", [name for name, row in organ_rows.ROWS.items() if row.steps < organ_rows.LONG])
def test_rate_does_not_fall(name: str, describe: Callable[..., Any]) -> None:
    """An arm goes on from fewer steps, which a schedule with an end would not survive."""
    _, arguments, _ = describe(organ_rows.CONFIG, list(organ_rows.ROWS[name].options))
    assert (arguments["optimizer"]["learning_rate"], arguments["optimizer"]["schedule"]) == (3e-4, "constant")
