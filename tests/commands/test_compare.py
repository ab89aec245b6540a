"""``compare``: what differs between runs, their best validation and tests, in a table and a plot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from gumbelzoo.commands.run_folders.comparison import short_names
from gumbelzoo.commands.run_folders.tables import LONGEST, age, number, table
from gumbelzoo.train import main
from PIL import Image

Make = Callable[..., Path]


@pytest.fixture
def three(made_run: Make) -> list[Path]:
    """Runs of two learning rates and two temperatures, their best 20, 10 and 15."""
    rate, temperature = "model__init_args__optimizer__learning_rate", "model__init_args__temperature"
    runs = [
        made_run("tiny/1", **{rate: 1e-3}),
        made_run("tiny/2", (30.0, 10.0, 12.0), **{rate: 3e-3}),
        made_run("tiny/a", (30.0, 15.0), **{rate: 1e-3, temperature: 0.5}),
    ]
    metrics = {"test/bound": 9.5, "test/kl": 1.0}
    (runs[1] / "test.json").write_text(json.dumps({"metrics": metrics, "checkpoint": "best.ckpt", "batches": 20}))
    return runs


def compared(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["compare", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_runs_are_sorted_by_their_metric(three: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Only options that differ are shown, then the best validation, the test and the minutes."""
    text = compared(capsys, *three)
    title, heads, *rows = text.splitlines()
    assert title == "categorical_vae of digits: val/elbo, lowest first"
    assert heads.split()[:6] == ["run", "temperature", "initial", "minimum", "rate", "learning_rate"]
    assert heads.split()[6:] == ["val/elbo", "at", "batch", "test", "bound", "minutes"]
    assert [row.split()[0] for row in rows] == ["runs/tiny/2", "runs/tiny/a", "runs/tiny/1"]
    assert rows[0].split()[-5:] == ["0.003", "10.0000", "20", "9.5000", "1.50"]
    assert rows[1].split()[1:] == ["0.5", "-", "-", "-", "0.001", "15.0000", "20", "-", "1.50"]


