"""``fit``, ``test`` and ``export`` from Python on a user's arrays, and the same run from the command line."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gumbelzoo
import numpy as np
import pytest
import torch
import yaml
from gumbelzoo.callbacks import NanGuard
from gumbelzoo.commands.notebook import Fitted
from gumbelzoo.data import ImageData
from gumbelzoo.train import main
from lightning.pytorch import Trainer

MLP = {"name": "mlp", "hidden": [16]}
MODEL = {"name": "categorical_vae", "latents": 4, "categories": 3, "encoder": MLP, "decoder": MLP, "bound_samples": 5}
OPTIONS: dict[str, Any] = {"accelerator": "cpu", "enable_progress_bar": False, "max_epochs": 2}


def pictures(n: int = 200) -> np.ndarray:
    """Bars on black, uint8 ``n h w``."""
    images = np.zeros((n, 6, 6), np.uint8)
    images[np.arange(n), np.arange(n) % 6] = 255
    return images


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fitted]:
    """A run that was trained and tested from Python, in its working folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        patch.setattr("sys.argv", ["ipykernel_launcher.py"])
        data = ImageData.from_arrays(pictures(), np.arange(200) % 6, binarization="dynamic", batch_size=20, seed=3)
        yield gumbelzoo.fit(MODEL, data, seed_everything=1, ema=0.9, **OPTIONS)


def test_run_of_a_notebook_is_a_run(fitted: Fitted) -> None:
    run = fitted.run
    assert run == Path("runs/categorical_vae_images/1") and fitted.finished
    for name in ("metrics.csv", "data.npz", "checkpoints/best.ckpt", "figures/samples.png"):
        assert (run / name).stat().st_size > 0, name
    assert fitted.model.sample(3).shape == (3, 1, 6, 6) and not fitted.model.training
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["model"]["class_path"], config["data"]["class_path"]) == ("categorical_vae", "images")
    assert config["model"]["init_args"]["image_shape"] == [1, 6, 6]
    data = config["data"]["init_args"]
    assert data["path"] == str((run / "data.npz").resolve())
    assert (data["name"], data["binarization"], data["batch_size"], data["seed"]) == ("arrays", "dynamic", 20, 3)
    fit = json.loads((run / "fit.json").read_text())
    assert fit["finished"] and fit["seed"] == 1 and fit["ema"] == 0.9 and fit["batches"] == 2 * 8
    assert fit["command"].startswith("gumbelzoo fit --model=categorical_vae ")


def test_run_is_tested_exported_and_loaded(fitted: Fitted, capfd: pytest.CaptureFixture[str]) -> None:
    """Python, and the command line on the same run, also where it was moved to."""
    metrics = gumbelzoo.test(fitted, enable_progress_bar=False)
    assert json.loads((fitted.run / "test.json").read_text())["metrics"] == metrics
    release = gumbelzoo.export(fitted, "release")
    assert gumbelzoo.load(release).sample(2).shape == (2, 1, 6, 6)
    assert "path" not in json.loads((release / "config.json").read_text())["data"]["arguments"]
    shutil.copytree(fitted.run, "elsewhere/runs/own/1")
    shutil.move(str(fitted.run / "data.npz"), "kept.npz")
    try:
        for source in (["elsewhere/runs/own/1"], ["release", "--data.path=kept.npz"]):
            capfd.readouterr()
            assert main(["test", *source, "--trainer.enable_progress_bar=false"]) == 0
            printed = capfd.readouterr().out
            assert all(f"{name:24s} {value:.4f}" in printed for name, value in metrics.items())
    finally:
        shutil.move("kept.npz", str(fitted.run / "data.npz"))
    assert main(["reconstruct", str(fitted.run), "-n", "2"]) == 0
    assert main(["test", "release"]) == 2
    assert "name='arrays' needs a path" in capfd.readouterr().err


