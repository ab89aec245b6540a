"""Text VAEs: training on data, codes, sentences, labels, releases."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.models.text.generators import GENERATORS
from gumbelzoo.models.text.text_vae import TextVAE
from gumbelzoo.models.text.vae import LATENTS, MATCHINGS, PRIORS, critic
from gumbelzoo.models.text.vae.critic import two_sample_accuracy
from torch import Tensor

Make = Callable[..., TextVAE]
Batch = dict[str, Tensor]
LATENT_SPECS: dict[str, dict[str, Any]] = {"gaussian": {"name": "gaussian", "latents": 2}}
LATENT_SPECS |= {f"categorical {prior}": {"prior": prior} for prior in PRIORS}
latents = pytest.mark.parametrize("latent", LATENT_SPECS)
UNTRAINED = ("gaussian", "categorical uniform")  # a critic trains no prior
matched = pytest.mark.parametrize(
    ("latent", "matching"),
    [(one, kind) for one in LATENT_SPECS for kind in MATCHINGS if kind == "kl" or one in UNTRAINED],
)
LINES = ["ab", "b", "aa", ""]


def trainer(**options: Any) -> L.Trainer:
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return L.Trainer(accelerator="cpu", log_every_n_steps=1, **quiet, **options)


def test_every_latent_is_tried() -> None:
    assert {spec.get("name", "categorical") for spec in LATENT_SPECS.values()} == set(LATENTS)


@matched
@pytest.mark.parametrize("network", GENERATORS.names())
def test_every_parameter_gets_gradient(latent: str, matching: str, network: str, make: Make, sentences: Batch) -> None:
    model = make(LATENT_SPECS[latent], matching=matching, generator={"name": network, "width": 4}, classes=2)
    batch = {**sentences, "label": torch.arange(len(sentences["tokens"])) % 2}
    model.training_metrics(batch)["loss"].backward()
    assert not {name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}


@pytest.mark.parametrize("prior", ["learned", "autoregressive"])
@pytest.mark.parametrize("matching", ["adversarial", {"name": "kl", "weight": 0.0}])
def test_prior_without_gradient_raises(prior: str, matching: Any, make: Make) -> None:
    """A critic reads samples of the prior, and gives the prior itself no gradient."""
    with pytest.raises(ValueError, match="nothing trains this prior"):
        make({"prior": prior}, matching=matching)


def test_active_latents_of_a_collapsed_posterior(make: Make) -> None:
    """None is active where each conditional of an autoregressive prior is the posterior, far from uniform as it is."""
    model = make({"prior": "autoregressive"})
    posterior = torch.tensor([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]]).expand(50, -1, -1)
    prior = model.latent.prior
    assert model.latent.usage(posterior)["active_latents"] == 2
    prior.conditional_logits = lambda z: posterior[:1].expand(z.shape)
    assert model.latent.usage(posterior)["active_latents"] == 0


@pytest.mark.parametrize(
    ("latent", "matching"),
    [
        ("categorical uniform", "kl"),
        ("gaussian", "kl"),
        ("categorical autoregressive", "kl"),
        ("categorical uniform", "adversarial"),
    ],
)
def test_training_and_figures(latent: str, matching: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps and a test on the grammar; figures of all sentences are those of the whole test split."""
    monkeypatch.setattr(critic, "STEPS", 2)
    spec = LATENT_SPECS[latent]
    spec = spec if "name" in spec else {"name": "categorical", "latents": 2, "categories": 3, **spec}
    sizes: dict[str, Any] = {"bound_samples": 3, "bound_sentences": 30, "test_samples": 20}
    model = TextVAE(latent=spec, matching=matching, encoder={"hidden": 4}, **sizes)
    training, data = (
        trainer(max_epochs=1, limit_train_batches=2),
        TextData("grammar", batch_size=8, eval_batch_size=300),
    )
    training.fit(model, data)
    assert {"train/loss", f"val/{model.monitor.removeprefix('val/')}"} <= set(training.callback_metrics)
    (metrics,) = training.test(model, data, verbose=False)
    names = {"elbo", "kl", "reconstruction", "bound", "mutual_information", "shuffle_cost", "active_latents", "valid"}
    names |= {"critic_accuracy", "objective"} if matching == "adversarial" else set()
    assert {f"test/{name}" for name in names} <= set(metrics)
    assert metrics["test/elbo"] == pytest.approx(metrics["test/kl"] + metrics["test/reconstruction"], rel=1e-5)
    tokens, lengths = data.test_sequences()
    batch = {"tokens": tokens, "length": lengths}
    kl = model.latent.kl(model.posterior(batch).detach()).sum(-1).mean()
    if latent != "categorical autoregressive":
        assert metrics["test/kl"] == pytest.approx(float(kl), rel=1e-4)
    assert 0 <= metrics["test/mutual_information"] < 3.5


