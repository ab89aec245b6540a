"""Professor Forcing: both passes see the same model, each player moves alone, and gradients against enumeration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from gumbelzoo.data import TextData
from gumbelzoo.models.relaxed import ESTIMATORS
from gumbelzoo.models.text.objectives import professor_forcing
from gumbelzoo.models.text.objectives.professor_forcing import states_of, teacher_forced
from gumbelzoo.models.text.relaxed_tokens import token_mask
from gumbelzoo.models.text.state_discriminator import StateDiscriminator, reverse
from gumbelzoo.models.text.text_gan import TextGAN
from torch import Tensor

SENTENCES = 1000  # of a draw: more of them cost less than more draws
OTHER_LAW = "decoupled_straight_through_gumbel_softmax"
RUNS = [None, "reinforce", *(name for name in ESTIMATORS.names() if ESTIMATORS[name].pathwise and name != OTHER_LAW)]
Make = Callable[..., TextGAN]
MakeBatch = Callable[..., dict[str, Tensor]]


@pytest.fixture
def forcing(make: Make) -> Callable[..., TextGAN]:
    """Options to a model whose discriminator is trusted."""

    def made(**options: Any) -> TextGAN:
        arguments = {key: options.pop(key) for key in ("max_length", "generator") if key in options}
        model = make("professor_forcing", options, **arguments)
        model.objective.accuracy.fill_(0.9)
        return model

    return made


@pytest.mark.parametrize("estimator", RUNS)
def test_both_passes_see_the_same_model(estimator: str | None, forcing: Make) -> None:
    """States of a free run are those of its tokens, one step after the other; its tokens follow the model."""
    network = {"name": "lstm", "width": 4, "hidden": 6, "dropout": 0.5}
    model, n = forcing(estimator=estimator, generator=network), 3000
    generator = model.generator.train()
    with torch.no_grad():
        for parameter in generator.parameters():  # so that the first input decides what follows
            parameter.mul_(3)
    torch.manual_seed(1)
    drawn, free = model.objective.free_run(generator, n)
    tokens = drawn if drawn.ndim == 2 else drawn.argmax(-1)
    torch.testing.assert_close(free, teacher_forced(generator, tokens))
    x, state = generator.eval().begin(n)
    for t in range(5):
        features, state = generator.step(x, state)
        p = generator.head(features).softmax(-1)
        torch.testing.assert_close(free[:, t], torch.cat([features, p], -1))
        if t == 0:
            counts = torch.bincount(tokens[:, 0], minlength=6)
            assert ((counts - n * p[0]) ** 2 / (n * p[0])).sum() < 20.5  # chi-square of 5 degrees, one in a thousand
        x = generator.embedding(tokens[:, t])


def test_loss_is_that_of_a_loop(forcing: Make, batch: MakeBatch) -> None:
    """NLL and weight times -log D of each free run; the true tokens score the teacher-forced pass only."""
    model, text = forcing(weight=0.3), batch(8)
    objective = model.objective
    nll = model.maximum_likelihood.generator_metrics(model.generator, text)["loss"]
    torch.manual_seed(2)
    found = objective.generator_metrics(model.generator, text)["loss"].item()
    torch.manual_seed(2)
    tokens, behaviour = objective.free_run(model.generator, 8)
    mask = token_mask(tokens, 0)
    logs = [
        F.logsigmoid(objective.discriminator(one[None], row[None])).item()
        for one, row in zip(behaviour, mask, strict=True)
    ]
    assert found == pytest.approx(nll.item() - 0.3 * sum(logs) / 8, rel=1e-5)


def test_players_move_alone(forcing: Make, batch: MakeBatch) -> None:
    """The discriminator's loss has no gradient for the generator; the generator's optimizer has none of D."""
    model, text = forcing(), batch(8)
    model.objective.discriminator_loss(model.generator, text).backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())
    assert any(parameter.grad.any() for parameter in model.objective.discriminator_parameters())
    theirs = {id(parameter) for parameter in model.objective.discriminator_parameters()}
    assert theirs.isdisjoint(map(id, model.generator_parameters()))


@pytest.mark.parametrize("estimator", [None, "reinforce", "reinmax"])
@pytest.mark.parametrize("score", [-1e4, 1e4])
def test_certain_discriminator_is_finite(score: float, estimator: str | None, forcing: Make, batch: MakeBatch) -> None:
    """Losses of both players and their gradients, where D is 0 or 1 for all."""
    model, text = forcing(estimator=estimator), batch(8)
    objective, generator = model.objective, model.generator
    with torch.no_grad():
        objective.discriminator.head[-1].bias.fill_(score)
    followed = objective.generator_metrics(generator, text)["loss"]
    for loss, player in (
        (followed, generator),
        (objective.discriminator_loss(generator, text), objective.discriminator),
    ):
        gradients = torch.autograd.grad(loss, list(player.parameters()))
        assert loss.isfinite() and all(part.isfinite().all() for part in gradients)


def test_gates(forcing: Make, batch: MakeBatch) -> None:
    """At chance the generator ignores D; a perfect D does not learn."""
    model, text = forcing(), batch(8)
    model.objective.accuracy.fill_(0.7)
    metrics = model.objective.generator_metrics(model.generator, text)
    assert metrics["loss"] == metrics["nll"] and "score" not in metrics
    discriminator = model.objective.discriminator

    def perfect(behaviour: Tensor, mask: Tensor) -> Tensor:
        sign = 1.0 if mask.dtype == torch.bool else -1.0  # real text has a mask of lengths
        return sign + 0 * discriminator.inputs(behaviour).sum((1, 2))

    discriminator.forward = perfect
    assert not model.objective.discriminator_loss(model.generator, text).requires_grad
    assert model.objective.accuracy == 1


@pytest.fixture
def sensitive(forcing: Make) -> Make:
    """An estimator and a seed to a model of three tokens whose discriminator depends on them."""

    def made(estimator: str | None, seed: int = 0) -> TextGAN:
        model = forcing(estimator=estimator, max_length=3)
        torch.manual_seed(seed)
        model.objective.attach(model.generator)
        with torch.no_grad():
            for parameter in model.objective.discriminator.parameters():
                parameter.mul_(4)
        return model

    return made


def enumerated(model: TextGAN) -> tuple[Tensor, Tensor]:
    """Gradient of E[-log D] over all sentences of three tokens: through the states, and through the choices."""
    size = len(model.require_vocabulary())
    rows = [row for row in itertools.product(range(size), repeat=3) if 0 not in row or not any(row[row.index(0) :])]
    tokens = torch.tensor(rows)
    mask = token_mask(tokens, 0)
    p = (model.generator.log_prob(tokens) * mask).sum(-1).exp()
    loss = F.softplus(-model.objective.discriminator(teacher_forced(model.generator, tokens), mask))
    assert p.sum().item() == pytest.approx(1.0, abs=1e-5)
    parameters = list(model.generator.parameters())
    parts = (p.detach() * loss).sum(), (p * loss.detach()).sum()
    states, choices = (torch.autograd.grad(part, parameters, materialize_grads=True) for part in parts)
    return _flat(states), _flat(choices)


def _flat(gradients: Any) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in gradients])


def draws(model: TextGAN, number: int) -> Tensor:
    """Gradients of the adversarial part for many sentences, one a row."""
    text = {"tokens": torch.full((SENTENCES, 3), 2), "length": torch.full((SENTENCES,), 3)}
    parameters, rows = list(model.generator.parameters()), []
    torch.manual_seed(3)
    for _ in range(number):
        metrics = model.objective.generator_metrics(model.generator, text)
        rows.append(_flat(torch.autograd.grad(metrics["loss"] - metrics["nll"], parameters)))
    return torch.stack(rows)


def z_score(found: Tensor, truth: Tensor) -> float:
    """Standard errors between the mean of the draws and the truth, along the truth."""
    along = found @ (truth / truth.norm())
    return abs(float((along.mean() - truth.norm()) / (along.std() / math.sqrt(len(found)))))


def test_gradient_of_the_paper(sensitive: Make) -> None:
    """It is that through the states alone, unbiased."""
    model = sensitive(None)
    assert z_score(draws(model, 20), enumerated(model)[0]) < 4


def test_reinforced_gradient_is_unbiased(sensitive: Make) -> None:
    """States and choices together are the whole gradient of E[-log D], and the choices alone are theirs."""
    model = sensitive("reinforce")
    states, choices = enumerated(model)
    found = draws(model, 40)
    assert z_score(found, states + choices) < 4 and z_score(found - states, choices) < 4


@pytest.mark.parametrize("estimator", ["straight_through_gumbel_softmax", "reinmax"])
def test_pathwise_gradient_of_choices(estimator: str, sensitive: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Biased, and for most discriminators in the direction of the gradient through the choice of tokens."""
    cosines = []
    for seed in range(4):
        model = sensitive(estimator, seed)
        states, choices = enumerated(model)
        mean = draws(model, 20).mean(0) - states
        cosines.append(F.cosine_similarity(mean, choices, dim=0).item())
        with capsys.disabled():
            bias = (mean - choices).norm() / choices.norm()
            print(f"\n{estimator}: cosine {cosines[-1]:.3f}, bias {bias:.3f}", end="")
    assert sum(cosines) / len(cosines) > 0.5


