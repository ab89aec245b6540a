"""The benchmark of frequencies of Fashion-MNIST: it enumerates sets of channels, and judges its goals."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.benchmarks.gates import fashion, fashion_report
from gumbelzoo.benchmarks.gates.fashion_rows import CONFIG, LEARNED, ROWS, K, Row
from gumbelzoo.data import ImageData
from gumbelzoo.models.gates import FrequencyGate
from gumbelzoo.models.relaxed.subset.exact import subsets


def test_every_set_is_evaluated() -> None:
    """Each set of channels as if the gates were fixed to it, in the order of ``combinations``."""
    small: dict[str, Any] = {"image_shape": (1, 8, 8), "classes": 3, "block": 2, "widths": (4, 6), "cost": "none"}
    model = FrequencyGate(**small, gates={"name": "random_k", "k": 2}).eval()
    x, label = torch.rand(20, 1, 8, 8), torch.arange(20) % 3
    found = fashion.subset_scores(model, x, label, subsets(4, 2))
    for number, chosen in enumerate(combinations(range(4), 2)):
        fixed = FrequencyGate(**small, gates={"name": "fixed", "open": list(chosen)}).eval()
        fixed.network.load_state_dict(model.network.state_dict())
        assert found[number] == (fixed.predict(x) == label).sum()
    assert len(found) == 6


@pytest.mark.parametrize("name", ROWS)
def test_fashion_row_is_read(name: str, describe: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its options are those of ``fit``, and as many channels as it says are open at evaluation."""
    images = torch.rand(30, 1, 28, 28)
    monkeypatch.setattr("gumbelzoo.benchmarks.gates.fashion_rows.validation", lambda: (images, images))
    model_class, arguments, _ = describe(CONFIG, ROWS[name].options(1))
    model = model_class(**{**arguments, "widths": (2, 2)})
    opened = model.eval().open_channels(images[:1])[0]
    assert len(opened.nonzero()) == ROWS[name].k
    model.train().training_metrics({"image": images, "label": torch.arange(30) % 10})["loss"].backward()
    moved = model.selector.slow_logits.grad is not None and bool(model.selector.slow_logits.grad.any())
    assert moved == (ROWS[name].section == LEARNED or name == "scale_l1")


@pytest.mark.slow
def test_fashion_command_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It trains on digits, evaluates all 1,820 sets of four in one network, and keeps what is finished."""
    monkeypatch.chdir(tmp_path)
    rows = {name: ROWS[name] for name in ("subsets", "simple_4", "all")}
    for module in (fashion, fashion_report):
        monkeypatch.setattr(module, "ROWS", rows)
        monkeypatch.setattr(module, "SEEDS", (0,))
    options, small = Row.options, ["--data.name=digits", "--model.image_shape=[1,8,8]", "--model.widths=[2]"]
    monkeypatch.setattr(Row, "options", lambda row, seed: [*options(row, seed), *small])
    digits = ImageData("digits", "none").splits.valid
    monkeypatch.setattr(fashion, "validation", lambda: (digits.images[:50].float() / 255, digits.labels[:50]))
    monkeypatch.setattr(fashion, "STEPS", 4)
    monkeypatch.setattr(fashion, "RECORD", tmp_path / "fashion.json")
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)
    monkeypatch.setattr("sys.argv", ["fashion.py", "--out", "runs", "--only", "subsets", "simple_4"])
    fashion.main()
    record = json.loads((tmp_path / "fashion.json").read_text())
    correct = list(map(int, record["subsets"]["runs"]["0"]["correct"].split()))
    assert len(correct) == 1820 and 0 <= min(correct) < max(correct) <= 50
    learned = record["simple_4"]["runs"]["0"]
    assert len(learned["open"]) == 4 and learned["flops"] > 0
    assert "Not run yet: all." in (tmp_path / "fashion.md").read_text() and (tmp_path / "fashion.png").is_file()
    monkeypatch.setattr(fashion.search, "train", lambda *arguments, **options: pytest.fail("it is finished"))
    monkeypatch.setattr("sys.argv", ["fashion.py", "--out", "runs", "--only", "subsets", "simple_4"])
    fashion.main()
    assert json.loads((tmp_path / "fashion.json").read_text()) == record


def record(**accuracy: float) -> dict[str, Any]:
    """Runs with these accuracies in percent; sets of later numbers are better in the network of all sets."""
    opened = {"simple_4": [12, 13, 14, 15], "random": [0, 1, 2, 3], "all": list(range(16)), "simple_8": list(range(8))}
    opened["relaxed_top_4"] = opened["simple_4"]
    shared = {"flops": 1000, "minutes": 1.0}
    rows = {
        name: {"runs": {"0": {"metrics": {"test/accuracy": value / 100}, "open": opened[name], **shared}}}
        for name, value in accuracy.items()
    }
    return {**rows, "subsets": {"runs": {"0": {"correct": " ".join(map(str, range(1820)))}}}}


def test_fashion_goals_are_judged() -> None:
    """Within half a point of all channels, the rank among all sets, and the smallest k of which a row is that near."""
    good = fashion_report.goals(record(all=90.0, simple_4=89.6, simple_8=89.8, random=80.0, relaxed_top_4=80.0))
    assert "0.40 points below. Reached." in good and "the lowest is 100.0, the mean 100.0. Reached." in good
    assert "standard errors: one seed" in good and "of 4, 8: 4 of 16" in good
    bad = fashion_report.goals(record(all=90.0, simple_4=88.0))
    assert "2.00 points below. **Not" in bad and "of 4: none" in bad
    ((own, percentile),) = fashion_report.places(record(random=80.0)["random"], record())
    assert own == 0.0 and percentile == pytest.approx(100 / 1820)
    assert fashion_report.goals({}) == "Not measured yet."


def test_fashion_page_of_a_record() -> None:
    """It names the best set of the enumeration, and what is missing."""
    runs = record(all=90.0, simple_4=89.2)
    table = fashion_report.rows_table({name: runs[name] for name in ("all", "simple_4")}, runs)
    assert "| `simple_4` | 89.20 | 1 | 4 | 12 13 14 15 | 90.95 | 100.0 |" in table and "| all |  |" in table
    assert "the best set is 12 13 14 15 with 90.95%" in fashion_report.enumeration(runs)
    assert fashion_report.enumeration({}) == "Not run yet." and len(fashion_report.SETS) == 1820 and K == 4
