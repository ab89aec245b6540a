"""Text GANs: what learns in each phase, of each objective, and how it goes on."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.models.relaxed.sampling import one_hot
from gumbelzoo.models.text.discriminators import DISCRIMINATORS
from gumbelzoo.models.text.gan_losses import LOSSES, gradient_penalty
from gumbelzoo.models.text.generators.base import GENERATORS
from gumbelzoo.models.text.objectives.base import OBJECTIVES, ScheduledSampling
from gumbelzoo.models.text.text_gan import TextGAN
from gumbelzoo.vocabulary import EOS, Vocabulary
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor

Make = Callable[..., TextGAN]
Ungiven = Callable[..., TextGAN]
Batch = Callable[..., dict[str, Tensor]]
Fit = Callable[..., L.Trainer]
WORDS = Vocabulary([EOS, "<unk>", "a", "man", "sits", "."])
ADVERSARIAL = [name for name in OBJECTIVES.names() if OBJECTIVES[name].adversarial]
objectives = pytest.mark.parametrize("objective", OBJECTIVES.names())
adversarial = pytest.mark.parametrize("objective", ADVERSARIAL)


@objectives
@pytest.mark.parametrize("generator", GENERATORS.names())
def test_every_parameter_gets_a_gradient(objective: str, generator: str, make: Make, batch: Batch) -> None:
    """Pitfall 15."""
    options = {"lstm": {"layers": 2}, "transformer": {"width": 4, "depth": 1, "heads": 2}}[generator]
    for discriminator in DISCRIMINATORS.names() if objective in ADVERSARIAL else ["cnn"]:
        for loss in LOSSES.names() if objective in ADVERSARIAL else ["standard"]:
            model = make(objective, generator=generator, generator_options=options, loss=loss)
            model.hparams["discriminator"] = discriminator
            model.build(WORDS, 5)
            parts = [(model.generator, model.objective.generator_metrics(model.generator, batch())["loss"])]
            if objective in ADVERSARIAL:
                parts += [(model.objective.discriminator, model.objective.discriminator_loss(model.generator, batch()))]
            for part, value in parts:
                model.zero_grad()
                value.backward()
                for label, parameter in part.named_parameters():
                    where = f"{discriminator} {loss} {label}"
                    assert parameter.grad is not None and parameter.grad.isfinite().all(), where
                    # moving every score by as much changes no difference of scores
                    unseen = part is not model.generator and loss != "standard"
                    assert parameter.grad.abs().sum() > 0 or (unseen and label == "head.2.bias"), where


@objectives
def test_a_training_batch_is_one_step_in_both_phases(objective: str, fit: Fit, ungiven: Ungiven) -> None:
    """The temperature waits for the pretraining to end and then counts batches, not optimizer steps (pitfall 18)."""
    temperature = {"name": "linear", "initial": 5.0, "final": 1.0, "steps": 4}
    model = ungiven(objective, pretrain_steps=3, discriminator_steps=2, temperature=temperature)
    trainer = fit(model, 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert trainer.global_step == 3
    assert "train/nll" in trainer.callback_metrics and "train/temperature" not in trainer.callback_metrics
    trainer = fit(model := ungiven(objective, pretrain_steps=3, discriminator_steps=2, temperature=temperature), 5)
    assert trainer.global_step == trainer.fit_loop.total_batch_idx + 1 == 5
    assert [layer.step.item() for layer in model.relaxed_layers()] == ([2] if objective == "gumbel" else [])
    for name, value in model.state_dict().items():
        assert not torch.equal(value, before[name]) or name.endswith(("head.2.bias", "baseline.weight")), name
    assert model.known == TextData("grammar").vocabulary and model.length == 12


def test_goes_on_from_a_trained_model(tmp_path: Path, make: Make, batch: Batch) -> None:
    """The whole generator comes with the weights, and a checkpoint does not need the folder that it came from."""
    trained = make("mle", generator_options={"width": 3, "hidden": 7})
    trained.save_pretrained(tmp_path / "mle")
    model = TextGAN(start=str(tmp_path / "mle"), objective="gumbel", discriminator_options={"width": 4})
    tokens = batch()["tokens"]
    assert torch.equal(model.generator.log_prob(tokens), trained.generator.log_prob(tokens))
    assert model.known == WORDS and model.length == 5
    model.save_pretrained(tmp_path / "gan")
    shutil.rmtree(tmp_path / "mle")
    again = gumbelzoo.load(tmp_path / "gan")
    assert torch.equal(again.generator.log_prob(tokens), trained.generator.log_prob(tokens))


def test_refuses_a_start_that_does_not_fit(tmp_path: Path, make: Make) -> None:
    start = str(make("mle").save_pretrained(tmp_path / "mle"))
    for name, own, other in (("generator", "lstm", "transformer"), ("length", 5, 9)):
        with pytest.raises(ValueError, match=f"has the {name} {own}, and {other} is asked for beside it") as caught:
            TextGAN(start=start, **{name: other})
        assert "\n" not in str(caught.value)
        assert TextGAN(start=start, **{name: own}).hparams[name] == own
    with pytest.raises(ValueError, match="leave out generator_options"):
        make("gumbel", start=str(tmp_path / "mle"))
    with pytest.raises(ValueError, match="start must be a trained model of text, catvae-digits is a categorical_vae"):
        TextGAN(start="catvae-digits")


@adversarial
def test_the_discriminator_can_learn_before_the_generator_listens(objective: str, fit: Fit, ungiven: Ungiven) -> None:
    still, warm = (
        ungiven(objective, pretrain_steps=4, discriminator_pretrain_steps=steps) for steps in (0, 2)
    )  # fmt: skip
    for model in (still, warm):
        fit(model, 4)
    tables = [model.objective.discriminator.table.std() for model in (still, warm)]
    assert tables[0] != tables[1]
    assert still.trainer.strategy.optimizers[1].state == {} != warm.trainer.strategy.optimizers[1].state


@pytest.mark.parametrize("loss", ["standard", "wasserstein"])
@pytest.mark.parametrize("discriminator", DISCRIMINATORS.names())
@adversarial
def test_both_players_learn_in_bfloat16(
    objective: str, discriminator: str, loss: str, make: Make, batch: Batch
) -> None:
    model = make(objective, discriminator=discriminator, loss=loss).to(torch.bfloat16)
    of_generator = model.objective.generator_metrics(model.generator, batch())["loss"]
    of_discriminator = model.objective.discriminator_loss(model.generator, batch())
    (of_generator + of_discriminator).backward()
    for player in (model.generator, model.objective.discriminator):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in player.parameters())


def test_the_gradient_is_clipped_by_the_model(fit: Fit, ungiven: Ungiven) -> None:
    """Pitfall 33: Lightning refuses to, with several optimizers."""
    model = ungiven("gumbel", clip=1e-3)
    fit(model, 2)
    for parameters in (model.generator.parameters(), model.objective.discriminator_parameters()):
        norm = torch.cat([parameter.grad.flatten() for parameter in parameters]).norm().item()  # type: ignore[union-attr]
        assert norm == pytest.approx(1e-3, rel=1e-3)


def test_a_learned_temperature_is_trained_with_the_generator(fit: Fit, ungiven: Ungiven) -> None:
    """Not in the pretraining, and not by the discriminator's gradient if that is taken away."""
    for reward, batches in (("learned", 2), ("learned", 4), ("constant", 4)):
        temperature = {"name": "learned", "initial": 1.5}
        model = ungiven("gumbel", pretrain_steps=2, temperature=temperature, reward=reward)
        trainer = fit(model, batches)
        moved = model.objective.relaxed.current_temperature().item() != pytest.approx(1.5, abs=1e-6)
        assert moved == (reward == "learned" and batches == 4), (reward, batches)
    assert "train/temperature" in trainer.callback_metrics


