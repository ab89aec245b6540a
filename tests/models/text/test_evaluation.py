"""Text models: metrics, samples, releases."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.models.text.generators import GENERATORS
from gumbelzoo.models.text.objectives import OBJECTIVES
from gumbelzoo.models.text.reverse_nll import reverse_nll
from gumbelzoo.models.text.text_gan import TextGAN
from gumbelzoo.vocabulary import EOS, Vocabulary
from torch import Tensor

Make = Callable[..., TextGAN]
Fit = Callable[..., L.Trainer]
WORDS = Vocabulary([EOS, "<unk>", "a", "man", "sits", "."])
QUIET = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
objectives = pytest.mark.parametrize("objective", OBJECTIVES.names())


def test_metrics_of_the_test_split(fit: Fit, make_unbuilt: Make) -> None:
    """NLL is the mean over all tokens, whatever the batches; samples are scored by the data."""
    model = make_unbuilt(reverse_steps=3)
    trainer = fit(model, 2)
    data = TextData("grammar", eval_batch_size=300)
    (metrics,) = trainer.test(model, data, verbose=False)
    tokens, lengths = data.test_sequences()
    expected = -model.generator.log_prob(tokens, lengths).sum() / lengths.sum()
    assert metrics["test/nll"] == pytest.approx(expected.item(), rel=1e-5)
    assert {"test/valid", "test/distinct_valid", "test/total_variation", "test/distinct"} <= set(metrics)
    assert 0 < metrics["test/reverse_nll"] < 5
    assert trainer.callback_metrics.keys() >= {"test/nll"}


def test_nll_without_a_data_module() -> None:
    """Plain loaders score no samples."""
    data = TextData("grammar")
    model = TextGAN(data.vocabulary, data.max_length)
    (metrics,) = L.Trainer(accelerator="cpu", **QUIET).test(model, data.test_dataloader(), verbose=False)
    assert set(metrics) == {"test/nll"}
    with pytest.raises(ValueError, match="use --data=text"):
        L.Trainer(accelerator="cpu", **QUIET).test(TextGAN(), data.test_dataloader(), verbose=False)


@pytest.mark.parametrize(("objective", "expected"), [("mle", 0.5), ("scheduled_sampling", 0.5), ("gumbel", 0.25)])
def test_learning_rate_of_the_reverse_nll(objective: str, expected: float, make: Make) -> None:
    """It is that of maximum likelihood: of pretraining where the objective is adversarial."""
    model = make(objective, pretraining={"learning_rate": 0.25}, optimizer={"learning_rate": 0.5})
    assert model.likelihood_learning_rate == expected


def test_reverse_nll_is_low_for_samples_like_text() -> None:
    """It is high for samples without diversity."""
    data = TextData("grammar").splits
    order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))

    def measure(samples: Tensor) -> float:
        position = iter(range(0, 10**6, 64))
        torch.manual_seed(0)
        return reverse_nll(
            lambda: GENERATORS.build("lstm", vocabulary=data.vocabulary, max_length=12),
            lambda n: samples[order[(torch.arange(n) + next(position)) % 5000]],
            data.test.tokens, data.test.lengths, data.vocabulary.lengths, 60, 0.02,
        )  # fmt: skip

    real = measure(data.train.tokens)
    repeated = measure(data.train.tokens[:1].expand(5000, -1))
    assert real < 1.0 < 1.5 < repeated


# -- samples ----------------------------------------------------------------------------------------------------------


def test_sentences(make: Make) -> None:
    """Seeds, prefixes and truncation; mistakes name the fix."""
    model = make()
    drawn = model.sample(700, generator=torch.Generator().manual_seed(0))
    assert len(drawn) == 700 and all(isinstance(sentence, str) for sentence in drawn)
    assert drawn == model.sample(700, generator=torch.Generator().manual_seed(0))
    assert all(sentence.startswith("a man") for sentence in model.sample(20, prefix="a man"))
    for greedy in ({"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-6}):
        assert set(model.sample(20, **greedy)) == set(model.sample(1, top_k=1))
    with pytest.raises(ValueError, match="a prefix of 6 tokens"):
        model.sample(2, prefix="a a a a a a")
    with pytest.raises(ValueError, match="'zebroid' is not one of the"):
        model.sample(2, prefix="a zebroid")
    with pytest.raises(ValueError, match="n must be a whole number >= 1"):
        model.sample(0)
    for draw in (TextGAN().sample, TextGAN().sample_tokens):
        with pytest.raises(ValueError, match="has no vocabulary yet: train it"):
            draw(2)


def test_sentences_have_no_unknown_words() -> None:
    """Scored token ids do: that is how the model is."""
    model = TextGAN(WORDS, 5)
    with torch.no_grad():
        model.generator.head.bias[WORDS.unk] = 3.0
    tokens = model.sample_tokens(200, generator=torch.Generator().manual_seed(0))
    assert (tokens == WORDS.unk).any()
    sentences = model.sample(200, top_k=2, generator=torch.Generator().manual_seed(0))
    assert len(set(sentences)) > 2 and not any("<unk>" in sentence for sentence in sentences)


# -- releases ---------------------------------------------------------------------------------------------------------


@objectives
def test_release_needs_no_data(objective: str, tmp_path: Path, make: Make) -> None:
    model = make(objective).eval()
    folder = gumbelzoo.save_pretrained(model, tmp_path / "released")
    assert json.loads((folder / "config.json").read_text())["arguments"] == model.config()
    loaded = gumbelzoo.load(folder)
    assert loaded.vocabulary == WORDS and loaded.config() == model.config()
    assert model.sample(9, generator=torch.Generator().manual_seed(0)) == loaded.sample(
        9, generator=torch.Generator().manual_seed(0)
    )


@objectives
def test_model_can_be_pickled(objective: str, make: Make) -> None:
    model = make(objective)
    again = pickle.loads(pickle.dumps(model))
    assert again.config() == model.config()
    assert all(torch.equal(again.state_dict()[name], value) for name, value in model.state_dict().items())


@objectives
def test_config_rebuilds_the_model(objective: str, make: Make, make_unbuilt: Make, fit: Fit) -> None:
    """Same weights for the same seed, and plain JSON; what the data brought is in it."""
    model = make(objective, {}, {"loss": "hinge"}, pretraining={"steps": 2})
    config = json.loads(json.dumps(model.config()))
    torch.manual_seed(0)
    again = TextGAN(**config)
    assert again.config() == model.config()
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert make_unbuilt(objective).config()["vocabulary"] is None
    trained = make_unbuilt(objective)
    fit(trained, 1)
    assert trained.config()["vocabulary"] == TextData("grammar").vocabulary.config()
    assert trained.config()["max_length"] == 12


def test_mle_config_has_no_gan_settings(make: Make) -> None:
    words = ("discriminator", "adversary", "loss", "reward", "rollouts", "feedback", "estimator", "temperature")
    text = json.dumps(make().config())
    assert [word for word in words if word in text] == []


def test_other_data_raise(make: Make, fit: Fit) -> None:
    """Ids of another vocabulary mean other words."""
    with pytest.raises(ValueError, match=r"the model knows 6 tokens in sentences of 5, the data has 6 \(or others\)"):
        fit(make())
    with pytest.raises(ValueError, match="another vocabulary"):
        make().on_load_checkpoint({"hyper_parameters": {"vocabulary": {"tokens": ["a", "b"]}}})
    with pytest.raises(ValueError, match="another length of sentences"):
        make().on_load_checkpoint({"hyper_parameters": {**make().config(), "max_length": 7}})
    checkpoint: dict = {}
    make().on_save_checkpoint(checkpoint)
    assert checkpoint["hyper_parameters"] == make().config()
    make().on_load_checkpoint(checkpoint)
