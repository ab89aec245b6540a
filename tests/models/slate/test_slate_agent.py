"""The slate agent: slates without repeats, exact figures, controls, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.data import ImageData, SlateData
from gumbelzoo.data.slates import policies
from gumbelzoo.models import SlateAgent
from gumbelzoo.models.relaxed import ESTIMATORS
from gumbelzoo.models.slate.critic import Critic
from gumbelzoo.models.slate.rollouts import draw_slates, expected_reward
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

QUIET = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
HARD = [name for name in ESTIMATORS if ESTIMATORS[name].one_hot_forward and ESTIMATORS[name].categories is None]
CRITIC = {"name": "black_box", "critic": True, "hidden": 8}


def fit(agent: SlateAgent, data: SlateData, steps: int, **options: Any) -> L.Trainer:
    trainer = L.Trainer(accelerator="cpu", max_steps=steps, log_every_n_steps=1, **QUIET, **options)
    trainer.fit(agent, data)
    return trainer


def test_entropy_of_a_stream_does_not_fall(make: Callable[..., SlateAgent], data: SlateData) -> None:
    """A run whose length is not known has the initial weight throughout."""

    class Stream(IterableDataset):
        def __iter__(self) -> Iterator[dict[str, Tensor]]:
            yield {"user": torch.randn(8, 13)}
            yield {"user": torch.randn(8, 13)}

    agent, weights = make(entropy=0.5), []
    metrics = agent.objective.metrics
    agent.objective.metrics = lambda *arguments: (weights.append(arguments[-1]), metrics(*arguments))[1]
    data.train_dataloader = lambda: DataLoader(Stream(), batch_size=None)
    L.Trainer(accelerator="cpu", max_epochs=2, limit_val_batches=0, **QUIET).fit(agent, data)
    assert weights == [0.5] * 4


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("options", [{}, {"past": False}, {"objective": CRITIC}], ids=["all", "no past", "critic"])
def test_every_trained_parameter_gets_gradient(slots: int, options: dict[str, Any], make: Callable[..., Any]) -> None:
    """What one slot or a control does not read is not trained: several processes would wait for it."""
    agent, data = make(slots=slots, **options), SlateData(items=4, slots=slots)
    agent.objective.metrics(agent.network, agent.layer, torch.randn(8, 13), data, 0.1)["loss"].backward()
    assert not [name for name, p in agent.named_parameters() if p.requires_grad == (p.grad is None)]
    assert agent.network.items.requires_grad == (slots > 1 and options != {"past": False})


def test_no_slate_repeats_an_item() -> None:
    """A hundred thousand drawn slates of six items and five slots, and the most probable ones."""
    agent = SlateAgent(6, 5, 13, hidden=4).eval()
    user = torch.randn(50_000, 13)
    with torch.no_grad():
        drawn = [draw_slates(agent.network, user, 5, agent.layer.sample).codes for _ in range(2)]
    for codes in (*drawn, agent.recommend(user)):
        ordered = codes.sort(-1).values
        assert codes.dtype == torch.int64 and bool((ordered[:, 1:] > ordered[:, :-1]).all())


@pytest.mark.parametrize("name", [name for name in HARD if ESTIMATORS[name].pathwise])
def test_hard_estimators_never_repeat(name: str, make: Callable[..., SlateAgent], data: SlateData) -> None:
    """Whatever is trained on is a slate: points are one-hot and different."""
    seen: list[Tensor] = []

    def reward(slate: Tensor) -> Tensor:
        seen.append(slate.detach())
        return slate.sum((-1, -2))

    agent = make(estimator=name, slots=3)
    expected_reward(agent.network, agent.layer, torch.randn(2000, 13), 3, reward)
    slate = torch.cat([part.flatten(0, -3) for part in seen])
    assert bool(((slate == 0) | (slate == 1)).all()) and float(slate.sum(-2).max()) == 1


def test_masked_item_gets_no_gradient(make: Callable[..., SlateAgent]) -> None:
    """The second slot's logit of the item in the first one has probability 0, and no gradient."""
    agent = make()
    slates = draw_slates(agent.network, torch.randn(50, 13), 2, agent.layer.sample)
    agent.network.head.bias.grad = None
    (gradient,) = torch.autograd.grad(slates.log_probs[:, 1].sum(), agent.network.head.bias)
    assert bool(gradient.isfinite().all()) and bool(slates.log_probs.isfinite().all())


