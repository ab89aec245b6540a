"""Callbacks alone, and in the command line."""

from __future__ import annotations

import random
import shutil
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import wandb
from gumbelzoo.callbacks import (
    LastCheckpoint,
    NanGuard,
    ProgressBar,
    RandomState,
    TrainingDiverged,
    loggers,
    run_loggers,
)
from gumbelzoo.callbacks.curves import save_codebook_usage
from gumbelzoo.callbacks.metrics_file import RunCSV
from gumbelzoo.callbacks.random_state import capture, restore
from gumbelzoo.models import CategoricalVAE, ZooModel
from gumbelzoo.models.quantizers import CodebookUsage
from gumbelzoo.train import main
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader
from wandb.proto.wandb_internal_pb2 import Record

MODULE = Mock(spec=ZooModel, parameters=list)


def trainer_at(rank: int = 0, batch: int = 0, device: str = "cpu") -> Any:
    trainer = Mock(spec=Trainer, global_rank=rank, fit_loop=Mock(), strategy=Mock())
    trainer.fit_loop.total_batch_idx = batch
    trainer.strategy.root_device = torch.device(device)
    return trainer


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_random_state_survives_a_checkpoint(tmp_path: Path) -> None:
    state = capture()
    expected = [draw() for _ in range(3)]
    torch.save(state, tmp_path / "state.ckpt")
    restore(torch.load(tmp_path / "state.ckpt", weights_only=True))
    assert [draw() for _ in range(3)] == expected


def test_noise_differs_by_rank_and_not_by_run() -> None:
    noise = {}
    for rank in (0, 1):
        torch.manual_seed(7)
        RandomState().on_train_start(trainer_at(rank), MODULE)
        noise[rank] = torch.rand(3)
    torch.manual_seed(7)
    torch.rand(5)  # as building a model does
    RandomState().on_train_start(trainer_at(1), MODULE)
    assert torch.equal(torch.rand(3), noise[1])
    assert not torch.equal(noise[0], noise[1])


