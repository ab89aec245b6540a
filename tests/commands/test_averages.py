"""``fit --ema``: averages are evaluated, kept and released, and raw weights are resumed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
import yaml
from gumbelzoo.callbacks import RandomState
from gumbelzoo.commands.files.source import resolve_source
from gumbelzoo.commands.test import measure
from gumbelzoo.data import ImageData
from gumbelzoo.models.vae import CategoricalVAE
from gumbelzoo.pretrained.run import read_checkpoint
from gumbelzoo.train import main
from lightning.pytorch import Trainer
from torch import Tensor

FIT = ["fit", "--config", "tiny.yaml", "--trainer.enable_progress_bar=false"]
EMA = [*FIT, "--ema=0.9"]
OPTIONS = ["--trainer.max_epochs=1", "--trainer.val_check_interval=5", "--data.eval_batch_size=50"]
OPTIONS += ["--model.optimizer.learning_rate=0.02"]
RUN = Path("runs/tiny/1")
IMAGES = {"class_path": "images", "init_args": {"name": "digits", "binarization": "none"}}
VQ_VAE = {"image_shape": [1, 8, 8], "dim": 4, "quantizer": {"name": "vector", "codebook_size": 8, "update": "ema"}}
TEXT_GAN = {
    "generator": {"name": "lstm", "width": 4, "hidden": 4},
    "objective": {"name": "gumbel", "adversary": {"discriminator": {"name": "mlp"}}},
    "pretraining": {"steps": 6, "discriminator_steps": 2},
    "test_samples": 10,
}
LEARNED = {"image_shape": [1, 8, 8], "latents": 3, "categories": 4, "estimator": "rebar"}
CASES: dict[str, dict[str, Any]] = {
    "vq_vae": {"model": {"class_path": "vq_vae", "init_args": VQ_VAE}, "data": IMAGES},
    "text_gan": {
        "model": {"class_path": "text_gan", "init_args": TEXT_GAN},
        "data": {"class_path": "text", "init_args": {"name": "grammar"}},
    },
    "learned baseline": {"model": {"class_path": "categorical_vae", "init_args": LEARNED}, "data": IMAGES},
}
CASES["learned baseline"]["data"] = {**IMAGES, "init_args": {"name": "digits", "binarization": "threshold"}}


def read(root: str | Path = "runs", name: str = "last") -> dict[str, Any]:
    return read_checkpoint(Path(root) / f"tiny/1/checkpoints/{name}.ckpt")


def raw(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    return checkpoint["callbacks"]["AveragedWeights"]["raw"]


def assert_equal(one: Any, other: Any) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.fixture(scope="module")
def trained(tiny_config: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with a run of averaged weights."""
    workspace = tmp_path_factory.mktemp("averages")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace)
        patch.setattr("sys.argv", ["gumbelzoo"])
        (workspace / "tiny.yaml").write_text(tiny_config)
        assert main([*EMA, *OPTIONS]) == 0
        yield workspace


def test_figures_are_those_of_the_averages(trained: Path) -> None:
    """Of the validation that selected the checkpoint, and of the release, which says what its weights are."""
    best = read(name="best")
    weights = best["state_dict"]
    score = next(state["best_model_score"] for key, state in best["callbacks"].items() if "BestCheckpoint" in key)
    data = ImageData("digits", binarization="dynamic", eval_batch_size=50)
    trainer = Trainer(accelerator="cpu", logger=False, callbacks=[RandomState()], enable_progress_bar=False)
    assert trainer.validate(gumbelzoo.load(RUN), data, verbose=False)[0]["val/elbo"] == pytest.approx(float(score))
    assert not torch.equal(weights["output_bias"], raw(best)["output_bias"])
    assert main(["test", str(RUN)]) == 0
    assert main(["export", str(RUN), "released"]) == 0
    assert_equal(gumbelzoo.load("released").state_dict(), weights)
    config = json.loads((trained / "released/config.json").read_text())
    assert config["ema"] == json.loads((trained / RUN / "fit.json").read_text())["ema"] == 0.9
    assert config["test"]["metrics"] == measure(resolve_source("released"))["metrics"]
    card = (trained / "released/README.md").read_text()
    assert "exponential moving averages over training with decay 0.9." in card


