"""Cards, ``config.json`` and ``docs/releases.md`` state the same metrics, and ``make results`` finds differences."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.benchmarks import releases as results
from gumbelzoo.benchmarks.common import pages
from gumbelzoo.commands import list as listing
from gumbelzoo.models import MODELS
from gumbelzoo.pretrained import api
from gumbelzoo.pretrained.config import read_config
from gumbelzoo.train import main

START, END = "<!-- results -->", "<!-- /results -->"
NAMES = gumbelzoo.list_pretrained()
CHEAP = {"bound_samples": 1, "val_samples": 1, "test_samples": 20, "reverse_steps": 0}
DETERMINISTIC = {"kl", "active_latents", "usage", "perplexity", "nmse", "nll", "accuracy"}


@pytest.mark.parametrize("name", NAMES)
def test_card_states_the_metrics_of_the_release(name: str) -> None:
    """All of ``config.json``, and no others."""
    folder = api.RELEASED / name
    assert results.card_metrics(folder) == results.printed(read_config(folder).metrics) != {}


@pytest.mark.parametrize("release", listing.releases(), ids=NAMES)
def test_release_has_metrics_for_tables(release: dict[str, Any]) -> None:
    """And its weights are small enough for the package."""
    assert release["figures"]
    assert release["megabytes"] < 6


def test_page_has_the_table_of_all_releases() -> None:
    """``docs/releases.md`` is what ``releases.py --table`` writes."""
    text, table = (pages.ROOT / results.PAGE).read_text(encoding="utf-8"), results.render_table()
    assert pages.insert_table(text, "results", table) == text
    assert len(table.splitlines()) == 2 + len(NAMES)


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("name", NAMES)
def test_release_reproduces_its_metrics(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those that do not depend on samples; ``make results`` compares all."""

    def refused(*_: Any) -> None:
        raise OSError("no downloads in tests")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", refused)
    source, stated = results.resolve_source(name), results.card_metrics(api.RELEASED / name)
    options = [f"--model.{key}={value}" for key, value in CHEAP.items() if key in source.model.config()]
    compared = {metric: value for metric, value in stated.items() if metric.partition("/")[2] in DETERMINISTIC}
    if not compared:
        pytest.skip(f"every metric of {name} depends on samples")
    try:
        found = results.printed(results.measure(source, options)["metrics"])
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert [metric for metric, value in compared.items() if not results.agree(found[metric], value)] == []


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
def test_metrics_agree_to_one_in_the_last_digit(found: str | None, stated: str | None, same: bool) -> None:
    """A missing metric or one that is not finite equals only itself."""
    assert results.agree(found, stated) == same


def test_near_ties_of_codes_may_fall_either_way() -> None:
    """A perplexity that two processors gave; no other metric, and no more than that."""
    assert results.agree("13.6012", "13.6004", results.TIES["test/perplexity"])
    assert not results.agree("13.6012", "13.6004") and not results.agree("13.6024", "13.6004", 1e-4)


@pytest.mark.parametrize("text", ["", START, f"{END}{START}", 2 * (START + END)])
def test_page_without_the_two_comments_raises(text: str) -> None:
    """None, one, in the wrong order, or twice."""
    with pytest.raises(ValueError, match="once, in this order"):
        pages.insert_table(text, "results", "table")


def test_every_model_has_metrics_for_tables() -> None:
    """Its card names them."""
    assert all(MODELS[name].card.metrics for name in MODELS)


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only release: an untrained model, with the metrics of ``test`` in its files."""
    monkeypatch.setattr("sys.argv", ["gumbelzoo"])
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    networks = {key: {"name": "mlp", "hidden": [4]} for key in ("encoder", "decoder")}
    model = gumbelzoo.create_model("categorical_vae", image_shape=[1, 8, 8], latents=2, bound_samples=3, **networks)
    data = {"class": "images", "arguments": {"name": "digits", "binarization": "static"}}
    folder = gumbelzoo.save_pretrained(model, tmp_path / "checkpoints/tiny", data=data, test={"seed": 5})
    measured = results.measure(results.resolve_source(str(folder)))
    assert measured["seed"] == 5
    shutil.rmtree(folder)
    card = "\n".join(f"| {name} | {value:.4f} |" for name, value in measured["metrics"].items())
    test = {"metrics": measured["metrics"], "seed": 5}
    gumbelzoo.save_pretrained(model, folder, data=data, card=card, test=test)
    (tmp_path / "docs").mkdir()
    (tmp_path / results.PAGE).write_text(f"before\n{START}\nold\n{END}\nafter\n")
    monkeypatch.setattr(api, "RELEASED", folder.parent)
    monkeypatch.setattr(listing, "CHECKPOINTS", folder.parent)
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    return folder


def test_results_write_the_table(released: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every release is tested again first."""
    assert results.main([]) == 0
    assert "1 tested, all metrics equal those of the cards" in capfd.readouterr().out
    text = Path("docs/releases.md").read_text()
    bound = read_config(released).metrics["test/bound"]
    assert text.startswith(f"before\n{START}\n| release |")
    assert "| [`tiny`](../checkpoints/tiny/README.md) | `categorical_vae` | digits |" in text
    assert f"bound {bound:.4f}" in text
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text


def test_results_without_data_claim_nothing(
    released: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A release whose data are missing is skipped, and the message says that nothing was tested."""

    def missing(name: str, folder: Path) -> list[str]:
        raise FileNotFoundError("no such data")

    monkeypatch.setattr(results, "differences", missing)
    assert results.main([]) == 0
    printed = capfd.readouterr().out
    assert "skipped: no such data" in printed and "nothing tested" in printed and "all metrics" not in printed


def test_results_name_the_metric_that_differs(released: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The exit code is 1."""
    card = released / "README.md"
    bound = f"{read_config(released).metrics['test/bound']:.4f}"
    card.write_text(card.read_text().replace(bound, "1.0000"))
    assert results.main(["tiny"]) == 1
    assert f"tiny: test/bound is {bound}, the card says 1.0000" in capfd.readouterr().out


def test_list_shows_the_metrics(released: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The main ones as a line, all of them as JSON."""
    metrics = read_config(released).metrics
    assert main(["list"]) == 0
    (line,) = [line for line in capfd.readouterr().out.splitlines() if line.startswith("  tiny ")]
    assert "categorical_vae of digits" in line
    assert line.endswith(f"bound {metrics['test/bound']:.4f}  elbo {metrics['test/elbo']:.4f}")
    assert main(["list", "--json"]) == 0
    (release,) = json.loads(capfd.readouterr().out)["checkpoints"]
    assert release["name"] == "tiny"
    assert release["metrics"] == metrics
