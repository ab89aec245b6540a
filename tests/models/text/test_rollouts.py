"""Roll-outs with a gradient, and both forms of tokens."""

from __future__ import annotations

import itertools

import pytest
import torch
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical, select
from gumbelzoo.models.text.generators import FEEDBACKS, GENERATORS, LanguageModel, base
from gumbelzoo.models.text.generators.base import length_mask
from gumbelzoo.models.text.relaxed_tokens import token_mask
from gumbelzoo.vocabulary import EOS, Vocabulary
from torch import Tensor

OPTIONS = {"lstm": {"width": 3, "hidden": 4, "layers": 2}, "transformer": {"width": 4, "depth": 2, "heads": 2}}
EOS_ID = 1
WITH_EOS, WITHOUT_EOS = Vocabulary(["a", EOS, "b"]), Vocabulary(["a", "b", "c"])
SIZE, LENGTH = 3, 3
networks = pytest.mark.parametrize("name", GENERATORS.names())
vocabularies = pytest.mark.parametrize("vocabulary", [WITH_EOS, WITHOUT_EOS], ids=["with_eos", "without_eos"])
feedbacks = pytest.mark.parametrize("feedback", FEEDBACKS.names())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(name: str, vocabulary: Vocabulary = WITHOUT_EOS, max_length: int = LENGTH) -> LanguageModel:
    torch.manual_seed(0)
    model = GENERATORS.build({"name": name, **OPTIONS[name]}, vocabulary=vocabulary, max_length=max_length)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model.eval()


@networks
@vocabularies
@feedbacks
@pytest.mark.parametrize("estimator", ["gumbel_softmax", "straight_through_gumbel_softmax", "reinmax"])
def test_rollouts_are_on_the_simplex(name: str, vocabulary: Vocabulary, feedback: str, estimator: str) -> None:
    """One-hot ones follow the likelihood (chi-square within four standard deviations); every weight gets a gradient."""
    model, layer = make(name, vocabulary), RelaxedCategorical(estimator)
    relaxed = model.rollout(3000, layer, feedback, generator=seeded())
    assert relaxed.shape == (3000, LENGTH, SIZE)
    torch.testing.assert_close(relaxed.sum(-1), torch.ones(3000, LENGTH))
    if layer.estimator.one_hot_forward:
        assert set(relaxed.unique().tolist()) == {0.0, 1.0}
        rows = torch.tensor(list(itertools.product(range(SIZE), repeat=LENGTH)))
        lengths = token_mask(rows, vocabulary.eos).sum(1).long()
        kept = (rows == rows.masked_fill(~length_mask(lengths, LENGTH), vocabulary.eos or 0)).all(1)
        expected = 3000 * model.log_prob(rows[kept], lengths[kept]).sum(1).exp().detach()
        found = (relaxed.argmax(-1)[:, None] == rows[kept]).all(2).sum(0)
        degrees = len(expected) - 1
        assert found.sum() == 3000
        assert ((found - expected).square() / expected).sum() < degrees + 4 * (2 * degrees) ** 0.5
    relaxed.square().mul(torch.randn(LENGTH, SIZE, generator=seeded())).sum().backward()
    for label, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, label


@networks
@vocabularies
@feedbacks
@pytest.mark.parametrize("estimator", ["gumbel_softmax", "straight_through_gumbel_softmax"])
def test_feedback_gradient_to_earlier_tokens(name: str, vocabulary: Vocabulary, estimator: str, feedback: str) -> None:
    """Only ``detached`` cuts the gradient through fed-back tokens; a silent cut is an old fault of text GANs."""
    model, layer, seen = make(name, vocabulary), RelaxedCategorical(estimator), []
    layer.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    relaxed = model.rollout(50, layer, feedback, generator=seeded())
    weight = torch.randn(SIZE, generator=seeded())
    first, last = torch.autograd.grad((relaxed[:, -1] * weight).sum(), [seen[0], seen[-1]])
    assert last.abs().sum() > 0
    assert first.any() == (feedback != "detached")


