"""``--trainer.strategy=model_parallel``: a prior whose parameters are split over processes, and its checkpoints."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
import torch.distributed as dist
import yaml
from gumbelzoo.pretrained.run import read_checkpoint
from gumbelzoo.pretrained.shards import INDEX
from gumbelzoo.train import main

RUN = Path("runs/prior")
SPLIT = "--trainer.strategy=model_parallel"
NETWORK = {"name": "transformer", "width": 8, "depth": 1, "heads": 2}


@pytest.fixture
def prior(workspace: Path) -> Iterator[Path]:
    """``prior.yaml`` for a prior over an untrained VQ-VAE; process groups end with the test."""
    torch.manual_seed(0)
    grid = {"name": "conv", "widths": [2]}
    arguments: dict[str, Any] = {"image_shape": [1, 8, 8], "dim": 2, "encoder": grid, "decoder": grid}
    vqvae = gumbelzoo.create_model("vq_vae", **arguments, quantizer={"name": "fsq", "levels": [4, 3]})
    vqvae.likelihood.data_variance.fill_(0.141)  # of the digits
    data = {"name": "digits", "binarization": "none"}
    gumbelzoo.save_pretrained(vqvae, workspace / "vq", data={"class": "images", "arguments": data})
    optimizer = {"learning_rate": 0.01, "schedule": "cosine"}
    arguments = {"vqvae": "vq", "network": NETWORK, "classes": 10, "optimizer": optimizer}
    trainer = {"accelerator": "cpu", "max_steps": 4, "val_check_interval": 4, "enable_progress_bar": False}
    content = {
        "model": {"class_path": "code_prior", "init_args": arguments},
        "data": {"class_path": "images", "init_args": {**data, "eval_batch_size": 500}},
        "trainer": {**trainer, "limit_val_batches": 1, "log_every_n_steps": 1, "gradient_clip_val": 0.5},
    }
    Path("prior.yaml").write_text(yaml.safe_dump(content))
    environment = dict(os.environ)
    yield workspace
    os.environ.clear()  # of the address that the processes had
    os.environ.update(environment)
    if dist.is_initialized():
        dist.destroy_process_group()


def fit(name: str, *options: str) -> list[str]:
    return ["fit", "--config", "prior.yaml", "--trainer.devices=1", f"--name={name}", *options]


def resume(name: str) -> list[str]:
    return [*fit(name, SPLIT), "--ckpt_path=last"]


def weights(name: str, checkpoint: str = "last") -> dict[str, torch.Tensor]:
    return read_checkpoint(RUN / name / f"checkpoints/{checkpoint}.ckpt")["state_dict"]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_split_run_goes_on(
    prior: Path, killed_before: Callable[[int, list[str]], None], capfd: pytest.CaptureFixture[str]
) -> None:
    """Killed and resumed, it is the run that was never stopped, which is the one that is not split."""
    options = ["--trainer.accumulate_grad_batches=2"]
    assert main(fit("whole", *options)) == 0
    assert main(fit("split", *options, SPLIT)) == 0
    killed_before(5, fit("killed", *options, SPLIT, "--checkpoint_every=4"))
    assert main([*resume("killed"), *options]) == 0
    assert equal(weights("killed"), weights("split"))
    assert equal(weights("killed", "best"), weights("split", "best"))
    rows = [(RUN / name / "metrics.csv").read_text() for name in ("killed", "split", "whole")]
    assert rows[0] == rows[1]
    assert rows[1] == rows[2]
    torch.testing.assert_close(weights("split"), weights("whole"), rtol=0, atol=1e-6)
    folders = [path.name[:12] for path in sorted((RUN / "killed/checkpoints").iterdir()) if path.is_dir()]
    assert folders == ["best-shards-", "last-shards-"]
    assert capfd.readouterr().err == ""
    dist.destroy_process_group()
    measured = []
    for name in ("whole", "split"):
        assert main(["test", str(RUN / name)]) == 0
        measured.append(json.loads((RUN / name / "test.json").read_text())["metrics"])
    assert measured[0] == pytest.approx(measured[1])
    assert main(["export", str(RUN / "split"), "released"]) == 0
    assert equal(gumbelzoo.load("released").state_dict(), gumbelzoo.load(RUN / "split").state_dict())


def change_index(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    (index,) = run.glob(f"checkpoints/last-*/{INDEX}")
    content = json.loads(index.read_text())
    change(content)
    index.write_text(json.dumps(content))


def test_foreign_shards_are_data(prior: Path) -> None:
    """An index that leads elsewhere, larger tensors, other names, missing parts: each is one line; nothing is run."""
    assert main(fit("split", SPLIT, "--trainer.max_steps=1", "--trainer.limit_val_batches=0")) == 0
    good, last = RUN / "split", Path("checkpoints/last.ckpt")
    assert gumbelzoo.load(good / last).config()["classes"] == 10

    def damaged(number: int) -> Path:
        return shutil.copytree(good, RUN / f"damaged-{number}")

    def of_first(**changes: Any) -> Callable[[dict[str, Any]], None]:
        return lambda index: next(iter(index.values()))["parts"][0].update(changes)

    changes: dict[str, Callable[[dict[str, Any]], None]] = {
        "leads out of its files": of_first(file="../../../../vq/model.safetensors"),
        "index.json is missing, damaged": of_first(bytes=1 << 40),
        "or leads out": lambda index: next(iter(index.values())).update(dtype="object"),
        "larger than its files": lambda index: next(iter(index.values())).update(
            size=[1 << 40], parts=[{"at": [0], "sizes": [1 << 40], "file": "__0_0.distcp", "from": 0, "bytes": 0}]
        ),
        "index.json is missing": lambda index: next(iter(index.values())).update(parts=[]),
        "damaged or no part of a checkpoint": of_first(**{"from": 1}),
    }
    for number, (said, change) in enumerate(changes.items()):
        change_index(damaged(number), change)
        with pytest.raises(ValueError, match=re.escape(said)):
            gumbelzoo.load(RUN / f"damaged-{number}" / last)
    (shards,) = damaged(9).glob("checkpoints/last-*")
    (shards / INDEX).write_bytes(pickle.dumps(Path))
    with pytest.raises(ValueError, match="damaged"):
        gumbelzoo.load(RUN / "damaged-9" / last)
    shutil.rmtree(shards)
    with pytest.raises(ValueError, match="is missing beside it; copy both"):
        gumbelzoo.load(RUN / "damaged-9" / last)
    content = torch.load(good / last, weights_only=True)
    torch.save({**content, "shards": "../../vq"}, good / last)
    with pytest.raises(ValueError, match="the name of its shards is no name"):
        gumbelzoo.load(good / last)


REFUSED = {
    "--ema=0.9": "--ema is not for --trainer.strategy=model_parallel",
    "--compile=true": "--compile is not for --trainer.strategy=model_parallel",
    "--trainer.precision=16-mixed": "must be 32-true or bf16-mixed",
    "--trainer.strategy=fsdp": "use --trainer.strategy=model_parallel",
    "--trainer.strategy=ModelParallelStrategy": "use --trainer.strategy=model_parallel",
}


def test_what_is_not_split_is_refused(prior: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Options, and models: in one line, before a run is made."""
    for option, said in REFUSED.items():
        assert main(fit("refused", SPLIT, option)) == 2
        assert said in capfd.readouterr().err
    quantizer = {"name": "vector", "codebook_size": 4, "update": "ema"}
    models = {
        "vqvae": ["--model=vq_vae", "--model.image_shape=[1,8,8]", f"--model.quantizer={json.dumps(quantizer)}"],
        "vae": ["--model=categorical_vae", "--model.image_shape=[1,8,8]"],
    }
    reasons = {"vqvae": "whose codebook of moving averages is whole", "vae": "which is whole in every process"}
    for name, model in models.items():
        data = ["--data=images", "--data.name=digits", "--trainer.accelerator=cpu", "--trainer.max_steps=1"]
        assert main(["fit", *model, *data, SPLIT]) == 2
        printed = capfd.readouterr().err
        assert reasons[name] in printed
        assert "use --trainer.strategy=ddp" in printed
    assert main(["fit", "--config", "textgan_grammar", SPLIT]) == 2
    assert "which steps its optimizers by itself; use --trainer.strategy=ddp" in capfd.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.slow
