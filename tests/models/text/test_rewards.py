"""Text GANs: rewards, their controls and baselines; the policy gradient by enumeration."""

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
from gumbelzoo.models.text.objectives.base import OBJECTIVES
from gumbelzoo.models.text.objectives.seqgan import SeqGAN, monte_carlo_rewards
from gumbelzoo.models.text.rewards import REWARDS
from gumbelzoo.models.text.text_gan import TextGAN
from gumbelzoo.vocabulary import EOS, Vocabulary
from torch import Tensor

Make = Callable[..., TextGAN]
Ungiven = Callable[..., TextGAN]
Batch = Callable[..., dict[str, Tensor]]
Fit = Callable[..., L.Trainer]
ADVERSARIAL = [name for name in OBJECTIVES.names() if OBJECTIVES[name].adversarial]
adversarial = pytest.mark.parametrize("objective", ADVERSARIAL)


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
def test_the_policy_gradient_is_that_of_the_expected_reward(
    tokens: list[str], length: int, rollouts: int, make: Make
) -> None:
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
def test_a_reward_does_not_depend_on_what_the_loss_leaves_open(name: str, make: Make, batch: Batch) -> None:
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
def test_one_sentence_is_not_compared_with_itself(
    objective: str, arguments: dict[str, Any], message: str, make: Make, batch: Batch
) -> None:
    model = make(objective, **arguments)
    with pytest.raises(ValueError, match=message) as caught:
        model.objective.generator_metrics(model.generator, batch(1))["loss"].backward()
    assert "\n" not in str(caught.value)
    model.objective.generator_metrics(model.generator, batch(2))["loss"].backward()


def test_the_policy_gradient_can_go_back_through_cudnn(make: Make, batch: Batch) -> None:
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
def test_baselines(baseline: str, make: Make, batch: Batch) -> None:
    model = make("seqgan", baseline=baseline)
    for _ in range(2):
        assert model.objective.generator_metrics(model.generator, batch())["loss"].isfinite()


@adversarial
@pytest.mark.parametrize("reward", REWARDS.names())
def test_only_the_learned_reward_knows_what_the_discriminator_thinks(
    objective: str, reward: str, make: Make, batch: Batch
) -> None:
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
def test_a_constant_reward_has_no_discriminator_to_train(objective: str, fit: Fit, ungiven: Ungiven) -> None:
    model = ungiven(objective, reward="constant")
    trainer = fit(model, 2)
    assert len(trainer.optimizers) == 1
    assert "train/discriminator_loss" not in trainer.callback_metrics
    told = SeqGAN(6, 5, 0, reward="constant").reward
    told.of_sentences(torch.zeros(2, 3), lambda: pytest.fail("completions cost much and are not needed"))
