"""Text GANs: what trains in each phase of each objective."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import lightning as L
import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.models.relaxed.sampling import one_hot
from gumbelzoo.models.text.discriminators import DISCRIMINATORS
from gumbelzoo.models.text.gan_losses import LOSSES, gradient_penalty
from gumbelzoo.models.text.generators import GENERATORS
from gumbelzoo.models.text.objectives import OBJECTIVES, Adversarial
from gumbelzoo.models.text.text_gan import TextGAN
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor

Make = Callable[..., TextGAN]
Batch = Callable[..., dict[str, Tensor]]
Fit = Callable[..., L.Trainer]
ADVERSARIAL = [name for name in OBJECTIVES.names() if issubclass(OBJECTIVES[name], Adversarial)]
RELAXED = ("gumbel", "organ_gumbel")
GENERATOR = {
    "lstm": {"name": "lstm", "layers": 2},
    "transformer": {"name": "transformer", "width": 4, "depth": 1, "heads": 2},
}
objectives = pytest.mark.parametrize("objective", OBJECTIVES.names())
adversarial = pytest.mark.parametrize("objective", ADVERSARIAL)


class Watch(L.Callback):
    """Options of every optimizer's first group after each batch."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.seen: list[list[Any]] = []

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        groups = [optimizer.param_groups[0] for optimizer in trainer.optimizers]
        self.seen.append([group[name] for group in groups for name in self.names])


@objectives
@pytest.mark.parametrize("generator", GENERATORS.names())
def test_every_parameter_gets_gradient(objective: str, generator: str, make: Make, batch: Batch) -> None:
    for discriminator in DISCRIMINATORS.names() if objective in ADVERSARIAL else ["cnn"]:
        for loss in LOSSES.names() if objective in ADVERSARIAL else ["standard"]:
            model = make(objective, {}, {"discriminator": discriminator, "loss": loss}, generator=GENERATOR[generator])
            parts = [(model.generator, model.objective.generator_metrics(model.generator, batch())["loss"])]
            if objective in ADVERSARIAL:
                parts += [(model.objective.discriminator, model.objective.discriminator_loss(model.generator, batch()))]
            for part, value in parts:
                model.zero_grad()
                value.backward()
                for label, parameter in part.named_parameters():
                    where = f"{discriminator} {loss} {label}"
                    assert parameter.grad is not None and parameter.grad.isfinite().all(), where
                    # A constant offset of all scores changes no difference of scores.
                    unseen = part is not model.generator and loss != "standard"
                    assert parameter.grad.abs().sum() > 0 or (unseen and label == "head.2.bias"), where


@objectives
def test_one_step_per_batch_in_both_phases(objective: str, fit: Fit, make_unbuilt: Make) -> None:
    """Temperature waits for the end of pretraining. global_step would count every optimizer's step; ours is batches."""
    options = {"temperature": {"name": "linear", "initial": 5.0, "final": 1.0, "steps": 4}}
    arguments = {"adversary": {"steps": 2}, "pretraining": {"steps": 3}}
    model = make_unbuilt(objective, options if objective in RELAXED else {}, **arguments)
    trainer = fit(model, 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert trainer.global_step == 3
    assert "train/nll" in trainer.callback_metrics and "train/temperature" not in trainer.callback_metrics
    model = make_unbuilt(objective, options if objective in RELAXED else {}, **arguments)
    trainer = fit(model, 5)
    assert trainer.global_step == trainer.fit_loop.total_batch_idx + 1 == 5
    assert [layer.step.item() for layer in model.relaxed_layers()] == ([2] if objective in RELAXED else [])
    for name, value in model.state_dict().items():
        assert not torch.equal(value, before[name]) or name.endswith(
            ("head.2.bias", "baseline.weight", "objective.accuracy")
        ), name
    assert model.vocabulary == TextData("grammar").vocabulary and model.max_length == 12


@adversarial
def test_discriminator_steps_in_pretraining(objective: str, fit: Fit, make_unbuilt: Make) -> None:
    """The discriminator trains in the last of the pretraining steps, if asked to, and not before."""
    models = [make_unbuilt(objective, pretraining={"steps": 4, "discriminator_steps": steps}) for steps in (0, 2)]
    for model in models:
        fit(model, 4)
    tables = [model.objective.discriminator.table.std() for model in models]
    assert tables[0] != tables[1]
    states = [model.trainer.strategy.optimizers[1].state for model in models]
    assert not states[0] and {int(state["step"]) for state in states[1].values()} == {2}


@adversarial
@pytest.mark.parametrize("steps", [1, 3])
def test_discriminator_steps_per_batch(objective: str, steps: int, fit: Fit, make_unbuilt: Make) -> None:
    trainer = fit(make_unbuilt(objective, {}, {"steps": steps}), 2)
    taken = [{int(state["step"]) for state in optimizer.state.values()} for optimizer in trainer.optimizers]
    assert taken == [{2}, {2 * steps}]


@pytest.mark.parametrize("loss", ["standard", "wasserstein"])
@pytest.mark.parametrize("discriminator", DISCRIMINATORS.names())
@adversarial
def test_both_players_in_bfloat16(objective: str, discriminator: str, loss: str, make: Make, batch: Batch) -> None:
    model = make(objective, {}, {"discriminator": discriminator, "loss": loss}).to(torch.bfloat16)
    generator_loss = model.objective.generator_metrics(model.generator, batch())["loss"]
    (generator_loss + model.objective.discriminator_loss(model.generator, batch())).backward()
    for player in (model.generator, model.objective.discriminator):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in player.parameters())


