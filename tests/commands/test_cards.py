"""Cards of every model: the hub's metadata, samples of text models, Python that runs."""

from __future__ import annotations

import ast
import shlex
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.callbacks.figures import image_figures
from gumbelzoo.commands.run_folders.card import portable, renew_card, write_card
from gumbelzoo.models import MODELS
from gumbelzoo.pretrained.api import find
from gumbelzoo.pretrained.markdown import code_span
from gumbelzoo.train import main
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

FIT: dict[str, Any] = {"command": "fit", "seed": 0, "batches": 1, "minutes": 2, "hardware": "h", "commit": "c"}
TEST: dict[str, Any] = FIT | {
    "metrics": {"test/nll": 1.0},
    "data": {"data set": "names", "licence": "public domain"},
    "versions": {"torch": "2"},
    "checkpoint": "best.ckpt",
}
SMALL: dict[str, dict[str, Any]] = {
    "text_gan": {"vocabulary": {"tokens": ["<eos>", "a"]}, "max_length": 3},
    "attention_seq2seq": {
        "source_vocabulary": {"tokens": ["<eos>", "a"]},
        "target_vocabulary": {"tokens": ["<eos>", "b"]},
        "max_lengths": [3, 3],
    },
    "text_vae": {"vocabulary": {"tokens": ["<eos>", "a"]}, "max_length": 3},
    "slate_agent": {"items": 4, "slots": 2, "user_width": 3},
    "code_prior": {"vqvae": {"image_shape": [1, 8, 8]}, "network": {"name": "pixelcnn", "width": 4, "depth": 1}},
}


@pytest.mark.parametrize("name", MODELS.names())
def test_python_of_the_card_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = gumbelzoo.create_model(name, **SMALL.get(name, {"image_shape": [1, 8, 8]})).eval()
    card = write_card("tiny", model, FIT, TEST)
    assert f"{'An' if name == 'attention_seq2seq' else 'A'} `{name}` of gumbelzoo. " in card
    assert "- licence: public domain" in card
    lines = card.partition("```python\n")[2].partition("```")[0]
    monkeypatch.setattr(gumbelzoo, "load", lambda given: {"tiny": model}[given], raising=False)
    images = gumbelzoo.create_model("categorical_vae", image_shape=[1, 8, 8]).sample(2).round()
    exec(compile(lines, "card", "exec"), {"images": images})


def test_samples_of_text_are_quoted() -> None:
    model = gumbelzoo.create_model("text_gan", **SMALL["text_gan"])
    card = write_card("tiny", model, FIT, TEST, sentences=["a | b", "```"])
    assert "~~~~text\na | b\n```\n~~~~\n" in card
    assert "2 samples" in card
    assert ".png" not in card


def test_vq_vae_card_opens_with_reconstructions() -> None:
    """Its own samples are noise; the card names the command that trains a prior."""
    model = gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8])
    assert "samples" not in model.card.pictures
    card = write_card("tiny", model, FIT, TEST, ["reconstructions.png"])
    opening = card.partition("## Data")[0]
    assert "![reconstructions](reconstructions.png)\n\nSamples like the data need a `code_prior`" in opening
    assert "`gumbelzoo fit --config prior_mnist --model.vqvae=tiny`" in opening


def test_samples_have_a_row_for_each_class() -> None:
    """Of a prior over classes; its picture is as high as they are many."""
    asked = []

    def sample(n: int, label: torch.Tensor | None = None, **_: Any) -> torch.Tensor:
        asked.append(label)
        return torch.zeros(n, 1, 8, 8)

    for classes in (0, 3):
        model = gumbelzoo.create_model("code_prior", **SMALL["code_prior"], classes=classes).eval()
        model.sample = sample
        image_figures(model, torch.rand(2, 1, 8, 8))
    assert asked[0] is None and asked[1].tolist() == [0] * 10 + [1] * 10 + [2] * 10


def test_licence_is_stated_only_if_named() -> None:
    """A card does not choose the licence of somebody's model."""
    model = gumbelzoo.create_model("text_gan", **SMALL["text_gan"])
    without, named = write_card("tiny", model, FIT, TEST), write_card("tiny", model, FIT, TEST, licence="mit")
    assert ModelCard(without).data.license is None and "No licence is stated" in without
    assert ModelCard(named).data.license == "mit" and "No licence" not in named


@pytest.mark.parametrize("licence", ["", "Apache 2.0", "mit\nmodel: x", "a" * 65, "../mit"])
def test_licence_is_an_identifier(licence: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "no-run", "folder", f"--licence={licence}"]) == 2
    assert "--licence takes an identifier such as apache-2.0" in capfd.readouterr().err


def test_renewed_card_keeps_its_records() -> None:
    """And its licence; all else is what a new card says."""
    model = gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8])
    test, data = TEST | {"metrics": {"test/nmse": 0.5}}, {"class": "images", "arguments": {"name": "mnist"}}
    card = write_card("tiny", model, FIT, test, ["reconstructions.png"], licence="mit", data=data)
    body = card.partition("\n---\n")[2].replace("need a `code_prior`", "look bad").replace("## Use\n", "## Usage\n")
    old = f"---\nlibrary_name: gumbelzoo\nlicense: mit\n---\n{body}"
    measured = {"metrics": test["metrics"], "metadata": test["data"]}
    assert renew_card(old, "tiny", model, ["reconstructions.png"], data=data, test=measured) == card
    with pytest.raises(ValueError, match="not written by `export`"):
        renew_card("# A card of somebody else", "tiny", model)


