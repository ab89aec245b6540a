"""The benchmark of Professor Forcing: a probe that finds what differs and nothing else, and a command that resumes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gumbelzoo.benchmarks.common import runs, search
from gumbelzoo.benchmarks.text import professor_forcing, professor_forcing_probe, professor_forcing_report
from gumbelzoo.benchmarks.text.professor_forcing_probe import Probed, States, late_distance, probe, states
from gumbelzoo.benchmarks.text.professor_forcing_rows import LATE, ROWS
from gumbelzoo.evaluation.ngrams import Corpus
from gumbelzoo.models.text.generators import GENERATORS
from gumbelzoo.models.text.text_gan import TextGAN
from gumbelzoo.vocabulary import Vocabulary
from torch import Tensor

PLACES = 6
SHORT = (
    "--model.generator.hidden=16",
    "--model.test_samples=20",
    "--data.batch_size=16",
    "--trainer.limit_val_batches=1",
    "--trainer.limit_test_batches=1",
)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that are enough for a difference that is large."""
    monkeypatch.setattr(professor_forcing_probe, "STEPS", 100)
    monkeypatch.setattr(professor_forcing_probe, "WARMUP", 5)


def probe_halves(forced: Tensor, free: Tensor, lengths: tuple[Tensor, Tensor] | None = None) -> Probed:
    """Probe that learns from the first half of sequences, and is measured on the other."""
    values = torch.stack([forced, free])
    everywhere = torch.full(values.shape[1:2], PLACES)
    mask = torch.stack([torch.arange(PLACES) < part[:, None] for part in lengths or (everywhere, everywhere)])
    half = len(forced) // 2
    return probe(States(values[:, :half], mask[:, :half]), States(values[:, half:], mask[:, half:]))


def test_probe_finds_the_place(few: None) -> None:
    """States that differ from the fourth place on are told there, and at no place before."""
    torch.manual_seed(0)
    x, y = torch.randn(2, 400, PLACES, 3)
    y[:, 3:] += 3
    found = probe_halves(x, y)
    assert all(abs(value - 0.5) < 0.1 for value in found.places[:3]) and min(found.places[3:]) > 0.9
    assert found.accuracy == pytest.approx(sum(found.places) / PLACES, abs=1e-3)


def test_probe_reads_sequences(few: None) -> None:
    """States that are alike at each place, and keep their sign in one kind alone, are told from the second place on."""
    torch.manual_seed(0)
    forced = torch.randn(600, 1, 1).sign().expand(600, PLACES, 1)
    found = probe_halves(forced, torch.randn(600, PLACES, 1).sign())
    assert abs(found.places[0] - 0.5) < 0.1 and found.places[1] > 0.65 and found.places[-1] > 0.9


def test_lengths_tell_a_probe_nothing(few: None) -> None:
    """Equal dynamics, and states that say their place: longer sequences of one kind are no evidence."""
    torch.manual_seed(0)
    place = torch.arange(PLACES, dtype=torch.float32)[:, None].expand(600, PLACES, 1)
    x, y = (torch.cat([place, torch.randn(600, PLACES, 2)], -1) for _ in range(2))
    short, long = torch.randint(1, 4, (600,)), torch.randint(3, PLACES + 1, (600,))
    found = probe_halves(x, y, (short, long))
    assert abs(found.accuracy - 0.5) < 0.06 and len(found.places) == 3  # no place where one kind has ended


def test_probe_needs_sequences() -> None:
    x = torch.randn(98, PLACES, 3)
    with pytest.raises(ValueError, match="a probe needs 50 sequences or more of either kind, got 49"):
        probe_halves(x, x)


def test_states_have_not_read_their_token() -> None:
    """The state of a place depends on the tokens before it alone; so the first one is always the same."""
    torch.manual_seed(0)
    spec = {"name": "lstm", "width": 4, "hidden": 5}
    generator = GENERATORS.build(spec, vocabulary=Vocabulary(["<eos>", "a", "b"]), max_length=4)
    tokens = torch.tensor([[1, 2, 1, 0], [1, 1, 2, 0]])
    found = states(generator, tokens)
    assert found.shape == (2, 4, 5)
    assert found[0, :2].equal(found[1, :2]) and not torch.allclose(found[0, 2], found[1, 2])


def test_late_distance_by_hand() -> None:
    """Of four-grams from the first late place on, every occurrence counts; early places do not."""
    width = LATE + 5
    rows = np.ones((4, width), np.int64)
    rows[1:, 0] = 2  # early
    rows[2, -1] = 3  # the last of its two late four-grams
    lengths = np.full(4, width)
    one, two = Corpus(rows[:2], lengths[:2]), Corpus(rows[2:], lengths[2:])
    assert late_distance(one, one) == 0 and late_distance(one, two) == pytest.approx(0.25)
    ended = Corpus(rows[2:], np.full(2, LATE))
    assert late_distance(ended, ended) == 0 and late_distance(ended, one) == late_distance(one, ended) == 1


