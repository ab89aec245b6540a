"""Rewards of text GANs, their controls and baselines; the policy gradient by enumeration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import lightning as L
import pytest
import torch
from gumbelzoo.models.relaxed.baselines import BASELINES
from gumbelzoo.models.text.gan_losses import LOSSES
from gumbelzoo.models.text.objectives import OBJECTIVES, Adversarial
from gumbelzoo.models.text.objectives.seqgan import SeqGAN, monte_carlo_rewards
from gumbelzoo.models.text.rewards import REWARDS
from gumbelzoo.models.text.text_gan import TextGAN
from gumbelzoo.vocabulary import EOS, Vocabulary
from torch import Tensor

Make = Callable[..., TextGAN]
Batch = Callable[..., dict[str, Tensor]]
Fit = Callable[..., L.Trainer]
ADVERSARIAL = [name for name in OBJECTIVES.names() if issubclass(OBJECTIVES[name], Adversarial)]
adversarial = pytest.mark.parametrize("objective", ADVERSARIAL)


def test_rollout_rewards_against_a_slow_loop() -> None:
    """Every reward lands on its own token; a reshape that mixes batch and roll-outs is an old fault of SeqGANs."""
    tokens = torch.randint(0, 9, (4, 5), generator=torch.Generator().manual_seed(0))
    calls: dict[tuple[int, ...], int] = {}

    def completion(prefix: tuple[int, ...]) -> list[int]:
        """A different completion on each call, from the prefix only."""
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
    for b, position in itertools.product(range(4), range(5)):
        prefix = tokens[b, : position + 1].tolist()
        drawn = [completion(tuple(prefix)) for _ in range(3)] if position < 4 else [prefix]
        assert fast[b, position].item() == pytest.approx(sum(map(score, drawn)) / len(drawn))


@pytest.mark.parametrize(("tokens", "length", "rollouts"), [(["0", "1", "2"], 2, 1), ([EOS, "1", "2"], 3, 2)])
def test_policy_gradient_by_enumeration(tokens: list[str], length: int, rollouts: int, make: Make) -> None:
    """It is unbiased, without a baseline and with leave-one-out, also for sentences that end early."""
    words = Vocabulary(tokens)
    model = make("seqgan", {"rollouts": rollouts}, vocabulary=words, max_length=length)
    with torch.no_grad():
        for parameter in model.generator.parameters():
            parameter.mul_(2)
        model.objective.discriminator.head[-1].weight.mul_(30)
    rows = torch.tensor(list(itertools.product(range(3), repeat=length)))
    lengths = words.lengths(rows)
    padding = torch.arange(length) >= lengths[:, None]
    kept = ((rows == words.pad) | ~padding).all(1)
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
def test_reward_is_invariant_to_score_offset(name: str, make: Make, batch: Batch) -> None:
    """All losses but the standard one leave a constant offset of all scores undetermined."""
    model, gradients = make("seqgan", {"baseline": "leave_one_out"}, {"loss": name}), []
    for offset in (0.0, 50.0):
        with torch.no_grad():
            model.objective.discriminator.head[-1].bias.add_(offset)
        torch.manual_seed(1)
        loss = model.objective.generator_metrics(model.generator, batch())["loss"]
        gradients.append(torch.autograd.grad(loss, model.generator.head.weight)[0])
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-6) == (name != "standard")
    assert gradients[0].abs().max() > 1e-4


def test_relativistic_reward() -> None:
    """It is the mean probability of being more real than a real sentence."""
    scores, real = torch.tensor([0.3, -1.0]), torch.tensor([0.0, 2.0, -1.0])
    expected = [sum(1 / (1 + math.exp(r - s)) for r in real.tolist()) / 3 for s in scores.tolist()]
    assert LOSSES["relativistic"].reward(scores, real).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("objective", "options", "reward", "message"),
    [
        ("gumbel", {}, "shuffled", "use --data.batch_size=2 or more"),
        (
            "seqgan",
            {"baseline": "leave_one_out"},
            "learned",
            "compares 2 sentences or more of a batch, got 1; raise --data.batch_size or use --model.objective.baseline",
        ),
    ],
)
def test_batch_of_one_sentence_raises(
    objective: str, options: dict[str, Any], reward: str, message: str, make: Make, batch: Batch
) -> None:
    """A sentence is never compared with itself."""
    model = make(objective, options, {"reward": reward})
    with pytest.raises(ValueError, match=message) as caught:
        model.objective.generator_metrics(model.generator, batch(1))["loss"].backward()
    assert "\n" not in str(caught.value)
    model.objective.generator_metrics(model.generator, batch(2))["loss"].backward()


def test_policy_gradient_keeps_lstm_in_train_mode(make: Make, batch: Batch) -> None:
    """cuDNN has no backward pass of an LSTM in eval mode. Probabilities are those without dropout all the same."""
    modes: list[bool] = []
    losses, gradients = [], []
    for dropout in (0.5, 0.0):
        generator = {"name": "lstm", "width": 4, "hidden": 6, "layers": 2, "dropout": dropout}
        model = make("seqgan", generator=generator).train()
        for cell in model.generator.cells:
            cell.register_forward_hook(lambda cell, *_: modes.append(cell.training))
        torch.manual_seed(1)
        losses.append(model.objective.generator_metrics(model.generator, batch())["loss"])
        gradients.append(torch.autograd.grad(losses[-1], model.generator.cells[0].weight_ih_l0)[0])
        assert all(module.training for module in model.generator.modules())
    assert modes == [True] * 4
    assert losses[0] == losses[1] and torch.equal(*gradients)


@pytest.mark.parametrize("baseline", ["none", "leave_one_out", "moving_average"])
def test_baselines(baseline: str, make: Make, batch: Batch) -> None:
    model = make("seqgan", {"baseline": baseline})
    for _ in range(2):
        assert model.objective.generator_metrics(model.generator, batch())["loss"].isfinite()


@adversarial
@pytest.mark.parametrize("reward", REWARDS.names())
def test_reward_controls(objective: str, reward: str, make: Make, batch: Batch) -> None:
    """A constant reward ignores the discriminator; a shuffled one is that of another sentence, of another pack."""
    gradients = []
    for scale in (1.0, -3.0):
        model = make(objective, {}, {"reward": reward, "loss": "hinge"})
        with torch.no_grad():
            model.objective.discriminator.head[-1].weight.mul_(scale)
        torch.manual_seed(1)
        model.objective.generator_metrics(model.generator, batch())["loss"].backward()
        gradients.append(model.generator.head.weight.grad.clone())
    same = torch.equal(gradients[0], gradients[1])
    assert same == (reward == "constant")
    assert bool(gradients[0].any()) == ((objective, reward) != ("gumbel", "constant"))
    values = torch.randn(4, 3)
    control, others = REWARDS[reward](), torch.randn(4, 3)
    expected = {"learned": values, "constant": torch.ones(4, 1), "shuffled": others}
    assert torch.equal(control.token_rewards(values, lambda judged: judged, lambda: others), expected[reward])
    expected = {"learned": values, "constant": torch.zeros(4, 3), "shuffled": values[[3, 0, 1, 2]]}
    assert torch.equal(control.generator_gradient(values), expected[reward])
    expected["shuffled"] = values[[2, 3, 0, 1]]
    assert torch.equal(control.generator_gradient(values, pack=2), expected[reward])


@adversarial
def test_constant_reward_trains_no_discriminator(objective: str, fit: Fit, make_unbuilt: Make) -> None:
    """Nor does it compute completions, which are expensive."""
    model = make_unbuilt(objective, {}, {"reward": "constant"})
    trainer = fit(model, 2)
    assert len(trainer.optimizers) == 1
    assert "train/discriminator_loss" not in trainer.callback_metrics
    objective = SeqGAN(Vocabulary([EOS, "a"]), 5, {"reward": "constant"})
    objective.reward.token_rewards(torch.zeros(2, 3), lambda _: pytest.fail("computed without need"), torch.Tensor)
