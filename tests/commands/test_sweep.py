"""``sweep``: points and their names, checks before the first run, and runs side by side that can be stopped."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from gumbelzoo.commands import sweep
from gumbelzoo.commands.run_folders.lock import RunLock
from gumbelzoo.commands.run_folders.records import Metric, read_record
from gumbelzoo.commands.sweeps import jobs
from gumbelzoo.commands.sweeps.grid import Range, Values, make_points, parse_values
from gumbelzoo.commands.sweeps.sweep_file import find_sweep, read_sweep
from gumbelzoo.train import main

SWEEP = ["sweep", "--config=tiny.yaml", "--grid", "model.latents=3,5"]
# In the place of `fit`: ends with an error for 5 latents, waits for a signal for 7, else writes a record as fit does.
FAKE = """\
import json, re, signal, sys, time
from pathlib import Path
line = " ".join(sys.argv[1:])
latents, name = re.search("latents=([0-9]+)", line)[1], re.search("--name=([^ ]+)", line)[1]
run = Path("runs/tiny") / name
def stop(number, frame):
    (run / "stopped").write_text(str(number))
    sys.exit(130)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, stop)
if latents == "5":
    sys.exit("fit: no such luck")
run.mkdir(parents=True, exist_ok=True)
(run / "command").write_text(line)
if latents == "7":
    time.sleep(60)
(run / "config.yaml").write_text(Path("tiny.yaml").read_text().replace("latents: 4", f"latents: {latents}"))
(run / "metrics.csv").write_text(f"epoch,step,val/elbo\\n0,9,{latents}\\n")
(run / "fit.json").write_text(json.dumps({"finished": True, "batches": 10, "minutes": 0.1}))
"""


@pytest.fixture
def fake(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start a script in the place of ``fit``: the work of a sweep itself is tested, in little time."""
    (workspace / "fake.py").write_text(FAKE)
    monkeypatch.setattr(sweep, "launcher", lambda: [sys.executable, "fake.py"])


# -- points -----------------------------------------------------------------------------------------------------------


def test_points_are_all_combinations() -> None:
    parameters = dict(map(parse_values, ["model.optimizer.learning_rate=1e-3,3e-3", "--model.temperature=0.5,1.0"]))
    points = make_points(parameters, prefix="try")
    assert [point.name for point in points] == [
        f"try-learning_rate={rate},temperature={temperature}" for rate in (0.001, 0.003) for temperature in (0.5, 1.0)
    ]
    assert points[0].arguments == ["--model.optimizer.learning_rate=0.001", "--model.temperature=0.5"]


def test_values_are_those_of_a_configuration() -> None:
    name, values = parse_values("model.estimator=gumbel_softmax,{name: reinforce, samples: 8},null,'true',[1, 2]")
    assert values.values == ["gumbel_softmax", {"name": "reinforce", "samples": 8}, None, "true", [1, 2]]
    points = make_points({name: values})
    assert [point.name.partition("=")[2] for point in points] == (
        ["gumbel_softmax", "reinforce-samples=8", "null", "-true-" + points[3].name[-8:], "1-2"]
    )
    assert points[1].arguments == ['--model.estimator={"name": "reinforce", "samples": 8}']
    assert points[3].arguments == ['--model.estimator="true"']


def test_long_names_are_cut_and_differ() -> None:
    long = ["x" * 300 + end for end in "ab"]
    names = [point.name for point in make_points({"data.path": Values([*long, "a/b", "a:b"])})]
    assert len(set(names)) == 4 and max(map(len, names)) <= 80
    assert not any("/" in name or ":" in name for name in names)


def test_random_points_repeat() -> None:
    """Different points, the same for the same seed; a larger number goes on from the smaller."""
    parameters = {"a": Range(1e-4, 1e-2, log=True), "b": Range(2.0, 5.0, whole=True), "c": Values(["x", "y"])}
    points = make_points(parameters, 20, seed=3)
    assert make_points(parameters, 5, seed=3) == points[:5] != make_points(parameters, 5, seed=4)
    assert len({point.name for point in points}) == 20
    assert all(1e-4 <= point.options["a"] <= 1e-2 and point.options["b"] in range(2, 6) for point in points)
    assert len(make_points({"c": Values(["x", "y"])}, 2)) == 2


def test_draws_of_a_range_stay_inside() -> None:
    generator = random.Random(0)
    assert {Range(0.33333, 0.33334).draw(generator) for _ in range(50)} <= {0.33333, 0.33334}
    for low, high, log in ((2.0, 1.0, False), (0.0, 1.0, True), (0.0, float("inf"), False)):
        with pytest.raises(ValueError, match="min"):
            Range(low, high, log)


# -- the file of a sweep ----------------------------------------------------------------------------------------------


def test_packaged_sweep_is_read() -> None:
    file = read_sweep(find_sweep("sweep_catvae_digits"))
    assert file.arguments == ["--config=catvae_digits"]  # without --wandb=online
    assert len(make_points(file.parameters)) == 24
    assert (file.random, file.count, file.metric) == (False, None, Metric("val/elbo"))