def test_policy_changes_with_user_and_past(make: Callable[..., SlateAgent]) -> None:
    """The logits of a slot depend on both; with the past blanked on the user and the mask only."""
    for past in (True, False):
        network = make(past=past).network
        state = network.start(torch.randn(2, 13))
        one, other = (network.advance(state, torch.full((2,), item)) for item in (0, 1))
        assert not torch.equal(network.head(one)[0], network.head(one)[1])
        assert torch.equal(one, other) != past


def test_share_is_that_of_exact_slates(make: Callable[..., SlateAgent], data: SlateData) -> None:
    """The test figure is computed from codes; one for the optimum and zero for random slates, whatever the batches."""
    agent = make()
    data.eval_batch_size = 130  # unequal batches
    (found,) = L.Trainer(accelerator="cpu", **QUIET).test(agent, data, verbose=False)
    user, references = data.splits.test.vectors, data.splits.test.references
    reward = data.reward(user, agent.eval().recommend(user)).mean()
    low, high = references["random"].mean(), references["best"].mean()
    assert found["test/share"] == pytest.approx(float((reward - low) / (high - low)), abs=1e-5)
    assert found["test/regret"] == pytest.approx(float(high - reward), abs=1e-5) and found["test/repeats"] == 0
    assert found["test/greedy_share"] == pytest.approx(
        float((references["greedy"].mean() - low) / (high - low)), abs=1e-5
    )


@pytest.mark.parametrize(
    ("arguments", "steps", "least"),
    [
        pytest.param({}, 60, 0.8, marks=pytest.mark.slow),
        ({"estimator": {"name": "reinforce", "samples": 2}, "objective": "black_box"}, 60, 0.8),
        pytest.param({"objective": CRITIC}, 150, 0.3, marks=pytest.mark.slow),  # the critic learns first
    ],
    ids=["white box", "black box", "critic"],
)
def test_slate_agent_learns(arguments: dict[str, Any], steps: int, least: float, data: SlateData) -> None:
    """A few steps on four items take it most of the way to the optimum."""
    torch.manual_seed(0)
    agent = SlateAgent(hidden=16, entropy=0.1, optimizer={"learning_rate": 0.02}, **arguments)
    trainer = fit(agent, SlateData(items=4, slots=2, batch_size=128), steps, limit_val_batches=0)
    (found,) = trainer.test(agent, data, verbose=False)
    assert found["test/share"] > least
    assert agent.users.abs().sum() > 0 and agent.layer.step == steps


def test_critic_is_linear_in_its_slot() -> None:
    """So its gradient compares the items of a slot exactly; values before a slot do not depend on it."""
    critic, user = Critic(4, 3, 13, 8), torch.randn(1, 13)
    points = torch.eye(4)[torch.tensor([[2, 1]])].requires_grad_()
    (gradient,) = torch.autograd.grad(critic.reward(user, points).sum(), points)
    rewards = torch.stack([critic.reward(user, torch.tensor([[2, item]])) for item in range(4)])[:, 0]
    torch.testing.assert_close(gradient[0, 1] - gradient[0, 1, 0], rewards - rewards[0])
    one, other = (critic(user, torch.tensor([[2, item]]))[1] for item in (0, 3))
    assert torch.equal(one, other)
    assert not any(weight.grad is not None for weight in critic.parameters())


def test_critic_descends_the_cross_entropy() -> None:
    """In bfloat16 too, where a probability may be 1."""
    critic, bought = Critic(4, 2, 13, 8), torch.tensor([[0.0, 1.0]])
    chances = torch.tensor([[0.3, 0.9]])
    rest = (bought.sum() - 1) ** 2
    expected = torch.nn.functional.binary_cross_entropy(chances, bought)
    torch.testing.assert_close(critic.loss((chances, torch.ones(1, 2)), bought), expected + rest)
    assert critic.loss((torch.tensor([[1.0, 0.0]], dtype=torch.bfloat16), torch.ones(1, 2)), bought).isfinite()


def test_critic_and_policy_learn_apart(make: Callable[..., SlateAgent], data: SlateData) -> None:
    """The policy's gradient stays out of the critic, and the critic's loss out of the policy."""
    agent, user = make(objective=CRITIC), data.splits.train.vectors[:8]
    torch.manual_seed(1)
    metrics = agent.objective.metrics(agent.network, agent.layer, user, data, 0.0)
    critic = list(agent.objective.parameters())
    own = torch.autograd.grad(metrics["critic_loss"], critic, retain_graph=True, materialize_grads=True)
    joint = torch.autograd.grad(metrics["loss"], critic, retain_graph=True, materialize_grads=True)
    for one, other in zip(own, joint, strict=True):
        torch.testing.assert_close(one, other)
    weights = list(agent.network.parameters())
    leaked = torch.autograd.grad(metrics["critic_loss"], weights, allow_unused=True)
    assert all(gradient is None for gradient in leaked)


