"""Rows of metrics.csv: each value where it was measured, each row once and before its checkpoint."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gumbelzoo.callbacks import AtomicCheckpointIO, NanGuard, ProgressBar
from gumbelzoo.callbacks.metrics_file import RunCSV
from gumbelzoo.callbacks.training_rows import TrainingRows
from gumbelzoo.data import ImageData
from gumbelzoo.models import CategoricalVAE
from gumbelzoo.train import main
from lightning.pytorch import Callback, Trainer

FIT = [
    "fit",
    "--config",
    "tiny.yaml",
    "--checkpoint_every=1",
    "--trainer.max_steps=10",
    "--trainer.val_check_interval=5",
]
TEXT = """\
model:
  class_path: text_gan
  init_args:
    objective: {name: gumbel, adversary: {discriminator: {name: cnn, width: 4}}}
    pretraining: {steps: 3, discriminator_steps: 1}
    generator: {name: lstm, width: 4, hidden: 6}
data:
  class_path: text
  init_args: {name: grammar, batch_size: 40, eval_batch_size: 1000}
trainer: {accelerator: cpu, max_steps: 8, val_check_interval: 4, limit_val_batches: 1, log_every_n_steps: 1}
"""


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_values_of_a_phase_end_with_it(workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """Lightning repeats the last NLL of the pretraining until the epoch ends."""
    monkeypatch.setattr("gumbelzoo.callbacks.progress.LINE_SECONDS", 0.0)
    shown = []
    original = ProgressBar.get_metrics
    monkeypatch.setattr(ProgressBar, "get_metrics", lambda *given: shown.append(original(*given)) or shown[-1])
    (workspace / "text.yaml").write_text(TEXT)
    assert main(["fit", "--config", "text.yaml"]) == 0, capfd.readouterr().err
    training = [row for row in rows(workspace / "runs/text/1") if row["train/loss"]]
    assert [int(row["step"]) for row in training] == list(range(8))
    assert [bool(row["train/nll"]) for row in training] == [True] * 3 + [False] * 5
    assert [bool(row["train/discriminator_loss"]) for row in training] == [False] * 2 + [True] * 6
    assert [bool(row["train/temperature"]) for row in training] == [False] * 3 + [True] * 5
    assert shown and all("discriminator_loss" in metrics and "nll" not in metrics for metrics in shown)


class Stop(Callback):
    """Ends training after a batch whose metrics were not logged."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        trainer.should_stop = trainer.fit_loop.total_batch_idx == 24


@pytest.mark.parametrize(("accumulated", "steps"), [(1, [3, 7, 11, 15, 19, 23]), (3, [3, 7])])
def test_row_has_the_values_of_its_batch(accumulated: int, steps: list[int], tmp_path: Path) -> None:
    """Also where training stops, and where the last batches of an epoch make a step of their own."""
    losses: dict[int, float] = {}

    class Model(CategoricalVAE):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            losses[self.trainer.fit_loop.epoch_loop._batches_that_stepped] = loss.item()
            return loss

    mlp = {"name": "mlp", "hidden": [8]}
    trainer = Trainer(
        default_root_dir=tmp_path,
        logger=RunCSV(tmp_path),
        callbacks=[Stop(), TrainingRows()],
        accelerator="cpu",
        max_epochs=9,
        log_every_n_steps=4,
        limit_val_batches=0,
        accumulate_grad_batches=accumulated,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    model = Model(image_shape=(1, 8, 8), latents=2, categories=2, encoder=mlp, decoder=mlp)
    trainer.fit(model, ImageData("digits", binarization="dynamic", batch_size=100))
    written = {int(row["step"]): float(row["train/loss"]) for row in rows(tmp_path)}
    assert list(written) == steps
    assert written == {step: losses[step] for step in steps}
    assert trainer.callback_metrics["train/loss"].isfinite()  # what other callbacks see


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    "moment",
    ["checkpoint", *(pytest.param(name, marks=pytest.mark.slow) for name in ("validation", "last validation"))],
)
def test_rows_after_a_kill(moment: str, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed when a batch's checkpoint is written, when a validation has been logged, or in the last validation."""
    assert main([*FIT, "--trainer.default_root_dir=whole"]) == 0

    def after(original: Callable[..., None], due: Callable[..., bool]) -> Callable[..., None]:
        def wrapped(self: Any, *given: Any, **named: Any) -> None:
            original(self, *given, **named)
            if due(*given):
                raise Killed

        return wrapped

    with monkeypatch.context() as patch:
        if moment == "checkpoint":
            save = after(AtomicCheckpointIO.save_checkpoint, lambda content, *_: content["global_step"] == 5)
            patch.setattr(AtomicCheckpointIO, "save_checkpoint", save)
        else:
            hook, batch = ("on_validation_end", 4) if moment == "validation" else ("on_validation_start", 9)
            patch.setattr(
                NanGuard,
                hook,
                after(getattr(NanGuard, hook), lambda trainer, *_: trainer.fit_loop.total_batch_idx == batch),
            )
        with pytest.raises(Killed):
            main([*FIT, "--trainer.default_root_dir=killed"])
    assert main([*FIT, "--trainer.default_root_dir=killed", "--ckpt_path=last"]) == 0
    assert rows(workspace / "killed/tiny/1") == rows(workspace / "whole/tiny/1")


@pytest.mark.slow
def test_rows_after_two_kills(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning counts the interrupted batch of a validation until its epoch ends, and would validate once more."""
    options = [*FIT, "--trainer.max_steps=15", "--trainer.limit_val_batches=1"]
    assert main([*options, "--trainer.default_root_dir=whole"]) == 0

    def kill_at(batch: int) -> Callable[..., None]:
        def kill(self: Any, trainer: Trainer, *_: Any) -> None:
            if trainer.fit_loop.total_batch_idx == batch:
                raise Killed

        return kill

    killed = [*options, "--trainer.default_root_dir=killed"]
    for hook, batch, resume in (("on_validation_start", 9, []), ("on_before_backward", 13, ["--ckpt_path=last"])):
        with monkeypatch.context() as patch:
            patch.setattr(NanGuard, hook, kill_at(batch))
            with pytest.raises(Killed):
                main([*killed, *resume])
    assert main([*killed, "--ckpt_path=last"]) == 0
    assert rows(workspace / "killed/tiny/1") == rows(workspace / "whole/tiny/1")


def test_resume_mends_pictures_and_leftovers(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier version, a kill or a loss of power left."""
    assert main(FIT) == 0
    curves = workspace / "runs/tiny/1/figures/curves.png"
    leftover = workspace / "runs/tiny/1/checkpoints/.gumbelzoo-0123abcd.tmp"
    curves.write_bytes(b"")
    assert main([*FIT, "--ckpt_path=last"]) == 0  # no batch is left
    assert curves.read_bytes().startswith(b"\x89PNG")
    curves.unlink()
    leftover.write_bytes(b"half")
    mended = []
    monkeypatch.setattr(
        NanGuard, "on_train_batch_start", lambda *_: mended.append(curves.exists() and not leftover.exists())
    )
    assert main([*FIT, "--trainer.max_steps=11", "--ckpt_path=last"]) == 0
    assert mended == [True]
