"""Generators of text: their likelihood by enumeration, their samples against it, and roll-outs with a gradient."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.models.relaxed.truncation import truncate
from gumbelzoo.models.text.generators import lstm as lstm_generator  # noqa: F401  (importing registers)
from gumbelzoo.models.text.generators.base import FEEDBACKS, GENERATORS, Generator, places
from gumbelzoo.models.text.relaxed_tokens import embed, embed_one_hot, presence
from torch import Tensor

OPTIONS: dict[str, dict[str, Any]] = {
    "lstm": {"width": 3, "hidden": 4, "layers": 2, "dropout": 0.5},
    "transformer": {"width": 4, "depth": 2, "heads": 2, "dropout": 0.5},
}
END = 1
SIZE, LENGTH = 3, 3
networks = pytest.mark.parametrize("name", GENERATORS.names())
with_and_without_end = pytest.mark.parametrize("end", [None, END])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(name: str, end: int | None = None, length: int = LENGTH) -> Generator:
    torch.manual_seed(0)
    model = GENERATORS[name](SIZE, length, end, **OPTIONS[name])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model.eval()


def sentences(end: int | None, length: int = LENGTH) -> tuple[Tensor, Tensor]:
    """Everything that can be written, and how many tokens of it count."""
    rows = torch.tensor(list(itertools.product(range(SIZE), repeat=length)))
    counted = presence(rows, end).sum(1).long()
    padded = rows.masked_fill(~places(counted, length), end or 0)
    kept = (rows == padded).all(1)
    return rows[kept], counted[kept]


def assert_law(samples: Tensor, probability: Tensor, rows: Tensor) -> None:
    """Chi-square of the samples' frequencies, within four standard deviations."""
    match = (samples[:, None] == rows).all(2)  # n rows
    assert match.any(1).all()
    expected = probability * len(samples)
    assert expected.sum().item() == pytest.approx(len(samples), rel=1e-4)
    statistic = ((match.sum(0) - expected).square() / expected).sum().item()
    degrees = len(rows) - 1
    assert statistic < degrees + 4 * (2 * degrees) ** 0.5


@networks
@with_and_without_end
@torch.no_grad()
def test_probabilities_sum_to_one_and_samples_follow_them(name: str, end: int | None) -> None:
    model, (rows, counted) = make(name, end), sentences(end)
    probability = model.log_prob(rows, counted).sum(1).exp()
    assert len(rows) == (27 if end is None else 1 + 2 + 4 + 8)
    assert probability.sum().item() == pytest.approx(1, abs=1e-5)
    assert_law(model.sample(20_000, generator=seeded()), probability, rows)


@networks
@torch.no_grad()
def test_the_temperature_of_samples_is_that_of_the_likelihood(name: str) -> None:
    model, (rows, _) = make(name), sentences(None)
    probability = model.log_prob(rows, temperature=0.6).sum(1).exp()
    assert_law(model.sample(20_000, temperature=0.6, generator=seeded()), probability, rows)
    assert not torch.allclose(probability, model.log_prob(rows).sum(1).exp(), atol=0.01)


@networks
@torch.no_grad()
def test_one_token_at_a_time_is_teacher_forcing(name: str) -> None:
    model, (rows, _) = make(name), sentences(None)
    x, state = model.begin(len(rows))
    for place, logits in enumerate(model.logits(rows).unbind(1)):
        features, state = model.step(x, state)
        torch.testing.assert_close(model.head(features), logits, atol=1e-5, rtol=1e-4)
        x = model.embedding(rows[:, place])


@networks
@torch.no_grad()
def test_a_prefix_is_kept_and_gone_on_from(name: str) -> None:
    model, (rows, counted) = make(name, END), sentences(END)
    probability = model.log_prob(rows, counted).sum(1).exp()
    drawn = model.sample(20_000, prefix=torch.tensor([2]), generator=seeded())
    begun = rows[:, 0] == 2
    assert_law(drawn, probability[begun] / probability[begun].sum(), rows[begun])
    each = torch.tensor([[0, 2], [2, 0], [0, END], [2, 2]])
    drawn = model.sample(4, prefix=each)
    assert torch.equal(drawn[:, :2], each)
    assert drawn[2].tolist() == [0, END, END]
    with pytest.raises(ValueError, match="a prefix of 4 tokens for 1 samples does not fit 1 samples of 3"):
        model.sample(1, prefix=torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="a prefix of 2 tokens for 4 samples does not fit 5"):
        model.sample(5, prefix=each)


