"""What tables of trained rows share: the search, the record, cosines, and a command that goes on after a failure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.benchmarks.common import runs, search, table
from gumbelzoo.benchmarks.common.cosines import PART_STEPS, closeness, cosine_table, train_parts
from gumbelzoo.benchmarks.common.search import Choice
from gumbelzoo.models.relaxed import RelaxedCategorical
from torch import Tensor


def run_with(folder: Path, values: list[str], minutes: float = 1.5) -> Path:
    """A run folder with a metric of these values in its log."""
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("step,val/x\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values)))
    fit = {"seed": 0, "minutes": minutes, "hardware": "h", "versions": {"torch": "2"}, "commit": "c", "command": "fit"}
    (folder / "fit.json").write_text(json.dumps(fit))
    (folder / "test.json").write_text(json.dumps({"metrics": {"test/x": 2.0}, "minutes": 0.5}))
    return folder


@pytest.mark.parametrize(("maximise", "rate", "temperature"), [(False, 0.1, 1.0), (True, 0.2, 0.5)])
def test_search_takes_the_best(maximise: bool, rate: float, temperature: float, tmp_path: Path) -> None:
    """By the best value of each run, smaller or larger; a step without a validation has none."""
    values = {Choice(0.1, 0.5): ["3", "", "3"], Choice(0.1, 1.0): ["1", "9"], Choice(0.2, 0.5): ["11", "4"]}

    def tune(name: str, choice: Choice) -> Path:
        return run_with(tmp_path / name, values[choice])

    chosen = search.search(tune, list(values), "val/x", maximise)
    assert chosen == {"learning_rate": rate, "temperature": temperature, "search_minutes": 4.5}
    assert {path.name for path in tmp_path.iterdir()} == {"tune_lr0.1_tau0.5", "tune_lr0.1_tau1", "tune_lr0.2_tau0.5"}
    plain = search.search(lambda name, _: run_with(tmp_path / name, ["1"]), [Choice(0.3), Choice(0.4)], "val/x")
    assert plain == {"learning_rate": 0.3, "search_minutes": 3.0} and (tmp_path / "tune_lr0.3").is_dir()


def test_search_of_one_choice_trains_nothing() -> None:
    """There is nothing to compare."""

    def tune(name: str, _: Choice) -> Path:
        return pytest.fail(f"{name} was trained")

    assert search.search(tune, [Choice(0.3)], "val/x") == {"learning_rate": 0.3, "search_minutes": 0.0}


def test_reward_of_entropy_is_searched_after_the_rate(tmp_path: Path) -> None:
    """In runs as long as the final ones, before the first of them; the row's later seeds have no search."""
    trained: list[tuple[Any, ...]] = []

    def train(what: str, steps: int, choice: Choice, seed: int, test: bool) -> Path:
        trained.append((what, steps, choice, seed, test))
        return run_with(tmp_path / what, [f"{choice.learning_rate + (choice.entropy or 0)}"])

    record: dict[str, Any] = {}
    plan = search.Plan([Choice(0.2), Choice(0.1)], "val/x", 50, 10, 9, entropies=(0.5, 0.0))
    for seed in (0, 0, 1):
        table.finish_seed(record, "row", seed, plan, train)
    assert record["row"]["choice"] == {"learning_rate": 0.1, "entropy": 0.0, "search_minutes": 6.0}
    assert trained == [
        ("tune_lr0.2", 10, Choice(0.2), 9, False),
        ("tune_lr0.1", 10, Choice(0.1), 9, False),
        ("tune_lr0.1_entropy0.5", 50, Choice(0.1, None, 0.5), 9, False),
        ("tune_lr0.1_entropy0", 50, Choice(0.1, None, 0.0), 9, False),
        ("seed0", 50, Choice(0.1, None, 0.0), 0, True),
        ("seed1", 50, Choice(0.1, None, 0.0), 1, True),
    ]


def test_runs_from_before_the_search_of_entropy_are_not_mixed() -> None:
    record: dict[str, Any] = {"row": {"choice": {"learning_rate": 0.1, "search_minutes": 1.0}, "runs": {"0": {}}}}

    def train(what: str, *_: Any) -> Path:
        return pytest.fail(f"{what} was trained")

    plan = search.Plan([Choice(0.1)], "val/x", 50, 10, 9, entropies=(0.0, 0.1))
    with pytest.raises(RuntimeError, match="remove the row from the record"):
        table.finish_seed(record, "row", 1, plan, train)


def test_choices_at_the_edge_of_the_search_are_counted() -> None:
    """Of rows that had a search; of rewards of entropy, if there were any."""
    choices = [(0.2, 1.0, None), (0.1, 1.0, 0.1), (0.2, 1.0, 0.3), (0.2, 0.0, None)]
    record: dict[str, Any] = {
        str(number): {"choice": Choice(rate, None, entropy).entry(minutes)}
        for number, (rate, minutes, entropy) in enumerate(choices)
    }
    rates = "2 of 3 rows selected the largest learning rate, and might improve with a larger one."
    assert table.at_edge(record, (0.1, 0.2)) == rates
    assert table.at_edge(record, (0.1, 0.2), (0.1, 0.3)) == f"{rates} 1 of 2 selected the smallest reward of entropy."


