"""The text GAN: what learns in each mode, rewards and controls, what it is held to, and mistakes."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from pathlib import Path
from typing import Any

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.models.discriminators import DISCRIMINATORS
from gumbelzoo.models.gan_losses import LOSSES
from gumbelzoo.models.generators import GENERATORS
from gumbelzoo.models.relaxed.baselines import BASELINES
from gumbelzoo.models.reverse_nll import reverse_nll
from gumbelzoo.models.rewards import REWARDS
from gumbelzoo.models.seqgan import SeqGAN, monte_carlo_rewards
from gumbelzoo.models.text_gan import TextGAN
from gumbelzoo.models.text_objectives import OBJECTIVES, ScheduledSampling
from gumbelzoo.vocabulary import EOS, Vocabulary
from torch import Tensor

WORDS = Vocabulary([EOS, "<unk>", "a", "man", "sits", "."])
TEXT: dict[str, Any] = {"vocabulary": WORDS.config(), "length": 5}
SMALL: dict[str, Any] = {
    "generator_options": {"width": 4, "hidden": 6},
    "discriminator_options": {"width": 4},
    "rollouts": 2,
    "scheduled_steps": 4,
    "test_samples": 50,
}
ADVERSARIAL = [name for name in OBJECTIVES.names() if OBJECTIVES[name].adversarial]
objectives = pytest.mark.parametrize("objective", OBJECTIVES.names())
adversarial = pytest.mark.parametrize("objective", ADVERSARIAL)


def make(objective: str = "mle", **arguments: Any) -> TextGAN:
    torch.manual_seed(0)
    return TextGAN(**{**SMALL, **TEXT, "objective": objective, **arguments})


def batch(number: int = 16) -> dict[str, Tensor]:
    tokens = torch.randint(1, 6, (number, 5), generator=torch.Generator().manual_seed(0))
    lengths = torch.arange(number) % 5 + 1
    padded = tokens.masked_fill(torch.arange(5) >= lengths[:, None] - 1, 0)
    return {"tokens": padded, "length": lengths}


def fit(model: TextGAN, batches: int = 5, **options: Any) -> L.Trainer:
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = L.Trainer(accelerator="cpu", max_steps=batches, log_every_n_steps=1, **quiet, **options)
    trainer.fit(model, TextData("grammar", batch_size=20))
    return trainer


def ungiven(objective: str, **arguments: Any) -> TextGAN:
    """A model that takes its vocabulary from the data."""
    return make(objective, vocabulary=None, length=None, **arguments)


# -- what learns ------------------------------------------------------------------------------------------------------


@objectives
@pytest.mark.parametrize("generator", GENERATORS.names())
def test_every_parameter_gets_a_gradient(objective: str, generator: str) -> None:
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
def test_a_training_batch_is_one_step_in_both_phases(objective: str) -> None:
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


def test_goes_on_from_a_trained_model(tmp_path: Path) -> None:
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


def test_refuses_a_start_that_does_not_fit(tmp_path: Path) -> None:
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
def test_the_discriminator_can_learn_before_the_generator_listens(objective: str) -> None:
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
def test_both_players_learn_in_bfloat16(objective: str, discriminator: str, loss: str) -> None:
    model = make(objective, discriminator=discriminator, loss=loss).to(torch.bfloat16)
    of_generator = model.objective.generator_metrics(model.generator, batch())["loss"]
    of_discriminator = model.objective.discriminator_loss(model.generator, batch())
    (of_generator + of_discriminator).backward()
    for player in (model.generator, model.objective.discriminator):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in player.parameters())


def test_the_gradient_is_clipped_by_the_model() -> None:
    """Pitfall 33: Lightning refuses to, with several optimizers."""
    model = ungiven("gumbel", clip=1e-3)
    fit(model, 2)
    for parameters in (model.generator.parameters(), model.objective.discriminator_parameters()):
        norm = torch.cat([parameter.grad.flatten() for parameter in parameters]).norm().item()  # type: ignore[union-attr]
        assert norm == pytest.approx(1e-3, rel=1e-3)


def test_a_learned_temperature_is_trained_with_the_generator() -> None:
    """Not in the pretraining, and not by the discriminator's gradient if that is taken away."""
    for reward, batches in (("learned", 2), ("learned", 4), ("constant", 4)):
        temperature = {"name": "learned", "initial": 1.5}
        model = ungiven("gumbel", pretrain_steps=2, temperature=temperature, reward=reward)
        trainer = fit(model, batches)
        moved = model.objective.relaxed.current_temperature().item() != pytest.approx(1.5, abs=1e-6)
        assert moved == (reward == "learned" and batches == 4), (reward, batches)
    assert "train/temperature" in trainer.callback_metrics