@networks
def test_fed_back_tokens(name: str) -> None:
    """A relaxed sample or its one-hot is fed back; for one-hot samples both are the same."""
    model, fed = make(name), []
    step = model.step
    model.step = lambda x, state: (fed.append(x), step(x, state))[1]  # type: ignore[func-returns-value, method-assign]
    table = model.embedding.weight[:-1]
    for feedback in FEEDBACKS.names():
        fed.clear()
        relaxed = model.rollout(20, RelaxedCategorical(), feedback, generator=seeded())
        expected = relaxed[:, 0] if feedback == "soft" else relaxed[:, 0].argmax(-1)
        torch.testing.assert_close(fed[1], select(expected, table))
    layer = RelaxedCategorical("straight_through_gumbel_softmax")
    results = []
    for feedback in ("soft", "straight_through"):
        model.zero_grad()
        model.rollout(20, layer, feedback, generator=seeded())[:, -1, 0].sum().backward()
        results.append(model.head.weight.grad.clone())
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("estimator", [name for name in ESTIMATORS.names() if ESTIMATORS[name].pathwise])
def test_one_hot_samples_are_embedded_by_gather(estimator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoupled estimator too: its value is biased, but its samples are one-hot."""
    calls: list[bool] = []
    monkeypatch.setattr(base, "select", lambda *x, one_hot: (calls.append(one_hot), select(*x, one_hot=one_hot))[1])
    layer = RelaxedCategorical(estimator)
    relaxed = make("lstm").rollout(20, layer, generator=seeded())
    assert set(calls) == {layer.estimator.one_hot_forward}
    assert layer.estimator.one_hot_forward == (set(relaxed.unique().tolist()) == {0.0, 1.0})


@networks
def test_linear_cost_gradient_is_exact(name: str) -> None:
    """Straight-through at temperature 1 is unbiased for a linear cost; detached, each token is independent."""
    model, layer = make(name, max_length=2), RelaxedCategorical("straight_through")
    cost = torch.tensor([[1.0, -2.0, 0.5], [0.3, 1.0, -1.0]])
    firsts = torch.tensor([[0, 0], [1, 0], [2, 0]])
    probabilities = model.logits(firsts).softmax(-1)  # 3 2 v
    weight = probabilities[0, 0].detach()
    expected = (probabilities[0, 0] * cost[0]).sum() + (weight * (probabilities[:, 1] * cost[1]).sum(-1)).sum()
    exact = torch.autograd.grad(expected, list(model.head.parameters()))
    draws: list[list[Tensor]] = [[], []]
    for batch in range(40):
        value = (model.rollout(500, layer, "detached", generator=seeded(batch)) * cost).sum((1, 2)).mean()
        for record, gradient in zip(draws, torch.autograd.grad(value, list(model.head.parameters())), strict=True):
            record.append(gradient)
    for truth, record in zip(exact, draws, strict=True):
        many = torch.stack(record)
        error = many.std(0) / len(many) ** 0.5
        assert ((many.mean(0) - truth).abs() <= 4.5 * error + 1e-6).all()
        assert truth.abs().max() > 10 * error.max()


# -- EOS --------------------------------------------------------------------------------------------------------------


def test_eos_is_absorbing() -> None:
    """EOS mass of relaxed samples never falls; a one-hot EOS is followed by EOS only."""
    model = make("lstm", WITH_EOS)
    mass = model.rollout(200, RelaxedCategorical(temperature=2.0), "soft", generator=seeded())[..., EOS_ID]
    assert (mass[:, 1:] >= mass[:, :-1] - 1e-6).all()
    fed = model.rollout(200, RelaxedCategorical(temperature=2.0), "straight_through", generator=seeded())
    ended = fed[:, 0].argmax(-1) == EOS_ID
    assert ended.any() and torch.equal(fed[ended, 1:, EOS_ID], torch.ones(int(ended.sum()), LENGTH - 1))


def test_eos_mass_is_counted_once() -> None:
    """1 - EOS mass of a soft roll-out is the product of 1 - EOS over its samples before EOS is mixed in."""
    raw: list[Tensor] = []
    layer = RelaxedCategorical("gumbel_softmax", 2.0)
    layer.register_forward_hook(lambda _, __, token: raw.append(token.detach()))
    relaxed = make("lstm", WITH_EOS, 6).rollout(50, layer, "soft", seeded()).detach()
    alive = torch.stack([1 - token[:, EOS_ID] for token in raw], 1).cumprod(1)
    torch.testing.assert_close(1 - relaxed[..., EOS_ID], alive)
    torch.testing.assert_close(token_mask(relaxed, EOS_ID)[:, 1:], alive[:, :-1])


@pytest.mark.parametrize("max_length", [3, 12])
def test_eos_gradient_is_exact(max_length: int) -> None:
    """Straight-through is unbiased for independent tokens and a cost that is linear in each of them."""
    generator = make("lstm", WITH_EOS, max_length)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.zero_()
        generator.head.bias[EOS_ID] = -2.0
    logits = generator.head.bias.detach().clone().requires_grad_()
    relaxed = generator.rollout(20_000, RelaxedCategorical("straight_through", 1.0), "straight_through", seeded())
    (grad,) = torch.autograd.grad(relaxed[:, -1, EOS_ID].mean(), generator.head.bias)
    (exact,) = torch.autograd.grad(1 - (1 - logits.softmax(-1)[EOS_ID]) ** max_length, logits)
    torch.testing.assert_close(grad, exact, rtol=0.1, atol=0.01)


def test_rollout_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        relaxed = make("lstm", WITH_EOS, 6).rollout(5, RelaxedCategorical(), "soft", seeded())
    assert relaxed.isfinite().all()


# -- both forms of a token --------------------------------------------------------------------------------------------


def test_ids_and_one_hot_tokens_agree() -> None:
    """Embeddings and masks are the same; a relaxed EOS is masked in proportion."""
    ids = torch.tensor([[0, 2, EOS_ID, EOS_ID], [EOS_ID, EOS_ID, EOS_ID, EOS_ID], [2, 2, 0, 0]])
    relaxed = torch.nn.functional.one_hot(ids, SIZE).float()
    table = torch.randn(SIZE, 5, generator=seeded())
    torch.testing.assert_close(select(ids, table), select(relaxed, table))
    expected = torch.tensor([[1.0, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]])
    assert torch.equal(token_mask(ids, EOS_ID), expected)
    assert torch.equal(token_mask(relaxed, EOS_ID), expected)
    assert torch.equal(token_mask(ids, None), torch.ones(3, 4))
    half = torch.tensor([[[0.5, 0.5, 0], [0, 0.5, 0.5], [1, 0, 0]]])
    assert token_mask(half, EOS_ID).tolist() == [[1.0, 0.5, 0.5]]