@networks
@torch.no_grad()
def test_truncated_samples(name: str) -> None:
    model = make(name)
    greedy = model.sample(20, top_k=1)
    assert torch.equal(greedy, greedy[:1].expand_as(greedy))
    assert torch.equal(model.logits(greedy[:1]).argmax(-1), greedy[:1])
    drawn = model.sample(500, top_p=0.5, generator=seeded())
    allowed = truncate(model.logits(drawn), top_p=0.5).isfinite()
    assert allowed.gather(-1, drawn[..., None]).all() and not allowed.all()
    assert model.sample(2, length=2).shape == (2, 2)


@networks
def test_dropout_is_for_teacher_forcing_alone(name: str) -> None:
    model, (rows, _) = make(name), sentences(None)
    calm = model.log_prob(rows)
    model.train()
    assert not torch.allclose(model.log_prob(rows), calm)
    layer = RelaxedCategorical("straight_through")
    drawn = [model.sample(9, generator=seeded()), model.rollout(9, layer, generator=seeded())]
    assert model.training and all(module.training for module in model.modules())
    model.eval()
    assert torch.equal(drawn[0], model.sample(9, generator=seeded()))
    assert torch.equal(drawn[1], model.rollout(9, layer, generator=seeded()))


# -- roll-outs --------------------------------------------------------------------------------------------------------


@networks
@with_and_without_end
@pytest.mark.parametrize("feedback", FEEDBACKS.names())
@pytest.mark.parametrize("estimator", ["gumbel_softmax", "straight_through_gumbel_softmax", "reinmax"])
def test_rollouts_are_points_and_hard_ones_follow_the_law(
    name: str, end: int | None, feedback: str, estimator: str
) -> None:
    model, layer = make(name, end), RelaxedCategorical(estimator)
    points = model.rollout(3000, layer, feedback, generator=seeded())
    assert points.shape == (3000, LENGTH, SIZE)
    torch.testing.assert_close(points.sum(-1), torch.ones(3000, LENGTH))
    if layer.estimator.exact_value:
        assert set(points.unique().tolist()) == {0.0, 1.0}
        rows, counted = sentences(end)
        assert_law(points.argmax(-1), model.log_prob(rows, counted).sum(1).exp().detach(), rows)
    points.square().mul(torch.randn(LENGTH, SIZE, generator=seeded())).sum().backward()
    for label, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, label


@networks
@with_and_without_end
@pytest.mark.parametrize("estimator", ["gumbel_softmax", "straight_through_gumbel_softmax"])
@pytest.mark.parametrize("feedback", FEEDBACKS.names())
def test_the_feedback_says_whether_a_later_cost_reaches_an_earlier_token(
    name: str, end: int | None, estimator: str, feedback: str
) -> None:
    """Pitfall 27: a fed-back token that cuts the gradient silently."""
    model, layer, seen = make(name, end), RelaxedCategorical(estimator), []
    layer.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    points = model.rollout(50, layer, feedback, generator=seeded())
    weight = torch.randn(SIZE, generator=seeded())
    first, last = torch.autograd.grad((points[:, -1] * weight).sum(), [seen[0], seen[-1]])
    assert last.abs().sum() > 0
    if feedback == "detached":
        assert not first.any()
    else:
        assert first.any()


@networks
def test_what_is_fed_back(name: str) -> None:
    """A relaxed sample, or its one-hot; where the sample is one-hot already the difference is none."""
    model, fed = make(name), []
    step = model.step
    model.step = lambda x, state: (fed.append(x), step(x, state))[1]  # type: ignore[func-returns-value, method-assign]
    table = model.embedding.weight[:-1]
    for feedback in FEEDBACKS.names():
        fed.clear()
        points = model.rollout(20, RelaxedCategorical(), feedback, generator=seeded())
        expected = points[:, 0] if feedback == "soft" else points[:, 0].argmax(-1)
        torch.testing.assert_close(fed[1], embed(expected, table))
    hard = RelaxedCategorical("straight_through_gumbel_softmax")
    results = []
    for feedback in ("soft", "straight_through"):
        model.zero_grad()
        model.rollout(20, hard, feedback, generator=seeded())[:, -1, 0].sum().backward()
        results.append(model.head.weight.grad.clone())
    torch.testing.assert_close(results[0], results[1])


