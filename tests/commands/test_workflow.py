"""Train, look, test, sample, export, load. One run serves all tests of this file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
import yaml
from gumbelzoo.callbacks.figures import IMAGES, image_figures
from gumbelzoo.callbacks.metrics_file import read_metrics
from gumbelzoo.commands.files.source import read_test_images, resolve_source
from gumbelzoo.commands.test import measure
from gumbelzoo.train import COMMANDS, main
from torchvision.utils import save_image

RUN = "runs/tiny/1"


@pytest.fixture(scope="module")
def trained(tiny_config: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with a trained, tested and exported run."""
    workspace = tmp_path_factory.mktemp("workflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace)
        patch.setattr("sys.argv", ["gumbelzoo"])
        (workspace / "tiny.yaml").write_text(tiny_config)
        assert main(["fit", "--config", "tiny.yaml"]) == 0
        assert main(["test", RUN]) == 0
        assert main(["export", RUN, "checkpoints/catvae-tiny"]) == 0
        yield workspace


def test_files_of_a_run(trained: Path) -> None:
    run = trained / RUN
    for name in (
        "config.yaml",
        "metrics.csv",
        "fit.json",
        "test.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    ):
        assert (run / name).stat().st_size > 0, name
    for name in ("samples", "reconstructions", "latents", "curves"):
        assert (run / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG"), name
    metrics = read_metrics(run / "metrics.csv")
    assert [step for step, _ in metrics["val/elbo"]] == [12, 25, 38]
    assert [step for step, _ in metrics["train/loss"]] == [4, 9, 14, 19, 24, 29, 34]
    temperatures = [value for _, value in metrics["train/temperature"]]
    assert temperatures == sorted(temperatures, reverse=True)
    assert temperatures[0] == pytest.approx(math.exp(-0.01 * 4))


def test_commands_printed_by_fit_run(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", "tiny.yaml", "--trainer.max_epochs=1"]) == 0
    printed = capfd.readouterr().out
    assert "runs/tiny/2" in printed
    for line in printed.splitlines():
        _, program, command = line.partition("gumbelzoo ")
        if program:
            arguments = command.replace("checkpoints/NAME", "checkpoints/catvae-second").split("  ")[0].split()
            assert main(arguments) == 0, command
    assert (trained / "samples.png").exists()
    assert (trained / "checkpoints/catvae-second/config.json").exists()


def test_run_never_overwrites_another(trained: Path) -> None:
    before = (trained / RUN / "metrics.csv").read_bytes()
    runs = sorted(path.name for path in (trained / "runs/tiny").iterdir())
    assert main(["fit", "--config", "tiny.yaml", "--trainer.max_steps=2"]) == 0
    assert sorted(path.name for path in (trained / "runs/tiny").iterdir()) == [*runs, str(len(runs) + 1)]
    assert (trained / RUN / "metrics.csv").read_bytes() == before


def test_saved_configuration_trains_the_same(trained: Path) -> None:
    assert main(["fit", "--config", f"{RUN}/config.yaml", "--trainer.default_root_dir=again"]) == 0
    weights = [
        torch.load(trained / root / "tiny/1/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for root in ("runs", "again")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_option_overrides_the_configuration(trained: Path) -> None:
    arguments = ["--model.estimator=straight_through", "--data.batch_size=50", "--trainer.max_steps=1"]
    assert main(["fit", "--config", "tiny.yaml", *arguments, "--trainer.default_root_dir=options"]) == 0
    config = yaml.safe_load((trained / "options/tiny/1/config.yaml").read_text())
    assert config["model"]["init_args"]["estimator"] == "straight_through"
    assert config["data"]["init_args"]["batch_size"] == 50


def test_test_json_has_metrics_and_environment(trained: Path) -> None:
    content = json.loads((trained / RUN / "test.json").read_text())
    assert content["metrics"]["test/bound"] <= content["metrics"]["test/elbo"]
    assert content["data"]["data set"] == "digits"
    assert {"command", "seed", "minutes", "versions", "commit", "hardware", "checkpoint", "batches"} <= content.keys()


def test_release_reproduces_its_metrics(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    measured = json.loads((trained / RUN / "test.json").read_text())["metrics"]
    card = (trained / "checkpoints/catvae-tiny/README.md").read_text()
    capfd.readouterr()
    for again in (["test", "checkpoints/catvae-tiny"], ["test", RUN], ["test", f"{RUN}/checkpoints/best.ckpt"]):
        assert main(again) == 0
        printed = capfd.readouterr().out
        for name, value in measured.items():
            assert f"{name:24s} {value:.4f}" in printed, again
            assert f"| {name} | {value:.4f} |" in card


def test_card_tells_training_and_use(trained: Path) -> None:
    card = (trained / "checkpoints/catvae-tiny/README.md").read_text()
    for part in (
        "gumbelzoo fit --config tiny.yaml",
        "seed 0",
        "39 training batches",
        "minutes",
        "digits",
        "samples.png",
        "A VAE with categorical latents",
        "- licence: UCI optdigits",
        "gumbelzoo test catvae-tiny",
        "## Intended use and limits",
        "images = model.sample(16)",
    ):
        assert part in card, part


def test_config_json_has_the_metrics(trained: Path) -> None:
    tested = json.loads((trained / RUN / "test.json").read_text())
    config = json.loads((trained / "checkpoints/catvae-tiny/config.json").read_text())
    assert config["test"]["metrics"] == tested["metrics"]
    assert config["test"]["metadata"] == tested["data"]
    assert (config["test"]["seed"], config["test"]["batches"]) == (tested["seed"], tested["batches"])
    assert config["data"]["class"] == "images"
    assert (trained / "checkpoints/catvae-tiny/samples.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_of_a_release_are_of_its_weights(trained: Path) -> None:
    """And of test images; the run itself drew pictures of the last weights, not of the best."""
    release = resolve_source(str(trained / "checkpoints/catvae-tiny"))
    for name, figure in image_figures(release.model, *read_test_images(release, IMAGES)).items():
        if name != "latents":
            save_image(figure, trained / "again.png")
            assert (trained / f"checkpoints/catvae-tiny/{name}.png").read_bytes() == (
                trained / "again.png"
            ).read_bytes()


def test_half_precision_is_tested_and_stated(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    weights: dict[str, torch.Tensor] = {}

    def watched(source: Any, *rest: Any) -> dict[str, Any]:
        weights.update({name: value.clone() for name, value in source.model.state_dict().items()})
        return measure(source, *rest)

    monkeypatch.setattr("gumbelzoo.commands.test.measure", watched)
    before = (trained / RUN / "test.json").read_bytes()
    assert main(["export", RUN, "checkpoints/catvae-half", "--half"]) == 0
    assert (trained / RUN / "test.json").read_bytes() == before
    folder, whole = trained / "checkpoints/catvae-half", trained / "checkpoints/catvae-tiny"
    card, config = (folder / "README.md").read_text(), json.loads((folder / "config.json").read_text())
    assert "weights in half precision" in card
    assert config["precision"] == "half"
    assert (folder / "model.safetensors").stat().st_size < 0.7 * (whole / "model.safetensors").stat().st_size
    for name, value in json.loads(before)["metrics"].items():
        assert config["test"]["metrics"][name] == pytest.approx(value, rel=0.01)
    assert all(torch.equal(value, weights[name]) for name, value in gumbelzoo.load(folder).state_dict().items())
    capfd.readouterr()
    assert main(["test", "checkpoints/catvae-half"]) == 0
    printed = capfd.readouterr().out
    for name, value in config["test"]["metrics"].items():
        assert f"{name:24s} {value:.4f}" in printed
        assert f"| {name} | {value:.4f} |" in card


def test_release_keeps_the_seed_of_its_test(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", "tiny.yaml", "--seed_everything=7", "--trainer.max_steps=1"]) == 0
    run = max((trained / "runs/tiny").iterdir(), key=lambda path: int(path.name))
    assert main(["test", str(run)]) == 0
    assert main(["export", str(run), "checkpoints/seven"]) == 0
    config = json.loads((trained / "checkpoints/seven/config.json").read_text())
    assert config["test"]["seed"] == 7
    capfd.readouterr()
    assert main(["test", "checkpoints/seven"]) == 0
    assert f"{config['test']['metrics']['test/bound']:.4f}" in capfd.readouterr().out


def test_release_is_loaded_in_python(trained: Path) -> None:
    model = gumbelzoo.load("checkpoints/catvae-tiny")
    images = model.sample(16)
    assert images.shape == (16, 1, 8, 8)
    assert not model.training
    best = torch.load(trained / RUN / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, best[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("source", ["checkpoints/catvae-tiny", RUN, f"{RUN}/checkpoints/last.ckpt"])
@pytest.mark.parametrize("command", ["sample", "reconstruct"])
def test_picture_of_every_source(command: str, source: str, trained: Path) -> None:
    assert main([command, source, "-n", "9", "--out", f"pictures/{command}.png"]) == 0
    assert (trained / f"pictures/{command}.png").read_bytes().startswith(b"\x89PNG")


def test_seed_decides_the_samples(trained: Path) -> None:
    pictures = []
    for seed in ("3", "3", "4"):
        assert main(["sample", RUN, "-n", "4", "--seed", seed, "--out", "seed.png"]) == 0
        pictures.append((trained / "seed.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_export_checks_folder_and_checkpoint(trained: Path, capfd: Any) -> None:
    before = (trained / "checkpoints/catvae-tiny/README.md").read_bytes()
    assert main(["export", RUN, "checkpoints/catvae-tiny"]) == 2
    assert "is not overwritten" in capfd.readouterr().err
    assert (trained / "checkpoints/catvae-tiny/README.md").read_bytes() == before
    assert main(["export", f"{RUN}/checkpoints/last.ckpt", "checkpoints/other"]) == 2
    assert "another checkpoint" in capfd.readouterr().err
    assert not list((trained / "checkpoints").glob(".*"))


def test_validate_prints_metrics(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--config", "tiny.yaml", f"--ckpt_path={RUN}/checkpoints/best.ckpt"]) == 0
    assert "val/elbo" in capfd.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_command_has_help(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert f"  {command} " in capfd.readouterr().out
    assert main([command, "--help"]) == 0
    assert len(capfd.readouterr().out) > 100


def test_packaged_configuration_by_name(trained: Path) -> None:
    assert main(["fit", "--config", "catvae_digits", "--trainer.max_steps=1"]) == 0
    assert (trained / "runs/catvae_digits/1/config.yaml").exists()
