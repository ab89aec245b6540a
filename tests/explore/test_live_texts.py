"""Hand work on text models: the probabilities of a drawn sentence, other tokens, and the way between two sentences."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from gumbelzoo.explore import texts
from gumbelzoo.models import TextGAN, TextVAE
from gumbelzoo.vocabulary import EOS, UNKNOWN

WORDS = [EOS, UNKNOWN, "a", "man", "sits", "."]
GENERATOR = {"name": "lstm", "width": 4, "hidden": 6}


def make(tokens: list[str] = WORDS, kind: type = TextGAN, **arguments: Any) -> Any:
    """A model whose distributions are far from uniform."""
    vocabulary = {"tokens": tokens, "level": "word"}
    model = kind(vocabulary=vocabulary, max_length=6, generator=GENERATOR, test_samples=50, **arguments).eval()
    with torch.no_grad():
        model.generator.head.weight.mul_(8)
    return model


def make_vae(**arguments: Any) -> Any:
    latent = {"name": "categorical", "latents": 2, "categories": 3}
    return make(kind=TextVAE, latent=latent, encoder={"width": 4, "hidden": 4}, **arguments)


def test_probabilities_are_those_of_the_model() -> None:
    """Their product is the likelihood of the sentence, where no token is banned."""
    model = make([EOS, "a", "b", "c"])
    for seed in range(5):
        found = texts.write(model, seed=seed)
        tokens = torch.tensor([found.tokens])
        nats = model.generator.log_prob(tokens, torch.tensor([len(found.tokens)])).detach().sum()
        assert math.log(math.prod(place.drawn.probability for place in found.places)) == pytest.approx(
            float(nats), abs=1e-4
        )


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.6}])
def test_sentence_is_the_sample_of_the_seed(options: dict[str, Any]) -> None:
    """The same as ``sample`` draws, and alternatives add up to 1, without the unknown word."""
    model = make()
    found = texts.write(model, seed=3, **options)
    assert found.text == model.sample(1, generator=torch.Generator().manual_seed(3), **options)[0]
    for place in found.places:
        assert sum(other.probability for other in place.alternatives) == pytest.approx(1, abs=1e-5)
        assert UNKNOWN not in [other.text for other in place.alternatives]
        assert place.drawn.probability > 0


def test_prefix_begins_the_sentence() -> None:
    """Its tokens are given, the others drawn; the end is shown as one."""
    found = texts.write(make(), "a man", seed=1)
    assert found.text.startswith("a man")
    assert [place.given for place in found.places] == [True, True] + [False] * (len(found.places) - 2)
    assert {"(end)"} <= {other.text for place in found.places for other in place.alternatives}


def test_sentence_goes_on_from_another_token() -> None:
    """The prefix keeps what came before; an ended sentence has no continuation."""
    model = make()
    tokens = [2, 3, 4, 0]
    assert texts.continued(model, tokens, 2, 5) == "a man."
    assert texts.continued(model, tokens, 0, 4) == "sits"
    with pytest.raises(ValueError, match="a sentence that has ended cannot go on"):
        texts.continued(model, tokens, 1, 0)
    for place, token in ((4, 2), (-1, 2), (0, 6), (0, -1)):
        with pytest.raises(ValueError, match="no such place or token"):
            texts.continued(model, tokens, place, token)


def test_way_has_the_sentences_of_the_model() -> None:
    model = make_vae()
    found = texts.between(model, "a man sits", "man", 4)
    assert found == model.interpolate(["a man sits"], ["man"], 4)[0] and len(found) == 4
    assert texts.write(model, seed=2).text == model.sample(1, generator=torch.Generator().manual_seed(2))[0]


def test_class_of_a_conditional_model() -> None:
    """A class changes the probabilities; without one it is drawn."""
    model = make_vae(classes=2)
    one, other = (texts.write(model, seed=0, label=label).places[0].alternatives for label in (0, 1))
    assert one != other
    assert texts.write(model, seed=0).text == model.sample(1, generator=torch.Generator().manual_seed(0))[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [("a dog", "'dog' is not one of"), ("a " * 1001, "at most 2,000 characters"), ("a\nman", "one line of text")],
)
def test_impossible_text_raises(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        texts.write(make(), text)
    with pytest.raises(ValueError, match=said):
        texts.between(make_vae(), "a", text, 3)


def test_impossible_number_of_steps_raises() -> None:
    for steps in (1, 13):
        with pytest.raises(ValueError, match="between 2 and 12"):
            texts.between(make_vae(), "a", "man", steps)


def test_long_sentences_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of a stranger may have sentences of 65,536 tokens, and the probabilities of all would fill the memory."""
    monkeypatch.setattr(texts, "MAX_TOKENS", 3)
    model = make(["a", "b", "c"])
    assert len(texts.write(model, seed=1).tokens) == 3


def test_probabilities_follow_the_options() -> None:
    """Half the temperature squares the ratio of two; top-k leaves k."""
    model = make()
    one, sharp = (texts.write(model, temperature=heat).places[0].alternatives for heat in (1.0, 0.5))
    ratios = [found[0].probability / found[1].probability for found in (one, sharp)]
    assert ratios[1] == pytest.approx(ratios[0] ** 2, rel=1e-4)
    assert len(texts.write(model, top_k=2).places[0].alternatives) == 2
