"""Cards, configurations and the README's table say the same of every release, and ``results`` notices if not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.benchmarks import releases as results
from gumbelzoo.benchmarks.common import readme
from gumbelzoo.commands.list import releases
from gumbelzoo.models import MODELS
from gumbelzoo.pretrained import api as pretrained
from gumbelzoo.pretrained.config import read_config
from gumbelzoo.train import main

START, END = "<!-- results -->", "<!-- /results -->"
NAMES = gumbelzoo.list_pretrained()
CHEAP = {"bound_samples": 1, "val_samples": 1, "test_samples": 20, "reverse_steps": 0}
STEADY = {"kl", "active_latents", "usage", "perplexity", "nmse", "nll", "accuracy"}  # no draw enters them


@pytest.mark.parametrize("name", NAMES)
def test_a_card_states_the_figures_of_its_configuration(name: str) -> None:
    folder = pretrained.find_release(name)
    assert results.card_figures(folder) == results.printed(read_config(folder).metrics) != {}


@pytest.mark.parametrize("release", releases(), ids=NAMES)
def test_every_release_has_figures_for_the_tables(release: dict[str, Any]) -> None:
    assert release["figures"]
    assert release["megabytes"] < 6


def test_the_readme_has_the_table_of_the_releases() -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert readme.with_table(text, "results", results.render_table()) == text


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("name", NAMES)
def test_a_release_gives_its_figures_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the costly part of the test has no influence on; ``make results`` compares all."""

    def refused(*_: Any) -> None:
        raise OSError("no downloads in tests")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", refused)
    source, stated = results.open_source(name), results.card_figures(pretrained.find_release(name))
    options = [f"--model.{key}={value}" for key, value in CHEAP.items() if key in source.model.hparams]
    steady = {metric: value for metric, value in stated.items() if metric.partition("/")[2] in STEADY}
    if not steady:
        pytest.skip(f"every figure of {name} is of draws")
    try:
        found = results.printed(results.measure(source, options)["metrics"])
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert [metric for metric, figure in steady.items() if not results.agree(found[metric], figure)] == []


@pytest.mark.parametrize(
    ("found", "stated", "same"),
    [
        ("63.5129", "63.5128", True),
        ("63.5128", "63.5128", True),
        ("63.5130", "63.5128", False),
        ("-0.0001", "0.0000", True),
        ("nan", "nan", True),
        ("inf", "1.0000", False),
        ("nan", "1.0000", False),
        ("1.0000", "nan", False),
        (None, "1.0000", False),
        ("1.0000", None, False),
    ],
)
def test_printed_figures_agree_to_one_in_the_last_digit(found: str | None, stated: str | None, same: bool) -> None:
    assert results.agree(found, stated) == same


@pytest.mark.parametrize("text", ["", START, f"{END}{START}", 2 * (START + END)])
def test_a_readme_without_the_two_comments(text: str) -> None:
    with pytest.raises(ValueError, match="once, in this order"):
        readme.with_table(text, "results", "table")


def test_every_model_has_words_for_its_card() -> None:
    assert all(MODELS[name].card.metrics for name in MODELS.names())


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release of a model that nobody trained, with figures that ``test`` measured, in the place of all others."""
    monkeypatch.setattr("sys.argv", ["gumbelzoo"])
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    model = gumbelzoo.create_model("categorical_vae", image_shape=[1, 8, 8], latents=2, hidden=[4], bound_samples=3)
    data = {"class": "ImageData", "arguments": {"name": "digits", "binarization": "static"}}
    folder = model.save_pretrained(tmp_path / "checkpoints/tiny", data=data, test={"seed": 5})
    measured = results.measure(results.open_source(str(folder)))
    assert measured["seed"] == 5
    shutil.rmtree(folder)
    card = "\n".join(f"| {name} | {value:.4f} |" for name, value in measured["metrics"].items())
    model.save_pretrained(folder, data=data, card=card, test={"metrics": measured["metrics"], "seed": 5})
    (tmp_path / "README.md").write_text(f"before\n{START}\nold\n{END}\nafter\n")
    monkeypatch.setattr(pretrained, "RELEASED", folder.parent)
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    return folder


def test_results_tests_again_and_writes_the_table(released: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert results.main([]) == 0
    assert "1 tested, every figure is its card's" in capfd.readouterr().out
    text = Path("README.md").read_text()
    bound = read_config(released).metrics["test/bound"]
    assert text.startswith(f"before\n{START}\n| released |")
    assert f"bound {bound:.4f}" in text
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text


def test_results_does_not_praise_what_it_skipped(
    released: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str, folder: Path) -> list[str]:
        raise FileNotFoundError("no such data")

    monkeypatch.setattr(results, "differences", missing)
    assert results.main([]) == 0
    printed = capfd.readouterr().out
    assert "skipped: no such data" in printed and "nothing was tested" in printed and "every figure" not in printed


def test_results_names_the_figure_that_differs(released: Path, capfd: pytest.CaptureFixture[str]) -> None:
    card = released / "README.md"
    bound = f"{read_config(released).metrics['test/bound']:.4f}"
    card.write_text(card.read_text().replace(bound, "1.0000"))
    assert results.main(["tiny"]) == 1
    assert f"tiny: test/bound is {bound}, the card says 1.0000" in capfd.readouterr().out


def test_list_shows_the_figures(released: Path, capfd: pytest.CaptureFixture[str]) -> None:
    metrics = read_config(released).metrics
    assert main(["list"]) == 0
    (line,) = [line for line in capfd.readouterr().out.splitlines() if line.startswith("  tiny ")]
    assert "categorical_vae of digits" in line
    assert line.endswith(f"bound {metrics['test/bound']:.4f}  elbo {metrics['test/elbo']:.4f}")
    assert main(["list", "--json"]) == 0
    (release,) = json.loads(capfd.readouterr().out)["checkpoints"]
    assert release["name"] == "tiny"
    assert release["metrics"] == metrics
