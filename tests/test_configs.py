"""Every configuration is parsed without its data, builds its model, and trains two steps on a small data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import yaml
from gumbelzoo import data
from gumbelzoo.commands.parsing.configs import FOLDER, config_names, find_config
from gumbelzoo.commands.parsing.configuration import Configuration
from gumbelzoo.models import MODELS
from gumbelzoo.train import main

NAMES = {
    "images": "digits",
    "clutter": "digits",
    "text": "grammar",
    "slates": "slates",
    "frequencies": "frequencies",
    "pairs": "cipher",
}
# options of those configurations that have them
SMALL = {
    "data.batch_size": 8,
    "data.eval_batch_size": 4,
    "data.level": "null",
    "data.max_vocabulary": "null",
    "data.lines_per_sequence": "null",
    "model.image_shape": [1, 8, 8],
    "model.bound_samples": 2,
    "model.widths": [8, 16],
    "model.encoder.widths": [8, 16],
    "model.decoder.widths": [16, 8],
    "model.pretraining.steps": 1,
    "model.pretraining.discriminator_steps": 1,
    "model.test_samples": 20,
    "model.reverse_steps": 2,
}
SHORT = [
    *("--trainer.max_steps=2", "--trainer.limit_train_batches=2", "--trainer.limit_val_batches=2"),
    "--trainer.check_val_every_n_epoch=1",
]


def untrained_vqvae(folder: Path) -> Path:
    """Release of a VQ-VAE of digits."""
    quantizer = {"name": "gumbel", "codebook_size": 8}
    model = gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8], quantizer=quantizer)
    digits = data.ImageData("digits", "none")
    model.initialise(float(digits.mean.mean()), digits.variance)
    return gumbelzoo.save_pretrained(model, folder)


def untrained_generator(folder: Path) -> Path:
    """Release of a generator of the grammar."""
    text = {"vocabulary": data.TextData("grammar").vocabulary.config(), "max_length": 12}
    generator = {"name": "lstm", "width": 4, "hidden": 6}
    return gumbelzoo.save_pretrained(gumbelzoo.create_model("text_gan", **text, generator=generator), folder)


def small(name: str) -> list[str]:
    """Options that make a configuration small, of those that it has; a trained model in it becomes an untrained one."""
    configuration = Configuration.read(["fit", "--config", name])
    content = yaml.safe_load(find_config(name).read_text())
    kind = content["data"]["class_path"]
    options: dict[str, Any] = {"data.name": NAMES[kind], **SMALL}
    if kind == "clutter":
        options |= {"data.side": 8, "data.piece": 2}
    if "examples" in content["model"]["init_args"]:
        options["model.examples"] = len(data.ImageData("digits").splits.train)
    if kind == "frequencies":
        del options["model.image_shape"]
    if content["model"]["init_args"].get("encoder") == "cells":
        options["data.name"] = "scenes_digits"
    if kind == "text":
        options |= {"data.eval_batch_size": 500, "data.labels": "null", "model.classes": 0}  # the grammar has none
    if "init_from" in content["model"]["init_args"]:
        options["model.init_from"] = untrained_generator(Path("start"))
    if content["model"]["class_path"] == "code_prior":
        options["model.vqvae"] = untrained_vqvae(Path("vqvae"))
    return [f"--{option}={value}" for option, value in options.items() if option in configuration.known]


@pytest.mark.parametrize("name", config_names())
def test_config_is_parsed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """It needs neither its data nor a trained model, and names classes as the registries do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GUMBELZOO_DATA", str(tmp_path / "nothing"))
    assert main(["fit", "--config", name, "--print_config"]) == 0, capfd.readouterr().err
    printed = yaml.safe_load(capfd.readouterr().out)
    assert printed["model"]["class_path"] in MODELS and printed["data"]["class_path"] in NAMES
    section = Configuration.read(["fit", "--config", name]).sections["model"]
    if printed["model"]["class_path"] != "code_prior" and "init_from" not in section.arguments:
        model = section.kind(**section.arguments)
        assert type(model)(**model.config()).config() == model.config()


def one_of_each_model() -> set[str]:
    """Names of configurations, one for each model: the last."""
    models = {yaml.safe_load(find_config(name).read_text())["model"]["class_path"]: name for name in config_names()}
    return set(models.values())


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in one_of_each_model() else pytest.mark.slow) for name in config_names()],
)
def test_config_trains(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """Two steps, then a test, on a few digits or sentences."""
    monkeypatch.chdir(tmp_path)
    options = ["--config", name, *small(name), "--trainer.accelerator=cpu", "--trainer.limit_test_batches=2"]
    assert main(["fit", *options, *SHORT]) == 0, capfd.readouterr().err
    assert main(["test", *options]) == 0, capfd.readouterr().err
    assert "test/" in capfd.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", config_names())
def test_config_trains_in_mixed_precision(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--config", name, *small(name), "--trainer.accelerator=cpu", "--trainer.precision=bf16-mixed"]
    options.append("--trainer.limit_test_batches=2")
    assert main(["fit", *options, *SHORT]) == 0, capfd.readouterr().err
    assert main(["test", *options]) == 0, capfd.readouterr().err


def test_header_gives_the_command() -> None:
    assert "catvae_digits" in config_names()
    for name in config_names():
        header = (FOLDER / f"{name}.yaml").read_text().partition("seed_everything")[0]
        assert f"python train.py fit --config configs/{name}.yaml" in header


@pytest.mark.parametrize("path", sorted(FOLDER.glob("sweep_*.yaml")), ids=lambda path: path.stem)
def test_sweep_calls_the_command_line(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that wandb runs with the first value of each parameter, but offline and for one step."""
    monkeypatch.chdir(FOLDER.parent)
    sweep = yaml.safe_load(path.read_text())
    chosen = [f"--{name}={value['values'][0]}" for name, value in sweep["parameters"].items()]
    assert sweep["command"][:3] == ["${env}", "python", "${program}"]
    arguments = [part for part in sweep["command"][3:] if part not in ("${args}", "--wandb=online")]
    runs = f"--trainer.default_root_dir={tmp_path}"
    assert main([*arguments, *chosen, runs, "--trainer.max_steps=1", "--trainer.accelerator=cpu"]) == 0


def test_config_by_name_or_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the working folder comes before the packaged one of that name."""
    monkeypatch.chdir(tmp_path)
    assert find_config("catvae_digits") == FOLDER / "catvae_digits.yaml"
    for name in ("own.yaml", "catvae_digits"):
        Path(name).write_text("")
        assert find_config(name) == Path(name)
    with pytest.raises(ValueError, match=r"no file 'configs/catvae_digits.yaml' here; `--config catvae_digits`"):
        find_config("configs/catvae_digits.yaml")
    os.mkfifo("pipe")
    with pytest.raises(ValueError, match=r"^'pipe' is no regular file; --config takes a YAML file$"):
        find_config("pipe")
    with pytest.raises(ValueError, match=r"^unknown configuration: 'zzz'; `list configs` names all$"):
        find_config("zzz")
