"""Configuration files and options, merged into what the parser is given."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from gumbelzoo.commands.parsing.configuration import Configuration
from gumbelzoo.train import main

Write = Callable[[str, str], str]
OWN = """
from gumbelzoo.models import CategoricalVAE

print("imported")

class Wide(CategoricalVAE):
    def __init__(self, latents: int = 3, width: int = 2, **others):
        super().__init__(latents=latents * width, **others)
"""
TEXT = "model: {class_path: text_gan, init_args: {objective: {name: seqgan, rollouts: 4}}}\ndata: {class_path: text}\n"


@pytest.fixture
def write(workspace: Path) -> Write:
    """Write a file into the working folder, and return its name."""

    def write_text(name: str, text: str) -> str:
        (workspace / name).write_text(text)
        return name

    return write_text


def read(*arguments: str) -> tuple[dict[str, Any], list[str]]:
    """Merged configuration that the parser is given, and its other options."""
    command, *rest = Configuration.read(["fit", *arguments]).arguments
    assert command == "fit" and (not rest or rest[0] == "--config")
    return yaml.safe_load(rest[1]) if rest else {}, rest[2:]


def model(*arguments: str) -> dict[str, Any]:
    """Merged arguments of the model."""
    return read(*arguments)[0]["model"]["init_args"]


def assert_refused(message: str, *arguments: str) -> None:
    """Reading ends in one line with the message in it."""
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        Configuration.read(["fit", *arguments])
    assert "\n" not in str(error.value)


# -- files ------------------------------------------------------------------------------------------------------------


def test_files_are_merged_in_their_order(write: Write) -> None:
    first = write(
        "a.yaml", TEXT + "trainer: {max_epochs: 3, callbacks: [{class_path: a.B}], logger: {class_path: c.D}}"
    )
    second = write("b.yaml", "trainer: {max_epochs: 4, callbacks: [], limit_val_batches: 2}\nseed_everything: 7\n")
    third = write("c.yaml", "model: {init_args: {objective: {adversary: {steps: 4}}, clip: 1e1}}\ndata: text\n")
    content, _ = read("--config", first, f"--config={second}", "-c", third)
    assert content["trainer"] == {
        **{"max_epochs": 4, "callbacks": [], "logger": {"class_path": "c.D"}, "limit_val_batches": 2}
    }
    assert content["seed_everything"] == 7
    arguments = content["model"]["init_args"]
    assert arguments["clip"] == 10.0
    assert (arguments["objective"]["rollouts"], arguments["objective"]["adversary"]["steps"]) == (4, 4)


def test_files_of_different_models(write: Write) -> None:
    first, second = write("a.yaml", TEXT), write("b.yaml", "model: vq_vae\n")
    third = write("c.yaml", "data: {class_path: images}\n")
    assert_refused("a.yaml has the model 'text_gan', b.yaml 'vq_vae'", "--config", first, "--config", second)
    assert_refused("a.yaml has the data 'text', c.yaml 'images'", "--config", first, "--config", third)


def test_model_on_the_command_line(write: Write) -> None:
    """It takes those of the file's arguments that it has as well, and the others are named."""
    path = write("a.yaml", "model: {class_path: categorical_vae, init_args: {latents: 7, categories: 3}}\n")
    content, _ = read("--config", path, "--model=gaussian_vae")
    assert content["model"]["class_path"].endswith(".GaussianVAE")
    assert content["model"]["init_args"] == {"latents": 7}
    configuration = Configuration.read(["fit", "--config", path, "--model=gaussian_vae"])
    assert configuration.notes == ["gaussian_vae in the place of categorical_vae: without categories of a.yaml"]
    assert Configuration.read(["fit", "--config", path, "--model=categorical_vae"]).notes == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: [a]", "model must be a name or {class_path: NAME, init_args: {...}}"),
        ("model: {class_path: vq_vae, dim: 3}", "model must be a name or"),
        ("model: {class_path: 3}", "model must be a name or"),
        ("data: {class_path: images, init_args: [1]}", "data must be a name or"),
        ("model.class_path: vq_vae", "'model.class_path' must be written as mappings"),
        ("config: other.yaml", "a configuration names no other"),
    ],
)
def test_malformed_section_raises(text: str, message: str, write: Write) -> None:
    assert_refused(f"a.yaml: {message}", "--config", write("a.yaml", text))


