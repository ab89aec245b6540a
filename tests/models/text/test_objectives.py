"""Likelihood objectives against slow loops, and objectives of users, each one class in one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.interfaces import Batch
from gumbelzoo.models.text.generators import LanguageModel
from gumbelzoo.models.text.objectives import OBJECTIVES, Objective
from gumbelzoo.models.text.objectives.seqgan import SeqGAN
from gumbelzoo.models.text.text_gan import TextGAN
from gumbelzoo.vocabulary import Vocabulary
from torch import Tensor, nn

Make = Callable[..., TextGAN]
MakeBatch = Callable[..., dict[str, Tensor]]
Fit = Callable[..., L.Trainer]


def test_mle_is_nats_per_token(make: Make, batch: MakeBatch) -> None:
    model, text = make(), batch()
    metrics = model.objective.generator_metrics(model.generator, text)
    total = sum(
        -model.generator.log_prob(row[None, :length]).sum().item()
        for row, length in zip(text["tokens"], text["length"].tolist(), strict=True)
    )
    assert metrics["nll"].item() == pytest.approx(total / text["length"].sum().item(), rel=1e-5)


def test_scheduled_sampling_probability(make: Make, batch: MakeBatch) -> None:
    """True inputs become rarer, one optimizer step after the other; at first it is teacher forcing."""
    model, text = make("scheduled_sampling"), batch(64)
    forced = model.maximum_likelihood.generator_metrics(model.generator, text)["loss"]
    shares, losses = [], []
    for _ in range(6):
        metrics = model.objective.generator_metrics(model.generator, text)
        shares.append(metrics["truth"].item())
        losses.append(metrics["loss"].item())
        model.objective.advance()
    assert shares == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert losses[0] == pytest.approx(forced.item(), rel=1e-5) and losses[4] != losses[0]


def test_scheduled_sampling_dropout(make: Make, batch: MakeBatch) -> None:
    """One mask per sentence: with true inputs and the same noise it equals teacher forcing with dropout."""
    generator = {"name": "lstm", "width": 4, "hidden": 6, "layers": 2, "dropout": 0.5}
    model, text = make("scheduled_sampling", generator=generator), batch(64)
    without = model.eval().maximum_likelihood.generator_metrics(model.generator, text)["loss"].item()
    model.train()
    losses = []
    for objective in (model.maximum_likelihood, model.objective):
        torch.manual_seed(1)
        losses.append(objective.generator_metrics(model.generator, text)["loss"].item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5) and losses[0] != pytest.approx(without, rel=1e-3)


# -- objectives of users ----------------------------------------------------------------------------------------------


class TemperedLikelihood(Objective):
    """A likelihood objective with a learned parameter and a step counter of its own."""

    step: Tensor

    def __init__(self, vocabulary: Vocabulary, max_length: int, weight: float = 1.0) -> None:
        super().__init__(vocabulary, max_length)
        self.log_scale = nn.Parameter(torch.zeros(self.vocab_size))
        self.weight = weight
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def generator_metrics(self, generator: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        logits = generator.logits(batch["tokens"]) * self.log_scale.exp()
        nll = -logits.log_softmax(-1).gather(-1, batch["tokens"][..., None]).mean()
        return {"loss": self.weight * nll}

    def advance(self) -> None:
        self.step += 1


class RewardedSeqGAN(SeqGAN):
    """The mean of a domain reward and the discriminator's."""

    def __init__(
        self, vocabulary: Vocabulary, max_length: int, adversary: dict, weight: float = 0.5, rollouts: int = 1
    ) -> None:
        super().__init__(vocabulary, max_length, adversary, rollouts)
        self.weight = weight

    def sentence_rewards(self, sentences: Tensor, real_scores: Tensor) -> Tensor:
        score = super().sentence_rewards(sentences, real_scores)
        return self.weight * score + (1 - self.weight) * (sentences == 1).float().mean(1)


@pytest.mark.parametrize("kind", [TemperedLikelihood, RewardedSeqGAN])
def test_objective_of_a_user(
    kind: type[Objective],
    tmp_path: Path,
    fit: Fit,
    make_unbuilt: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A registered class trains, with all of its parameters, is saved and loaded; nothing else is edited."""
    monkeypatch.setattr(OBJECTIVES, "_entries", {**OBJECTIVES._entries, "mine": kind})
    with pytest.raises(ValueError, match="unknown argument of objective 'mine': 'wieght'; did you mean 'weight'"):
        make_unbuilt("mine", {"wieght": 1.0})
    model = make_unbuilt("mine", {"weight": 0.25}, pretraining={"steps": 1})
    before: dict[str, Tensor] = {}
    remember = L.pytorch.callbacks.LambdaCallback(
        on_train_start=lambda *_: before.update({name: p.detach().clone() for name, p in model.named_parameters()})
    )
    fit(model, 4, callbacks=[remember])
    assert [name for name, value in model.named_parameters() if torch.equal(value, before[name])] == []
    assert kind is RewardedSeqGAN or int(model.objective.step) == 3
    loaded = gumbelzoo.load(gumbelzoo.save_pretrained(model, tmp_path / "mine"))
    assert isinstance(loaded.objective, kind) and loaded.objective.weight == 0.25
    assert loaded.config() == model.config()
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
