"""Order among runs: names, the list of what there is, and commands that take several runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo import archives
from gumbelzoo.commands.run_folders import runs
from gumbelzoo.commands.run_folders.comparison import compare_tables, list_table
from gumbelzoo.commands.run_folders.lock import RunLock, is_held
from gumbelzoo.commands.run_folders.names import check_name, configuration_name
from gumbelzoo.commands.run_folders.records import MAX_METRICS_BYTES, Metric, find_runs, read_record
from gumbelzoo.commands.training.recorder import RunRecorder
from gumbelzoo.models.vae import CategoricalVAE
from gumbelzoo.train import main

FIT = ["fit", "--config", "tiny.yaml", "--trainer.enable_progress_bar=false"]

# -- names ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_config: str) -> Path:
    """A folder with the run runs/tiny/a of one epoch."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("tiny.yaml").write_text(tiny_config)
        assert main([*FIT, "--name=a", "--trainer.max_epochs=1"]) == 0
    return folder


@pytest.fixture
def run(trained: Path, workspace: Path) -> Path:
    """A copy of the run, in the working folder."""
    shutil.copytree(trained / "runs", "runs")
    return Path("runs/tiny/a")


def test_named_run_is_resumed(run: Path) -> None:
    """The name is no part of its configuration."""
    assert main([*FIT, "--name", "a", "--ckpt_path", "last", "--trainer.max_steps=14"]) == 0
    assert json.loads((run / "fit.json").read_text())["batches"] == 14
    assert "name: a" not in (run / "config.yaml").read_text()


def test_name_that_exists(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*FIT, "--name=a"]) == 2
    assert "runs/tiny/a exists; go on with it by --ckpt_path last, or give another --name" in capfd.readouterr().err
    with pytest.raises(ValueError, match="runs/tiny/a exists"):
        runs.new_run(run.parent, "a")  # made by another process since


def test_run_of_a_name(run: Path) -> None:
    """Without a name, the newest run is that of the highest number."""
    parent = run.parent
    assert runs.find_run(parent, "a", "last") == run
    with pytest.raises(FileNotFoundError, match="every run in runs/tiny has a name; give one: --name a"):
        runs.find_run(parent, None, "last")
    with pytest.raises(FileNotFoundError, match="there is no run runs/tiny/b; there are: a"):
        runs.find_run(parent, "b", "last")
    shutil.copytree(run, parent / "7")
    assert runs.find_run(parent, None, "last") == runs.find_run(parent, "7", "last") == parent / "7"
    (run / "checkpoints/last.ckpt").unlink()
    with pytest.raises(FileNotFoundError, match=r"a has not written last\.ckpt"):
        runs.find_run(parent, "a", "last")


def test_named_run_is_a_source(run: Path) -> None:
    named = run.rename(run.with_name("\u00fc b"))
    assert main(["sample", str(named), "-n", "2", "--out", "s.png"]) == 0
    assert gumbelzoo.load(named).latents == 4


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", "-a", "~a", ".a", " a", "a.", "a\tb", "a*", "\u202ea", "\ud800", "x" * 101],
)
def test_name_of_no_folder(name: str) -> None:
    with pytest.raises(ValueError, match=r"^--name "):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "\u00fc b", "lr=1e-3,t=0.5", "2x", "true", "\u540d", "x" * 100])
def test_name_of_a_folder(name: str) -> None:
    check_name(name)


