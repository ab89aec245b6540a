"""Every configuration trains two steps and is tested, on a few digits in the place of its data."""

from __future__ import annotations

import inspect
from pathlib import Path

import gumbelzoo
import pytest
import yaml
from gumbelzoo import data, models
from gumbelzoo.commands.configs import config_names, named_configs
from gumbelzoo.train import main

FOLDER = Path(gumbelzoo.__file__).parent / "configs"
SMALL = {
    "data": {"name": "digits", "batch_size": 8, "eval_batch_size": 4},
    "model": {"image_shape": [1, 8, 8], "bound_samples": 2, "widths": [8, 16]},
    "TextData": {"name": "grammar", "eval_batch_size": 500},
    "TextGAN": {"pretrain_steps": 1, "discriminator_pretrain_steps": 1, "test_samples": 20},
}
QUICK = ["--trainer.accelerator=cpu", "--trainer.limit_test_batches=2"]


def small(path: Path, trained: dict[str, Path]) -> list[str]:
    """Of ``SMALL``, what the classes of a configuration take; and a model for those that build on another."""
    content, options = yaml.safe_load(path.read_text()), []
    for part, package in (("data", data), ("model", models)):
        name = content[part]["class_path"]
        takes = inspect.signature(getattr(package, name)).parameters
        given = {**SMALL[part], **SMALL.get(name, {}), "vqvae": trained["vqvae"]}
        if "start" in content[part]["init_args"]:
            given["start"] = trained["start"]
        options += [f"--{part}.{name}={value}" for name, value in given.items() if name in takes]
    return options


@pytest.fixture
def trained(tmp_path: Path) -> dict[str, Path]:
    """By the argument that takes them, an untrained VQ-VAE of digits and a generator of the grammar, both released."""
    vqvae = gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8], quantizer_options={"codebook_size": 8})
    digits = data.ImageData("digits", "none")
    vqvae.initialise(float(digits.mean.mean()), digits.variance)
    text = {"vocabulary": data.TextData("grammar").vocabulary.config(), "length": 12}
    start = gumbelzoo.create_model("text_gan", **text, generator_options={"width": 4, "hidden": 6})
    models = {"vqvae": vqvae, "start": start}
    return {name: gumbelzoo.save_pretrained(model, tmp_path / name) for name, model in models.items()}


@pytest.mark.parametrize("name", config_names())
def test_config(
    name: str,
    trained: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["gumbelzoo"])
    path = FOLDER / f"{name}.yaml"
    options = ["--config", str(path), *small(path, trained), *QUICK]
    length = ["--trainer.max_steps=2", "--trainer.limit_val_batches=2", "--trainer.check_val_every_n_epoch=1"]
    assert main(["fit", *options, *length, "--trainer.limit_train_batches=2"]) == 0, capfd.readouterr().err
    assert main(["test", *options]) == 0, capfd.readouterr().err
    assert "test/" in capfd.readouterr().out


def test_there_are_configs_and_each_says_how_to_run_it() -> None:
    assert "catvae_digits" in config_names()
    for name in config_names():
        header = (FOLDER / f"{name}.yaml").read_text().partition("seed_everything")[0]
        assert f"python train.py fit --config configs/{name}.yaml" in header


@pytest.mark.parametrize("path", sorted(FOLDER.glob("sweep_*.yaml")), ids=lambda path: path.stem)
def test_a_sweep_calls_the_command_line(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that wandb would run with the first value of each parameter, but offline and for one step."""
    monkeypatch.chdir(FOLDER.parent)
    monkeypatch.setattr("sys.argv", ["train.py"])
    sweep = yaml.safe_load(path.read_text())
    chosen = [f"--{name}={value['values'][0]}" for name, value in sweep["parameters"].items()]
    assert sweep["command"][:3] == ["${env}", "python", "${program}"]
    arguments = [part for part in sweep["command"][3:] if part not in ("${args}", "--wandb=online")]
    runs = f"--trainer.default_root_dir={tmp_path}"
    assert main([*arguments, *chosen, runs, "--trainer.max_steps=1", "--trainer.accelerator=cpu"]) == 0


@pytest.mark.parametrize(("given", "expected"), [("catvae_digits", "catvae_digits.yaml"), ("own.yaml", "own.yaml")])
def test_a_name_or_a_file(given: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text("")
    for form in (["--config", given], ["-c", given], [f"--config={given}"]):
        assert named_configs(form)[-1].endswith(expected)