def test_random_sweep_file(workspace: Path) -> None:
    parameters = {"a": {"min": 1, "max": 3}, "b": {"min": 0.1, "max": 1.0, "distribution": "log_uniform_values"}}
    content = {"method": "random", "run_cap": 3, "command": ["fit"], "parameters": {**parameters, "c": {"value": 2}}}
    Path("sweep.yaml").write_text(yaml.safe_dump({**content, "metric": {"name": "val/x", "goal": "maximize"}}))
    file = read_sweep(Path("sweep.yaml"))
    assert file.parameters == {"a": Range(1.0, 3.0, whole=True), "b": Range(0.1, 1.0, log=True), "c": Values([2])}
    assert (file.random, file.count, file.metric) == (True, 3, Metric("val/x", False))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "bayes"}, "method must be grid or random, got 'bayes'"),
        ({"early_terminate": {}}, "'early_terminate' is wandb's alone"),
        ({"parameters": []}, "parameters must map"),
        ({"parameters": {"a": {"values": []}}}, "'a' has no values"),
        ({"parameters": {"a": {"min": 1}}}, "'a' must have values"),
        ({"parameters": {"a": {"min": 3, "max": 1}}}, "'a': min must be <= max"),
        ({"parameters": {"a": {"min": 1, "max": 2, "distribution": "beta"}}}, "distribution must be uniform"),
        ({"command": ["python", "${program}"]}, "must be a list with `fit`"),
        ({"command": ["fit", "${args_json_file}"]}, "wandb's alone"),
        ({"run_cap": 0}, "run_cap must be"),
        ({"metric": "val/x"}, "metric must be"),
    ],
)
def test_sweep_file_is_refused(change: dict[str, object], message: str, workspace: Path) -> None:
    content = {"method": "grid", "command": ["fit"], "parameters": {"a": {"values": [1]}}}
    Path("sweep.yaml").write_text(yaml.safe_dump({**content, **change}))
    with pytest.raises(ValueError, match=r"^sweep\.yaml: ") as error:
        read_sweep(Path("sweep.yaml"))
    assert message in str(error.value)


