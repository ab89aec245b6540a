"""ORGAN against enumeration of all sentences; its domain rewards, controls and metrics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.models.text.domain_rewards import DOMAIN_REWARDS, DomainReward
from gumbelzoo.models.text.objectives.organ import policy_loss
from gumbelzoo.models.text.objectives.recent_copies import RecentCopies
from gumbelzoo.models.text.text_gan import TextGAN
from torch import Tensor

Make = Callable[..., TextGAN]
MakeBatch = Callable[..., dict[str, Tensor]]
MAN: dict[str, Any] = {"domain_reward": {"name": "token_share", "tokens": ["man"]}}


class Written(DomainReward):
    """The score is what the sentence says."""

    calls = 0

    def canonical(self, sentence: str) -> str | None:
        return sentence.lower() or None

    def score(self, sentence: str) -> float:
        self.calls += 1
        return float(sentence)


def exact_gradient(model: TextGAN, reward: Callable[[Tensor], Tensor]) -> Tensor:
    """Gradient of the expected reward, by a sum over all sentences."""
    size, length = len(model.require_vocabulary()), model.max_length or 0
    rows = [row for row in itertools.product(range(size), repeat=length) if _is_padded(row)]
    tokens = torch.tensor(rows)
    log_prob, lengths = model.generator.log_prob(tokens), model.require_vocabulary().lengths(tokens)
    inside = torch.arange(length) < lengths[:, None]
    p = (log_prob * inside).sum(-1).exp()
    assert p.sum().item() == pytest.approx(1.0, abs=1e-5)
    return _flat(torch.autograd.grad((p * reward(tokens)).sum(), list(model.generator.parameters())))


def _is_padded(row: tuple[int, ...]) -> bool:
    """After the first EOS, id 0, there is only padding."""
    return 0 not in row or not any(row[row.index(0) :])


def _flat(gradients: Any) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in gradients])


@pytest.mark.parametrize("baseline", ["none", "leave_one_out", "moving_average"])
def test_organ_gradient_is_unbiased(baseline: str, make: Make, batch: MakeBatch) -> None:
    """The mean over many batches is the gradient of weight * D + (1 - weight) * R, by enumeration."""
    model = make("organ", {**MAN, "weight": 0.4, "baseline": baseline}, max_length=3)
    text = {"tokens": batch(256)["tokens"][:, :3]}
    objective, draws = model.objective, 40
    with torch.no_grad():
        real = objective.discriminator(text["tokens"])

    def reward(tokens: Tensor) -> Tensor:
        with torch.no_grad():
            score = objective.loss.reward(objective.discriminator(tokens), real)
            return 0.4 * score + 0.6 * objective.domain.rewards(tokens, unused)

    truth, parameters = exact_gradient(model, reward), list(model.generator.parameters())
    torch.manual_seed(1)
    found = []
    for _ in range(draws):
        loss = objective.generator_metrics(model.generator, text)["loss"]
        found.append(-_flat(torch.autograd.grad(loss, parameters)))
    mean, error = torch.stack(found).mean(0), torch.stack(found).std(0) / math.sqrt(draws)
    direction = truth / truth.norm()
    along = torch.stack(found) @ direction
    assert abs((along.mean() - truth.norm()) / (along.std() / math.sqrt(draws))) < 4
    used = error > 1e-7
    assert ((mean - truth).abs()[used] / error[used]).mean() < 1.5


def unused() -> Tensor:
    """Other sentences, which only a shuffled control needs."""
    pytest.fail("nothing is shuffled")


@pytest.mark.parametrize("baseline", ["none", "leave_one_out"])
def test_shuffled_controls_have_no_gradient(baseline: str, make: Make) -> None:
    """In the mean: a share of the true gradient, -1/(n - 1), would remain if leave-one-out saw the own reward."""
    options = {"weight": 0.4, "baseline": baseline, "domain_control": "shuffled", "adversary": {"reward": "shuffled"}}
    model = make("organ", {**MAN, **options}, max_length=3)
    objective, parameters, n = model.objective, list(model.generator.parameters()), 2
    with torch.no_grad():
        model.generator.head.bias.add_(torch.tensor([0.0, 0, 0, 2, 0, 0]))  # so that the reward differs by sentence
    truth = exact_gradient(model, lambda tokens: objective.domain.reward(objective.domain.written(tokens)))
    text, found = {"tokens": torch.ones(n, 3, dtype=torch.int64)}, []
    torch.manual_seed(1)
    for _ in range(600):
        loss = objective.generator_metrics(model.generator, text)["loss"]
        found.append(-_flat(torch.autograd.grad(loss, parameters)) @ truth / truth.square().sum())
    along = torch.stack(found)
    error = along.std().item() / len(found) ** 0.5
    assert error < 0.1 and abs(along.mean().item()) < 4 * error


def test_bad_and_good_rewards_stay_in_place() -> None:
    """Rewards of [bad, good, bad, good] are those of a slow loop: none moves to another sentence."""
    assert Written()(["", "0.25", "", "0.5"]).tolist() == [0.0, 0.25, 0.0, 0.5]


def test_scores_are_kept_by_canonical_form() -> None:
    """Two ways to write one thing are scored once; an invalid one scores 0."""
    reward = Written()
    assert reward(["1E-1", "1e-1", "1e-1", ""]).tolist() == pytest.approx([0.1, 0.1, 0.1, 0.0])
    assert reward.calls == 1


@pytest.mark.parametrize("score", ["nan", "inf", "-0.1", "1.5"])
def test_score_outside_range_raises(score: str) -> None:
    with pytest.raises(ValueError, match=r"a domain reward is in \[0, 1\]"):
        Written()([score])


def test_domain_controls(make: Make) -> None:
    """Constant: 1 for all. Shuffled: the rewards of other sentences. Copies share a reward, or get none."""
    tokens = torch.tensor([[2, 3, 0, 0, 0], [3, 3, 0, 0, 0], [3, 3, 0, 0, 0], [2, 2, 0, 0, 0]])

    def rewards(**options: Any) -> list[float]:
        return make("organ", {**MAN, **options}).objective.domain.rewards(tokens, lambda: tokens.flip(0)).tolist()

    assert rewards() == [0.5, 1.0, 1.0, 0.0]
    assert rewards(domain_control="constant") == [1.0] * 4
    assert rewards(domain_control="shuffled") == [0.0, 1.0, 1.0, 0.5]
    assert rewards(copies="shared") == [0.5, 0.5, 0.5, 0.0]
    assert rewards(copies="unique") == [0.5, 0.0, 0.0, 0.0]


def test_copies_of_earlier_batches() -> None:
    """The count is that of a slow loop over what was drawn, and forgets what is older than the memory."""
    torch.manual_seed(0)
    for memory in (0, 3, 20):
        copies, drawn = RecentCopies(memory), list[str]()
        for _ in range(6):
            forms = ["abcd"[place] for place in torch.randint(4, (5,))]
            window = drawn[len(drawn) - min(memory, len(drawn)) :] + forms
            assert copies([*forms, None])[:-1].tolist() == [window.count(form) for form in forms]
            drawn += [*forms, ""]


def test_memory_is_saved(make: Make) -> None:
    """A resumed run knows the sentences that were drawn before."""
    tokens = torch.tensor([[3, 3, 0, 0, 0], [2, 3, 0, 0, 0]])
    first, second = (make("organ", {**MAN, "copies": "shared", "memory": 4}) for _ in range(2))
    assert first.objective.domain.rewards(tokens, unused).tolist() == [1.0, 0.5]
    second.load_state_dict(first.state_dict())
    assert second.objective.domain.rewards(tokens, unused).tolist() == [0.5, 0.25]
    assert "objective.domain.copies.recent" not in make("organ", {**MAN, "copies": "shared"}).state_dict()


@pytest.mark.parametrize("objective", ["organ", "organ_gumbel"])
def test_weight_zero_has_no_discriminator(objective: str, make: Make, batch: MakeBatch) -> None:
    """Nothing of it is trained or evaluated."""
    model = make(objective, {**MAN, "weight": 0.0})
    model.objective.discriminator.forward = lambda *_: pytest.fail("it is not needed")
    assert not model.objective.discriminator_parameters()
    metrics = model.objective.generator_metrics(model.generator, batch())
    assert torch.isfinite(metrics["loss"]) and "score" not in metrics
    assert make(objective, MAN).objective.discriminator_parameters()


def test_policy_loss_learns_the_trivial_optimum(make: Make) -> None:
    """A reward of the word 'man' alone makes sentences of it."""
    model = make("organ", {**MAN, "weight": 0.0})
    optimizer = torch.optim.Adam(model.generator.parameters(), 0.05)
    objective = model.objective
    torch.manual_seed(0)
    for _ in range(60):
        tokens = model.generator.sample(64)
        optimizer.zero_grad()
        policy_loss(model.generator, tokens, objective.domain.rewards(tokens, unused), objective.baseline, 0).backward()
        optimizer.step()
    assert model.objective.sample_metrics(model.generator.sample(200))["domain_reward"] > 0.9


def test_gumbel_organ_adds_both_parts(make: Make, batch: MakeBatch) -> None:
    """With weight w its loss is w times that of the Gumbel GAN and (1 - w) times that of REINFORCE."""
    text, losses = batch(), []
    for weight in (1.0, 0.0, 0.25):
        model = make("organ_gumbel", {**MAN, "weight": weight, "feedback": "detached"})
        torch.manual_seed(3)
        if weight == 0.0:
            model.generator.rollout(len(text["tokens"]), model.objective.relaxed, "detached")  # its noise
        losses.append(model.objective.generator_metrics(model.generator, text)["loss"].item())
    assert losses[2] == pytest.approx(0.25 * losses[0] + 0.75 * losses[1], rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({**MAN, "weight": 1.5}, "weight must be in"),
        ({"domain_reward": "solubility"}, "unknown domain reward"),
        ({"domain_reward": {"name": "token_share", "tokens": "man"}}, "tokens must be a list"),
        ({"domain_reward": {"name": "token_share", "tokens": ["man", "."]}}, r"so \['.'\] would never be found"),
        ({**MAN, "domain_control": "none"}, "domain_control must be constant or shuffled, or null"),
        ({**MAN, "baseline": "learned"}, "needs logits"),
        ({**MAN, "memory": 10}, "set copies=shared or copies=unique"),
        ({**MAN, "copies": "none"}, "copies must be one of whole, shared, unique, got 'none'"),
        ({**MAN, "copies": "unique", "memory": 10**9}, "memory must be at most"),
        ({**MAN, "copies": "shared", "memory": -1}, "memory must be"),
    ],
)
def test_organ_refuses(options: dict[str, Any], message: str, make: Make) -> None:
    with pytest.raises(ValueError, match=message):
        make("organ", options)


def test_reward_of_training_text_needs_it(make: Make) -> None:
    """A set that is drawn on demand has none, and is asked for a few sentences, not for all that there could be."""
    objective = make("organ", MAN).objective
    objective.domain.reward.needs_training_text = True
    with pytest.raises(ValueError, match="compares with training text, and these data have none"):
        objective.learn(TextData("grammar"))


class Late(DomainReward):
    """Options of its own, and no ``__init__`` of the base class."""

    def __init__(self, gives: Any) -> None:
        self.gives = gives

    def canonical(self, sentence: str) -> Any:
        return sentence if self.gives != "number" else 3

    def score(self, sentence: str) -> Any:
        return {}[sentence] if self.gives == "error" else self.gives


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        (None, "Late gives None to '.*'; a domain reward is in"),
        (3.0, "Late gives 3.0 to"),
        ("error", "Late.score fails for '.*': KeyError: "),
        ("number", "Late.canonical must return text or None, got 3"),
    ],
)
def test_reward_is_tried_before_training(gives: Any, message: str, make: Make) -> None:
    """On sentences of the data, before a long pretraining: one line names the method and its sentence."""
    DOMAIN_REWARDS.register("late")(Late)
    model = make("organ", {"domain_reward": {"name": "late", "gives": gives}})
    with pytest.raises(ValueError, match=message):
        model.objective.learn(TextData("grammar"))
    right = make("organ", {"domain_reward": {"name": "late", "gives": 0.5}}).objective
    right.learn(TextData("grammar"))
    right.learn(None)  # of a loader without a data module


def test_organ_trains_and_is_tested(make_unbuilt: Make, fit: Callable[..., Any]) -> None:
    """On the grammar, through the trainer; the test has the mean reward of its samples."""
    reward = {"name": "token_share", "tokens": ["x"], "characters": True}
    model = make_unbuilt("organ", {"domain_reward": reward}, pretraining={"steps": 2, "discriminator_steps": 1})
    trainer = fit(model, 5)
    (metrics,) = trainer.test(model, TextData("grammar", batch_size=20), verbose=False)
    assert 0 <= metrics["test/domain_reward"] <= 1 and "test/valid" in metrics