def test_each_phase_has_its_learning_rate_and_momentum(fit: Fit, ungiven: Ungiven) -> None:
    model = ungiven("gumbel", pretrain_steps=2, learning_rate=0.1, adversarial_learning_rate=1e-3)
    rates = []

    class Watch(L.Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            rates.append(tuple(trainer.optimizers[0].param_groups[0][name] for name in ("lr", "betas")))

    fit(model, 4, callbacks=[Watch()])
    assert rates == [(0.1, (0.9, 0.999))] * 2 + [(1e-3, (0.0, 0.9))] * 2


def test_each_phase_has_a_schedule_of_its_own(fit: Fit, ungiven: Ungiven) -> None:
    """Half a cosine to 0 in each; the discriminator, which may learn before, moves with the second."""
    rates = {"learning_rate": 0.1, "adversarial_learning_rate": 1e-3, "discriminator_learning_rate": 1e-2}
    model = ungiven("gumbel", pretrain_steps=2, discriminator_pretrain_steps=1, lr_schedule="cosine", **rates)
    seen: list[list[float]] = []

    class Watch(L.Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            seen.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])

    fit(model, 6, callbacks=[Watch()])
    cosine = [(1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    expected = [[0.1, 1e-2], [0.05, 1e-2], *([1e-3 * factor, 1e-2 * factor] for factor in cosine)]
    assert torch.allclose(torch.tensor(seen), torch.tensor(expected))
    with pytest.raises(ValueError, match="'cosine' needs an end"):
        fit(ungiven("mle", lr_schedule="cosine"), -1, max_epochs=-1)


def test_the_rates_rise_over_the_warm_up(fit: Fit, ungiven: Ungiven) -> None:
    seen: list[float] = []

    class Watch(L.Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            seen.append(trainer.optimizers[0].param_groups[0]["lr"])

    fit(ungiven("mle", learning_rate=0.1, lr_warmup=4), 6, callbacks=[Watch()])
    assert seen == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])


@adversarial
@pytest.mark.parametrize("steps", [1, 3])
def test_the_discriminator_takes_its_steps_in_every_batch(
    objective: str, steps: int, fit: Fit, ungiven: Ungiven
) -> None:
    trainer = fit(ungiven(objective, discriminator_steps=steps), 2)
    taken = [{int(state["step"]) for state in optimizer.state.values()} for optimizer in trainer.optimizers]
    assert taken == [{2}, {2 * steps}]


@adversarial
@pytest.mark.parametrize("loss", LOSSES.names())
def test_the_discriminator_learns_to_tell_real_from_generated(
    objective: str, loss: str, make: Make, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of the two is the real one, and how much the penalty weighs."""
    model, real = make(objective, loss=loss), batch()["tokens"]
    players, fake = model.objective.eval(), model.objective.imitate(model.generator, len(real))
    monkeypatch.setattr(players, "imitate", lambda *_: fake)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor(0.3))
    found = players.discriminator_loss(model.generator, batch())
    expected = LOSSES[loss].discriminator(players.discriminator(real), players.discriminator(fake))
    if loss == "wasserstein":
        points = [x if x.is_floating_point() else one_hot(x, 6) for x in (real, fake)]
        expected = expected + 10 * gradient_penalty(players.discriminator, *points)
    torch.testing.assert_close(found, expected)


def test_float16_is_refused(fit: Fit, ungiven: Ungiven) -> None:
    scaled = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu"))
    with pytest.raises(ValueError, match=r"use --trainer\.precision=bf16-mixed"):
        fit(ungiven("mle"), 1, plugins=[scaled])


def test_maximum_likelihood_is_nats_per_token(make: Make, batch: Batch) -> None:
    model, text = make(), batch()
    metrics = model.objective.generator_metrics(model.generator, text)
    total = sum(
        -model.generator.log_prob(row[None, :length]).sum().item()
        for row, length in zip(text["tokens"], text["length"].tolist(), strict=True)
    )
    assert metrics["nll"].item() == pytest.approx(total / text["length"].sum().item(), rel=1e-5)


def test_scheduled_sampling_feeds_less_and_less_truth(make: Make, batch: Batch) -> None:
    objective, model, text = ScheduledSampling(4), make(), batch(64)
    forced = model.pretraining.generator_metrics(model.generator, text)["loss"]
    shares, losses = [], []
    for _ in range(6):
        metrics = objective.generator_metrics(model.generator, text)
        shares.append(metrics["truth"].item())
        losses.append(metrics["loss"].item())
        objective.advance()
    assert shares == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert losses[0] == pytest.approx(forced.item(), rel=1e-5) and losses[4] != losses[0]


def test_scheduled_sampling_has_the_dropout_of_teacher_forcing(make: Make, batch: Batch) -> None:
    """One mask for all places of a sentence: fed nothing but truth, with the same noise, it is the same."""
    model, text = make(generator_options={"width": 4, "hidden": 6, "layers": 2, "dropout": 0.5}), batch(64)
    calm = model.eval().pretraining.generator_metrics(model.generator, text)["loss"].item()
    model.train()
    losses = []
    for objective in (model.pretraining, ScheduledSampling(4)):
        torch.manual_seed(1)
        losses.append(objective.generator_metrics(model.generator, text)["loss"].item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5) and losses[0] != pytest.approx(calm, rel=1e-3)