def test_trained_agent_is_the_loaded_one(tmp_path: Path, make: Callable[..., SlateAgent], data: SlateData) -> None:
    """``config`` has the sizes of the data; a release gives the same slates, and the same text."""
    agent = SlateAgent(hidden=8, objective=CRITIC, entropy=0.1)
    fit(agent, data, 2, limit_val_batches=0)
    assert agent.config()["items"] == 4
    loaded = gumbelzoo.load(str(gumbelzoo.save_pretrained(agent, tmp_path / "release")))
    user = torch.randn(20, 13)
    assert torch.equal(loaded.recommend(user), agent.eval().recommend(user))
    lines = [model.sample(30, generator=torch.Generator().manual_seed(3)) for model in (agent, loaded)]
    assert lines[0] == lines[1] and len(lines[0]) == 30
    assert all(len(set(line.partition(": ")[2].split())) == 2 for line in lines[0])


def test_cold_samples_are_recommendations(make: Callable[..., SlateAgent]) -> None:
    agent = make().eval()
    agent.users.normal_()
    for line in agent.sample(20, temperature=1e-4):
        user, _, items = line.removeprefix("user ").partition(": ")
        assert items == " ".join(map(str, agent.recommend(agent.users[int(user)]).tolist()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"slots": 5}, "slots at most items"),
        ({"items": None}, "come together"),
        ({"objective": "grey_box"}, "unknown slate objective"),
        ({"objective": "black_box"}, "critic: true"),
        ({"objective": {"name": "black_box", "critic": True}, "estimator": "reinforce"}, "baseline: none"),
        ({"entropy": -1.0}, "entropy"),
        ({"items": 1000, "slots": 10, "estimator": "exact"}, "use fewer choices"),
    ],
)
def test_bad_slate_agent_raises(arguments: dict[str, Any], message: str, make: Callable[..., SlateAgent]) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_other_data_is_refused(make: Callable[..., SlateAgent]) -> None:
    """Images, slates of another size, users of another width; and nothing to build from."""
    trainer = L.Trainer(accelerator="cpu", max_steps=1, **QUIET)
    with pytest.raises(ValueError, match="use --data=slates"):
        trainer.fit(make(), ImageData("digits"))
    with pytest.raises(ValueError, match="the data has 5, 2 and 13"):
        trainer.fit(make(), SlateData(items=5, slots=2))
    with pytest.raises(ValueError, match="width 13"):
        make().recommend(torch.randn(2, 3))
    with pytest.raises(ValueError, match=r"users must be floating point, got torch.int64; use users.float\(\)"):
        make().recommend(torch.zeros(2, 13, dtype=torch.int64))
    assert make().recommend(torch.randn(2, 13).double()).shape == (2, 2)
    with pytest.raises(ValueError, match="train it on slates"):
        SlateAgent().recommend(torch.randn(2, 13))
    with pytest.raises(ValueError, match="learns from images"):
        trainer.fit(gumbelzoo.create_model("categorical_vae", image_shape=[1, 8, 8]), SlateData())
    large = SlateAgent(estimator="exact")
    with pytest.raises(ValueError, match="use fewer choices"):
        L.Trainer(accelerator="cpu", max_steps=1, **QUIET).fit(large, SlateData(items=300, slots=3, batch_size=8))
    with pytest.raises(ValueError, match="train it on slates"):  # nothing was built
        large.sample(2)
    with pytest.raises(ValueError, match="with a data module"):
        L.Trainer(accelerator="cpu", max_steps=1, **QUIET).fit(make(), *[DataLoader([{"user": torch.zeros(13)}])] * 2)


def test_greedy_is_the_mark_to_beat(data: SlateData) -> None:
    """The released figure is placed between policies of the same users."""
    controls = data.controls()
    assert controls["random"] < controls["greedy"] < controls["best"]
    assert controls["independent"] <= controls["independent, best order"] <= controls["best"]
    assert policies.is_enumerable(10, 3) and not policies.is_enumerable(1000, 10)


@pytest.mark.parametrize("estimator", [{"name": "unordered", "samples": 10}, "disarm"])
def test_estimator_before_the_data(estimator: Any) -> None:
    """Without data an estimator is checked for a size that each of them can have."""
    SlateAgent(estimator=estimator)