def test_card_is_printable() -> None:
    """Names, samples and commands may hold escape sequences."""
    model = gumbelzoo.create_model("text_gan", **SMALL["text_gan"])
    escape = "\x1b[2J"
    fit = FIT | {"command": f"fit --config {escape}.yaml"}
    test = TEST | {"command": f"test {escape}", "data": {"data set": escape}}
    assert "\x1b" not in write_card(f"a{escape}", model, fit, test, sentences=[escape])


def test_portable_command_has_no_local_folder() -> None:
    where = "/somewhere/else"
    typed = f"python train.py fit --config {where}/gumbelzoo/configs/catvae_mnist.yaml --model.temperature=0.5 "
    typed += f"--trainer.default_root_dir={where}/board --model.vqvae={where}/runs/vqvae_mnist_ema/1"
    short = "python train.py fit --config configs/catvae_mnist.yaml --model.temperature=0.5"
    assert portable(typed) == f"{short} --model.vqvae=runs/vqvae_mnist_ema/1"
    assert portable(f"gumbelzoo test --ckpt_path {where}/best.ckpt") == "gumbelzoo test --ckpt_path best.ckpt"
    assert portable(f"{short} --ckpt_path last") == short
    assert portable(short) == short


def test_metadata_is_what_the_hub_reads() -> None:
    """Task, tags of the parts, data set and the metrics of tables; perplexity there is that of a language model."""
    model = gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8], quantizer={"name": "fsq", "levels": [3, 3]})
    test = TEST | {"metrics": {"test/nmse": 0.123456, "test/loss": 1.0, "test/perplexity": 7.5}}
    data = {"class": "images", "arguments": {"name": "mnist", "binarization": "static"}}
    test["data"] = {"data set": "mnist", "binarization": "static: a fixed draw"}
    read = ModelCard(write_card("tiny", model, FIT, test, licence="mit", data=data)).data
    facts = {"library_name": "gumbelzoo", "license": "mit", "pipeline_tag": "image-feature-extraction"}
    assert facts.items() <= read.to_dict().items()
    assert read.tags == ["pytorch", "fsq-quantizer", "vq-vae"] and read.datasets == ["ylecun/mnist"]
    assert read.model_name == "tiny"
    assert [(result.metric_type, result.metric_value) for result in read.eval_results] == [
        ("nmse", 0.1235),
        ("code_perplexity", 7.5),
    ]
    assert read.eval_results[0].dataset_name == "mnist, static binarization"


def test_own_data_are_no_data_set_of_the_hub() -> None:
    """A folder of pictures may be called mnist."""
    model = gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8])
    test = TEST | {"metrics": {"test/nmse": 0.5}, "data": {"data set": "mnist"}}
    read = ModelCard(
        write_card("tiny", model, FIT, test, data={"class": "images", "arguments": {"name": "folder"}})
    ).data
    assert read.datasets is None
    assert (read.eval_results[0].dataset_type, read.eval_results[0].dataset_name) == ("folder", "mnist")


HOSTILE = [
    "a: b # c",
    "x\n---\n# title",
    "'\"; import os; '",
    "![](http://a.example/b.png)",
    "`[a](b)` ``",
    "<img src=x>",
    "!!python/object:os.system",
    "null",
    "a\\",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_stays_text(text: str) -> None:
    """In the metadata, in Markdown, in commands and in the Python of a card."""
    model = gumbelzoo.create_model("text_gan", **SMALL["text_gan"])
    facts = {"data set": text, "classes": text, text: "a"}
    test = TEST | {"data": facts, "metrics": {"test/nll": 1.0, text: 2.0}, "versions": {"torch": text}}
    data = {"class": text, "arguments": {"name": text}}
    fit = FIT | {"command": f"fit {shlex.quote(text)}", "hardware": text}
    card = ModelCard(write_card(text, model, fit, test, sentences=[text], licence="mit", data=data))
    plain = text.replace("\n", "\N{REPLACEMENT CHARACTER}")
    assert card.data.model_name == plain and card.data.eval_results[0].dataset_name == plain
    assert set(card.data.to_dict()) == {"library_name", "license", "pipeline_tag", "tags", "model-index"}
    page = MarkdownIt("commonmark").enable("table").render(card.text)
    assert not any(f"<{tag}" in page for tag in ("img", "a ", "script"))
    assert page.count("<h1>") == 1 and page.count("<tr>") == 3
    python = card.text.partition("```python\n")[2].partition("\n```\n")[0]
    (called,) = [node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Call)][:1]
    assert isinstance(called.args[0], ast.Constant) and called.args[0].value == plain


def test_code_span_holds_backticks() -> None:
    assert code_span("a") == "`a`"
    assert code_span("``") == "``` `` ```"


@pytest.mark.parametrize("name", gumbelzoo.list_pretrained())
def test_released_card_has_the_metrics_of_its_config(name: str) -> None:
    """In its metadata and in its table."""
    release = find(name)
    card = ModelCard((release.folder / "README.md").read_text(encoding="utf-8"))
    facts = {fact: card.data.get(fact) for fact in ("license", "library_name")}
    assert facts == {"license": "apache-2.0", "library_name": "gumbelzoo"} and card.data.model_name == name
    for result in card.data.eval_results:
        assert result.metric_value == round(release.config.metrics[result.metric_name], 4)
        assert f"| {result.metric_name} | {result.metric_value:.4f} |" in card.text
    shown = [f"test/{metric}" for metric in MODELS[release.config.model].card.metrics]
    assert [result.metric_name for result in card.data.eval_results] == [
        metric for metric in shown if metric in release.config.metrics
    ]
