"""Discriminators of ids and relaxed tokens, padding, packs; GAN losses against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gumbelzoo.models.text.discriminators import DISCRIMINATORS, Discriminator
from gumbelzoo.models.text.gan_losses import LOSSES, gradient_penalty
from gumbelzoo.vocabulary import EOS, Vocabulary
from torch import Tensor

EOS_ID, SIZE = 1, 5
WITH_EOS, WITHOUT_EOS = Vocabulary(["a", EOS, "b", "c", "d"]), Vocabulary(["a", "b", "c", "d", "e"])
networks = pytest.mark.parametrize("name", DISCRIMINATORS.names())


def make(name: str, vocabulary: Vocabulary = WITH_EOS, **options: object) -> Discriminator:
    torch.manual_seed(0)
    return DISCRIMINATORS.build({"name": name, **options}, vocabulary=vocabulary, max_length=7)


def text() -> tuple[Tensor, Tensor]:
    """Sentences of 1 to 7 tokens, padded, and their lengths."""
    lengths = torch.arange(1, 8)
    words = torch.randint(2, SIZE, (7, 7), generator=torch.Generator().manual_seed(0))
    return words.masked_fill(torch.arange(7) >= lengths[:, None] - 1, EOS_ID), lengths


def one_hot(ids: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(ids, SIZE).float()


@networks
@pytest.mark.parametrize("vocabulary", [WITH_EOS, WITHOUT_EOS], ids=["with_eos", "without_eos"])
def test_ids_and_one_hot_tokens_score_alike(name: str, vocabulary: Vocabulary) -> None:
    model, (ids, _) = make(name, vocabulary), text()
    scores = model(ids)
    assert scores.shape == (7,) and len(scores.unique()) == 7
    torch.testing.assert_close(model(one_hot(ids)), scores)


@networks
def test_scores_ignore_padding(name: str) -> None:
    """Neither tokens after EOS nor the width of the batch count; the last word does."""
    model, (ids, lengths) = make(name), text()
    scores = model(ids)
    padding = torch.arange(7) >= lengths[:, None]
    junk = torch.where(padding, torch.randint(0, SIZE, ids.shape), ids)
    assert (junk != ids).any()
    torch.testing.assert_close(model(junk), scores)
    torch.testing.assert_close(model(one_hot(junk)), scores)
    wider = torch.nn.functional.pad(ids, (0, 4), value=EOS_ID)
    torch.testing.assert_close(model(wider), scores)
    alone = torch.cat([model(row[:length][None]) for row, length in zip(ids, lengths.tolist(), strict=True)])
    torch.testing.assert_close(alone, scores)
    counted = torch.where(lengths[:, None] - 2 == torch.arange(7), (ids + 1) % SIZE, ids)  # the last word
    assert ((model(counted) - scores).abs() > 1e-6)[1:].all()


@networks
def test_without_eos_every_position_counts(name: str) -> None:
    model, (ids, _) = make(name, WITHOUT_EOS), text()
    for position in range(7):
        other = ids.clone()
        other[:, position] = (other[:, position] + 1) % SIZE
        assert (model(other) != model(ids)).all(), position


@networks
def test_every_discriminator_weight_gets_gradient(name: str) -> None:
    """Gradients reach every parameter, and positions up to EOS only."""
    model, (ids, lengths) = make(name), text()
    relaxed = one_hot(ids).requires_grad_()
    model(relaxed).square().sum().backward()
    for label, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, label
    grad = relaxed.grad.abs().sum(-1)
    counts = torch.arange(7) < lengths[:, None]
    assert (grad[~counts] == 0).all() and grad.isfinite().all()
    if name == "recurrent":  # max pooling gives no gradient to other positions
        assert (grad[counts] > 0).all()


@networks
def test_scores_are_continuous_in_eos_mass(name: str) -> None:
    """No jump on the line from a sentence that goes on to one that ends at once."""
    model = make(name)
    on, over = one_hot(torch.tensor([[2, 3, 4]])), one_hot(torch.tensor([[2, EOS_ID, EOS_ID]]))
    shares = torch.linspace(0, 1, 11)[:, None, None]
    scores = model(torch.lerp(on, over, shares))
    torch.testing.assert_close(scores[[0, -1]], torch.cat([model(on), model(over)]))
    assert (scores.diff().abs() < 0.8 * (scores.max() - scores.min()) + 1e-6).all()


def test_packs_share_one_score() -> None:
    """Every sentence of a pack has the pack's score, which does not depend on the order."""
    model, (ids, _) = make("mlp", pack=3), text()
    scores = model(ids)  # packs of 3, 3 and 1
    assert scores.shape == (7,) and [len(part.unique()) for part in scores.split(3)] == [1, 1, 1]
    torch.testing.assert_close(model(ids[[2, 0, 1, 4, 3, 5, 6]]), scores)
    other = ids.clone()
    other[1, 0] = 5 - other[1, 0]
    assert (model(other)[:3] != scores[:3]).all() and torch.equal(model(other)[3:], scores[3:])
    alone = make("mlp")
    alone.load_state_dict(model.state_dict())
    torch.testing.assert_close(alone(ids)[6], scores[6])
    repeated = ids[:1].expand(3, -1)
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


def test_gradient_penalty_runs_without_cudnn() -> None:
    """cuDNN has no second derivative of recurrent layers; its setting is restored."""
    seen = []
    gradient_penalty(lambda x: (seen.append(torch.backends.cudnn.enabled), x.sum((1, 2)))[1], *torch.rand(2, 4, 2, 2))
    assert seen == [False] and torch.backends.cudnn.enabled


def test_gradient_penalty_at_interpolated_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of half a square is the interpolated point itself."""
    real, fake = torch.rand(2, 5, 3, 4)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor(0.25))
    found = gradient_penalty(lambda x: x.square().sum((1, 2)) / 2, real, fake)
    between = 0.75 * real + 0.25 * fake
    assert found.item() == pytest.approx((between.flatten(1).norm(dim=1) - 1).square().mean().item(), rel=1e-5)


def test_gradient_penalty_of_linear_score() -> None:
    weight = torch.tensor([[1.0, 2.0], [0.0, 2.0]])  # norm 3
    real, fake = torch.rand(4, 2, 2), torch.rand(4, 2, 2)
    assert gradient_penalty(lambda x: (x * weight).sum((1, 2)), real, fake).item() == pytest.approx(4.0, rel=1e-5)


@networks
def test_gradient_penalty_reaches_every_weight(name: str) -> None:
    model, (ids, _) = make(name), text()
    gradient_penalty(model, one_hot(ids), torch.rand(7, 7, SIZE).softmax(-1)).backward()
    for label, parameter in model.named_parameters():
        if "bias" not in label:
            assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0


def test_discriminator_mistakes_name_the_fix() -> None:
    with pytest.raises(ValueError, match="windows must have a kernel size"):
        make("cnn", windows=())
    with pytest.raises(ValueError, match="pack must be a whole number >= 1"):
        make("mlp", pack=0)
    with pytest.raises(ValueError, match="unknown discriminator: 'cn'; did you mean 'cnn'"):
        make("cn")
    with pytest.raises(ValueError, match="unknown argument of discriminator 'mlp': 'vocabulary'"):
        DISCRIMINATORS.read({"name": "mlp", "vocabulary": WITH_EOS})
