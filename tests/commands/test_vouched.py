"""Every option of Lightning's Trainer and every callback that it ships is right, untested or refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from gumbelzoo.callbacks.metrics_file import read_metrics
from gumbelzoo.commands.training.vouched import CALLBACKS, OPTIONS
from gumbelzoo.data import ImageData
from gumbelzoo.pretrained.run import read_checkpoint
from gumbelzoo.train import main
from lightning.pytorch import Trainer, callbacks

FIT = ["fit", "--config", "tiny.yaml", "--trainer.max_epochs=1"]
CALLBACK = "--trainer.callbacks"
REFUSED = {
    f"{CALLBACK}=LearningRateFinder": "--model.optimizer.learning_rate",
    f"{CALLBACK}=BatchSizeFinder": "--data.batch_size",
    f"{CALLBACK}=EMAWeightAveraging": "use --ema=0.999",
    f"{CALLBACK}=WeightAveraging": "use --ema=0.999",
    f"{CALLBACK}=StochasticWeightAveraging {CALLBACK}.swa_lrs=1e-3": "--model.optimizer.schedule",
    f"{CALLBACK}=GradientAccumulationScheduler {CALLBACK}.scheduling={{1:2}}": "accumulate_grad_batches",
    f"{CALLBACK}=Timer {CALLBACK}.duration=00:00:00:01": "--trainer.max_time",
    f"{CALLBACK}=ModelPruning {CALLBACK}.pruning_fn=l1_unstructured": "renames the weights",
    "--trainer.strategy=ddp_spawn": "--trainer.strategy=ddp",
    "--trainer.strategy=ddp_notebook": "--trainer.strategy=ddp",
    "--trainer.barebones=true": "leave it out",
    "--trainer.enable_checkpointing=false": "leave it out",
    "--trainer.precision=fp16": "16-mixed",
    "--trainer.max_steps=0": "trains nothing",
    "--trainer.max_epochs=0": "trains nothing",
    "--trainer.limit_train_batches=0": "trains nothing",
    "--trainer.limit_train_batches=0.0": "trains nothing",
    "--trainer.max_time=00:00:00:00": "trains nothing",
    "--trainer.max_time={seconds: 0}": "trains nothing",
    "--trainer.check_val_every_n_epoch=0": "must be 1 or more",
    "--trainer.val_check_interval=0": "--trainer.limit_val_batches=0",
    "--trainer.accumulate_grad_batches=0": "must be 1 or more",
    "--trainer.log_every_n_steps=-1": "must be 0 or more",
    "--trainer.gradient_clip_val=-1": "must be 0 or more",
    "--trainer.gradient_clip_val=.nan": "must be 0 or more",
}


class Own(callbacks.Callback):
    """A user's callback."""


class OwnAverages(callbacks.EMAWeightAveraging):
    """A user's change of a callback that is refused."""


def test_every_trainer_option_has_a_verdict() -> None:
    assert set(OPTIONS) == set(inspect.signature(Trainer).parameters)


def test_every_callback_has_a_verdict() -> None:
    assert set(CALLBACKS) == set(callbacks.__all__)