@pytest.mark.parametrize("name", ["kl", "adversarial"])
def test_warmup_counts_optimizer_steps(name: str) -> None:
    """Accumulated batches are one step."""
    matching = {"name": name, "warmup": 100}
    model, seen = TextVAE(latent={"name": "gaussian", "latents": 2}, matching=matching), []
    original = model.matching.metrics
    model.matching.metrics = lambda *args: seen.append(args[-1]) or original(*args)  # type: ignore[method-assign]
    trainer(max_steps=2, accumulate_grad_batches=2, limit_val_batches=0).fit(model, TextData("grammar", batch_size=8))
    assert seen == [0, 0, 1, 1]


def test_penalty_grows_in_the_warmup(make: Make, sentences: Batch) -> None:
    """A critic whose logit is always 2 costs 2 * weight, and less during the warm-up."""
    model = make({"estimator": "exact"}, matching={"name": "adversarial", "weight": 3.0, "warmup": 4, "hidden": 4})
    last = model.matching.critic[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, 2.0)
    posterior = model.posterior(sentences)

    def costs(step: int) -> float:
        found = model.matching.metrics(model.latent, posterior, lambda z: z.sum(-1) * 0 + 1, step)
        return float((found["loss"] - found["critic_loss"]).detach())

    assert [costs(step) for step in (0, 2, 4, 9)] == pytest.approx([1.0, 4.0, 7.0, 7.0])
    assert model.matching.penalty(model.latent.draw(posterior, 1)[0][0])[0].tolist() == pytest.approx(6.0)


def test_critic_learns_at_a_rate_of_its_own() -> None:
    """Its group has no weight decay, and follows the same schedule."""
    matching = {"name": "adversarial", "learning_rate": 0.5, "hidden": 4}
    optimizer = {"learning_rate": 0.1, "weight_decay": 0.2, "warmup": 4}
    model = TextVAE(latent={"name": "gaussian", "latents": 2}, matching=matching, optimizer=optimizer)
    trainer(max_steps=1, limit_val_batches=0).fit(model, TextData("grammar", batch_size=8))
    rest, own = model.optimizers().param_groups
    assert {id(weight) for weight in own["params"]} == {id(weight) for weight in model.matching.parameters()}
    assert len(rest["params"]) + len(own["params"]) == len(list(model.parameters()))
    assert (rest["weight_decay"], own["weight_decay"]) == (0.2, 0.0)
    assert own["lr"] == pytest.approx(5 * rest["lr"]) and own["lr"] < 0.5


# -- codes and sentences ----------------------------------------------------------------------------------------------


@latents
def test_codes_are_deterministic(latent: str, make: Make) -> None:
    """Also in training mode, with dropout: nothing is drawn, and no row depends on the others."""
    model = make(LATENT_SPECS[latent], encoder={"width": 4, "hidden": 5, "dropout": 0.5}).train()
    codes = model.encode(LINES)
    assert codes.shape == (4, 2) and torch.equal(codes, model.encode(LINES)) and model.training
    torch.testing.assert_close(model.encode(LINES[2:3]), codes[2:3])
    assert codes.is_floating_point() == (latent == "gaussian")
    written = model.decode(codes)
    assert written == model.decode(codes) == model.reconstruct(LINES) and len(written) == 4
    assert model.decode(codes[1:2]) == written[1:2]


@latents
def test_decoded_tokens_are_the_most_probable(latent: str, make: Make) -> None:
    model = make(LATENT_SPECS[latent]).eval()
    codes = model.latent.sample_prior(20)
    z, vocabulary = model.latent.embed(codes), model.require_vocabulary()
    for one, line in zip(z, model.decode(codes), strict=True):
        prefix: list[int] = []
        while len(prefix) < 3:
            tokens = torch.tensor([[*prefix, *[0] * (3 - len(prefix))]])
            best = int(model.generator.logits(tokens, one[None])[0, len(prefix)].argmax())
            if best == 0:
                break
            prefix.append(best)
        assert vocabulary.decode(prefix) == line


@latents
def test_interpolation_has_both_ends(latent: str, make: Make) -> None:
    model = make(LATENT_SPECS[latent])
    ways = model.interpolate(["ab", "b"], ["aa", "ab"], steps=5)
    assert [len(way) for way in ways] == [5, 5]
    ends = model.reconstruct(["ab", "aa", "b", "ab"])
    assert [ways[0][0], ways[0][-1], ways[1][0], ways[1][-1]] == ends
    codes = model.latent.path(model._posterior(["ab"], None), model._posterior(["aa"], None), 50)[0]
    if not codes.is_floating_point():
        assert ((codes[1:] != codes[:-1]).sum(0) <= 2).all()  # three categories, each left for good


