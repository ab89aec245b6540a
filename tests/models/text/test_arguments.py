"""Arguments of text GANs: mistakes raise before data are read, and a trained model is a start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.models.text.arguments import Pretraining, check_spec
from gumbelzoo.models.text.generators import GENERATORS
from gumbelzoo.models.text.objectives import OBJECTIVES, Adversary
from gumbelzoo.models.text.text_gan import TextGAN
from gumbelzoo.models.text.text_vae import TextVAE
from gumbelzoo.vocabulary import EOS, Vocabulary
from torch import Tensor

Make = Callable[..., TextGAN]
Batch = Callable[..., dict[str, Tensor]]
WORDS = Vocabulary([EOS, "<unk>", "a", "man", "sits", "."])
TEXT: dict[str, Any] = {"vocabulary": WORDS.config(), "max_length": 5}


def gan(objective: str, options: dict[str, Any] | None = None, **adversary: Any) -> dict[str, Any]:
    return {"objective": {"name": objective, **(options or {}), "adversary": adversary}}


UNBUILT = [
    ({"objective": "mel"}, "unknown objective: 'mel'; did you mean 'mle'"),
    ({"generator": "lstn"}, "did you mean 'lstm'"),
    ({"generator": {"name": "lstm", "hiden": 3}}, "did you mean 'hidden'"),
    ({"generator": {"hidden": 3}}, "generator must be a name or"),
    (gan("gumbel", discriminator={"name": "cnn", "widht": 3}), "did you mean 'width'"),
    (gan("gumbel", discriminator="cn"), "did you mean 'cnn'"),
    (gan("gumbel", loss="hing"), "did you mean 'hinge'"),
    (gan("gumbel", lose="hinge"), "unknown argument of adversary: 'lose'; did you mean 'loss'"),
    (gan("seqgan", reward="constan"), "did you mean 'constant'"),
    (gan("seqgan", steps=0), "adversary.steps must be a whole number >= 1"),
    (gan("seqgan", learning_rate=0.0), "adversary.learning_rate must be > 0"),
    (gan("seqgan", {"rollout": 2}), "did you mean 'rollouts'"),
    (gan("seqgan", {"baseline": "lerned"}), "did you mean 'learned'"),
    (gan("gumbel", {"estimator": {"name": "gumbel_raw"}}), "did you mean 'gumbel_rao'"),
    (gan("gumbel", {"estimator": {"name": "gumbel_rao", "sample": 3}}), "did you mean 'samples'"),
    (gan("gumbel", {"temperature": {"name": "linear", "inital": 3.0}}), "did you mean 'initial'"),
    ({"objective": {"name": "mle", "adversary": {}}}, "unknown argument of objective 'mle': 'adversary'"),
    ({"generator": {"name": "lstm", "vocabulary": 3}}, "argument of generator 'lstm': 'vocabulary'; known: dropout"),
    (gan("gumbel", discriminator={"name": "cnn", "max_length": 3}), "argument of discriminator 'cnn': 'max_length'"),
    ({"pretraining": {"step": 3}}, "unknown argument of pretraining: 'step'; did you mean 'steps'"),
    ({"pretraining": {"discriminator_steps": 2}}, "a part of pretraining.steps, got 2 of 0"),
    ({"pretraining": {"steps": -1}}, "pretraining.steps must be a whole number >= 0"),
    ({"pretraining": {"learning_rate": 0.0}}, "pretraining.learning_rate must be > 0"),
    ({"optimizer": {"learning_rat": 0.1}}, "did you mean 'learning_rate'"),
    ({"clip": -1.0}, "clip must be finite and >= 0"),
    ({"reverse_steps": -1}, "reverse_steps must be a whole number >= 0"),
    ({"test_samples": 1}, "test_samples must be a whole number >= 2"),
    ({"max_length": 3}, "vocabulary and max_length come together"),
]
BUILT = [
    (gan("gumbel", {"feedback": "sotf"}), "did you mean 'soft'"),
    (gan("gumbel", {"estimator": "reinforce"}), "no pathwise gradient for objective 'gumbel'"),
    (gan("seqgan", {"rollouts": 0}), "rollouts must be a whole number >= 1"),
    (gan("seqgan", {"baseline": "learned"}), "the baseline 'learned' needs logits"),
    (gan("seqgan", discriminator={"name": "mlp", "pack": 2}), "use a discriminator with pack=1"),
    ({"objective": {"name": "scheduled_sampling", "steps": 0}}, "scheduled_sampling must be a whole number >= 1"),
    ({"generator": {"name": "transformer", "depth": 0}}, "depth must be a whole number >= 1"),
    ({"generator": {"name": "transformer", "heads": 0}}, "heads must be a whole number >= 1"),
    ({"vocabulary": {"words": []}}, "vocabulary must have 'tokens'"),
    ({"vocabulary": {}}, "vocabulary must have 'tokens'"),
    ({"vocabulary": {"tokens": ["a"]}}, "2 tokens or more"),
    ({"max_length": 0}, "max_length must be a whole number >= 1"),
    ({"max_length": 65_537}, "max_length must be at most 65536"),
]


@pytest.mark.parametrize(("arguments", "message"), UNBUILT, ids=str)
def test_mistakes_without_data(arguments: dict[str, Any], message: str) -> None:
    """Names at every depth are checked before the vocabulary is known, in one line."""
    with pytest.raises(ValueError, match=message) as caught:
        TextGAN(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("arguments", "message"), BUILT, ids=str)
def test_mistakes_with_a_vocabulary(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        TextGAN(**{**TEXT, **arguments})
    assert "\n" not in str(caught.value)


def test_nothing_is_built_without_vocabulary() -> None:
    """No stand-in network: no weights, and no random numbers are drawn."""
    state = torch.get_rng_state()
    model = TextGAN(**gan("seqgan"))
    assert not list(model.parameters()) and not model.state_dict()
    assert torch.equal(torch.get_rng_state(), state)


def test_groups_of_options_as_objects(make: Make) -> None:
    """A dataclass and its mapping are the same argument; so are a vocabulary and its configuration."""
    objects = {"pretraining": Pretraining(steps=3), "vocabulary": WORDS}
    options = {"name": "gumbel", "adversary": Adversary(loss="hinge")}
    check_spec(OBJECTIVES, options)
    model = TextGAN(max_length=5, objective=options, **objects)
    assert model.config()["objective"]["adversary"]["loss"] == model.objective.adversary.loss == "hinge"
    assert TextGAN(**model.config()).config() == model.config()
    assert make(pretraining=Pretraining(steps=3)).pretraining == make(pretraining={"steps": 3}).pretraining


# -- a trained model as a start ---------------------------------------------------------------------------------------


def test_init_from_a_trained_model(tmp_path: Path, make: Make, batch: Batch) -> None:
    """Generator, vocabulary, length and weights come along, and the release is self-contained."""
    trained = make(generator={"name": "lstm", "width": 3, "hidden": 7})
    model = TextGAN(init_from=trained, **gan("gumbel", discriminator={"name": "cnn", "width": 4}))
    tokens = batch()["tokens"]
    assert torch.equal(model.generator.log_prob(tokens), trained.generator.log_prob(tokens))
    assert model.vocabulary == WORDS and model.max_length == 5
    assert model.generator is not trained.generator
    assert "init_from" not in model.config() and model.config()["generator"] == trained.config()["generator"]
    again = gumbelzoo.load(gumbelzoo.save_pretrained(model, tmp_path / "gan"))
    assert torch.equal(again.generator.log_prob(tokens), trained.generator.log_prob(tokens))


@pytest.mark.parametrize("generator", GENERATORS.names())
def test_resolve_loads_init_from(generator: str, tmp_path: Path, make: Make) -> None:
    """The command line replaces the name by the model; other arguments stay."""
    name = str(gumbelzoo.save_pretrained(make(generator=generator), tmp_path / "mle"))
    arguments = TextGAN.resolve({"init_from": name, "clip": 3.0}, gumbelzoo.load)
    model = TextGAN(**arguments)
    assert model.clip == 3.0 and model.generator_spec == generator
    assert TextGAN.resolve({"clip": 3.0}, gumbelzoo.load) == {"clip": 3.0}
    assert TextGAN.resolve({"init_from": model}, gumbelzoo.load)["init_from"] is model


def test_init_from_mistakes_name_the_fix(make: Make) -> None:
    trained, image_model = make(generator="lstm"), gumbelzoo.create_model("gaussian_vae", image_shape=[1, 8, 8])
    for name, own, other in (("generator", "lstm", "transformer"), ("max_length", 5, 9)):
        with pytest.raises(ValueError, match=f"the {name} {own}, and {other} is asked for; leave out") as caught:
            TextGAN(init_from=trained, **{name: other})
        assert "\n" not in str(caught.value)
        assert TextGAN(init_from=trained, **{name: own}).config()[name] == own
    assert TextGAN(init_from=trained, vocabulary=WORDS.config()).vocabulary == WORDS
    with pytest.raises(ValueError, match="brings another vocabulary; leave out vocabulary"):
        TextGAN(init_from=trained, vocabulary={"tokens": ["a", "b"]})
    with pytest.raises(ValueError, match="init_from must be a trained text model, got a gaussian_vae"):
        make(init_from=image_model)
    latents = TextVAE(vocabulary=WORDS, max_length=5)
    with pytest.raises(ValueError, match="is a text_vae, whose generator needs latents; start from a text_gan"):
        TextGAN(init_from=latents)
    with pytest.raises(ValueError, match=r"got the text 'textgan-names'; use init_from=load\('textgan-names'\)"):
        TextGAN(init_from="textgan-names")
    with pytest.raises(ValueError, match="has no vocabulary yet"):
        TextGAN(init_from=TextGAN())


def test_start_of_another_text_names_the_way() -> None:
    """A GAN on one's own text needs a likelihood model of that text, not the data of the released start."""
    start = TextGAN(Vocabulary(["<eos>", "a", "b"], level="character"), max_length=5)
    other = Vocabulary(["<eos>", "c", "d"], level="character")
    with pytest.raises(ValueError, match=r"fit --config textgan_captions_mle --data.*--model\.init_from=RUN"):
        TextGAN(init_from=start, objective="gumbel").check_data(other, 5)
    with pytest.raises(ValueError, match=r"it was trained on$"):
        start.check_data(other, 5)