@pytest.mark.parametrize("options", REFUSED)
def test_refused_option_is_one_line(options: str, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is refused before a run folder is made."""
    given = [options] if "{s" in options else options.split(" ")
    assert main([*FIT, *given]) == 2
    printed = capfd.readouterr().err
    assert REFUSED[options] in printed
    assert options.split(" ")[0].partition("=")[0] in printed
    assert printed.count("\n") == 1
    assert not (workspace / "runs").exists()


def test_rich_is_named_where_it_is_missing(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if CALLBACKS["RichProgressBar"](None) == "untested":  # type: ignore[operator]
        pytest.skip("rich is installed")
    assert main([*FIT, f"{CALLBACK}=RichProgressBar"]) == 2
    assert "pip install rich" in capfd.readouterr().err
    assert not (workspace / "runs").exists()


def test_own_callback_is_untested(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*FIT, "--trainer.max_steps=1", f"{CALLBACK}={__name__}.Own", "--trainer.overfit_batches=2"]) == 0
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("not tested with gumbelzoo: ")]
    assert lines == [f"not tested with gumbelzoo: --trainer.overfit_batches=2, {CALLBACK}=Own"]


def test_option_that_is_switched_off(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    off = ["--trainer.use_distributed_sampler=false", "--trainer.barebones=false", "--trainer.sync_batchnorm=false"]
    assert main([*FIT, "--trainer.max_steps=1", *off]) == 0
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("not tested")]
    assert lines == ["not tested with gumbelzoo: --trainer.use_distributed_sampler=False"]


def test_own_change_of_a_refused_callback(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*FIT, f"{CALLBACK}={__name__}.OwnAverages"]) == 2
    assert "OwnAverages averages buffers" in capfd.readouterr().err


def test_defaults_are_tested(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*FIT, "--trainer.max_steps=1"]) == 0
    assert "not tested" not in capfd.readouterr().err


VQ_VAE = """\
model:
  class_path: vq_vae
  init_args: {image_shape: [1, 8, 8], dim: 4, quantizer: {name: vector, codebook_size: 8}}
data:
  class_path: images
  init_args: {name: digits, binarization: none}
trainer: {accelerator: cpu, max_steps: 2}
"""
TEXT_GAN = """\
model:
  class_path: text_gan
  init_args: {generator: {name: lstm, width: 4, hidden: 4}, test_samples: 10}
data:
  class_path: text
  init_args: {name: grammar}
trainer: {accelerator: cpu, max_steps: 2}
"""


@pytest.mark.parametrize(
    ("config", "option", "remedy"),
    [
        (VQ_VAE, "--trainer.accumulate_grad_batches=2", "--data.batch_size"),
        (TEXT_GAN, "--trainer.accumulate_grad_batches=2", "--data.batch_size"),
        (TEXT_GAN, "--trainer.gradient_clip_val=1", "--model.clip"),
    ],
)
def test_option_that_a_model_does_not_take(
    config: str, option: str, remedy: str, workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (workspace / "other.yaml").write_text(config)
    assert main(["fit", "--config", "other.yaml", option]) == 2
    printed = capfd.readouterr().err
    assert option.partition("=")[0] in printed
    assert remedy in printed
    assert not (workspace / "runs").exists()


def test_accumulation_counts_optimizer_steps(workspace: Path) -> None:
    """13 batches an epoch in pairs are seven steps, the last one of a single batch."""
    assert main([*FIT, "--trainer.accumulate_grad_batches=2"]) == 0
    checkpoint = read_checkpoint(workspace / "runs/tiny/1/checkpoints/last.ckpt")
    steps = [int(value) for name, value in checkpoint["state_dict"].items() if name.endswith("step")]
    assert checkpoint["global_step"] == 7
    assert steps == [7]


def test_callbacks_that_are_right(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A user's checkpoint of another metric leaves the run's best.ckpt and its line alone."""
    entries: list[dict[str, Any]] = [
        {"class_path": "ModelCheckpoint", "init_args": {"monitor": "train/loss", "mode": "max"}},
        {"class_path": "LearningRateMonitor"},
        {"class_path": "EarlyStopping", "init_args": {"monitor": "val/elbo", "patience": 1, "min_delta": 1e6}},
        {"class_path": "TQDMProgressBar"},
    ]
    (workspace / "more.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": entries}}))
    assert main(["fit", "--config", "tiny.yaml", "--config", "more.yaml", "--trainer.max_epochs=9"]) == 0
    metrics = read_metrics(workspace / "runs/tiny/1/metrics.csv")
    assert len(metrics["val/elbo"]) == 2  # stopped early
    assert metrics["lr-AdamW"]
    best = min(value for _, value in metrics["val/elbo"])
    assert f"best      val/negative ELBO {best:.4g}\n" in capfd.readouterr().out
    assert (workspace / "runs/tiny/1/checkpoints/best.ckpt").is_file()


def test_run_without_a_batch_leaves_no_folder(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gumbelzoo.commands.training.trainer.check_options", lambda trainer: [])
    assert main([*FIT, "--trainer.max_steps=0"]) == 2
    assert "nothing was trained" in capfd.readouterr().err
    assert not (workspace / "runs/tiny/1").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda image: (image * 255).to(torch.uint8),
            "got torch.uint8 from 0 to 255; levels 0 to 255 need image / 255",
        ),
        (lambda image: image * 255, "got torch.float32 from 0 to 255"),
        (lambda image: image * 2 - 1, "got torch.float32 from -1 to 1"),
        (lambda image: image * torch.nan, "got torch.float32 from nan to nan"),
    ],
)
def test_levels_of_training_images(
    change: Callable[[torch.Tensor], torch.Tensor], message: str, workspace: Path, monkeypatch: Any, capfd: Any
) -> None:
    """Nothing is trained on images that are not in [0, 1]."""

    def transfer(self: Any, batch: dict[str, torch.Tensor], *_: Any) -> dict[str, torch.Tensor]:
        return {**batch, "image": change(batch["image"])}

    monkeypatch.setattr(ImageData, "on_after_batch_transfer", transfer)
    assert main(FIT) == 2
    assert message in capfd.readouterr().err


@pytest.mark.parametrize("profiler", ["simple", "advanced"])
def test_report_of_the_profiler_is_logged(profiler: str, workspace: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert main([*FIT, "--trainer.max_steps=1", f"--trainer.profiler={profiler}"]) == 0
    assert "run_training_batch" in caplog.text