def test_float16_raises(fit: Fit, make_unbuilt: Make) -> None:
    scaled = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu"))
    with pytest.raises(ValueError, match=r"use --trainer\.precision=bf16-mixed"):
        fit(make_unbuilt(), 1, plugins=[scaled])


def test_both_gradients_are_clipped(fit: Fit, make_unbuilt: Make) -> None:
    """The model clips, since Lightning refuses to with several optimizers."""
    model = make_unbuilt("gumbel", clip=1e-3)
    fit(model, 2)
    for parameters in (model.generator.parameters(), model.objective.discriminator_parameters()):
        norm = torch.cat([parameter.grad.flatten() for parameter in parameters]).norm().item()  # type: ignore[union-attr]
        assert norm == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(("reward", "batches"), [("learned", 2), ("learned", 4), ("constant", 4)])
def test_learned_temperature(reward: str, batches: int, fit: Fit, make_unbuilt: Make) -> None:
    """It trains with the generator after pretraining, unless the discriminator's gradient is taken away."""
    options = {"temperature": {"name": "learned", "initial": 1.5}}
    model = make_unbuilt("gumbel", options, {"reward": reward}, pretraining={"steps": 2})
    trainer = fit(model, batches)
    moved = model.objective.relaxed.current_temperature().item() != pytest.approx(1.5, abs=1e-6)
    assert moved == (reward == "learned" and batches == 4)
    assert ("train/temperature" in trainer.callback_metrics) == (batches == 4)


# -- learning rates ---------------------------------------------------------------------------------------------------


def test_learning_rate_and_betas_of_each_phase(fit: Fit, make_unbuilt: Make) -> None:
    arguments = {"pretraining": {"steps": 2, "learning_rate": 0.1}, "optimizer": {"learning_rate": 1e-3}}
    watch = Watch("lr", "betas")
    fit(make_unbuilt("gumbel", **arguments), 4, callbacks=[watch])
    assert [values[:2] for values in watch.seen] == [[0.1, (0.9, 0.999)]] * 2 + [[1e-3, (0.0, 0.9)]] * 2
    assert [values[3] for values in watch.seen] == [(0.0, 0.9)] * 4


def test_cosine_schedule_of_each_phase(fit: Fit, make_unbuilt: Make) -> None:
    """Half a cosine to 0 in each; the discriminator, which may train before, follows the second."""
    model = make_unbuilt(
        "gumbel",
        {},
        {"learning_rate": 1e-2},
        pretraining={"steps": 2, "discriminator_steps": 1, "learning_rate": 0.1},
        optimizer={"learning_rate": 1e-3, "schedule": "cosine"},
    )
    watch = Watch("lr")
    fit(model, 6, callbacks=[watch])
    cosine = [(1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    expected = [[0.1, 1e-2], [0.05, 1e-2], *([1e-3 * factor, 1e-2 * factor] for factor in cosine)]
    assert torch.allclose(torch.tensor(watch.seen), torch.tensor(expected))
    with pytest.raises(ValueError, match="'cosine' needs an end"):
        fit(make_unbuilt(optimizer={"schedule": "cosine"}), -1, max_epochs=-1)


def test_warmup_of_each_phase(fit: Fit, make_unbuilt: Make) -> None:
    arguments = {"pretraining": {"steps": 3, "learning_rate": 0.1}, "optimizer": {"learning_rate": 1.0, "warmup": 2}}
    watch = Watch("lr")
    fit(make_unbuilt(**arguments), 6, callbacks=[watch])
    assert [rate for (rate,) in watch.seen] == pytest.approx([0.05, 0.1, 0.1, 0.5, 1.0, 1.0])


def test_weight_decay_of_both_players(fit: Fit, make_unbuilt: Make) -> None:
    watch = Watch("weight_decay")
    fit(make_unbuilt("gumbel", optimizer={"weight_decay": 0.3}), 1, callbacks=[watch])
    assert watch.seen == [[0.3, 0.3]]


# -- the discriminator's loss -----------------------------------------------------------------------------------------


@adversarial
@pytest.mark.parametrize("loss", LOSSES.names())
def test_discriminator_loss(
    objective: str, loss: str, make: Make, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real text and samples are not mixed up, and the penalty has its weight."""
    model, real = make(objective, {}, {"loss": loss}), batch()["tokens"]
    players, fake = model.objective.eval(), model.objective.sample_fake(model.generator, len(real))
    monkeypatch.setattr(players, "sample_fake", lambda *_: fake)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor(0.3))
    found = players.discriminator_loss(model.generator, batch())
    expected = LOSSES[loss].discriminator(players.discriminator(real), players.discriminator(fake))
    if loss == "wasserstein":
        relaxed = [x if x.is_floating_point() else one_hot(x, 6) for x in (real, fake)]
        expected = expected + 10 * gradient_penalty(players.discriminator, *relaxed)
    torch.testing.assert_close(found, expected)
