"""The prior over a frozen VQ-VAE's codes: what is frozen stays frozen, its metrics, its samples, its releases."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.data import ImageData
from gumbelzoo.models.vqvae.labels import batch_labels
from gumbelzoo.models.vqvae.prior import CodePrior
from gumbelzoo.models.vqvae.priors import CODE_NETWORKS
from gumbelzoo.models.vqvae.vqvae import VQVAE
from gumbelzoo.train import main
from torch import Tensor

pytestmark = pytest.mark.filterwarnings("ignore:.*module.s. in eval mode at the start of training")
SIZES = {"width": 8, "depth": 2}
CONV = {"name": "conv", "widths": [4]}
NETWORKS = {"dim": 2, "encoder": CONV, "decoder": CONV}
TINY = {"image_shape": [1, 4, 4], **NETWORKS, "quantizer": {"name": "gumbel", "codebook_size": 3}}


def vqvae(**arguments: Any) -> VQVAE:
    """2 x 2 positions and 3 codes, with differing codes; its pixels are binary."""
    torch.manual_seed(0)
    model = VQVAE(**{"likelihood": "bernoulli", **TINY, **arguments})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model.eval()


def prior(source: VQVAE, network: str = "transformer", **arguments: Any) -> CodePrior:
    torch.manual_seed(1)
    model = CodePrior(source, {"name": network, **SIZES}, **arguments)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def images(number: int = 20) -> Tensor:
    return torch.rand(number, 1, 4, 4, generator=torch.Generator().manual_seed(2)).round()


def batch(number: int = 20) -> dict[str, Tensor]:
    return {"image": images(number), "label": torch.arange(number) % 10}


def trainer(**options: Any) -> L.Trainer:
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return L.Trainer(accelerator="cpu", **quiet, **options)


# -- the frozen VQ-VAE ------------------------------------------------------------------------------------------------


def test_data_of_another_variance_warns() -> None:
    source = vqvae(image_shape=[1, 8, 8], likelihood="mse")
    grey, binary = ImageData("digits", "none"), ImageData("digits", "threshold")
    source.initialise(float(grey.mean.mean()), grey.variance)
    model = CodePrior(source, {"name": "pixelcnn", **SIZES})
    run = trainer(max_steps=1)
    run.fit(model, grey)  # warnings are errors here
    with pytest.warns(UserWarning, match=r"variance of 0\.1.*, here it is 0\.2.* other data"):
        run.fit(model, binary)


def test_images_of_another_shape_raise() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 4, 4\), the data has \(1, 8, 8\)"):
        trainer(max_steps=1).fit(CodePrior(TINY), ImageData("digits"))


@pytest.mark.parametrize("network", CODE_NETWORKS.names())
def test_training_changes_only_the_network(network: str) -> None:
    quantizer = {"name": "gumbel", "codebook_size": 5, "temperature": {"name": "exponential"}}
    source = vqvae(image_shape=[1, 8, 8], likelihood="mse", quantizer=quantizer)
    data = ImageData("digits", "none")
    source.initialise(float(data.mean.mean()), data.variance)
    model = CodePrior(source, {"name": network, **SIZES}, optimizer={"weight_decay": 0.1})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run = trainer(max_epochs=1, limit_train_batches=4)
    run.fit(model, data)
    assert model.network.training and not model.vqvae.training
    assert not any(parameter.requires_grad for parameter in model.vqvae.parameters())
    for name, value in model.state_dict().items():
        if name.startswith("vqvae."):
            assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in model.vqvae.parameters())
    for name, parameter in model.network.named_parameters():
        assert not torch.equal(parameter, before[f"network.{name}"]), name
    logged = {"train/loss", "val/nats_per_code", "val/bits_per_code", "val/perplexity", "val/usage"}
    assert logged <= set(run.callback_metrics)
    assert "val/bits_per_dim" not in run.callback_metrics  # a squared error is no likelihood of discrete pixels
    (metrics,) = run.test(model, ImageData("digits", "none"), verbose=False)
    assert metrics["test/bits_per_code"] == pytest.approx(metrics["test/nats_per_code"] / math.log(2), rel=1e-5)


def test_codes_are_those_of_the_vqvae() -> None:
    source, x = vqvae(), images()
    codes, reconstructions = source.encode(x), source.reconstruct(x)
    model = prior(source).train()
    assert model.network.training and not model.vqvae.training
    assert not any(parameter.requires_grad for parameter in model.vqvae.parameters())
    assert torch.equal(model.encode(x), codes)
    assert torch.equal(model.reconstruct(x), reconstructions)
    assert torch.equal(model.decode(codes), reconstructions)


# -- metrics ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantizer", ["vector", "gumbel"])
@pytest.mark.parametrize("classes", [0, 2])
@torch.no_grad()
def test_negative_elbo_by_enumeration(quantizer: str, classes: int) -> None:
    """Over all 81 grids of codes: -log p(x), and E_q of -log p(x | z) + log q(z | x) - log p(z)."""
    source = vqvae(quantizer={"name": quantizer, "codebook_size": 3})
    model, x = prior(source, classes=classes), images(1)
    label = torch.full((1,), max(classes - 1, 0))
    grids = torch.tensor(list(itertools.product(range(3), repeat=4))).unflatten(1, (2, 2, 1))
    log_prior = -model.network.nll(grids, label.expand(81)) - math.log(max(classes, 1))
    log_pixels = -model.vqvae.nll(x.expand(81, -1, -1, -1), grids)
    if quantizer == "gumbel":
        q = model.vqvae.quantizer.posterior(model.vqvae.features(x)).log_softmax(-1)  # 1 h w q k
        log_q = q.expand(81, -1, -1, -1, -1).gather(-1, grids[..., None]).flatten(1).sum(1)
    else:
        log_q = torch.where((grids == model.encode(x)).flatten(1).all(1), 0.0, -math.inf)
    expected = (log_q.exp() * (log_q.clamp(min=-1e9) - log_prior - log_pixels)).sum().item()
    n = 1 if quantizer == "vector" else 20_000
    draws = model.negative_elbo(x.expand(n, -1, -1, -1), label.expand(n), torch.Generator().manual_seed(0))
    error = 4 * draws.std().item() / n**0.5 if n > 1 else 1e-4
    assert draws.mean().item() == pytest.approx(expected, abs=error)
    assert expected > -(log_prior + log_pixels).logsumexp(0).item()


@torch.no_grad()
def test_test_metrics_against_their_definitions() -> None:
    class Batches:
        def __iter__(self) -> Any:
            yield from (batch(), batch(10))

    class Data(L.LightningDataModule):
        shape = (1, 4, 4)

        def test_dataloader(self) -> Any:
            return Batches()

    model, batches = prior(vqvae()), list(Batches())
    (metrics,) = trainer().test(model, Data(), verbose=False)
    bounds = [model.negative_elbo(b["image"], batch_labels(b, 0)) for b in batches]  # noisy by the draws of q only
    assert metrics["test/bound"] == pytest.approx(torch.cat(bounds).mean().item(), rel=0.1)
    assert metrics["test/bits_per_dim"] == pytest.approx(metrics["test/bound"] / (16 * math.log(2)), rel=1e-5)
    codes = torch.cat([model.encode(b["image"]) for b in batches])
    share = torch.bincount(codes.flatten(), minlength=3) / codes.numel()
    assert metrics["test/perplexity"] == pytest.approx(torch.special.entr(share).sum().exp().item(), rel=1e-5)
    nats = model.network.nll(codes, torch.zeros(len(codes), dtype=torch.int64))
    assert metrics["test/nats_per_code"] == pytest.approx(nats.mean().item() / 4, rel=1e-5)


def test_posterior_draws_replace_the_modes() -> None:
    x, seen = images(200), []
    modes, draws = prior(vqvae()), prior(vqvae(), posterior_draws=True)
    for model in (modes, draws):
        loss = model.network.loss
        model.network.loss = lambda codes, label, loss=loss: (seen.append(codes), loss(codes, label))[1]
        model.training_metrics({"image": x, "label": torch.zeros(200, dtype=torch.int64)})
    assert torch.equal(seen[0], modes.encode(x)) and not torch.equal(seen[1], seen[0])


# -- samples ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", CODE_NETWORKS.names())
def test_bounds_repeat_with_their_generator(network: str) -> None:
    """Those of a likelihood that is itself estimated too."""
    model, label = prior(vqvae(), network), torch.zeros(20, dtype=torch.int64)
    first, again = (model.negative_elbo(images(), label, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize("network", CODE_NETWORKS.names())
def test_samples_repeat_with_their_generator(network: str) -> None:
    model = prior(vqvae(), network)
    samples = model.sample(9, generator=torch.Generator().manual_seed(0))
    assert samples.shape == (9, 1, 4, 4)
    assert torch.equal(samples, model.sample(9, generator=torch.Generator().manual_seed(0)))
    codes = model.sample_codes(9, generator=torch.Generator().manual_seed(0))
    assert codes.shape == (9, 2, 2, 1) and torch.equal(samples, model.decode(codes))
    assert len(model.sample_codes(100).flatten(1).unique(dim=0)) > 10


@pytest.mark.parametrize("network", ["pixelcnn", "transformer"])
@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}], ids=str)
def test_coldest_samples_are_greedy(network: str, options: dict[str, Any]) -> None:
    model = prior(vqvae(), network)
    codes = model.sample_codes(20, **options)
    assert torch.equal(codes, codes[:1].expand_as(codes))
    logits = model.network.logits(codes[:1], torch.zeros(1, dtype=torch.int64))
    assert torch.equal(logits.argmax(-1), codes[:1])


def test_labels_change_the_distribution() -> None:
    model = prior(vqvae(), classes=2)
    with torch.no_grad():  # a first input that decides the first code
        model.network.start.weight[1] *= 50
    first = [model.sample_codes(400, label=label)[:, 0, 0, 0].bincount(minlength=3) for label in (0, 1)]
    assert (first[0] - first[1]).abs().sum() > 100
    mixed = model.sample_codes(400, label=torch.arange(400) % 2, generator=torch.Generator().manual_seed(0))
    assert mixed.shape == (400, 2, 2, 1)


def test_label_mistakes_name_the_fix() -> None:
    model = prior(vqvae(), classes=2)
    for bad in (2, -1):
        with pytest.raises(ValueError, match="a label of this model is from 0 to 1, got"):
            model.sample_codes(3, label=bad)
    with pytest.raises(ValueError, match=r"--model.classes"):
        prior(vqvae()).sample_codes(3, label=1)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 2\), got 0 to 9"):
        model.training_metrics(batch())
    with pytest.raises(ValueError, match=r"the data has none: set --model\.classes=0"):
        model.training_metrics({"image": images()})
    with pytest.raises(ValueError, match=r"one for each of the 3 samples, got \(2,\)"):
        model.sample_codes(3, label=torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="labels must be whole numbers"):
        model.sample_codes(3, label=torch.tensor(0.5))
    for n in (0, -1):
        with pytest.raises(ValueError, match="n must be a whole number >= 1"):
            model.sample(n)


# -- releases and runs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", CODE_NETWORKS.names())
def test_release_contains_the_vqvae(network: str, tmp_path: Path) -> None:
    model = prior(vqvae(), network, classes=10)
    folder = gumbelzoo.save_pretrained(model, tmp_path / "prior")
    arguments = json.loads((folder / "config.json").read_text())["arguments"]
    assert arguments["vqvae"] == vqvae().config() and arguments == model.config()
    loaded = gumbelzoo.load(folder)
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    first, second = (m.sample(4, label=3, generator=torch.Generator().manual_seed(0)) for m in (model, loaded))
    assert torch.equal(first, second) and not loaded.vqvae.training


def test_resolve_loads_a_name() -> None:
    """Only a text is loaded; a model, its arguments or nothing are left to the constructor."""
    source, asked = vqvae(), []

    def load(name: str) -> VQVAE:
        asked.append(name)
        return source

    assert CodePrior.resolve({"vqvae": "runs/vqvae/1", "classes": 2}, load) == {"vqvae": source, "classes": 2}
    for given in ({"vqvae": source}, {"vqvae": TINY}, {"vqvae": None}, {"vqvae": ""}, {}):
        assert CodePrior.resolve(given, load) == given
    assert asked == ["runs/vqvae/1"]


def test_resolve_refuses_another_model() -> None:
    other = CodePrior(TINY, {"name": "pixelcnn", **SIZES})
    with pytest.raises(ValueError, match=r"'other' is a code_prior; --model\.vqvae takes a VQ-VAE"):
        CodePrior.resolve({"vqvae": "other"}, lambda _: other)


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Train a VQ-VAE, then priors on its run and on its checkpoint; then run every command without the VQ-VAE's run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["gumbelzoo"])
    common = ["--data.class_path=images", "--data.binarization=none", "--trainer.accelerator=cpu"]
    short = ["--trainer.max_steps=2", "--trainer.limit_val_batches=1"]
    fit = ["fit", *common, *short, "--model.class_path"]
    conv = "{name: conv, widths: [4]}"
    sizes = ["--model.image_shape=[1,8,8]", f"--model.encoder={conv}", f"--model.decoder={conv}"]
    assert main([*fit, "vq_vae", *sizes, "--model.quantizer={name: gumbel, codebook_size: 3}"]) == 0, capfd.readouterr()
    (run,) = Path("runs").glob("*/1")
    network = "--model.network={name: pixelcnn, width: 8, depth: 2}"
    for source in (run, run / "checkpoints/last.ckpt"):
        assert main([*fit, "code_prior", f"--model.vqvae={source}", network]) == 0, capfd.readouterr().err
    second = next(path for path in Path("runs").glob("*/2"))
    first = second.with_name("1")
    run.rename("elsewhere")
    assert main(["test", str(first)]) == 0, capfd.readouterr().err
    longer = ["--trainer.max_steps=4", f"--ckpt_path={first}/checkpoints/last.ckpt"]
    assert main([*fit, "code_prior", "--model.vqvae=elsewhere", network, *longer]) == 0, capfd.readouterr().err
    assert main(["test", str(first)]) == 0, capfd.readouterr().err
    assert main(["sample", str(second), "-n", "4"]) == 0, capfd.readouterr().err
    assert main(["sample", str(second), "-n", "4", "--label", "3"]) == 2
    assert "this model depends on no label" in capfd.readouterr().err
    assert main(["export", str(first), "released"]) == 0, capfd.readouterr().err
    assert main(["test", "released"]) == 0, capfd.readouterr().err
    assert "test/nats_per_code" in capfd.readouterr().out
    for name, message in {"nothing": "'nothing'", "no.ckpt": "no checkpoint 'no.ckpt'", "": "needs the VQ-VAE"}.items():
        assert main([*fit, "code_prior", f"--model.vqvae={name}"]) == 2
        assert message in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vqvae": None}, "needs the VQ-VAE whose codes it learns: --model.vqvae=RUN"),
        ({"vqvae": ""}, "needs the VQ-VAE whose codes it learns: --model.vqvae=RUN"),
        ({"vqvae": "vqvae-mnist-ema"}, r"use vqvae=load\('vqvae-mnist-ema'\)"),
        ({"vqvae": {"encodr": "conv"}}, "did you mean 'encoder'"),
        ({"network": "pixel_cnn"}, "did you mean 'pixelcnn'"),
        ({"network": {"name": "pixelcnn", "dept": 3}}, "did you mean 'depth'"),
        ({"network": {"name": "pixelcnn", "classes": 3}}, "unknown argument of code network 'pixelcnn': 'classes'"),
        ({"classes": -1}, "classes must be a whole number >= 0"),
        ({"optimizer": {"schedule": "linear"}}, "optimizer.schedule must be one of"),
    ],
    ids=str,
)
def test_argument_mistakes_name_the_fix(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        CodePrior(**{"vqvae": TINY, **arguments})
    assert "\n" not in str(caught.value)