def test_record_keeps_runs(tmp_path: Path) -> None:
    """Of all keys of a row, without the command; the budget sums the minutes of runs, tests and searches."""
    record: dict[str, Any] = {}
    for seed in ("0", "1"):
        choice = {"learning_rate": 0.1, "search_minutes": 7.0}
        table.add_run(record, "row", seed, choice, run_with(tmp_path / seed, ["1"]))
    record["row"]["cosine"] = {}
    table.add_run(record, "row", "2", choice, run_with(tmp_path / "2", ["1"]))
    assert set(record["row"]) == {"choice", "runs", "cosine"} and set(record["row"]["runs"]) == {"0", "1", "2"}
    run = record["row"]["runs"]["1"]
    assert run["metrics"] == {"test/x": 2.0} and run["test_minutes"] == 0.5 and "command" not in run
    assert table.budget(record).endswith("commit c. 6 minutes of runs and 7 of search in total.")


def test_searched_row_without_runs_is_not_shown(tmp_path: Path) -> None:
    """It stays in the record, for its choice."""
    seen: list[table.Record] = []
    record: table.Record = {"a": {"choice": {}, "runs": {}}, "b": {"choice": {}, "runs": {"0": {}}}}
    path = tmp_path / "x.json"
    table.write_record(path, record, ["b", "a"], lambda shown: ["x"], lambda shown, _: seen.append(shown))
    assert list(seen[0]) == ["b"] and list(table.read_record(path)) == ["b", "a"]


def test_parts_of_an_estimator_are_trained_alone() -> None:
    """A learned baseline comes near the cost, an average is that of the draws, and what has no parts is not called."""
    logits, calls = torch.zeros(2, 3, requires_grad=True), []
    for baseline in ("learned", "moving_average", "leave_one_out"):
        layer = RelaxedCategorical({"name": "reinforce", "samples": 4, "baseline": baseline}, event_shape=(3,))
        calls.append(0)

        def gradient(layer: RelaxedCategorical = layer) -> Tensor:
            calls[-1] += 1
            layer.zero_grad()
            layer.expectation(logits, lambda z: torch.tensor([5.0, 1.0]) + z.sum(-1)).sum().backward()
            return torch.zeros(0)

        train_parts(layer, gradient)
        if baseline != "leave_one_out":
            part = layer.estimator.baseline.eval()
            predicted = part(torch.tensor([[6.0, 2.0]]), logits.detach().softmax(-1)[None])
            assert float(predicted.detach().mean()) == pytest.approx(4.0, abs=0.2)
    assert calls == [PART_STEPS, PART_STEPS, 0] and torch.equal(logits, torch.zeros(2, 3))


def test_command_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A failed row is named at the end; each change of the record is written, and no other time."""
    monkeypatch.setattr("sys.argv", ["table.py", "--only", "a", "b"])
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)
    written: list[dict[str, Any]] = []

    def part(out: Path, record: table.Record, name: str, seed: int) -> bool:
        if name == "a":
            raise RuntimeError("it broke")
        new = str(seed) not in record.get(name, {})
        record.setdefault(name, {})[str(seed)] = seed
        return new

    def jobs(names: Any) -> list[table.Job]:
        return [(name, seed) for seed in (0, 0, 1) for name in names]

    with pytest.raises(SystemExit, match="failed: a"):
        table.run_command("x", "runs", ["a", "b", "c"], jobs, [part], {}, lambda record: written.append(dict(record)))
    assert len(written) == 2 and written[-1] == {"b": {"0": 0, "1": 1}}
    assert "a: FAILED, it broke" in capfd.readouterr().err


def test_closeness_of_gradients() -> None:
    """Noise lowers the cosine of a draw, and less that of their mean; a wrong direction lowers both."""
    truth = torch.tensor([1.0, 0.0])
    noisy = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    assert closeness(noisy, truth) == {"single": 0.7071, "mean": 1.0}
    assert closeness(noisy.flip(1).abs(), truth) == {"single": 0.7071, "mean": 0.7071}
    record = {"a": {"cosine": {"0": closeness(noisy, truth)}}, "b": {}}
    assert cosine_table(record, "Text.") == "Text.\n\n| row | 0 |\n| --- | --- |\n| `a` | 0.71 / 1.00 |"
    assert cosine_table({"b": {}}, "Text.") == "Not measured yet."


@pytest.mark.parametrize("finished", [True, False])
def test_interrupted_run_is_resumed(finished: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted run has a record too, which says that it is not finished."""
    run = tmp_path / "config" / "1"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.ckpt").touch()
    (run / "fit.json").write_text(json.dumps({"finished": finished}))
    called: list[list[str]] = []
    monkeypatch.setattr(runs, "gumbelzoo", lambda arguments: called.append(arguments) or 0)
    assert runs.finish(tmp_path, "config", [], test=False) == run
    assert [arguments[-1] for arguments in called] == ([] if finished else ["--ckpt_path=last"])
