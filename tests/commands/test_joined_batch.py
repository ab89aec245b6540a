"""Two processes train and validate as one process does with their joined batches, where nothing is drawn."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import yaml
from gumbelzoo.callbacks.metrics_file import read_metrics
from gumbelzoo.commands.training.processes import measure_in_one_process
from gumbelzoo.models.relaxed.baselines import MovingAverage
from gumbelzoo.models.relaxed.distributed import process_mean
from gumbelzoo.pretrained.run import read_checkpoint
from gumbelzoo.train import main
from jsonargparse import Namespace
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

DIGITS = {"class_path": "images", "init_args": {"name": "digits", "binarization": "none", "eval_batch_size": 37}}
IMAGE: dict[str, Any] = {"image_shape": [1, 8, 8]}
GRID: dict[str, Any] = {"name": "conv", "widths": [4]}
# Models without random numbers in training and validation. Sentences of the grammar differ in length, and validation
# sets are no multiple of the batch.
MODELS: dict[str, dict[str, Any]] = {
    "text_gan": {
        "model": {"generator": {"name": "lstm", "width": 8, "hidden": 8}, "optimizer": {"learning_rate": 0.01}},
        "data": {"class_path": "text", "init_args": {"name": "grammar", "eval_batch_size": 371}},
    },
    "vq_vae": {
        "model": {**IMAGE, "dim": 2, "encoder": GRID, "decoder": GRID, "quantizer": {"name": "fsq", "levels": [4, 3]}},
        "data": DIGITS,
    },
    "classifier": {"model": {**IMAGE, "widths": [4], "features": 8, "dropout": 0.0}, "data": DIGITS},
    "attention_seq2seq": {
        "model": {"width": 8, "optimizer": {"learning_rate": 0.01}},
        "data": {"class_path": "pairs", "init_args": {"name": "cipher", "eval_batch_size": 371}},
    },
    "slate_agent": {
        "model": {"estimator": "exact", "hidden": 8, "optimizer": {"learning_rate": 0.01}},
        "data": {"class_path": "slates", "init_args": {"items": 4, "slots": 2, "eval_batch_size": 371}},
    },
    "code_prior": {
        "model": {
            "vqvae": "batch-32/vq_vae/1",
            "network": {"name": "transformer", "width": 8, "depth": 1, "heads": 2, "dropout": 0.0},
            "classes": 10,
        },
        "data": DIGITS,
        "strategy": "model_parallel",  # parameters are split over both processes
    },
}
CHILD = """
import json, sys
from gumbelzoo.train import main
for arguments in json.loads(sys.argv[1]):
    if main(arguments) != 0:
        sys.exit(1)
"""
STEPS = 20
KEPT = {"examples", "users"}  # of the first process's first batch, for samples


def fit(name: str, batch_size: int, *options: str) -> list[str]:
    root = f"--trainer.default_root_dir=batch-{batch_size}"
    return ["fit", "--config", f"{name}.yaml", f"--data.batch_size={batch_size}", root, *options]


@pytest.fixture
def trained(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs of every model with batches of 32 in one process, and of 16 in this one and another."""
    trainer = {"accelerator": "cpu", "max_steps": STEPS, "val_check_interval": 10, "log_every_n_steps": 5}
    trainer |= {"enable_progress_bar": False}
    for name, parts in MODELS.items():
        model = {"class_path": name, "init_args": parts["model"]}
        Path(f"{name}.yaml").write_text(yaml.safe_dump({"model": model, "data": parts["data"], "trainer": trainer}))
        assert main(fit(name, 32)) == 0
    commands = [
        fit(name, 16, "--trainer.devices=2", f"--trainer.strategy={MODELS[name].get('strategy', 'ddp')}")
        for name in MODELS
    ]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0", "LOCAL_RANK": "0"}
    for variable, value in group.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("WORLD_SIZE", "2")
    environment = {**os.environ, "LOCAL_RANK": "1", "OMP_NUM_THREADS": "1"}
    second = subprocess.Popen([sys.executable, "-c", CHILD, json.dumps(commands)], env=environment)
    try:
        for command in commands:
            assert main(command) == 0
        assert second.wait(60) == 0
    finally:
        second.kill()
        if dist.is_initialized():
            dist.destroy_process_group()
    return workspace


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert one.keys() == other.keys()
    weights = one.keys() - KEPT
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in weights)


def test_two_processes_equal_one(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Weights, training and validation metrics; nothing is printed that one process does not print."""
    for name in MODELS:
        one, two = (trained / f"batch-{size}/{name}/1" for size in (32, 16))
        weights = [read_checkpoint(run / "checkpoints/last.ckpt")["state_dict"] for run in (one, two)]
        assert difference(*weights) < 1e-6, name
        curves = [read_metrics(run / "metrics.csv") for run in (one, two)]
        assert curves[0].keys() == curves[1].keys()
        for metric, points in curves[0].items():
            for point, other in zip(points, curves[1][metric], strict=True):
                assert point == pytest.approx(other, rel=1e-5), (name, metric)
    assert capfd.readouterr().err == ""


def test_mean_over_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a second process whose values are 3 more; the argument stays as it is."""
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", lambda value: value.mul_(2).add_(3))
    count = torch.tensor(4)
    assert process_mean(count) == 5.5
    assert count == 4
    average = MovingAverage(None)
    average(torch.tensor([1.0, 2.0]), torch.ones(2))
    assert average.total == 3.0
    average.eval()(torch.tensor([1.0, 2.0]), torch.ones(2))  # evaluation does not count
    assert average.total == 3.0


def test_measuring_takes_one_process(
    vae: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its figures are those of one device; the other processes of a launcher end."""
    command = ["test", str(vae), "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
    command += ["--model.bound_samples=5"]
    assert main(command) == 0
    alone = capfd.readouterr()
    assert alone.err == ""
    assert main([*command, "--trainer.devices=2", "--trainer.strategy=ddp"]) == 0
    several = capfd.readouterr()
    assert several.out == alone.out
    assert several.err == "one process measures, so that the figures do not depend on the number of processes\n"
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    assert main([*command, "--trainer.devices=2"]) == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("devices", "one"), [("auto", 1), (1, 1), (-1, 1), ("2", 1), ([1, 3], [1]), ("1,3", [1]), ([2], [2]), (0, 0)]
)
def test_devices_of_one_process(devices: Any, one: Any) -> None:
    trainer = Namespace(devices=devices, num_nodes=1, strategy="auto")
    measure_in_one_process(trainer)
    assert trainer.devices == one