@networks
def test_the_gradient_of_a_linear_cost_is_exact_place_by_place(name: str) -> None:
    """Plain straight-through at temperature 1 has no bias for a linear cost; detached, every token is on its own."""
    model, layer = make(name, length=2), RelaxedCategorical("straight_through")
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


def test_relaxed_sentences_end_by_degrees() -> None:
    """What a relaxed sample is of the end, the tokens behind it are as well; a hard one ends at once."""
    model = make("lstm", END)
    points = model.rollout(200, RelaxedCategorical(temperature=2.0), "soft", generator=seeded())
    mass = points[..., END]
    assert (mass[:, 1:] >= mass[:, :-1] - 1e-6).all()
    fed = model.rollout(200, RelaxedCategorical(temperature=2.0), "straight_through", generator=seeded())
    ended = fed[:, 0].argmax(-1) == END
    assert ended.any() and torch.equal(fed[ended, 1:, END], torch.ones(int(ended.sum()), LENGTH - 1))


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="unknown feedback: 'sft'; did you mean 'soft'"):
        make("lstm").rollout(2, RelaxedCategorical(), "sft")
    with pytest.raises(ValueError, match="has no pathwise gradient"):
        make("lstm").rollout(2, RelaxedCategorical("reinforce"))
    with pytest.raises(ValueError, match="layers must be >= 1"):
        GENERATORS["lstm"](3, 3, layers=0)


# -- both forms of a token --------------------------------------------------------------------------------------------


def test_codes_and_one_hot_points_are_the_same_text() -> None:
    codes = torch.tensor([[0, 2, END, END], [END, END, END, END], [2, 2, 0, 0]])
    points = torch.nn.functional.one_hot(codes, SIZE).float()
    table = torch.randn(SIZE, 5, generator=seeded())
    torch.testing.assert_close(embed(codes, table), embed(points, table))
    expected = torch.tensor([[1.0, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]])
    assert torch.equal(presence(codes, END), expected)
    assert torch.equal(presence(points, END), expected)
    assert torch.equal(presence(codes, None), torch.ones(3, 4))
    slopes = []
    for look_up in (embed, embed_one_hot):
        inputs = points.clone().requires_grad_(), table.clone().requires_grad_()
        look_up(*inputs).square().sum().backward()
        slopes.append([x.grad for x in inputs])
    torch.testing.assert_close(slopes[0], slopes[1])
    half = torch.tensor([[[0.5, 0.5, 0], [0, 0.5, 0.5], [1, 0, 0]]])
    assert presence(half, END).tolist() == [[1.0, 0.5, 0.5]]  # of which one half has ended, and goes on with ends


def test_a_share_that_has_ended_is_counted_once() -> None:
    """1 - x[end] of a soft roll-out is the product of 1 - end over its own tokens, before what has ended is put in."""
    raw: list[Tensor] = []
    layer = RelaxedCategorical("gumbel_softmax", 2.0)
    layer.register_forward_hook(lambda _, __, point: raw.append(point.detach()))
    points = make("lstm", END, 6).rollout(50, layer, "soft", seeded()).detach()
    going = torch.stack([1 - point[:, END] for point in raw], 1).cumprod(1)
    torch.testing.assert_close(1 - points[..., END], going)
    torch.testing.assert_close(presence(points, END)[:, 1:], going[:, :-1])


@pytest.mark.parametrize("length", [3, 12])
def test_the_gradient_of_an_end_is_the_exact_one(length: int) -> None:
    """Tokens that depend on nothing, and a cost that is linear in each of them: there straight-through is unbiased."""
    generator = make("lstm", END, length)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.zero_()
        generator.head.bias[END] = -2.0
    logits = generator.head.bias.detach().clone().requires_grad_()
    points = generator.rollout(20_000, RelaxedCategorical("straight_through", 1.0), "straight_through", seeded())
    (slope,) = torch.autograd.grad(points[:, -1, END].mean(), generator.head.bias)
    (exact,) = torch.autograd.grad(1 - (1 - logits.softmax(-1)[END]) ** length, logits)
    torch.testing.assert_close(slope, exact, rtol=0.1, atol=0.01)


def test_a_roll_out_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        points = make("lstm", END, 6).rollout(5, RelaxedCategorical(), "soft", seeded())
    assert points.isfinite().all()
