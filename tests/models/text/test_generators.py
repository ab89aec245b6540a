"""Language models: likelihood by enumeration, and samples that follow it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.models.relaxed.truncation import truncate
from gumbelzoo.models.text.generators import GENERATORS, LanguageModel
from gumbelzoo.models.text.generators.base import length_mask
from gumbelzoo.models.text.relaxed_tokens import token_mask
from gumbelzoo.vocabulary import EOS, Vocabulary
from torch import Tensor

OPTIONS: dict[str, dict[str, Any]] = {
    "lstm": {"width": 3, "hidden": 4, "layers": 2, "dropout": 0.5},
    "transformer": {"width": 4, "depth": 2, "heads": 2, "dropout": 0.5},
}
EOS_ID = 1
WITH_EOS, WITHOUT_EOS = Vocabulary(["a", EOS, "b"]), Vocabulary(["a", "b", "c"])
SIZE, LENGTH = 3, 3
networks = pytest.mark.parametrize("name", GENERATORS.names())
vocabularies = pytest.mark.parametrize("vocabulary", [WITH_EOS, WITHOUT_EOS], ids=["with_eos", "without_eos"])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(name: str, vocabulary: Vocabulary = WITHOUT_EOS) -> LanguageModel:
    torch.manual_seed(0)
    model = GENERATORS.build({"name": name, **OPTIONS[name]}, vocabulary=vocabulary, max_length=LENGTH)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model.eval()


def sentences(eos_id: int | None) -> tuple[Tensor, Tensor]:
    """All possible sentences, and their lengths."""
    rows = torch.tensor(list(itertools.product(range(SIZE), repeat=LENGTH)))
    lengths = token_mask(rows, eos_id).sum(1).long()
    padded = rows.masked_fill(~length_mask(lengths, LENGTH), eos_id or 0)
    kept = (rows == padded).all(1)
    return rows[kept], lengths[kept]


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
@vocabularies
@torch.no_grad()
def test_samples_follow_the_likelihood(name: str, vocabulary: Vocabulary) -> None:
    """Probabilities of all sentences sum to 1, and samples have them."""
    model, (rows, lengths) = make(name, vocabulary), sentences(vocabulary.eos)
    probability = model.log_prob(rows, lengths).sum(1).exp()
    assert len(rows) == (27 if vocabulary.eos is None else 1 + 2 + 4 + 8)
    assert probability.sum().item() == pytest.approx(1, abs=1e-5)
    assert_law(model.sample(20_000, generator=seeded()), probability, rows)


@networks
@torch.no_grad()
def test_likelihood_of_16_bit_weights_is_float32(name: str) -> None:
    """In bfloat16 a nat has seven bits: held-out NLL had steps of 0.016 above 2 nats."""
    model, (rows, lengths) = make(name).to(torch.bfloat16), sentences(None)
    found, logits = model.log_prob(rows, lengths), model.logits(rows).double()
    expected = logits.log_softmax(-1).gather(-1, rows[..., None]).squeeze(-1).float()
    torch.testing.assert_close(found, expected)


@networks
@torch.no_grad()
def test_temperature_of_samples_and_likelihood(name: str) -> None:
    model, (rows, _) = make(name), sentences(None)
    probability = model.log_prob(rows, temperature=0.6).sum(1).exp()
    assert_law(model.sample(20_000, temperature=0.6, generator=seeded()), probability, rows)
    assert not torch.allclose(probability, model.log_prob(rows).sum(1).exp(), atol=0.01)
    for temperature in (0.0, math.inf):
        with pytest.raises(ValueError, match="temperature must be > 0 and finite"):
            model.log_prob(rows, temperature=temperature)


@networks
@torch.no_grad()
def test_steps_equal_teacher_forcing(name: str) -> None:
    model, (rows, _) = make(name), sentences(None)
    x, state = model.begin(len(rows))
    for position, logits in enumerate(model.logits(rows).unbind(1)):
        features, state = model.step(x, state)
        torch.testing.assert_close(model.head(features), logits, atol=1e-5, rtol=1e-4)
        x = model.embedding(rows[:, position])


@networks
@torch.no_grad()
def test_samples_continue_a_prefix(name: str) -> None:
    """Samples have the conditional distribution given a prefix, one for all or one each."""
    model, (rows, lengths) = make(name, WITH_EOS), sentences(EOS_ID)
    probability = model.log_prob(rows, lengths).sum(1).exp()
    drawn = model.sample(20_000, prefix=torch.tensor([2]), generator=seeded())
    matches = rows[:, 0] == 2
    assert_law(drawn, probability[matches] / probability[matches].sum(), rows[matches])
    each = torch.tensor([[0, 2], [2, 0], [0, EOS_ID], [2, 2]])
    drawn = model.sample(4, prefix=each)
    assert torch.equal(drawn[:, :2], each)
    assert drawn[2].tolist() == [0, EOS_ID, EOS_ID]
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
    kept = truncate(model.logits(drawn), top_p=0.5).isfinite()
    assert kept.gather(-1, drawn[..., None]).all() and not kept.all()
    assert model.sample(2, max_length=2).shape == (2, 2)


@networks
def test_dropout_is_for_teacher_forcing_only(name: str) -> None:
    model, (rows, _) = make(name), sentences(None)
    without = model.log_prob(rows)
    model.train()
    assert not torch.allclose(model.log_prob(rows), without)
    layer = RelaxedCategorical("straight_through")
    drawn = [model.sample(9, generator=seeded()), model.rollout(9, layer, generator=seeded())]
    assert model.training and all(module.training for module in model.modules())
    model.eval()
    assert torch.equal(drawn[0], model.sample(9, generator=seeded()))
    assert torch.equal(drawn[1], model.rollout(9, layer, generator=seeded()))


def test_generator_mistakes_name_the_fix() -> None:
    with pytest.raises(ValueError, match="unknown feedback: 'sft'; did you mean 'soft'"):
        make("lstm").rollout(2, RelaxedCategorical(), "sft")
    with pytest.raises(ValueError, match="has no pathwise gradient"):
        make("lstm").rollout(2, RelaxedCategorical("reinforce"))
    with pytest.raises(ValueError, match="layers must be a whole number >= 1"):
        GENERATORS.build({"name": "lstm", "layers": 0}, vocabulary=WITHOUT_EOS, max_length=3)
    with pytest.raises(ValueError, match="unknown argument of generator 'lstm': 'max_length'; known: dropout, hidden"):
        GENERATORS.read({"name": "lstm", "max_length": 3})