def test_shuffled_gradient_is_of_another(forcing: Make, batch: MakeBatch) -> None:
    """The control has the same value and another gradient."""
    text, gradients = batch(8), []
    for shuffled in (False, True):
        model = forcing(shuffled=shuffled)
        torch.manual_seed(4)
        loss = model.objective.generator_metrics(model.generator, text)["loss"]
        gradients.append((loss.item(), _flat(torch.autograd.grad(loss, list(model.generator.parameters())))))
    assert gradients[0][0] == gradients[1][0] and not torch.allclose(gradients[0][1], gradients[1][1])


def test_shuffled_reward_is_of_another(forcing: Make, batch: MakeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    """With reinforce the control has the rewards of another free run."""
    text, rewards = batch(8), []

    def keep(generator: Any, tokens: Tensor, reward: Tensor, *others: Any) -> Tensor:
        rewards.append(reward)
        return reward.sum() * 0

    monkeypatch.setattr(professor_forcing, "policy_loss", keep)
    for shuffled in (False, True):
        model = forcing(estimator="reinforce", shuffled=shuffled)
        torch.manual_seed(4)
        model.objective.generator_metrics(model.generator, text)
    first, control = rewards
    assert set(first.tolist()).isdisjoint(control.tolist())


def test_shuffled_pathwise_gradient_is_of_another(forcing: Make, batch: MakeBatch) -> None:
    """Neither states nor the mask of relaxed tokens bring a sentence's own gradient."""
    model = forcing(estimator="straight_through_gumbel_softmax", shuffled=True)
    model.objective.discriminator.forward = lambda behaviour, mask: (behaviour.sum((1, 2)) + mask.sum(1)) * own
    own, drawn = torch.eye(4)[0], []
    rollout = model.generator.rollout

    def keep(*arguments: Any) -> Tensor:
        drawn.append(rollout(*arguments))
        drawn[-1].retain_grad()
        return drawn[-1]

    model.generator.rollout = keep
    model.objective.generator_metrics(model.generator, batch(4))["loss"].backward()
    touched = drawn[0].grad.abs().sum((1, 2)) > 0
    assert touched.tolist() == [False, True, False, False]


def test_discriminator_sees_no_padding() -> None:
    """The logit of a sequence is the same however much padding follows, and whatever is in it."""
    torch.manual_seed(0)
    discriminator, states = StateDiscriminator(5, 4), torch.randn(2, 9, 5)
    mask = torch.arange(9) < torch.tensor([[3], [9]])
    whole = discriminator(states, mask)
    torch.testing.assert_close(whole[:1], discriminator(states[:1, :3], mask[:1, :3]))
    states[0, 3:] = 7
    torch.testing.assert_close(whole, discriminator(states, mask))


def test_discriminator_is_a_bidirectional_gru() -> None:
    """States are those of ``nn.GRU`` in both directions over packed sequences."""
    torch.manual_seed(0)
    discriminator, states, lengths = StateDiscriminator(5, 4), torch.randn(2, 9, 5), torch.tensor([3, 9])
    both = torch.nn.GRU(4, 4, batch_first=True, bidirectional=True)
    for name, weight in discriminator.onward.named_parameters():
        getattr(both, name).data = weight.data
        getattr(both, f"{name}_reverse").data = discriminator.backward_in_time.get_parameter(name).data
    seen = torch.nn.functional.leaky_relu(discriminator.inputs(states), 0.2)
    packed = torch.nn.utils.rnn.pack_padded_sequence(seen, lengths, batch_first=True, enforce_sorted=False)
    found, _ = torch.nn.utils.rnn.pad_packed_sequence(both(packed)[0], batch_first=True)
    logits = discriminator.head(found.sum(1) / lengths[:, None]).squeeze(-1)
    torch.testing.assert_close(discriminator(states, torch.arange(9) < lengths[:, None]), logits)


def test_reverse_leaves_the_padding() -> None:
    """Only the places of the sequence change."""
    x = torch.tensor([[1, 2, 3, 0], [1, 2, 3, 4]])[..., None]
    assert reverse(x, torch.tensor([3, 4]))[..., 0].tolist() == [[3, 2, 1, 0], [4, 3, 2, 1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "weight"),
        ({"estimator": "arsm"}, "has no pathwise gradient"),
        ({"estimator": OTHER_LAW}, "draws from another distribution than the model's"),
        ({"adversary": {"width": 0}}, "adversary.width must be"),
        ({"estimator": {"name": "reinforce", "samples": 2}}, "reinforce has no use for samples here"),
        ({"estimator": {"name": "reinforce", "baseline": "learned"}}, "needs logits"),
        ({"adversary": {"learning_rate": 0.0}}, "learning_rate must be > 0"),
    ],
)
def test_professor_forcing_refuses(options: dict[str, Any], message: str, forcing: Make) -> None:
    with pytest.raises(ValueError, match=message):
        forcing(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "reinforce"}, r"use --model\.objective\.estimator\.baseline=none"),
        ({"shuffled": True}, "use --data.batch_size=2 or more"),
    ],
)
def test_batch_of_one_is_refused_at_once(
    options: dict[str, Any], message: str, forcing: Make, batch: MakeBatch
) -> None:
    """Not first when the discriminator is good enough to be followed, which may be hours later."""
    model = forcing(**options)
    model.objective.accuracy.fill_(0.5)
    with pytest.raises(ValueError, match=message):
        model.objective.generator_metrics(model.generator, batch(1))
    if "estimator" in options:
        model = forcing(estimator={"name": "reinforce", "baseline": "none"})
        assert model.objective.generator_metrics(model.generator, batch(1))["loss"] > 0


def test_professor_forcing_trains(make_unbuilt: Make, fit: Callable[..., Any]) -> None:
    """Through the trainer, on the grammar, with as many steps of D as asked for; a model is selected by its NLL."""
    model = make_unbuilt("professor_forcing", {"adversary": {"width": 4, "steps": 3}})
    trainer = fit(model, 5)
    taken = [{int(state["step"]) for state in optimizer.state.values()} for optimizer in trainer.optimizers]
    assert taken == [{5}, {15}]
    (metrics,) = trainer.test(model, TextData("grammar", batch_size=20), verbose=False)
    assert model.monitor == "val/nll" and metrics["test/nll"] > 0 and 0 <= model.objective.accuracy <= 1


def test_states_need_no_dropout(forcing: Make) -> None:
    """The same states twice, in training mode."""
    model = forcing(generator={"name": "lstm", "width": 4, "hidden": 6, "dropout": 0.5}).train()
    x = model.generator.embedding(torch.tensor([[2, 3, 4, 5, 0]]))
    torch.testing.assert_close(states_of(model.generator, x), states_of(model.generator, x))