def test_validation_leaves_training_noise_alone() -> None:
    callback, trainer = RandomState(), trainer_at()
    torch.manual_seed(1)
    expected = draw()
    torch.manual_seed(1)
    random.seed(1)
    validations = []
    for _ in range(2):
        before = capture()
        callback.on_validation_start(trainer, MODULE)
        validations.append(torch.rand(2).tolist())
        draw()
        callback.on_validation_end(trainer, MODULE)
        assert capture()["python"] == before["python"]
    assert validations[0] == validations[1]
    assert draw()[2] == expected[2]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_guard_stops_at_the_step(value: float, workspace: Path, monkeypatch: Any, capfd: Any) -> None:
    original = CategoricalVAE.training_metrics

    def poisoned(self: Any, batch: Any) -> Any:
        metrics = original(self, batch)
        return metrics | {"loss": metrics["loss"] * (value if self.relaxed.step == 9 else 1)}

    monkeypatch.setattr(CategoricalVAE, "training_metrics", poisoned)
    assert main(["fit", "--config", "tiny.yaml", "--checkpoint_every=1"]) == 1
    error = capfd.readouterr().err
    assert "not finite at training step 9" in error
    assert "learning_rate" in error and "--trainer.gradient_clip_val" in error
    assert len(error.strip().splitlines()) <= 2
    last = torch.load(workspace / "runs/tiny/1/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 9
    assert all(value.isfinite().all() for value in last["state_dict"].values())


@pytest.mark.parametrize("clip", [0.0, 5.0])
def test_guard_gives_the_hint_of_the_model(clip: float, workspace: Path, capfd: Any) -> None:
    """A text GAN steps its optimizers itself, where Lightning refuses to clip."""
    options = ["fit", "--config", "textgan_grammar", "--trainer.max_steps=9", "--trainer.enable_progress_bar=false"]
    diverging = ["--model.objective.adversary.learning_rate=1e30", f"--model.clip={clip}"]
    assert main([*options, *diverging]) == 1
    error = capfd.readouterr().err
    assert "not finite at training step" in error and len(error.strip().splitlines()) == 1
    assert "--model.clip" in error and "--model.objective.adversary.learning_rate" in error
    assert "gradient_clip_val" not in error and "--ckpt_path" not in error  # a run is resumed as it was begun
    assert main([*options, "--trainer.gradient_clip_val=1.0"]) != 0


def test_guard_is_periodic_on_an_accelerator() -> None:
    guard = NanGuard()
    nan = torch.tensor(float("nan"))
    for batch in (1, 49):
        guard.on_before_backward(trainer_at(batch=batch, device="cuda"), MODULE, nan)
    with pytest.raises(TrainingDiverged, match="step 50"):
        guard.on_before_backward(trainer_at(batch=50, device="cuda"), MODULE, torch.tensor(0.0))


def test_guard_checks_before_saving() -> None:
    guard, trainer = NanGuard(), trainer_at(batch=51, device="cuda")
    guard.on_save_checkpoint(trainer, MODULE, {})
    guard.on_before_backward(trainer, MODULE, torch.tensor(float("nan")))
    with pytest.raises(TrainingDiverged, match="step 51"):
        guard.on_save_checkpoint(trainer, MODULE, {})
    with pytest.raises(TrainingDiverged, match="step 51"):
        guard.on_train_end(trainer, MODULE)


@pytest.mark.parametrize("steps", [4, 9], ids=["at the last step", "before another"])
def test_guard_checks_weights_before_saving(steps: int, tmp_path: Path) -> None:
    """A finite loss may have a gradient that is not: sqrt at 0. The last checkpoint stays that of the step before."""

    class Root(ZooModel):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            return self.weight.square().sum() + (self.weight.sqrt().sum() if batch_idx == 3 else 0)

    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    callbacks = [NanGuard(), LastCheckpoint(tmp_path / "last.ckpt", 1)]
    trainer = Trainer(max_steps=steps, accelerator="cpu", callbacks=callbacks, **quiet)
    with pytest.raises(TrainingDiverged, match="weights are not finite at training step 3"):
        trainer.fit(Root(), DataLoader(torch.arange(20.0)))
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert last["global_step"] == 3 and last["state_dict"]["weight"].isfinite()


def test_tensorboard_if_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    assert [type(logger) for logger in run_loggers(tmp_path)] == [RunCSV]
    pytest.importorskip("tensorboard")
    monkeypatch.undo()
    assert TensorBoardLogger in [type(logger) for logger in run_loggers(tmp_path)]


def history(folder: Path) -> list[tuple[int, set[str]]]:
    """Steps and keys of an offline run, from blocks of 32 KiB of records: checksum, length, whether it is a part."""
    content, records, record = next(folder.glob("*.wandb")).read_bytes(), [], b""
    place = 7  # behind the header
    while place + 7 < len(content):
        length, kind = struct.unpack_from("<HB", content, place + 4)
        record += content[place + 7 : place + 7 + length]
        if kind in (1, 4):  # whole, or the last part
            records.append(Record.FromString(record))
            record = b""
        place += 7 + length
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
    rows = [record.history for record in records if record.HasField("history")]
    return [(row.step.num, {item.key or ".".join(item.nested_key) for item in row.item}) for row in rows]


def test_wandb_run_goes_on(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resumed where it was copied to, it has its id, steps that do not go back, curves and pictures."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    options = ["fit", "--config", "tiny.yaml", "--wandb=offline"]
    assert main([*options, "--trainer.max_steps=15"]) == 0
    shutil.copytree(workspace / "runs", workspace / "copy")
    resumed = ["--trainer.max_steps=39", "--trainer.default_root_dir=copy", "--ckpt_path=last"]
    assert main([*options, *resumed]) == 0
    wandb.teardown()  # what the end of the process does: the files are complete
    folders = sorted((workspace / "copy/tiny/1/wandb").glob("offline-run-*"), key=lambda path: path.stat().st_mtime)
    assert len(folders) == 2
    run = (workspace / "copy/tiny/1/wandb-id").read_text().strip()
    assert [folder.name.rpartition("-")[2] for folder in folders] == [run] * 2
    rows = [row for folder in folders for row in history(folder)]
    steps = [step for step, _ in rows]
    assert steps == sorted(set(steps)) and 4 in steps and 38 in steps
    assert {"train/loss", "train/temperature", "val/elbo"} <= set().union(*(keys for _, keys in rows))
    pictures = {path.name.partition("_")[0] for path in folders[1].glob("files/media/images/*.png")}
    assert {"samples", "reconstructions", "latents", "curves"} <= pictures


def test_bar_needs_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert ProgressBar().is_enabled
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    bar = ProgressBar()
    bar.enable()
    assert bar.is_disabled


def test_line_of_metrics_without_a_terminal(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", "tiny.yaml"]) == 0
    printed = capfd.readouterr()
    begun = "training runs/tiny/1 on digits: 13 batches an epoch, at most 3 epochs; a line after each validation"
    assert begun in printed.err.splitlines()
    line = printed.out.splitlines()[0]
    for name in ("epoch 0", "step 13", "loss", "negative ELBO", "temperature", "val/negative ELBO"):
        assert name in line


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_steps": 9000, "max_epochs": -1}, "at most 9,000 steps; a line after each validation"),
        ({"num_training_batches": 1, "max_epochs": 1}, "at most 1 epoch; a line after each validation"),
        ({"val_check_batch": 5}, "every 5 batches"),
        ({"val_check_batch": 500, "check_val_every_n_epoch": None}, "every 500 batches"),
        ({"check_val_every_n_epoch": 10}, "every 10 epochs"),
        ({"enable_validation": False}, "no line before the end, since nothing is validated"),
    ],
)
def test_line_when_training_begins(
    changes: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says when the next one comes; a bar says it by itself, and other processes say nothing."""
    length = {"max_epochs": 30, "max_steps": -1, "num_training_batches": 13, "val_check_batch": 13}
    other = {"check_val_every_n_epoch": 1, "enable_validation": True, "fast_dev_run": False, "is_global_zero": True}
    state = {"datamodule": SimpleNamespace(name="digits"), "default_root_dir": "runs/tiny/1", **length, **other}
    trainer = trainer_at()
    vars(trainer).update(state | changes)
    ProgressBar().on_train_start(trainer, MODULE)
    printed = capsys.readouterr().err
    batches = "1 batch" if trainer.num_training_batches == 1 else "13 batches"
    assert printed.startswith(f"training runs/tiny/1 on digits: {batches} an epoch, at most ")
    assert printed.endswith(f"{said}\n") and printed.count("\n") == 1
    trainer.is_global_zero = False
    ProgressBar().on_train_start(trainer, MODULE)
    trainer.is_global_zero = True
    monkeypatch.setattr(TQDMProgressBar, "on_train_start", lambda self, *_: None)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    ProgressBar().on_train_start(trainer, MODULE)
    assert capsys.readouterr().err == ""


def test_bar_is_redrawn_at_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    clock = iter(range(1000))
    monkeypatch.setattr("gumbelzoo.callbacks.progress.time.monotonic", lambda: 100 + next(clock) / 64)
    drawn = []
    monkeypatch.setattr(TQDMProgressBar, "on_train_batch_end", lambda self, trainer, *others: drawn.append(others[-1]))
    bar, trainer = ProgressBar(), trainer_at()
    for batch in range(100):
        trainer.is_last_batch = batch == 99
        bar.on_train_batch_end(trainer, MODULE, None, None, batch)
    assert drawn == [0, 13, 26, 39, 52, 65, 78, 91, 99]


def test_picture_of_codebook_usage(tmp_path: Path) -> None:
    use = CodebookUsage(2, 5)
    use.update(torch.tensor([[0, 1], [0, 4], [3, 4]]))
    use.compute()
    use.reset()
    assert use.last is not None
    assert use.last.tolist() == [[2, 0, 0, 1, 0], [0, 1, 0, 0, 2]]
    save_codebook_usage(use.last, tmp_path / "codes.png")
    assert (tmp_path / "codes.png").read_bytes().startswith(b"\x89PNG")