def test_each_phase_has_its_learning_rate_and_momentum() -> None:
    model = ungiven("gumbel", pretrain_steps=2, learning_rate=0.1, adversarial_learning_rate=1e-3)
    rates = []

    class Watch(L.Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            rates.append(tuple(trainer.optimizers[0].param_groups[0][name] for name in ("lr", "betas")))

    fit(model, 4, callbacks=[Watch()])
    assert rates == [(0.1, (0.9, 0.999))] * 2 + [(1e-3, (0.0, 0.9))] * 2


def test_each_phase_has_a_schedule_of_its_own() -> None:
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


def test_maximum_likelihood_is_nats_per_token() -> None:
    model, text = make(), batch()
    metrics = model.objective.generator_metrics(model.generator, text)
    total = sum(
        -model.generator.log_prob(row[None, :length]).sum().item()
        for row, length in zip(text["tokens"], text["length"].tolist(), strict=True)
    )
    assert metrics["nll"].item() == pytest.approx(total / text["length"].sum().item(), rel=1e-5)


def test_scheduled_sampling_feeds_less_and_less_truth() -> None:
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


def test_scheduled_sampling_has_the_dropout_of_teacher_forcing() -> None:
    """One mask for all places of a sentence: fed nothing but truth, with the same noise, it is the same."""
    model, text = make(generator_options={"width": 4, "hidden": 6, "layers": 2, "dropout": 0.5}), batch(64)
    calm = model.eval().pretraining.generator_metrics(model.generator, text)["loss"].item()
    model.train()
    losses = []
    for objective in (model.pretraining, ScheduledSampling(4)):
        torch.manual_seed(1)
        losses.append(objective.generator_metrics(model.generator, text)["loss"].item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5) and losses[0] != pytest.approx(calm, rel=1e-3)


# -- rewards and controls ---------------------------------------------------------------------------------------------


def test_rewards_against_a_slow_loop() -> None:
    """Pitfall 26: every reward lands on its own token."""
    tokens = torch.randint(0, 9, (4, 5), generator=torch.Generator().manual_seed(0))
    calls: dict[tuple[int, ...], int] = {}

    def completion(prefix: tuple[int, ...]) -> list[int]:
        """Another one each time, but of the beginning alone."""
        calls[prefix] = calls.get(prefix, 0) + 1
        rest = [(31 * sum(prefix) + 7 * len(prefix) + 3 * calls[prefix] + i) % 9 for i in range(5 - len(prefix))]
        return [*prefix, *rest]

    def score(sentence: list[int]) -> float:
        return sum((i + 1) ** 2 * token for i, token in enumerate(sentence)) % 101

    fast = monte_carlo_rewards(
        tokens,
        lambda prefix: torch.tensor([completion(tuple(row)) for row in prefix.tolist()]),
        lambda sentences: torch.tensor([float(score(row)) for row in sentences.tolist()]),
        rollouts=3,
    )
    calls.clear()
    for b, place in itertools.product(range(4), range(5)):
        begun = tokens[b, : place + 1].tolist()
        drawn = [completion(tuple(begun)) for _ in range(3)] if place < 4 else [begun]
        assert fast[b, place].item() == pytest.approx(sum(map(score, drawn)) / len(drawn))


@pytest.mark.parametrize(("tokens", "length", "rollouts"), [(["0", "1", "2"], 2, 1), ([EOS, "1", "2"], 3, 2)])
def test_the_policy_gradient_is_that_of_the_expected_reward(tokens: list[str], length: int, rollouts: int) -> None:
    """By enumeration of all sentences, also of those that end early; no baseline and leave-one-out, without a bias."""
    words = Vocabulary(tokens)
    model = make("seqgan", vocabulary=words.config(), length=length, rollouts=rollouts)
    with torch.no_grad():
        for parameter in model.generator.parameters():
            parameter.mul_(2)
        model.objective.discriminator.head[-1].weight.mul_(30)
    rows = torch.tensor(list(itertools.product(range(3), repeat=length)))
    lengths = words.lengths(rows)
    behind = torch.arange(length) >= lengths[:, None]
    kept = ((rows == words.pad) | ~behind).all(1)
    rows, lengths = rows[kept], lengths[kept]
    assert lengths.unique().tolist() == ([2] if words.eos is None else [1, 2, 3])
    reward = torch.sigmoid(model.objective.discriminator(rows)).detach()
    head = model.generator.head.bias
    probability = model.generator.log_prob(rows, lengths).sum(1).exp()
    assert probability.sum().item() == pytest.approx(1, abs=1e-5)
    (exact,) = torch.autograd.grad(-(probability * reward).sum(), head)
    text = {"tokens": torch.zeros(100, length, dtype=torch.int64)}
    for name in ("none", "leave_one_out"):
        model.objective.baseline = BASELINES[name](None)
        torch.manual_seed(0)
        losses = [model.objective.generator_metrics(model.generator, text)["loss"] for _ in range(100)]
        draws = torch.stack([torch.autograd.grad(loss, head)[0] for loss in losses])
        error = draws.std(0) / len(draws) ** 0.5
        assert ((draws.mean(0) - exact).abs() < 4 * error).all(), name
        assert exact.abs().max() > 4 * error.max(), name


@pytest.mark.parametrize("name", LOSSES.names())
def test_a_reward_does_not_depend_on_what_the_loss_leaves_open(name: str) -> None:
    """Relativistic and Wasserstein scores have no level of their own: what moves all of them moves no difference."""
    model, gradients = make("seqgan", loss=name, baseline="leave_one_out"), []
    for level in (0.0, 50.0):
        with torch.no_grad():
            model.objective.discriminator.head[-1].bias.add_(level)
        torch.manual_seed(1)
        loss = model.objective.generator_metrics(model.generator, batch())["loss"]
        gradients.append(torch.autograd.grad(loss, model.generator.head.weight)[0])
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-6) == (name != "standard")
    assert gradients[0].abs().max() > 1e-4


