"""Hand work on models that choose: slates, places of a source, what a classifier sees."""

from __future__ import annotations

import pytest
import torch
from gumbelzoo.explore import choices
from gumbelzoo.interfaces import Cells
from gumbelzoo.models import AttentionSeq2Seq, Classifier, FrequencyGate, GlimpseClassifier, SlateAgent
from gumbelzoo.vocabulary import EOS, Vocabulary


@pytest.fixture
def agent() -> SlateAgent:
    """Slates of three of five items."""
    agent = SlateAgent(items=5, slots=3, user_width=4, hidden=8).eval()
    with torch.no_grad():
        agent.network.head.weight.mul_(4)
    return agent


def test_slate_is_the_recommended_one(agent: SlateAgent) -> None:
    """With its probabilities: no item twice, and each the most probable of those that are left."""
    user = torch.randn(4)
    found = choices.slate(agent, user)
    assert [slot.item for slot in found] == agent.recommend(user[None])[0].tolist()
    for number, slot in enumerate(found):
        assert slot.probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert slot.item == slot.probabilities.argmax()
        assert all(slot.probabilities[other.item] == 0 for other in found[:number])


def test_chosen_item_changes_later_slots(agent: SlateAgent) -> None:
    """The first slot's probabilities stay; the later ones are given the chosen item."""
    user = torch.randn(4)
    best = choices.slate(agent, user)
    other = (best[0].item + 1) % 5
    found = choices.slate(agent, user, [other, None, None])
    assert found[0].item == other and found[0].probabilities.equal(best[0].probabilities)
    assert found[1].probabilities[other] == 0 and not found[1].probabilities.equal(best[1].probabilities)


@pytest.mark.parametrize(
    ("chosen", "said"), [([2, 2], "item 2 is in an earlier slot"), ([5], "items go from 0 to 4"), ([-1], "go from 0")]
)
def test_impossible_slate_raises(agent: SlateAgent, chosen: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        choices.slate(agent, torch.randn(4), chosen)


def test_translation_of_a_typed_source() -> None:
    """Its text is that of ``translate``; a source that cannot be is refused with a sentence."""
    letters = Vocabulary([EOS, "a", "b"], level="character")
    model = AttentionSeq2Seq(letters, letters, max_lengths=(5, 6), width=8).eval()
    source = choices.read_source(model, "abb")
    assert source.tolist() == [[1, 2, 2, 0]]
    found = choices.translate(model, source)
    assert found.text == letters.decode(model.translate(source)[0]) and found.picture.shape[0] == 3
    for text, said in (("", "1 to 4 tokens, got 0"), ("ababa", "1 to 4 tokens, got 5"), ("abc", "'c' is not one of")):
        with pytest.raises(ValueError, match=said):
            choices.read_source(model, text)


def test_translation_of_a_picture() -> None:
    """Its text is that of ``translate``, and a step's picture has the cells of the source below its weights."""
    letters, cells = Vocabulary([EOS, "a", "b"], level="character"), Cells(2, 3, 6, 5)
    model = AttentionSeq2Seq(cells, letters, max_lengths=(7, 4), width=8, encoder="cells").eval()
    source = torch.randint(256, (1, *cells.shape), dtype=torch.uint8)
    found = choices.translate(model, source)
    assert found.text == letters.decode(model.translate(source)[0])
    assert found.picture.shape[0] == 3 and found.picture.isfinite().all()
    other = choices.translate(model, source.flip(0, 1))
    assert not other.picture.equal(found.picture)


def test_views_of_those_that_have_some() -> None:
    """A classifier that sees the whole image has none; gates are counted."""
    image = torch.rand(1, 1, 8, 8)
    gates = FrequencyGate((1, 8, 8), block=4, widths=(4,), gates={"name": "exactly_k", "k": 4}, cost="none").eval()
    glimpses = GlimpseClassifier((1, 8, 8), glimpses=2, grid=3, window=4, scales=1, hidden=8).eval()
    plain = Classifier((1, 8, 8), classes=3, widths=(4,), features=4).eval()
    pictures = [choices.views_picture(model, image) for model in (gates, glimpses, plain)]
    assert [picture is None for picture in pictures] == [False, False, True]
    assert [choices.open_share(model, image) for model in (gates, glimpses, plain)] == [(4, 16), None, None]
