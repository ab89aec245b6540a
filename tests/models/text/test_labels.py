"""Text models that are conditioned on labels, and what other text models say to labels."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.models.text.generators import GENERATORS
from gumbelzoo.models.text.text_gan import TextGAN
from torch import Tensor

Make = Callable[..., TextGAN]
Batch = Callable[..., dict[str, Tensor]]
networks = pytest.mark.parametrize("network", GENERATORS.names())


@networks
def test_samples_follow_the_likelihood_of_their_label(network: str, make: Make) -> None:
    """The log-probability of a sample by steps is that in one call, with the same label only."""
    model = make(generator={"name": network, "width": 4}, classes=3).eval()
    with torch.no_grad():
        model.generator.label_embedding.weight.mul_(4)
    generator, labels = model.generator, torch.arange(3).repeat_interleave(400)
    tokens = model.sample_tokens(1200, label=labels)
    for token in range(6):
        share = torch.stack([(part[:, 0] == token).float().mean() for part in tokens.chunk(3)])
        probability = generator.log_prob(torch.full((3, 1), token), label=torch.arange(3)).exp()[:, 0]
        error = (probability * (1 - probability) / 400).sqrt()
        assert ((share - probability).abs() < 4.5 * error + 1e-6).all()
    assert not torch.allclose(generator.logits(tokens[:4], labels[:4]), generator.logits(tokens[:4], labels[:4] + 1))


@networks
def test_label_reaches_every_position(network: str, make: Make, batch: Batch) -> None:
    """Gradients of each token's logits go to the embedding of its label and of no other."""
    generator = make(generator={"name": network, "width": 4}, classes=3).generator.eval()
    tokens = batch(2)["tokens"]
    for position in (0, 4):
        logits = generator.logits(tokens, torch.tensor([2, 2]))[:, position].square().sum()
        (gradient,) = torch.autograd.grad(logits, generator.label_embedding.weight)
        assert gradient[2].any() and not gradient[:2].any()


def test_unconditional_model_draws_as_before(make: Make) -> None:
    """No weight and no random number more."""
    model, state = make(), torch.get_rng_state()
    assert model.generator.label_embedding is None and "classes" not in model.config()
    again, other = make(), make(classes=2)
    assert torch.equal(torch.get_rng_state(), state) is False  # `other` has drawn its embedding
    assert model.state_dict().keys() == again.state_dict().keys() != other.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_class_conditional_training(tmp_path: Path) -> None:
    """A model of two languages learns which is which; its release samples them by label."""
    draw = random.Random(0).choices
    lines = ["".join(draw(("xyz", "abc")[i % 2], k=6)) for i in range(600)]
    data = TextData.from_lines(lines, labels=["xyz <- 0", "abc -> 1"] * 300, level="character", batch_size=50)
    assert data.metadata()["labels"] == "2 classes: 0 abc -> 1, 1 xyz <- 0"
    torch.manual_seed(0)
    optimizer = {"learning_rate": 0.03}
    model = TextGAN(
        generator={"name": "lstm", "width": 8, "hidden": 8}, classes=2, optimizer=optimizer, test_samples=20
    )
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = L.Trainer(accelerator="cpu", max_epochs=8, **quiet)
    trainer.fit(model, data)
    (metrics,) = trainer.test(model, data, verbose=False)
    assert metrics["test/nll"] < 1.2  # that of the right three letters is 0.94, that of all six 1.54
    again = gumbelzoo.load(gumbelzoo.save_pretrained(model, tmp_path / "labelled"))
    for label, letters in ((0, "abc"), (1, "xyz")):
        sentences = again.sample(50, label=label, generator=torch.Generator().manual_seed(0))
        assert sum(set(sentence) <= set(letters) for sentence in sentences) > 45
    mixed = again.sample(50, label=torch.arange(50) % 2, generator=torch.Generator().manual_seed(0))
    assert sum(set(sentence) <= set("abc") for sentence in mixed[::2]) > 22
    assert again.config()["classes"] == ["abc -> 1", "xyz <- 0"] and again.classes == 2
    with pytest.raises(ValueError, match="a label of this model is from 0 to 1, got 2"):
        again.sample(3, label=2)
    with pytest.raises(ValueError, match="one for each of the 3 samples"):
        again.sample(3, label=torch.tensor([0, 1]))


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"classes": -1}, "classes must be a whole number >= 0, got -1"),
    ({"classes": 2, "objective": "gumbel"}, "only objective mle takes labels, got 'gumbel' for 2 classes"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=str)
def test_impossible_classes_raise(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextGAN(**arguments)


def test_labels_that_do_not_fit_raise(make: Make, batch: Batch, fit: Callable[..., L.Trainer]) -> None:
    with pytest.raises(ValueError, match=r"depends on no label; train one with --model\.classes"):
        make().sample(2, label=1)
    unlabelled = make(classes=2, vocabulary=None, max_length=None)
    with pytest.raises(ValueError, match=r"the data has none: set --data\.labels, or --model\.classes=0"):
        fit(unlabelled)
    with pytest.raises(ValueError, match="init_from brings the classes 0, and 2 is asked for; leave out classes"):
        make(init_from=make(), classes=2, vocabulary=None, max_length=None, generator=None)
    assert TextGAN(init_from=make(classes=2)).classes == 2
    labelled = TextData.from_lines([f"line {i}" for i in range(60)], labels=[i % 3 for i in range(60)], min_count=1)
    trainer = L.Trainer(accelerator="cpu", max_steps=1, logger=False, enable_checkpointing=False)
    with pytest.raises(ValueError, match=r"the data has 3 classes and the model 2: set --model\.classes=3"):
        trainer.fit(make(classes=2, vocabulary=None, max_length=None), labelled)