def test_a_relativistic_reward_is_the_probability_of_being_the_more_real_one() -> None:
    scores, real = torch.tensor([0.3, -1.0]), torch.tensor([0.0, 2.0, -1.0])
    expected = [sum(1 / (1 + math.exp(r - s)) for r in real.tolist()) / 3 for s in scores.tolist()]
    assert LOSSES["relativistic"].reward(scores, real).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("objective", "arguments", "message"),
    [
        ("seqgan", {"reward": "shuffled"}, "use --data.batch_size=2 or more"),
        ("gumbel", {"reward": "shuffled"}, "use --data.batch_size=2 or more"),
        (
            "seqgan",
            {"baseline": "leave_one_out"},
            "compares 2 sentences or more of a batch, got 1; raise --data.batch_s",
        ),
    ],
)
def test_one_sentence_is_not_compared_with_itself(objective: str, arguments: dict[str, Any], message: str) -> None:
    model = make(objective, **arguments)
    with pytest.raises(ValueError, match=message) as caught:
        model.objective.generator_metrics(model.generator, batch(1))["loss"].backward()
    assert "\n" not in str(caught.value)
    model.objective.generator_metrics(model.generator, batch(2))["loss"].backward()


def test_the_policy_gradient_can_go_back_through_cudnn() -> None:
    """Which refuses an LSTM that ran in eval mode; the probabilities are those without dropout all the same."""
    modes: list[bool] = []
    losses, gradients = [], []
    for dropout in (0.5, 0.0):
        model = make("seqgan", generator_options={"width": 4, "hidden": 6, "layers": 2, "dropout": dropout}).train()
        for cell in model.generator.cells:
            cell.register_forward_hook(lambda cell, *_: modes.append(cell.training))
        torch.manual_seed(1)
        losses.append(model.objective.generator_metrics(model.generator, batch())["loss"])
        gradients.append(torch.autograd.grad(losses[-1], model.generator.cells[0].weight_ih_l0)[0])
        assert all(module.training for module in model.generator.modules())
    assert modes == [True] * 4
    assert losses[0] == losses[1] and torch.equal(*gradients)


