"""Text GANs: figures, samples, releases; mistakes are told of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.models.text.generators.base import GENERATORS
from gumbelzoo.models.text.objectives.base import OBJECTIVES
from gumbelzoo.models.text.reverse_nll import reverse_nll
from gumbelzoo.models.text.text_gan import TextGAN
from gumbelzoo.vocabulary import EOS, Vocabulary
from torch import Tensor

Make = Callable[..., TextGAN]
Ungiven = Callable[..., TextGAN]
Fit = Callable[..., L.Trainer]
WORDS = Vocabulary([EOS, "<unk>", "a", "man", "sits", "."])
TWO = {"vocabulary": WORDS.config(), "length": 5}
objectives = pytest.mark.parametrize("objective", OBJECTIVES.names())


def test_held_out_nats_are_over_all_tokens_and_samples_are_scored(fit: Fit, ungiven: Ungiven) -> None:
    model = ungiven("mle", reverse_steps=3)
    trainer = fit(model, 2)
    data = TextData("grammar", eval_batch_size=300)
    (figures,) = trainer.test(model, data, verbose=False)
    held = data.splits.test
    expected = -model.generator.log_prob(held.tokens, held.lengths).sum() / held.lengths.sum()
    assert figures["test/nll"] == pytest.approx(expected.item(), rel=1e-5)
    assert {"test/valid", "test/distinct_valid", "test/total_variation", "test/distinct"} <= set(figures)
    assert 0 < figures["test/reverse_nll"] < 5
    assert trainer.callback_metrics.keys() >= {"test/nll"}


def test_sentences_have_no_unknown_words_but_scored_tokens_do() -> None:
    model = TextGAN(WORDS.config(), 5)
    with torch.no_grad():
        model.generator.head.bias[WORDS.unk] = 3.0
    tokens = model.sample_tokens(200, generator=torch.Generator().manual_seed(0))
    assert (tokens == WORDS.unk).any()
    sentences = model.sample(200, top_k=2, generator=torch.Generator().manual_seed(0))
    assert len(set(sentences)) > 2 and not any("<unk>" in sentence for sentence in sentences)


def test_reverse_nll_is_low_only_for_samples_like_the_text() -> None:
    data = TextData("grammar").splits
    order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))

    def figure(samples: Tensor) -> float:
        position = iter(range(0, 10**6, 64))
        torch.manual_seed(0)
        return reverse_nll(
            lambda: GENERATORS["lstm"](6, 12, 0),
            lambda n: samples[order[(torch.arange(n) + next(position)) % 5000]],
            data.test.tokens, data.test.lengths, data.vocabulary.lengths, 60, 0.02,
        )  # fmt: skip

    real = figure(data.train.tokens)
    repeated = figure(data.train.tokens[:1].expand(5000, -1))
    assert real < 1.0 < 1.5 < repeated


def test_sentences(make: Make) -> None:
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
    with pytest.raises(ValueError, match="n must be >= 1"):
        model.sample(0)
    with pytest.raises(ValueError, match="has no vocabulary yet: train it"):
        TextGAN().sample(2)


@objectives
def test_a_release_needs_no_data(objective: str, tmp_path: Path, make: Make) -> None:
    model = make(objective).eval()
    folder = gumbelzoo.save_pretrained(model, tmp_path / "released")
    assert json.loads((folder / "config.json").read_text())["arguments"]["vocabulary"] == WORDS.config()
    loaded = gumbelzoo.load(folder)
    assert model.sample(9, generator=torch.Generator().manual_seed(0)) == loaded.sample(
        9, generator=torch.Generator().manual_seed(0)
    )


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "mel"}, "unknown objective: 'mel'; did you mean 'mle'"),
        ({"generator": "lstn"}, "did you mean 'lstm'"),
        ({"generator_options": {"hiden": 3}}, "did you mean 'hidden'"),
        ({"objective": "gumbel", "discriminator_options": {"widht": 3}}, "did you mean 'width'"),
        ({"objective": "gumbel", "loss": "hing"}, "did you mean 'hinge'"),
        ({"objective": "seqgan", "reward": "constan"}, "did you mean 'constant'"),
        ({"objective": "gumbel", "feedback": "sotf"}, "did you mean 'soft'"),
        ({"objective": "gumbel", "estimator": "reinforce"}, "no pathwise gradient for objective 'gumbel'"),
        ({"objective": "seqgan", "rollouts": 0}, "rollouts must be >= 1"),
        ({"objective": "seqgan", "baseline": "learned"}, "the baseline 'learned' needs logits"),
        ({"objective": "scheduled_sampling", "scheduled_steps": 0}, "scheduled_steps must be >= 1"),
        (
            {"objective": "seqgan", "discriminator": "mlp", "discriminator_options": {"pack": 2}},
            "use a discriminator with pack=1",
        ),
        ({"discriminator_pretrain_steps": 2}, "a part of pretrain_steps, got 2 of 0"),
        ({"clip": -1.0}, "clip must be >= 0"),
        ({"test_samples": 1}, "test_samples >= 2"),
        ({"generator_options": {"size": 3}}, "unknown argument of generator 'lstm': 'size'; known: dropout, hidden"),
        (
            {"objective": "gumbel", "discriminator_options": {"end": 3}},
            "unknown argument of discriminator 'cnn': 'end'",
        ),
        ({"generator": "transformer", "generator_options": {"depth": 0}, **TWO}, "depth and heads must be >= 1"),
        ({"generator": "transformer", "generator_options": {"heads": 0}, **TWO}, "depth and heads must be >= 1"),
        ({"length": 3}, "vocabulary and length come together"),
        ({"length": 3, "vocabulary": {"words": []}}, "vocabulary must have 'tokens'"),
        ({"length": 0, "vocabulary": WORDS.config()}, "a length of 1 to"),
        ({"length": 65_537, "vocabulary": WORDS.config()}, "a length of 1 to 65536"),
    ],
    ids=str,
)
def test_mistakes_name_the_fix(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        TextGAN(**arguments)
    assert "\n" not in str(caught.value)


def test_other_data_are_refused(make: Make, fit: Fit) -> None:
    with pytest.raises(ValueError, match=r"the model knows 6 tokens in sentences of 5, the data has 6 \(or others\)"):
        fit(make())
    with pytest.raises(ValueError, match="another vocabulary"):
        make().on_load_checkpoint({"hyper_parameters": {"vocabulary": {"tokens": ["a", "b"]}}})
    with pytest.raises(ValueError, match="another length of sentences"):
        make().on_load_checkpoint({"hyper_parameters": {**make().hparams, "length": 7}})
    make().on_load_checkpoint({"hyper_parameters": dict(make().hparams)})