def recorded(**metrics: float) -> dict[str, Any]:
    return {"metrics": {f"test/{name}": value for name, value in metrics.items()}, "minutes": 1.0, "probe": [0.5, 0.7]}


def test_forcing_goals() -> None:
    """Differences are of equal seeds; one seed decides nothing, and controls have no goal."""
    choice = {"dropout": 0.1, "search_minutes": 0.0}
    taught = {"0": recorded(nll=1.0, probe_accuracy=0.8), "1": recorded(nll=1.1, probe_accuracy=0.8)}
    forced = {"0": recorded(nll=0.9, probe_accuracy=0.7), "1": recorded(nll=0.99, probe_accuracy=0.6)}
    record: dict[str, Any] = {"teacher_forcing": {"runs": taught, "choice": choice}}
    assert professor_forcing_report.goals(record) == "Not measured yet."
    record["detached"] = {"runs": forced, "choice": choice}
    record["scheduled_sampling"] = {"runs": forced, "choice": choice}
    (line,) = professor_forcing_report.goals(record).splitlines()
    assert "NLL lower by 0.1050 ± 0.0050. Reached. Probe less accurate by 0.150 ± 0.050. Reached." in line
    record["detached"] = {"runs": {"1": recorded(nll=1.2, probe_accuracy=0.75)}, "choice": choice}
    line = professor_forcing_report.goals(record)
    assert "One seed decides nothing." in line and line.endswith("0.050. **Not reached.**")
    assert "| 0.8 |" not in professor_forcing_report.rows_table(record)
    silent = {"0": recorded(nll=0.9, probe_accuracy=0.5, distinct=0.01), "1": recorded(nll=1.0, probe_accuracy=0.5)}
    record["detached"] = {"runs": silent, "choice": choice}
    assert professor_forcing_report.goals(record).endswith("less accurate by 0.300 ± 0.000. **Not reached.**")
    assert professor_forcing_report.page({})[-1] == "Not run yet."


@pytest.mark.parametrize("name", ROWS)
def test_forcing_row_is_possible(name: str, describe: Callable[..., Any]) -> None:
    """Its options are those of ``fit``, and its model can be built."""
    options = [f"--model.objective={ROWS[name].objective}", "--model.generator.dropout=0.2"]
    model_class, arguments, steps = describe(professor_forcing.CONFIG, options)
    text = {"vocabulary": Vocabulary(["<eos>", "<unk>", "a"], level="character"), "max_length": 5}
    model = model_class(**{**arguments, **text})
    assert isinstance(model, TextGAN) and model.generator_spec["dropout"] == 0.2
    assert steps == professor_forcing.STEPS
    known = ROWS[name].objective.removeprefix("{name: ").partition(",")[0]
    assert type(model.objective).__name__.lower() in (known.replace("_", ""), "maximumlikelihood")


@pytest.mark.slow
@pytest.mark.real_data
def test_forcing_command_resumes(tmp_path: Path, real: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps of real rows, with the choice of dropout and the probe; finished runs are not trained again."""
    real("text/tinyshakespeare/input.txt")
    monkeypatch.chdir(tmp_path)
    rows = {name: ROWS[name] for name in ("teacher_forcing", "detached", "scheduled_sampling")}
    for module in (professor_forcing, professor_forcing_report):
        monkeypatch.setattr(module, "ROWS", rows)
        monkeypatch.setattr(module, "SEEDS", (0,))
        monkeypatch.setattr(module, "DROPOUTS", (0.0, 0.1))
        monkeypatch.setattr(module, "STEPS", 4)
    original = search.train
    monkeypatch.setattr(search, "train", lambda *given: original(*given[:2], [*given[2], *SHORT], *given[3:]))
    monkeypatch.setattr(professor_forcing, "REVERSE_STEPS", 2)
    monkeypatch.setattr(professor_forcing_probe, "STEPS", 20)
    monkeypatch.setattr(professor_forcing, "RECORD", tmp_path / "professor_forcing.json")
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)
    monkeypatch.setattr("sys.argv", ["professor_forcing.py", "--out", "runs"])
    professor_forcing.main()
    record = json.loads((tmp_path / "professor_forcing.json").read_text())
    assert list(record) == list(rows) and len({entry["choice"]["dropout"] for entry in record.values()}) == 1
    assert record["detached"]["choice"]["search_minutes"] == 0
    for entry in record.values():
        run = entry["runs"]["0"]
        assert {"test/nll", "test/reverse_nll", "test/probe_accuracy", "test/late_floor"} <= run["metrics"].keys()
        assert len(run["probe"]) > 20 and run["probe"][0] == 0.5 and 0 <= run["metrics"]["test/late_floor"] < 0.9
    assert "## Goals" in (tmp_path / "professor_forcing.md").read_text()
    assert (tmp_path / "professor_forcing.png").is_file()
    monkeypatch.setattr(runs, "finish", lambda *arguments: pytest.fail("it is finished"))
    professor_forcing.main()
    assert json.loads((tmp_path / "professor_forcing.json").read_text()) == record