# -- before the first run ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", "--config=tiny.yaml"], "nothing to vary: give --grid"),
        ([*SWEEP, "--grid=model.latents=7"], "--grid model.latents is there twice"),
        ([*SWEEP, "--grid=latents"], "such as model.latents=10,20"),
        ([*SWEEP, "--grid=data.seed=[1"], "--grid data.seed=[1: it is no YAML"),
        ([*SWEEP, "--grid=data.seed=1,1"], "'data.seed' has the value 1 twice"),
        ([*SWEEP, "--jobs=0"], "--jobs must be from 1 to 64"),
        ([*SWEEP, "--count=3"], "there are fewer than --count 3 different points: 2"),
        ([*SWEEP, "--name=a/b"], "without /"),
        ([*SWEEP, "--trainer.max_epochs", "3"], "written as --option=value in a sweep"),
        ([*SWEEP, "--ckpt_path=last"], "--ckpt_path is given by the sweep"),
        ([*SWEEP, "--trainer.fast_dev_run=1"], "keeps no run"),
        ([*SWEEP, "--grid=model.temprature=1,2"], "did you mean"),
        ([*SWEEP, "--grid=model.temperature=1,0"], "--model.latents=3 --model.temperature=0: temperature schedule"),
        ([*SWEEP, "--data.name=arrays", "--grid=data.path=tiny.yaml,x"], "--data.path=x: --data.path: there is no "),
        (["sweep", "sweep_catvae_digit"], "did you mean 'sweep_catvae_digits'?"),
    ],
)
def test_sweep_is_refused_before_it_begins(
    arguments: list[str], message: str, workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also when only the last of its points is wrong."""
    assert main(arguments) == 2
    error = capfd.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not Path("runs").exists()


# -- runs side by side ------------------------------------------------------------------------------------------------


def test_failure_does_not_end_the_sweep(fake: None, capfd: pytest.CaptureFixture[str]) -> None:
    """The others are trained and compared, and what failed is named with its own line."""
    assert main(["sweep", "--config=tiny.yaml", "--grid=model.latents=5,3,2", "--jobs=2", "--select=val/elbo"]) == 1
    said = capfd.readouterr()
    assert "latents=5  failed with exit code 1: fit: no such luck" in said.out
    assert said.err == "gumbelzoo sweep: of 3 runs 1 failed; the same command goes on with them\n"
    lines = said.out.splitlines()
    table = next(number for number, line in enumerate(lines) if line.startswith("run "))
    assert [line.split()[:3] for line in lines[table + 1 : table + 3]] == [
        [f"runs/tiny/latents={latents}", latents, f"{latents}.0000"] for latents in "23"
    ]
    assert "best      runs/tiny/latents=2  (val/elbo 2.0000)" in lines
    assert lines[-1].strip() == "gumbelzoo fit --config=tiny.yaml --model.latents=2"


def test_points_go_on_where_they_are(made_run: Callable[..., Path]) -> None:
    """A finished one is skipped, a stopped one resumed, one without a checkpoint begins again, one in use is left."""
    run = made_run("tiny/a")
    options = read_record(run).options
    assert sweep._state(run, options) == "finished"
    assert sweep._state(run, {**options, "trainer.max_epochs": 99}) == "resumed"
    with pytest.raises(ValueError, match=r"model\.latents=4, not 9; give this sweep a --name of its own"):
        sweep._state(run, {**options, "model.latents": 9})
    lock = RunLock()
    lock.acquire(run)
    assert sweep._state(run, options) == "training"
    lock.release()
    (run / "fit.json").unlink()
    assert sweep._state(run, options) == "resumed"
    (run / "checkpoints/last.ckpt").unlink()
    with pytest.raises(ValueError, match=r"no last\.ckpt to go on from"):
        sweep._state(run, options)
    (run / "checkpoints/best.ckpt").unlink()
    assert sweep._state(run, options) == "again"
    (run / "config.yaml").unlink()
    with pytest.raises(ValueError, match="in the way: no run"):
        sweep._state(run, options)


def test_refused_sweep_removes_nothing(fake: None, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither a finished run whose checkpoints were removed, nor one that was stopped before its first checkpoint."""
    options = ["--config=tiny.yaml", "--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1"]
    assert main(["fit", *options, "--model.latents=3", "--name=latents=3", "--trainer.max_epochs=1"]) == 0
    run, command = Path("runs/tiny/latents=3"), ["sweep", *options, "--trainer.max_epochs=2"]
    shutil.rmtree(run / "checkpoints")

    def refused(grid: str) -> str:
        before = sorted(Path("runs").rglob("*"))
        assert main([*command, f"--grid=model.latents={grid}"]) == 2
        assert sorted(Path("runs").rglob("*")) == before
        return capfd.readouterr().err

    assert "no last.ckpt to go on from" in refused("3")
    shutil.rmtree(run / "figures")
    (run / "fit.json").unlink()
    (run / "lock").touch()
    assert "latents=bad" in refused("3,bad")
    assert main([*command, "--grid=model.latents=3"]) == 0
    assert (run / "command").exists() and not (run / "lock").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stop_reaches_every_run(
    number: signal.Signals, code: int, fake: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each gets the signal once, saves, and is waited for; the next ones do not begin."""
    runs = [Path(f"runs/tiny/latents=7,seed={seed}") for seed in (0, 1, 2)]

    def stop() -> None:
        while not all((run / "command").exists() for run in runs[:2]):
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)]
    threading.Thread(target=stop).start()
    assert main(["sweep", "--config=tiny.yaml", "--grid=model.latents=7", "--grid=data.seed=0,1,2", "--jobs=2"]) == code
    assert [(run / "stopped").read_text() for run in runs[:2]] == [str(int(number))] * 2
    assert not runs[2].exists()
    error = capfd.readouterr().err
    assert "stopping 2 runs, which save their state" in error and "the same command goes on with the sweep" in error
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)] == handlers


@pytest.mark.slow
def test_second_interrupt_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that does not end by itself; so does one that takes too long after SIGTERM."""
    deaf = "import signal, time; [signal.signal(number, signal.SIG_IGN) for number in (2, 15)]; time.sleep(60)"

    def stop(*numbers: int) -> None:
        for number in numbers:
            time.sleep(1.0)
            os.kill(os.getpid(), number)

    for numbers, error in (((signal.SIGINT, signal.SIGINT), KeyboardInterrupt), ((signal.SIGTERM,), jobs.Terminated)):
        monkeypatch.setattr(jobs, "PATIENCE", 0.2)
        threading.Thread(target=stop, args=numbers).start()
        start = time.monotonic()
        with pytest.raises(error):
            jobs.run_jobs([[sys.executable, "-c", deaf]], 1, print)
        assert time.monotonic() - start < 20


def test_runs_start_as_the_sweep_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same Python and script, so that parts of one's own are there as well."""
    begin = ["python", "-c", "import my_parts; main()"]
    monkeypatch.setattr(sys, "argv", ["-c", "sweep", "--jobs=2"])
    monkeypatch.setattr(sys, "orig_argv", [*begin, "sweep", "--jobs=2"])
    assert jobs.launcher() == [sys.executable, *begin[1:]]
    monkeypatch.setattr(sys, "argv", ["pytest", "tests"])
    assert jobs.launcher() == [sys.executable, "-m", "gumbelzoo"]


@pytest.mark.slow
def test_sweep_trains_and_goes_on(workspace: Path) -> None:
    """Real runs, the records of which are those of `fit`; the second time nothing is trained."""
    command = [sys.executable, "-m", "gumbelzoo", *SWEEP, "--jobs=2", "--trainer.max_epochs=1"]
    first = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert main(["fit", "--config=tiny.yaml", "--model.latents=5", "--trainer.max_epochs=1", "--name=alone"]) == 0
    swept, alone = (read_record(Path("runs/tiny") / name) for name in ("latents=5", "alone"))
    assert (swept.options, swept.curves, swept.state) == (alone.options, alone.curves, "finished")
    again = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "2 runs in runs/tiny: 2 finished" in again
    assert again.splitlines()[1:] == first.splitlines()[3:]