def test_split_and_whole_runs_do_not_mix(prior: Path, capfd: pytest.CaptureFixture[str]) -> None:
    short = ["--trainer.max_steps=1", "--trainer.limit_val_batches=0"]
    for begun, goes_on in (([], [SPLIT]), ([SPLIT], [])):
        name = f"run-{len(begun)}"
        assert main(fit(name, *short, *begun)) == 0
        assert main([*fit(name, *goes_on, "--trainer.max_steps=2"), "--ckpt_path=last"]) == 2
        assert "split over processes" in capfd.readouterr().err


def start(*options: str) -> subprocess.Popen[str]:
    """Start a fit of two processes, in a process group of its own."""
    command = [sys.executable, "-m", "gumbelzoo.train", *fit("killed", SPLIT, "--trainer.devices=2", *options)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=environment, process_group=0, **output)


def finish(*options: str) -> None:
    process = start(*options)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    assert errors == ""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("network", "precision"), [("transformer", "32-true"), ("maskgit", "bf16-mixed"), ("pixelcnn", "32-true")]
)
def test_two_killed_processes_go_on(network: str, precision: str, prior: Path) -> None:
    """Both are killed at random moments; resumed, they leave the weights and metrics of a run that was not."""
    sizes = ["--model.network.width=8", "--model.network.depth=2"]
    options = [f"--model.network={network}", *sizes, "--checkpoint_every=1", f"--trainer.precision={precision}"]
    options += ["--trainer.max_steps=24", "--trainer.val_check_interval=6", "--data.batch_size=50"]
    finish(*options)
    shutil.move(RUN / "killed", RUN / "whole")
    choice, kills, last = random.Random(0), 0, RUN / "killed/checkpoints/last.ckpt"
    for _ in range(3):
        resume = ["--ckpt_path=last"] if last.is_file() else []
        before = last.stat().st_mtime if resume else 0.0
        process = start(*options, *resume)
        while process.poll() is None and not (last.is_file() and last.stat().st_mtime > before):
            time.sleep(0.01)
        time.sleep(choice.uniform(0, 0.5))
        kills += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert kills
    finish(*options, "--ckpt_path=last")
    for checkpoint in ("last", "best"):
        assert equal(weights("killed", checkpoint), weights("whole", checkpoint))
    assert (RUN / "killed/metrics.csv").read_text() == (RUN / "whole/metrics.csv").read_text()
    assert len(list((RUN / "killed/checkpoints").iterdir())) == 4