def test_truncation_is_per_row(make: Make) -> None:
    """The most probable tokens of a row are its own, whatever those of the other rows are."""
    model = make().eval()
    z = model.latent.embed(model.latent.sample_prior(40))
    together = model.generator.sample(40, top_k=1, label=z)
    alone = torch.cat([model.generator.sample(1, top_k=1, label=row[None]) for row in z])
    assert torch.equal(together, alone) and len(set(map(tuple, together.tolist()))) > 1


def test_samples(make: Make) -> None:
    """Seeds, prefixes; z comes from the prior."""
    model = make({"prior": "learned"}).eval()
    drawn = model.sample(600, generator=torch.Generator().manual_seed(0))
    assert drawn == model.sample(600, generator=torch.Generator().manual_seed(0)) and len(set(drawn)) > 3
    assert all(line.startswith("ab") for line in model.sample(9, prefix="ab"))
    with torch.no_grad():
        model.latent.prior.logits[:, 1] += 50
    assert torch.equal(model.latent.sample_prior(9), torch.ones(9, 2, dtype=torch.int64))
    code = model.decode(torch.ones(1, 2, dtype=torch.int64))
    assert model.sample(5, top_k=1) == code * 5


MISTAKES: dict[str, tuple[Callable[[TextVAE], Any], str]] = {
    "one text": (lambda model: model.encode("ab"), "give a list of sentences"),
    "none": (lambda model: model.encode([]), "give a list of sentences"),
    "long": (lambda model: model.encode(["aab"]), "'aab' has 3 tokens, and this model's sentences have at most 2"),
    "unknown": (lambda model: model.encode(["xy"]), "'x' is not one of the 3 tokens"),
    "range": (lambda model: model.decode(torch.full((1, 2), 3)), r"whole values in \[0, 3\)"),
    "number": (lambda model: model.decode(torch.zeros(1, 3, dtype=torch.int64)), r"shape \(\.\.\., 2\)"),
    "axes": (lambda model: model.decode(torch.zeros(2, dtype=torch.int64)), r"give codes of shape \(b, 2\)"),
    "label": (lambda model: model.encode(["a"], label=1), r"depends on no label; train one with --model\.classes"),
    "pairs": (lambda model: model.interpolate(["a"], ["a", "b"], 3), "give as many ends as starts"),
    "one step": (lambda model: model.interpolate(["a"], ["b"], 1), "steps must be a whole number >= 2"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_name_the_fix(case: str, make: Make) -> None:
    call, message = MISTAKES[case]
    with pytest.raises(ValueError, match=message):
        call(make())


def test_gaussian_codes_that_do_not_fit_raise(make: Make) -> None:
    model = make(LATENT_SPECS["gaussian"])
    for codes in (torch.zeros(1, 3), torch.zeros(1, 2, dtype=torch.int64)):
        with pytest.raises(ValueError, match=r"floating with shape \(\.\.\., 2\)"):
            model.decode(codes)


ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"latent": "categoricl"}, "unknown latent: 'categoricl'; did you mean 'categorical'"),
    ({"latent": {"name": "categorical", "prior": "flat"}}, "unknown prior of codes: 'flat'"),
    ({"latent": {"name": "categorical", "categories": 1}}, "categories must be a whole number >= 2, got 1"),
    ({"latent": {"name": "gaussian", "latents": 0}}, "latents must be a whole number >= 1, got 0"),
    ({"matching": {"name": "kl", "free_bits": -1.0}}, "free_bits must be finite and >= 0"),
    ({"matching": {"name": "kl", "warmup": -1}}, "warmup must be a whole number >= 0"),
    ({"matching": {"name": "adversarial", "warmup": -1}}, "warmup must be a whole number >= 0"),
    ({"matching": {"name": "adversarial", "learning_rate": 0.0}}, "learning_rate must be > 0"),
    ({"matching": {"name": "adversarial", "learning_rate": math.inf}}, "learning_rate must be > 0 and finite"),
    ({"matching": {"name": "adversarial", "hidden": 10**9}}, "hidden must be at most"),
    ({"matching": {"name": "adversarial", "hidden": 0}}, "hidden must be a whole number >= 1"),
    ({"generator": {"name": "lstm", "widht": 3}}, "did you mean 'width'"),
    ({"encoder": {"dropout": 1.0}}, r"dropout must be in \[0, 1\), got 1\.0"),
    ({"word_dropout": 1.0}, r"word_dropout must be in \[0, 1\), got 1\.0"),
    ({"bound_samples": 0}, "bound_samples must be a whole number >= 1"),
    ({"test_samples": 1}, "test_samples must be a whole number >= 2"),
]


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS, ids=str)
def test_impossible_arguments_raise(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextVAE(**arguments)


# -- labels -----------------------------------------------------------------------------------------------------------


def test_conditional_model(tmp_path: Path) -> None:
    """A model of two languages writes the one that is asked for; a release does so too."""
    draw = random.Random(0).choices
    lines = ["".join(draw(("xyz", "abc")[i % 2], k=6)) for i in range(600)]
    data = TextData.from_lines(lines, labels=["xyz", "abc"] * 300, level="character", batch_size=50)
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"bound_samples": 2, "bound_sentences": 10, "test_samples": 20}
    latent = {"name": "categorical", "latents": 2, "categories": 3}
    network = {"name": "lstm", "width": 8, "hidden": 8}
    model = TextVAE(latent=latent, generator=network, encoder={"hidden": 4}, classes=2, **sizes)
    model.use_optimizer({"learning_rate": 0.03})
    training = trainer(max_epochs=8)
    training.fit(model, data)
    (metrics,) = training.test(model, data, verbose=False)
    assert metrics["test/elbo"] < 7 * 1.25  # that of the right three letters is 6.6, that of all six 10.8
    again = gumbelzoo.load(gumbelzoo.save_pretrained(model, tmp_path / "labelled"))
    for label, letters in ((0, "abc"), (1, "xyz")):
        written = again.sample(50, label=label, generator=torch.Generator().manual_seed(0))
        assert sum(set(line) <= set(letters) for line in written) > 45
    codes = again.encode(["abcabc"] * 2, label=0)
    assert set("".join(again.decode(codes, label=torch.tensor([0, 0])))) <= set("abc")
    assert len(again.interpolate(["abcabc"], ["bbbbbb"], 3, label=0)[0]) == 3
    with pytest.raises(ValueError, match="this model depends on labels: give label, abc or xyz"):
        again.encode(["abcabc"])
    assert len(again.decode(codes, label=["abc", 1])) == 2
    with pytest.raises(ValueError, match="labels must be whole numbers, got"):
        again.encode(["abcabc"], label=True)
    with pytest.raises(ValueError, match="a label of this model is from 0 to 1, got 2"):
        again.decode(codes, label=2)