def test_command_of_a_notebook_repeats_the_run(fitted: Fitted) -> None:
    """What ``fit.json`` says, with the data that the run kept, trains the same weights."""
    _, *command = shlex.split(json.loads((fitted.run / "fit.json").read_text())["command"])
    assert main([*command, f"--data.path={fitted.run}/data.npz", "--trainer.default_root_dir=again"]) == 0
    one, other = (
        torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for run in (fitted.run, Path("again/categorical_vae_images/1"))
    )
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.slow
def test_interrupted_run_goes_on(fitted: Fitted, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """Ctrl-C is no exception; the run goes on to the weights of one that was not interrupted."""
    data = ImageData.from_arrays(pictures(), batch_size=20)
    whole = gumbelzoo.fit(MODEL, data, name="whole", **OPTIONS)
    with monkeypatch.context() as patch:
        patch.setattr(NanGuard, "on_before_backward", interrupt_at(5))
        half = gumbelzoo.fit(MODEL, data, name="half", **OPTIONS)
    assert not half.finished and not json.loads((half.run / "fit.json").read_text())["finished"]
    assert f"go on with gumbelzoo.fit(resume='{half.run}')" in capfd.readouterr().out
    resumed = gumbelzoo.fit(resume=half, **OPTIONS)
    assert resumed.finished and resumed.run == half.run
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert main(["fit", "--ckpt_path", str(half.run), "--trainer.max_epochs=3"]) == 0


def interrupt_at(batch: int) -> Any:
    def interrupt(self: Any, trainer: Any, *_: Any) -> None:
        if trainer.fit_loop.total_batch_idx == batch:
            os.kill(os.getpid(), signal.SIGINT)

    return interrupt


def test_data_of_every_kind(fitted: Fitted) -> None:
    """A mapping of arrays, which are kept; a file, and a data set by name, which are not."""
    np.save("images.npy", pictures())
    options = {**OPTIONS, "max_epochs": None, "max_steps": 1, "limit_val_batches": 1}
    for data, shape, kept in (
        ({"x_train": torch.from_numpy(pictures()), "x_test": pictures(20)}, (1, 6, 6), True),
        ("images.npy", (1, 6, 6), False),
        ({"class": "images", "name": "digits"}, (1, 8, 8), False),
    ):
        fitted = gumbelzoo.fit({**MODEL, "image_shape": shape}, data, **options)
        assert (fitted.run / "data.npz").is_file() == kept
        assert fitted.model.sample(2).shape == (2, *shape)


def test_lightning_trains_on_arrays(fitted: Fitted) -> None:
    """Without a run folder, as with any data module."""
    data = ImageData.from_arrays(torch.from_numpy(pictures()) / 255, batch_size=50)
    model = gumbelzoo.create_model(**MODEL, image_shape=[1, 6, 6])
    trainer = Trainer(max_steps=3, accelerator="cpu", logger=False, enable_checkpointing=False, barebones=False)
    trainer.fit(model, data)
    assert trainer.global_step == 3


def test_unfit_call_is_refused(fitted: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = sorted(Path("runs").rglob("*"))
    monkeypatch.setattr("gumbelzoo.commands.training.kept_data.MAX_BYTES", 1000)
    for arguments, options, said in (
        ((MODEL, pictures()), {}, r"a run keeps 0 MiB at most: save them, `numpy.save\(.*, data='images'"),
        ((MODEL, pictures() // 255), {}, "x_train has the whole numbers 0 and 1 only"),
        ((MODEL, pictures()), {"max_epoch": 1}, "unknown argument of fit: 'max_epoch'; did you mean 'max_epochs'"),
        ((MODEL, "images.npz"), {}, "there is no '.*images.npz'"),
        (("categorical_vea", pictures()), {}, "did you mean 'categorical_vae'"),
        (({**MODEL, "latens": 3}, pictures()), {}, "did you mean 'latents'"),
        ((MODEL,), {}, "give a model and data"),
        ((MODEL, pictures()), {"resume": fitted}, "a run goes on with its own model, data and name"),
        ((MODEL, {"x_train": pictures()}, np.arange(200)), {}, "labels go with images in an array"),
        ((MODEL, ImageData("digits")), {"callbacks": [NanGuard()]}, r"callbacks must be plain numbers and texts"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=rf"^[^\n]*{said}[^\n]*$"):
            gumbelzoo.fit(*arguments, **options)
    assert sorted(Path("runs").rglob("*")) == runs


@pytest.mark.slow
def test_page_of_arrays_works(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every block of "Arrays, data sets, notebooks", in its order."""
    page = (Path(gumbelzoo.__file__).parent / "docs/your_data.md").read_text()
    section = page.partition("## Arrays, data sets, notebooks")[2].partition("\n## ")[0]
    scope: dict[str, Any] = {}
    for language, block in re.findall(r"```(py|bash)\n(.*?)```", section, re.DOTALL):
        if language == "py":
            exec(block, scope)
            continue
        for line in block.replace("\\\n", " ").splitlines():
            program, *words = shlex.split(line)
            assert program == "gumbelzoo"
            quick = ["--trainer.accelerator=cpu", "--model.bound_samples=2"] if words[0] == "fit" else []
            assert main([*words, *quick]) == 0, f"{line}: {capfd.readouterr().err}"
    assert scope["again"].run == Path("runs/categorical_vae_images/dynamic") and scope["again"].finished


def test_import_is_free_of_torch() -> None:
    code = "import gumbelzoo, sys; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
