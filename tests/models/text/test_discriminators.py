"""Discriminators: both forms of text, padding that does not matter, losses against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gumbelzoo.models.text.discriminators import DISCRIMINATORS, Discriminator
from gumbelzoo.models.text.gan_losses import LOSSES, gradient_penalty
from torch import Tensor

END, SIZE = 1, 5
networks = pytest.mark.parametrize("name", DISCRIMINATORS.names())


def make(name: str, end: int | None = END) -> Discriminator:
    torch.manual_seed(0)
    return DISCRIMINATORS[name](SIZE, 7, end)


def text() -> tuple[Tensor, Tensor]:
    """Sentences of 1 to 7 tokens, padded, and their lengths."""
    lengths = torch.arange(1, 8)
    words = torch.randint(2, SIZE, (7, 7), generator=torch.Generator().manual_seed(0))
    return words.masked_fill(torch.arange(7) >= lengths[:, None] - 1, END), lengths


def one_hot(codes: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(codes, SIZE).float()


@networks
@pytest.mark.parametrize("end", [None, END])
def test_codes_and_one_hot_points_score_alike(name: str, end: int | None) -> None:
    model, (codes, _) = make(name, end), text()
    scores = model(codes)
    assert scores.shape == (7,) and len(scores.unique()) == 7
    torch.testing.assert_close(model(one_hot(codes)), scores)


@networks
def test_what_is_behind_the_end_does_not_matter(name: str) -> None:
    model, (codes, lengths) = make(name), text()
    scores = model(codes)
    behind = torch.arange(7) >= lengths[:, None]
    junk = torch.where(behind, torch.randint(0, SIZE, codes.shape), codes)
    assert (junk != codes).any()
    torch.testing.assert_close(model(junk), scores)
    torch.testing.assert_close(model(one_hot(junk)), scores)
    wider = torch.nn.functional.pad(codes, (0, 4), value=END)
    torch.testing.assert_close(model(wider), scores)
    alone = torch.cat([model(row[:length][None]) for row, length in zip(codes, lengths.tolist(), strict=True)])
    torch.testing.assert_close(alone, scores)
    counted = torch.where(lengths[:, None] - 2 == torch.arange(7), (codes + 1) % SIZE, codes)  # the last word
    assert ((model(counted) - scores).abs() > 1e-6)[1:].all()


@networks
def test_without_an_end_every_place_counts(name: str) -> None:
    model, (codes, _) = make(name, None), text()
    for place in range(7):
        other = codes.clone()
        other[:, place] = (other[:, place] + 1) % SIZE
        assert (model(other) != model(codes)).all(), place


@networks
def test_gradients_reach_every_parameter_and_every_place_that_counts(name: str) -> None:
    model, (codes, lengths) = make(name), text()
    points = one_hot(codes).requires_grad_()
    model(points).square().sum().backward()
    for label, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, label
    slope = points.grad.abs().sum(-1)
    counts = torch.arange(7) < lengths[:, None]
    assert (slope[~counts] == 0).all() and slope.isfinite().all()
    if name == "recurrent":  # a maximum over time has no gradient for what it passes over
        assert (slope[counts] > 0).all()


@networks
def test_relaxed_text_counts_by_degrees(name: str) -> None:
    """Between a sentence that ends at once and one that goes on, with a gradient all the way."""
    model = make(name)
    on, over = one_hot(torch.tensor([[2, 3, 4]])), one_hot(torch.tensor([[2, END, END]]))
    shares = torch.linspace(0, 1, 11)[:, None, None]
    scores = model(torch.lerp(on, over, shares))
    torch.testing.assert_close(scores[[0, -1]], torch.cat([model(on), model(over)]))
    assert (scores.diff().abs() < 0.8 * (scores.max() - scores.min()) + 1e-6).all()


def test_packs_are_judged_together_whatever_their_order() -> None:
    torch.manual_seed(0)
    model, (codes, _) = DISCRIMINATORS["mlp"](SIZE, 7, END, pack=3), text()
    scores = model(codes)  # packs of 3, 3 and 1
    assert scores.shape == (7,) and [len(part.unique()) for part in scores.split(3)] == [1, 1, 1]
    torch.testing.assert_close(model(codes[[2, 0, 1, 4, 3, 5, 6]]), scores)
    other = codes.clone()
    other[1, 0] = 5 - other[1, 0]
    assert (model(other)[:3] != scores[:3]).all() and torch.equal(model(other)[3:], scores[3:])
    alone = DISCRIMINATORS["mlp"](SIZE, 7, END)
    alone.load_state_dict(model.state_dict())
    torch.testing.assert_close(alone(codes)[6], scores[6])
    repeated = codes[:1].expand(3, -1)
    torch.testing.assert_close(model(repeated), alone(repeated))


# -- losses -----------------------------------------------------------------------------------------------------------

REAL, FAKE = np.array([0.3, -1.2, 2.0]), np.array([-0.4, 0.9, -3.0])


def log_sigmoid(x: np.ndarray) -> np.ndarray:
    return -np.log1p(np.exp(-x))


EXPECTED = {
    "standard": (
        -(log_sigmoid(REAL).mean() + np.log(1 - 1 / (1 + np.exp(-FAKE))).mean()),
        -log_sigmoid(FAKE).mean(),
    ),
    "relativistic": (-log_sigmoid(REAL - FAKE).mean(), -log_sigmoid(FAKE - REAL).mean()),
    "hinge": (np.maximum(0, 1 - REAL).mean() + np.maximum(0, 1 + FAKE).mean(), -FAKE.mean()),
    "wasserstein": (FAKE.mean() - REAL.mean(), -FAKE.mean()),
}


@pytest.mark.parametrize("name", LOSSES.names())
def test_losses_against_numpy(name: str) -> None:
    loss, real, fake = LOSSES[name], torch.tensor(REAL), torch.tensor(FAKE)
    assert loss.discriminator(real, fake).item() == pytest.approx(EXPECTED[name][0])
    assert loss.generator(real, fake).item() == pytest.approx(EXPECTED[name][1])
    assert (loss.reward(fake, real).diff().sign() == fake.diff().sign()).all()
    assert (loss.penalty > 0) == (name == "wasserstein")


def test_the_penalty_is_made_without_cudnn() -> None:
    """Which has no second derivative of a recurrent layer; outside it is as it was."""
    seen = []
    gradient_penalty(lambda x: (seen.append(torch.backends.cudnn.enabled), x.sum((1, 2)))[1], *torch.rand(2, 4, 2, 2))
    assert seen == [False] and torch.backends.cudnn.enabled


def test_the_penalty_is_taken_between_real_and_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slope of half a square is the point itself."""
    real, fake = torch.rand(2, 5, 3, 4)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor(0.25))
    found = gradient_penalty(lambda x: x.square().sum((1, 2)) / 2, real, fake)
    between = 0.75 * real + 0.25 * fake
    assert found.item() == pytest.approx((between.flatten(1).norm(dim=1) - 1).square().mean().item(), rel=1e-5)


def test_the_penalty_of_a_linear_critic_is_known() -> None:
    weight = torch.tensor([[1.0, 2.0], [0.0, 2.0]])  # norm 3
    real, fake = torch.rand(4, 2, 2), torch.rand(4, 2, 2)
    assert gradient_penalty(lambda x: (x * weight).sum((1, 2)), real, fake).item() == pytest.approx(4.0, rel=1e-5)


@networks
def test_the_penalty_trains_every_weight(name: str) -> None:
    model, (codes, _) = make(name), text()
    gradient_penalty(model, one_hot(codes), torch.rand(7, 7, SIZE).softmax(-1)).backward()
    for label, parameter in model.named_parameters():
        if "bias" not in label:
            assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="must be >= 1"):
        DISCRIMINATORS["cnn"](SIZE, 7, None, windows=())
    with pytest.raises(ValueError, match="pack of a discriminator must be >= 1"):
        DISCRIMINATORS["mlp"](SIZE, 7, None, pack=0)
    with pytest.raises(ValueError, match="unknown discriminator: 'cn'; did you mean 'cnn'"):
        DISCRIMINATORS["cn"]