def test_folder_or_pattern_of_runs(three: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    text = compared(capsys, *three)
    assert compared(capsys, "runs/tiny") == compared(capsys, "runs/*") == text
    assert compared(capsys, "runs/tiny/[12]", "runs/tiny/a", "runs/tiny") == text
    assert "runs/tiny/2" not in compared(capsys, "runs/tiny/1")


def test_metric_that_is_higher_the_better(made_run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    made_run("tiny/1", (0.1, 0.3), monitor="val/accuracy")
    made_run("tiny/2", (0.2, 0.5, 0.4), monitor="val/accuracy")
    title, _, *rows = compared(capsys, "runs", "--select", "val/accuracy").splitlines()
    assert title.endswith("val/accuracy, highest first")
    assert [row.split()[0] for row in rows] == ["runs/tiny/2", "runs/tiny/1"]
    assert rows[0].split()[1:3] == ["0.5000", "20"]
    assert "lowest first" in compared(capsys, "runs", "--select", "val/accuracy:min")


def test_runs_that_do_not_compare(made_run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Other data, other models and other metrics are said, and an outdated test."""
    first = made_run("tiny/1")
    made_run("tiny/2", data__init_args__binarization="static")
    made_run("tiny/3", model__class_path="gaussian_vae", model__init_args={"latents": 4})
    made_run("tiny/4", model__class_path="vq_vae", monitor="val/nmse")
    (first / "test.json").write_text(json.dumps({"metrics": {}, "checkpoint": "best.ckpt", "batches": 10}))
    text = compared(capsys, "runs")
    assert "val/elbo of different data does not compare: data.binarization differ" in text
    assert "options of one of the models only are left out" in text
    assert "runs/tiny/1 was tested at batch 10, and its best.ckpt is of batch 20 by now" in text
    assert text.splitlines()[-1] == "val/elbo and val/nmse are not compared with each other"
    assert "encoder" not in text


def test_unfinished_and_broken_runs(three: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    (three[0] / "fit.json").unlink()
    (three[1] / "config.yaml").write_text("x")
    text = compared(capsys, "runs/tiny")
    assert "interrupted" in text and "finished" in text
    assert "left out: runs/tiny/2: " in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs/none"], "there is no folder 'runs/none'"),
        (["runs/none*"], "nothing matches 'runs/none*'"),
        (["empty"], "there is no run in 'empty'"),
        (["runs", "--select", "val/x"], "no run has val/x; there are: val/elbo"),
        (["runs", "--select", "val/elbo:up"], "'val/elbo:up' must end with :min or :max"),
        (["runs", "--out", "plot.jpg"], "plot.jpg"),
        (["runs", "--out", "runs/tiny/1/metrics.svg"], "is the input"),
    ],
)
def test_compare_refuses(
    arguments: list[str], message: str, three: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    Path("runs/tiny/1/metrics.svg").write_text("")
    assert main(["compare", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_json_of_a_comparison(three: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    plain = json.loads(compared(capsys, *three, "--json"))
    assert [run["best"] for run in plain] == [20.0, 10.0, 15.0]
    assert plain[1]["test"] == {"bound": 9.5}
    assert plain[2]["options"]["model.temperature"] == 0.5


@pytest.mark.parametrize("ending", [".png", ".pdf", ".svg"])
def test_plot_of_validations(ending: str, three: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    out = Path(f"plot{ending}")
    assert compared(capsys, *three, "--out", out).endswith(f"plot{ending}\n")
    if ending == ".png":
        with Image.open(out) as picture:
            assert min(picture.size) > 400
    else:
        assert out.read_bytes().startswith(b"%PDF" if ending == ".pdf" else b"<?xml")


def test_plot_names_runs_and_axes(three: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line and a legend entry for each run, also when a label would be a formula."""
    three[0].rename(three[0].with_name("$_$"))
    texts: list[str] = []

    def collect(figure: object, *_: object, **__: object) -> None:
        (axes,) = figure.axes  # type: ignore[attr-defined]
        texts.extend([axes.get_xlabel(), axes.get_ylabel(), axes.get_title()])
        texts.extend(text.get_text() for text in axes.get_legend().get_texts())
        assert [len(line.get_xdata()) for line in axes.lines] == [3, 2, 3]

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", collect)
    assert main(["compare", "runs/tiny", "--out", "plot.png"]) == 0
    assert texts[:3] == ["training batches", "val/elbo, nats", "negative ELBO, validation: lower is better"]
    assert [text.split()[0] for text in texts[3:]] == ["tiny/2", "tiny/a", r"tiny/\$_\$"]


# -- tables -----------------------------------------------------------------------------------------------------------


def test_short_names_are_unique() -> None:
    names = ["model.encoder.hidden", "model.decoder.hidden", "model.latents", "data", "data.name"]
    assert list(short_names(names).values()) == ["encoder.hidden", "decoder.hidden", "latents", "data", "name"]


def test_table_aligns_and_cuts() -> None:
    text = table(["run", "x", "empty"], [["a\x1b", "1.5", ""], ["b" * 99, "-10", ""]])
    lines = text.splitlines()
    assert lines[0] == f"{'run':{LONGEST}s}    x"
    assert lines[1] == "a\N{REPLACEMENT CHARACTER}".ljust(LONGEST) + "  1.5"
    assert lines[2].startswith("bbb") and "...  -10" in lines[2]


def test_numbers_and_ages() -> None:
    assert [number(value) for value in (None, 0.0, 1.5, 1e-7, 1e9)] == ["-", "0.0000", "1.5000", "1e-07", "1e+09"]
    assert [age(seconds) for seconds in (-1.0, 5.0, 90.0, 7200.0, 2e5)] == ["0 s", "5 s", "2 min", "2 h", "2 d"]