@pytest.mark.parametrize("baseline", ["none", "leave_one_out", "moving_average"])
def test_baselines(baseline: str) -> None:
    model = make("seqgan", baseline=baseline)
    for _ in range(2):
        assert model.objective.generator_metrics(model.generator, batch())["loss"].isfinite()


@adversarial
@pytest.mark.parametrize("reward", REWARDS.names())
def test_only_the_learned_reward_knows_what_the_discriminator_thinks(objective: str, reward: str) -> None:
    """Constant: the same whatever it thinks. Shuffled: what it thinks of another sentence."""
    gradients = []
    for scale in (1.0, -3.0):
        model = make(objective, reward=reward, loss="hinge")
        with torch.no_grad():
            model.objective.discriminator.head[-1].weight.mul_(scale)
        torch.manual_seed(1)
        model.objective.generator_metrics(model.generator, batch())["loss"].backward()
        gradients.append(model.generator.head.weight.grad.clone())
    same = torch.equal(gradients[0], gradients[1])
    assert same == (reward == "constant")
    assert bool(gradients[0].any()) == ((objective, reward) != ("gumbel", "constant"))
    opinion = torch.randn(4, 3)
    told = {"learned": opinion, "constant": torch.ones(4, 3), "shuffled": opinion[[3, 0, 1, 2]]}
    assert torch.equal(REWARDS[reward]().of_sentences(torch.zeros(4, 3), lambda: opinion), told[reward])
    told["constant"] = torch.zeros(4, 3)
    assert torch.equal(REWARDS[reward]().of_gradient(opinion), told[reward])


@adversarial
def test_a_constant_reward_has_no_discriminator_to_train(objective: str) -> None:
    model = ungiven(objective, reward="constant")
    trainer = fit(model, 2)
    assert len(trainer.optimizers) == 1
    assert "train/discriminator_loss" not in trainer.callback_metrics
    told = SeqGAN(6, 5, 0, reward="constant").reward
    told.of_sentences(torch.zeros(2, 3), lambda: pytest.fail("completions cost much and are not needed"))


# -- evaluation and samples -------------------------------------------------------------------------------------------


def test_held_out_nats_are_over_all_tokens_and_samples_are_scored() -> None:
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
    model = TextGAN(**TEXT)
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


def test_sentences() -> None:
    model = make()
    drawn = model.sample(700, generator=torch.Generator().manual_seed(0))
    assert len(drawn) == 700 and all(isinstance(sentence, str) for sentence in drawn)
    assert drawn == model.sample(700, generator=torch.Generator().manual_seed(0))
    assert all(sentence.startswith("a man") for sentence in model.sample(20, prefix="a man"))
    assert len(set(model.sample(20, top_k=1))) == 1
    with pytest.raises(ValueError, match="a prefix of 6 tokens"):
        model.sample(2, prefix="a a a a a a")
    with pytest.raises(ValueError, match="'zebroid' is not one of the"):
        model.sample(2, prefix="a zebroid")
    with pytest.raises(ValueError, match="n must be >= 1"):
        model.sample(0)
    with pytest.raises(ValueError, match="has no vocabulary yet: train it"):
        TextGAN().sample(2)


@objectives
def test_a_release_needs_no_data(objective: str, tmp_path: Path) -> None:
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
        ({"test_samples": 0}, "test_samples must be >= 1"),
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


def test_other_data_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the model knows 6 tokens in sentences of 5, the data has 6 \(or others\)"):
        fit(make())
    with pytest.raises(ValueError, match="another vocabulary"):
        make().on_load_checkpoint({"hyper_parameters": {"vocabulary": {"tokens": ["a", "b"]}}})