def test_stopped_run_is_resumed_bit_by_bit(trained: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was stopped in a validation, while the model had the averages, and goes on from its own configuration."""
    step = CategoricalVAE.validation_step

    def stop(self: Any, batch: Any, batch_idx: int) -> Any:
        if batch_idx == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(CategoricalVAE, "validation_step", stop)
        assert main([*EMA, *OPTIONS]) == 130
    assert read()["global_step"] == 5
    assert yaml.safe_load((RUN / "config.yaml").read_text())["ema"] == 0.9
    assert main(["fit", "--config", str(RUN / "config.yaml"), "--ckpt_path=last"]) == 0
    whole = trained / "runs"
    for name in ("best", "last"):
        assert_equal(read(name=name)["state_dict"], read(whole, name)["state_dict"])
        assert_equal(raw(read(name=name)), raw(read(whole, name)))
    assert_equal(read()["optimizer_states"], read(whole)["optimizer_states"])
    assert (RUN / "metrics.csv").read_text() == (whole / "tiny/1/metrics.csv").read_text()


@pytest.mark.parametrize(
    ("case", "stops"),
    [("vq_vae", ()), ("text_gan", ()), *(pytest.param(case, (4, 7), marks=pytest.mark.slow) for case in CASES)],
)
def test_averages_change_no_training(case: str, stops: tuple[int, ...], workspace: Path) -> None:
    """Raw weights and buffers (codebooks, usage, steps) are those of a run without averages, after a resume too."""
    options = [*FIT, "--trainer.accelerator=cpu", "--trainer.log_every_n_steps=5"]
    (workspace / "tiny.yaml").write_text(yaml.safe_dump(CASES[case]))
    assert main([*options, "--trainer.max_steps=9", "--trainer.default_root_dir=plain"]) == 0
    for steps in (*stops, 9):
        resume = ["--ckpt_path=last"] if steps != (*stops, 9)[0] else []
        assert main([*options, f"--trainer.max_steps={steps}", "--ema=0.9", *resume]) == 0
    plain, averaged = read("plain"), read()
    weights, trained = averaged["state_dict"], raw(averaged)
    assert averaged["callbacks"]["AveragedWeights"]["updates"] == 9
    assert_equal({**weights, **trained}, plain["state_dict"])
    assert_equal(averaged["optimizer_states"], plain["optimizer_states"])
    assert_equal(averaged["random_state"][0]["torch"], plain["random_state"][0]["torch"])
    moved = {name for name, value in weights.items() if not torch.equal(value, plain["state_dict"][name])}
    assert moved <= trained.keys()
    assert len(moved) > len(trained) / 2
    if case == "vq_vae":
        assert "quantizer.codebook.weight" in weights.keys() - trained.keys()
        assert weights["quantizer.codebook.batches"] == 9


def test_frozen_model_is_not_averaged(workspace: Path) -> None:
    prior = {"vqvae": "vqvae-digits-ema", "network": {"name": "pixelcnn", "width": 4, "depth": 1}}
    (workspace / "tiny.yaml").write_text(
        yaml.safe_dump({"model": {"class_path": "code_prior", "init_args": prior}, "data": IMAGES})
    )
    assert main([*EMA, "--trainer.accelerator=cpu", "--trainer.max_steps=2"]) == 0
    assert {name.partition(".")[0] for name in raw(read())} == {"network"}
    released = gumbelzoo.load("vqvae-digits-ema").state_dict()
    assert_equal({name: read()["state_dict"][f"vqvae.{name}"] for name in released}, released)


def test_other_averages_are_refused(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """By the run's options; a checkpoint that lies in no run has none."""
    shutil.copy(RUN / "checkpoints/last.ckpt", "elsewhere.ckpt")
    for arguments, message in (
        ([*FIT, *OPTIONS, "--ckpt_path=last"], "runs/tiny/1 was begun with ema=0.9, not None"),
        ([*FIT, "--ckpt_path=elsewhere.ckpt"], "is of a run that averages its weights; give its --ema"),
        ([*FIT, "--ema=1"], "(--ema) must be > 0 and < 1"),
        (["test", str(RUN), "--ema=0.9"], "--ema is an option of `fit`"),
        (["test", str(RUN), "--compile=true"], "--compile is an option of `fit`"),
    ):
        capfd.readouterr()
        assert main(arguments) == 2
        error = capfd.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert [path.name for path in (trained / "runs/tiny").iterdir()] == ["1"]


SPY = """
import torch
from lightning.pytorch import Callback

class Spy(Callback):
    def on_train_end(self, trainer, module):
        torch.save(module.state_dict(), f"rank-{trainer.global_rank}.pt")
"""


@pytest.mark.slow
def test_averages_of_two_processes_are_equal(workspace: Path) -> None:
    """And a resumed run is the uninterrupted one."""
    (workspace / "spy.py").write_text(SPY)
    command = [sys.executable, "-m", "gumbelzoo.train", *EMA, "--trainer.devices=2", "--trainer.strategy=ddp"]
    command += ["--trainer.callbacks+=spy.Spy", "--model.optimizer.schedule=constant"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(workspace)}
    for options in (
        ["--trainer.max_epochs=2", "--trainer.default_root_dir=whole"],
        ["--trainer.max_epochs=1"],
        ["--trainer.max_epochs=2", "--ckpt_path=last"],
    ):
        subprocess.run([*command, *options], env=environment, timeout=200, check=True)
        first, second = (torch.load(workspace / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1))
        assert_equal(first, second)
    assert_equal(read()["state_dict"], read("whole")["state_dict"])
    assert_equal(raw(read()), raw(read("whole")))
    assert_equal(first, read()["state_dict"])
    assert not torch.equal(first["output_bias"], raw(read())["output_bias"])