# -- releases ---------------------------------------------------------------------------------------------------------


@matched
def test_config_and_release(latent: str, matching: str, make: Make, tmp_path: Path) -> None:
    """The configuration is plain JSON that rebuilds the model, and a release draws the same sentences."""
    model = make(LATENT_SPECS[latent], matching=matching).eval()
    config = json.loads(json.dumps(model.config()))
    again = TextVAE(**config)
    assert again.config() == model.config()
    assert {name: value.shape for name, value in again.state_dict().items()} == {
        name: value.shape for name, value in model.state_dict().items()
    }
    loaded = gumbelzoo.load(gumbelzoo.save_pretrained(model, tmp_path / "released"))
    assert torch.equal(loaded.encode(LINES), model.encode(LINES))
    seeds = [torch.Generator().manual_seed(0) for _ in range(2)]
    assert loaded.sample(9, generator=seeds[0]) == model.sample(9, generator=seeds[1])


def test_model_without_a_vocabulary() -> None:
    for call in (lambda model: model.sample(2), lambda model: model.encode(["a"])):
        with pytest.raises(ValueError, match="has no vocabulary yet: train it"):
            call(TextVAE())


# -- the critic -------------------------------------------------------------------------------------------------------


def test_two_sample_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Near chance for two samples of one distribution, near 1 for others."""
    monkeypatch.setattr(critic, "STEPS", 100)
    torch.manual_seed(0)
    one, same = torch.randn(2000, 4), torch.randn(2000, 4)
    assert two_sample_accuracy(one, same, hidden=32) < 0.55
    assert two_sample_accuracy(one, same + 3, hidden=32) > 0.95


@pytest.mark.slow
def test_adversarial_matching_matches(make: Make, sentences: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes of all sentences come near those of a uniform prior, so that a fresh critic often errs."""
    model = make({"estimator": "exact"}, matching={"name": "adversarial", "weight": 10.0, "hidden": 32})
    steps = 600
    optimizer = torch.optim.Adam(model.parameter_groups(), 3e-3)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)  # two players circle at a constant rate
    monkeypatch.setattr(critic, "STEPS", 200)
    batch = {name: value.repeat(4, *[1] * (value.ndim - 1)) for name, value in sentences.items()}

    def accuracy() -> float:
        z, _ = model.latent.draw(model.posterior(sentences).detach(), 200)
        prior = model.latent.embed(model.latent.sample_prior(z.shape[0] * z.shape[1]))
        return two_sample_accuracy(z.flatten(0, 1), prior, hidden=32)

    before = accuracy()
    for _ in range(steps):
        optimizer.zero_grad()
        model.training_metrics(batch)["loss"].backward()
        optimizer.step()
        decay.step()
    after = accuracy()
    print(f"accuracy of a fresh critic: {before:.3f} before, {after:.3f} after")
    assert after < 0.56 and after < before - 0.05