def test_bad_name_trains_nothing(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*FIT, "--name=../x"]) == 2
    assert "--name '../x': a name is one folder's, without /" in capfd.readouterr().err
    with pytest.raises(ValueError, match="runs without a name are numbered"):
        runs.check_free(Path("runs/tiny"), "7")
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("own.yaml", "own"),
        ("project/sub/config.yaml", "sub"),
        ("project/other/config.yml", "other"),
        ("runs/catvae_digits/3/config.yaml", "catvae_digits"),
    ],
)
def test_name_of_a_configuration(file: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's config.yaml is named by its folder, that of a run by the run's configuration."""
    monkeypatch.chdir(tmp_path)
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text("")
    if file.startswith("runs"):
        Path(file).with_name("metrics.csv").write_text("")
    assert configuration_name(Path(file)) == name


# -- a run in the place of a checkpoint or a configuration ------------------------------------------------------------


def test_run_as_a_checkpoint(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its last checkpoint is resumed; without --config, its own configuration is taken."""
    assert main(["fit", "--ckpt_path", "runs/tiny/a", "--trainer.max_epochs=3", "--trainer.max_steps=14"]) == 0
    assert json.loads((run / "fit.json").read_text())["batches"] == 14
    recorder = RunRecorder(Path("runs/other"), "")
    assert recorder.find_checkpoint("runs/tiny/a", needed=False) == str(run / "checkpoints/last.ckpt")
    recorder.lock.release()
    assert recorder.find_checkpoint("runs/tiny/a", needed=True) == str(run / "checkpoints/best.ckpt")
    assert main(["validate", "--ckpt_path=runs/tiny/a"]) == 2
    assert "a run is measured by `validate runs/tiny/a`" in capfd.readouterr().err


def test_validate_takes_a_run(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "runs/tiny/a", "--trainer.enable_progress_bar=false"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["run", str(run)],
        ["checkpoint", str(run / "checkpoints/best.ckpt")],
    ]
    validated = float(next(line for line in lines if line.startswith("val/elbo")).split()[1])
    best = read_record(run).best()
    assert best is not None and validated == pytest.approx(best[1], abs=1e-4)


# -- tests of several -------------------------------------------------------------------------------------------------


def test_several_are_tested(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each keeps its record. The table says where the data differ; a failure does not end the others."""
    other, broken = (Path(shutil.copytree(run, run.with_name(name))) for name in "bc")
    config = other / "config.yaml"
    config.write_text(config.read_text().replace("binarization: dynamic", "binarization: threshold"))
    (broken / "checkpoints/best.ckpt").write_bytes(b"PK\x03\x04 cut short")
    assert main(["test", str(broken), str(run), str(other), str(run)]) == 2
    said = capfd.readouterr()
    assert f"1 of 3 failed: {broken}" in said.err and f"{broken}/checkpoints/best.ckpt is damaged" in said.err
    head, *rows = said.out.splitlines()[-3:]
    assert head.split()[:2] == ["binarization", "elbo"]
    assert [row.split()[:2] for row in rows] == [[str(run), "dynamic"], [str(other), "threshold"]]
    records = [json.loads((folder / "test.json").read_text()) for folder in (run, other)]
    assert [f"{record['metrics']['test/elbo']:.4f}" for record in records] == [row.split()[2] for row in rows]


def test_unknown_source_among_several(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is told before anything is tested."""
    assert main(["test", "runs/tiny/a", "runs/tiny/b"]) == 2
    assert "runs/tiny/b" in capfd.readouterr().err
    assert not (run / "test.json").exists()


def test_record_that_cannot_be_written(
    run: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The figures of a read-only run, or on a full disk, are shown, with one line that they are not kept."""
    (run / "test.json").mkdir()
    assert main(["test", "runs/tiny/a"]) == 0
    said = capfd.readouterr()
    assert "test/elbo" in said.out and "written to" not in said.out
    assert "not kept: runs/tiny/a/test.json is not written: Is a directory" in said.err
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "runs/tiny" not in str(path) and access(path, mode))
    assert main(["test", "runs/tiny/a"]) == 0
    assert capfd.readouterr().err == "runs/tiny/a cannot be written: its metrics are shown and not kept\n"


# -- records ----------------------------------------------------------------------------------------------------------


def test_record_of_a_real_run(run: Path) -> None:
    """The metric that selects best.ckpt is read without torch."""
    record = read_record(run)
    assert (record.problem, record.state, record.batches) == ("", "finished", 13)
    assert record.monitor == Metric("val/elbo") and record.model == "categorical_vae"
    states = torch.load(run / "checkpoints/best.ckpt", weights_only=True)["callbacks"]
    score = next(state for name, state in states.items() if name.startswith("BestCheckpoint"))["best_model_score"]
    assert record.best() == (13, pytest.approx(float(score)))


def test_stopped_run_is_interrupted(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: Any, *_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(CategoricalVAE, "validation_step", stop)
    assert main([*FIT, "--checkpoint_every=5"]) == 130
    record = read_record(Path("runs/tiny/1"))
    assert (record.state, record.best()) == ("interrupted", None)


def test_best_is_the_lowest_or_the_highest(made_run: Callable[..., Path]) -> None:
    record = read_record(made_run("tiny/1", bounds=(3.0, 1.0, float("nan"), 2.0), monitor="val/accuracy"))
    assert record.best() == (20, 1.0)
    assert record.best(Metric.of("val/accuracy")) == record.best(Metric.of("val/accuracy:max")) == (10, 3.0)
    assert record.best(Metric.of("val/accuracy:min")) == (20, 1.0)
    assert record.best(Metric("val/other")) is None


def test_locked_run_is_training(made_run: Callable[..., Path]) -> None:
    run, lock = made_run("tiny/1"), RunLock()
    assert not is_held(run)
    lock.acquire(run)
    assert is_held(run) and read_record(run).state == "training"
    lock.release()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (run / "lock").write_text(f"{ended.pid} {os.uname().nodename}")
    assert not is_held(run) and (run / "lock").exists()
    (run / "lock").write_text(f"{os.getpid()} {os.uname().nodename}")  # the number of another process by now
    assert not is_held(run)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "no config.yaml": lambda run: (run / "config.yaml").unlink(),
    "it is no YAML": lambda run: (run / "config.yaml").write_text("model: ["),
    "names no model": lambda run: (run / "config.yaml").write_text("model: [1]"),
    "fit.json: it must hold one JSON object": lambda run: (run / "fit.json").write_text("[]"),
    "larger than": lambda run: os.truncate(run / "metrics.csv", MAX_METRICS_BYTES + 1),
    "field larger than field limit": lambda run: (run / "metrics.csv").write_text(f"step\n{'1' * 200_000}\n"),
}


@pytest.mark.parametrize("problem", FOREIGN)
def test_broken_run_is_a_row(problem: str, made_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    made_run("tiny/1")
    FOREIGN[problem](made_run("tiny/2"))
    assert main(["list", "runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and problem in lines[2] and "unreadable" in lines[2]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x", "test.json: Expecting value"),
        ('{"metrics": [1]}', "test.json was not written by `test`"),
        ('{"metrics": {"test/nmse": Infinity}}', "test.json: 'metrics.test/nmse' is inf, no finite number"),
    ],
)
def test_test_that_cannot_be_read_hides_no_run(text: str, problem: str, made_run: Callable[..., Path]) -> None:
    run = made_run("tiny/1")
    (run / "test.json").write_text(text)
    record = read_record(run)
    assert (record.problem, record.state, record.best()) == ("", "finished", (20, 20.0))
    assert problem in record.untested and problem in list_table([record])
    assert any(problem in line for line in compare_tables([record], record.monitor))


def test_odd_rows_and_checkpoints_are_left_out(made_run: Callable[..., Path]) -> None:
    run = made_run("tiny/1")
    with (run / "metrics.csv").open("a") as file:
        file.write("3,x,,1.0\n3,39,,nan\n3,49,,1e999\n3,59,,word\n3,6")
    for name in ("best", "last"):
        (run / f"checkpoints/{name}.ckpt").write_bytes(b"PK\x03\x04 cut short")
    (run / "fit.json").write_text('{"batches": "many", "minutes": "long", "finished": 3}')
    record = read_record(run)
    assert (record.problem, record.state, record.monitor, record.batches) == ("", "ended", None, None)
    assert record.best(Metric("val/elbo")) == (20, 20.0)


def test_large_checkpoint_directory_is_not_read(made_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    run = made_run("tiny/1")
    assert read_record(run).monitor is not None
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 10)
    record = read_record(run)
    assert record.monitor is None and not record.problem


# -- list runs --------------------------------------------------------------------------------------------------------


def test_list_of_runs(made_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers in their order, and in short what differs between the runs of a configuration."""
    for number in (10, 9):
        made_run(f"tiny/{number}", model__init_args__latents=number)
    named = made_run("tiny/a")
    (named / "test.json").write_text(json.dumps({"metrics": {"test/elbo": 21.0, "test/bound": 19.5}, "batches": 20}))
    made_run("other/1")
    shutil.move("runs/other/1/fit.json", "runs/fit.json")
    assert main(["list", "runs"]) == 0
    _, other, *tiny = capsys.readouterr().out.splitlines()
    assert other.split()[:7] == ["runs/other/1", "categorical_vae", "interrupted", "30", "val/elbo", "20.0000", "-"]
    assert [line.split()[0] for line in tiny] == ["runs/tiny/9", "runs/tiny/10", "runs/tiny/a"]
    assert [line.split()[2] for line in tiny] == ["latents=9", "latents=10", "latents=4"]
    assert "bound 19.5000" in tiny[2] and "finished" in tiny[2]
    assert main(["list", "runs", "runs/other", "--json"]) == 0
    (plain,) = json.loads(capsys.readouterr().out)
    assert (plain["run"], plain["best"], plain["options"]["model.latents"]) == ("runs/other/1", 20.0, 4)


def test_list_names_first_what_few_runs_share(
    made_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The cell is cut: what tells a run from the others stands before what tells some of them from the rest."""
    made_run("tiny/a", model__init_args__encoder={"name": "mlp", "hidden": [1001, 1002, 1003, 1004, 1005, 1006, 1007]})
    for name, latents in (("b", 4), ("c", 4), ("d", 7)):
        made_run(f"tiny/{name}", model__init_args__latents=latents, seed_everything=latents)
    made_run("tiny/e", seed_everything=8)
    assert main(["list", "runs"]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    differs = {line.split()[0][-1]: line.split("categorical_vae")[1].strip() for line in lines}
    assert differs["a"].startswith("hidden=[1001, ") and differs["d"].startswith("latents=7 seed_everything=7")
    assert differs["e"].startswith("seed_everything=8 ")


def test_list_of_no_runs(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "runs"]) == 2
    assert "there is no folder 'runs'" in capsys.readouterr().err


def test_runs_are_found_two_levels_deep(made_run: Callable[..., Path]) -> None:
    made_run("tiny/1/below")
    for name in ("tiny/2", "elsewhere"):
        made_run(name)
    for name in (".hidden/1", "empty", "tiny/3"):
        (Path("runs") / name).mkdir(parents=True)
    found = [str(path) for path in find_runs(Path("runs"))]
    assert found == ["runs/elsewhere", "runs/tiny/1", "runs/tiny/2"]


def test_list_of_runs_imports_no_torch(made_run: Callable[..., Path]) -> None:
    made_run("tiny/1")
    code = "import sys; from gumbelzoo.train import main; main(['list', 'runs']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False" and "runs/tiny/1" in done.stdout