@pytest.mark.parametrize(
    ("files", "options", "name"),
    [
        (["a.yaml", "b.yaml"], [], "a"),
        (["catvae_digits"], [], "catvae_digits"),
        ([], ["--model=vq_vae", "--data=images"], "vq_vae_images"),
        ([], ["--data", "images", "--model", "own.Wide"], "wide_images"),
        (["runs/catvae/3/config.yaml"], [], "catvae"),
    ],
)
def test_name_of_runs(
    files: list[str], options: list[str], name: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("runs/catvae/3").mkdir(parents=True)
    monkeypatch.syspath_prepend(".")
    monkeypatch.delitem(sys.modules, "own", raising=False)
    write("own.py", OWN)
    write("runs/catvae/3/fit.json", "{}")
    for path in files:
        if path.endswith(".yaml"):
            write(path, "seed_everything: 1\n")
    configs = [f"--config={path}" for path in files]
    assert Configuration.read(["fit", *configs, *options]).name == name


# -- options ----------------------------------------------------------------------------------------------------------


def test_options_of_parts_are_merged(write: Write) -> None:
    path = write("a.yaml", "model: {class_path: categorical_vae, init_args: {estimator: gumbel_rao}}\n")
    options = ["--model.estimator=reinforce", "--model.estimator.samples", "8", "--model.optimizer.learning_rate=1e-2"]
    merged = model("--config", path, *options)
    assert merged["estimator"] == {"name": "reinforce", "samples": 8}
    assert merged["optimizer"]["learning_rate"] == 1e-2
    assert model("--config", path, "--model.estimator.samples=5")["estimator"] == {"name": "gumbel_rao", "samples": 5}
    assert model("--config", path, "--model.init_args.estimator=exact")["estimator"] == "exact"
    assert model("--config", path, "--model={init_args: {estimator: exact}}")["estimator"] == "exact"


def test_options_of_nested_parts(write: Write) -> None:
    merged = model("--config", write("a.yaml", TEXT), "--model.objective.adversary.discriminator.width=4")
    assert merged["objective"]["adversary"]["discriminator"] == {"name": "cnn", "width": 4}
    assert merged["objective"]["rollouts"] == 4


def test_other_options_stay_as_typed(write: Write) -> None:
    options = ["--trainer.max_epochs", "3", "--model.clip=2", "--data.name", "grammar", "--print_config", "--wandb=off"]
    _, rest = read("--config", write("a.yaml", TEXT), *options)
    assert sorted(rest) == sorted(options)


def test_help_of_a_class() -> None:
    for tokens in (["--model.help=vq_vae"], ["--model.help", "vq_vae"]):
        assert Configuration.read(["fit", *tokens]).arguments == [
            "fit",
            "--model.help=gumbelzoo.models.vqvae.vqvae.VQVAE",
        ]
    with pytest.raises(ValueError, match=r"--data\.help needs a class: --data\.help=NAME"):
        Configuration.read(["fit", "--data.help"])


# -- classes ----------------------------------------------------------------------------------------------------------

ATTACK = '{class_path: os.system, init_args: {command: "touch EXECUTED"}}'
IN_FILES = [
    f"estimator: {{samples: {ATTACK}}}",
    f"estimator: {ATTACK}",
    f"estimator: {{name: reinforce, baseline: {ATTACK}}}",
    f"temperature: {ATTACK}",
    f"temperature: {{name: piecewise, values: [{ATTACK}]}}",
    f"latents: {ATTACK}",
    f"image_shape: [1, [{ATTACK}]]",
    f"encoder: {{name: mlp, hidden: {ATTACK}}}",
    "estimator: {samples.class_path: os.system}",
    "estimator.class_path: os.system",
]
OTHERS = {
    "code_prior": [f"vqvae: {ATTACK}", f"vqvae: {{quantizer: {ATTACK}}}"],
    "text_gan": [
        *(f"vocabulary: {ATTACK}", f"vocabulary: {{tokens: [{ATTACK}]}}", f"init_from: {ATTACK}"),
        f"objective: {{name: gumbel, adversary: {{discriminator: {{name: cnn, width: {ATTACK}}}}}}}",
    ],
}
ATTACKS = [("categorical_vae", text) for text in IN_FILES]
ATTACKS += [(name, text) for name, texts in OTHERS.items() for text in texts]


@pytest.mark.parametrize(("name", "text"), ATTACKS)
def test_class_in_a_file_is_refused(name: str, text: str, write: Write, capfd: pytest.CaptureFixture[str]) -> None:
    """A stranger's configuration cannot make an object of its choice: nothing is imported or run."""
    key, _, value = text.partition(": ")
    data = f"data: {{class_path: images, init_args: {{name: {ATTACK}}}}}"
    nested = f"model: {{class_path: {name}, init_args: {{{text}}}}}\ndata: images\n"
    for content in (nested, f"model: {name}\n{data}\n", f"model: {{class_path: {name}}}\nmodel.init_args.{text}\n"):
        write("a.yaml", content)
        assert main(["fit", "--config", "a.yaml"]) == 2
        assert len(capfd.readouterr().err.splitlines()) == 1
    rest = ["fit", f"--model={name}", "--data=images"]
    for option in (f"--model.{key}={value}", f"--model.init_args.{key}={value}", f"--model={{init_args: {{{text}}}}}"):
        assert main([*rest, option]) == 2
        assert len(capfd.readouterr().err.splitlines()) == 1
    assert not Path("EXECUTED").exists()


@pytest.mark.parametrize(
    "option", ["--model.latents.class_path=os.system", "--data.name.init_args.class_path=os.system"]
)
def test_class_in_an_option_is_refused(option: str) -> None:
    assert_refused("names a class", "--model=categorical_vae", "--data=images", option)


def test_nothing_is_imported_before_the_check(
    write: Write, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(".")
    monkeypatch.delitem(sys.modules, "own", raising=False)
    write("own.py", OWN)
    path = write("a.yaml", f"model: own.Wide\ndata: {{class_path: images, init_args: {{root: {ATTACK}}}}}\n")
    assert_refused("'data.root.class_path' names a class", "--config", path)
    assert "imported" not in capfd.readouterr().out


def test_own_class_trains(write: Write, monkeypatch: pytest.MonkeyPatch, tiny_config: str) -> None:
    """A model of a user's module goes by its import path; that of a registered class becomes its name."""
    monkeypatch.syspath_prepend(".")
    monkeypatch.delitem(sys.modules, "own", raising=False)
    write("own.py", OWN)
    path = write("a.yaml", tiny_config.replace("categorical_vae", "own.Wide"))
    assert main(["fit", "--config", path, "--model.width=3", "--trainer.max_steps=1"]) == 0
    content = yaml.safe_load(Path("runs/a/1/config.yaml").read_text())
    assert content["model"]["class_path"] == "own.Wide" and content["model"]["init_args"]["width"] == 3
    path = write("b.yaml", tiny_config.replace("categorical_vae", "gumbelzoo.models.CategoricalVAE"))
    assert main(["fit", "--config", path, "--trainer.max_steps=1"]) == 0
    text = Path("runs/b/1/config.yaml").read_text()
    assert yaml.safe_load(text)["model"]["class_path"] == "categorical_vae" and "gumbelzoo." not in text


# -- the parser's side ------------------------------------------------------------------------------------------------


def test_printed_configuration_is_read_again(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--model.estimator=reinforce", "--model.estimator.samples=8", "--model.latents=3"]
    assert main(["fit", "--config", "tiny.yaml", *options, "--print_config"]) == 0
    printed = capfd.readouterr().out
    (workspace / "printed.yaml").write_text(printed)
    assert main(["fit", "--config", "printed.yaml", "--print_config"]) == 0
    assert capfd.readouterr().out == printed
    assert yaml.safe_load(printed)["model"]["init_args"]["estimator"] == {"name": "reinforce", "samples": 8}


def test_help_shows_all_options(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", "tiny.yaml", "--help"]) == 0
    assert "--trainer.max_epochs" in capfd.readouterr().out
    assert main(["fit", "--model.help", "categorical_vae"]) == 0
    assert "--model.latents LATENTS" in capfd.readouterr().out


@pytest.mark.parametrize("path", ["1e3", "2024-01-02", "é\u2028", "a: b", "null"])
def test_texts_reach_the_model_as_they_are(path: str, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = f"{{class_path: text, init_args: {{path: {json.dumps(path)}}}}}"
    (workspace / "a.yaml").write_text(f"model: text_gan\ndata: {data}\n")
    assert main(["fit", "--config", "a.yaml", "--print_config"]) == 0
    assert Configuration.read(["fit", "--config", "a.yaml"]).sections["data"].arguments == {"path": path}
