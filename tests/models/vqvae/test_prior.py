"""The prior over a frozen VQ-VAE's codes: what is frozen stays so, its figures, its samples, its releases."""

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
from gumbelzoo.models.vqvae.prior import CodePrior
from gumbelzoo.models.vqvae.priors.base import CODE_NETWORKS
from gumbelzoo.models.vqvae.vqvae import VQVAE
from gumbelzoo.train import main
from torch import Tensor

pytestmark = pytest.mark.filterwarnings("ignore:.*module.s. in eval mode at the start of training")
OPTIONS = {"width": 8, "depth": 2}
TINY = {"image_shape": [1, 4, 4], "widths": [4], "dim": 2, "quantizer_options": {"codebook_size": 3}}


def vqvae(**arguments: Any) -> VQVAE:
    """Of 2 x 2 positions and 3 codes, with differing codes; its pixels are binary."""
    torch.manual_seed(0)
    model = VQVAE(**{"likelihood": "bernoulli", **TINY, **arguments})  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture
def release(tmp_path: Path) -> str:
    return str(gumbelzoo.save_pretrained(vqvae(), tmp_path / "vqvae"))


def prior(source: Any, network: str = "transformer", **arguments: Any) -> CodePrior:
    torch.manual_seed(1)
    model = CodePrior(source, network, network_options={**OPTIONS, **arguments.pop("options", {})}, **arguments)
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


def test_other_images_than_those_of_the_vqvae_are_told_of(tmp_path: Path) -> None:
    source = vqvae(image_shape=[1, 8, 8], likelihood="mse")
    grey, binary = ImageData("digits", "none"), ImageData("digits", "threshold")
    source.initialise(float(grey.mean.mean()), grey.variance)
    model = CodePrior(str(gumbelzoo.save_pretrained(source, tmp_path / "vqvae")), network_options=OPTIONS)
    run = trainer(max_steps=1)
    run.fit(model, grey)  # warnings are errors here
    with pytest.warns(UserWarning, match=r"variance of 0\.1.*, here it is 0\.2.* other data"):
        run.fit(model, binary)


@pytest.mark.parametrize("network", CODE_NETWORKS.names())
def test_training_changes_the_network_and_never_the_vqvae(network: str, tmp_path: Path) -> None:
    digits = {"image_shape": [1, 8, 8], "likelihood": "mse"}
    source = vqvae(**digits, quantizer_options={"codebook_size": 5, "temperature": {"name": "exponential"}})
    data = ImageData("digits", "none")
    source.initialise(float(data.mean.mean()), data.variance)
    source = str(gumbelzoo.save_pretrained(source, tmp_path / "vqvae"))
    model = CodePrior(source, network, network_options=OPTIONS, weight_decay=0.1)
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
    assert {"train/loss", "val/nats_per_code", "val/bits_per_code", "val/perplexity", "val/usage"} <= set(
        run.callback_metrics
    )
    assert "val/bits_per_dim" not in run.callback_metrics  # a squared error is no likelihood of discrete pixels
    (figures,) = run.test(model, ImageData("digits", "none"), verbose=False)
    assert figures["test/bits_per_code"] == pytest.approx(figures["test/nats_per_code"] / math.log(2), rel=1e-5)


def test_codes_are_those_of_the_vqvae(release: str) -> None:
    model, source, x = prior(release).train(), gumbelzoo.load(release), images()
    assert model.network.training and not model.vqvae.training
    assert not any(parameter.requires_grad for parameter in model.vqvae.parameters())
    assert torch.equal(model.encode(x), source.encode(x))
    assert torch.equal(model.reconstruct(x), source.reconstruct(x))
    assert torch.equal(model.decode(model.encode(x)), model.reconstruct(x))


# -- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantizer", ["vector", "gumbel"])
@pytest.mark.parametrize("classes", [0, 2])
@torch.no_grad()
def test_the_bound_is_one_and_equals_its_enumeration(quantizer: str, classes: int, tmp_path: Path) -> None:
    """Over all 81 grids of codes: -log p(x), and E_q of -log p(x | z) + log q(z | x) - log p(z)."""
    source = str(gumbelzoo.save_pretrained(vqvae(quantizer=quantizer), tmp_path / "vqvae"))
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
    p = log_q.exp()
    expected = (p * (log_q.clamp(min=-1e9) - log_prior - log_pixels)).sum().item()
    n = 1 if quantizer == "vector" else 20_000
    draws = model.bound(x.expand(n, -1, -1, -1), label.expand(n), torch.Generator().manual_seed(0))
    error = 4 * draws.std().item() / n**0.5 if n > 1 else 1e-4
    assert draws.mean().item() == pytest.approx(expected, abs=error)
    assert expected > -(log_prior + log_pixels).logsumexp(0).item()


@torch.no_grad()
def test_bits_per_dim_is_the_bound_in_other_units(release: str) -> None:
    class Batches:
        def __iter__(self) -> Any:
            yield from (batch(), batch(10))

    class Data(L.LightningDataModule):
        shape = (1, 4, 4)

        def test_dataloader(self) -> Any:
            return Batches()

    model = prior(release)
    (figures,) = trainer().test(model, Data(), verbose=False)
    bounds = [model.bound(b["image"], model.labels(b)) for b in (batch(), batch(10))]  # no noise but the draws of q
    assert figures["test/bound"] == pytest.approx(torch.cat(bounds).mean().item(), rel=0.1)
    assert figures["test/bits_per_dim"] == pytest.approx(figures["test/bound"] / (16 * math.log(2)), rel=1e-5)
    codes = torch.cat([model.encode(b["image"]) for b in (batch(), batch(10))])
    share = torch.bincount(codes.flatten(), minlength=3) / codes.numel()
    assert figures["test/perplexity"] == pytest.approx(torch.special.entr(share).sum().exp().item(), rel=1e-5)
    nats = torch.cat([model.network.nll(model.encode(b["image"]), model.labels(b)) for b in (batch(), batch(10))])
    assert figures["test/nats_per_code"] == pytest.approx(nats.mean().item() / 4, rel=1e-5)


def test_posterior_draws_are_trained_on_where_asked_for(release: str) -> None:
    x = images(200)
    mode, draws = prior(release), prior(release, posterior_draws=True)
    seen = []
    for model in (mode, draws):
        loss = model.network.loss
        model.network.loss = lambda codes, label, loss=loss: (seen.append(codes), loss(codes, label))[1]  # type: ignore
        model.training_metrics({"image": x, "label": torch.zeros(200, dtype=torch.int64)})
    assert torch.equal(seen[0], mode.encode(x)) and not torch.equal(seen[1], seen[0])


# -- samples ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", CODE_NETWORKS.names())
def test_samples_repeat_with_their_generator(network: str, release: str) -> None:
    model = prior(release, network)
    drawn = model.sample(9, generator=torch.Generator().manual_seed(0))
    assert drawn.shape == (9, 1, 4, 4)
    assert torch.equal(drawn, model.sample(9, generator=torch.Generator().manual_seed(0)))
    codes = model.sample_codes(9, generator=torch.Generator().manual_seed(0))
    assert codes.shape == (9, 2, 2, 1) and torch.equal(drawn, model.decode(codes))
    assert len(model.sample_codes(100).flatten(1).unique(dim=0)) > 10


@pytest.mark.parametrize("network", ["pixelcnn", "transformer"])
@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}], ids=str)
def test_the_coldest_samples_are_greedy(network: str, options: dict[str, Any], release: str) -> None:
    model = prior(release, network)
    codes = model.sample_codes(20, **options)
    assert torch.equal(codes, codes[:1].expand_as(codes))
    logits = model.network.logits(codes[:1], torch.zeros(1, dtype=torch.int64))  # type: ignore[operator]
    assert torch.equal(logits.argmax(-1), codes[:1])


def test_labels_choose_the_distribution(release: str) -> None:
    model = prior(release, classes=2)
    with torch.no_grad():  # a start that says everything about the first code
        model.network.start.weight[1] *= 50  # type: ignore[union-attr]
    first = [model.sample_codes(400, label=label)[:, 0, 0, 0].bincount(minlength=3) for label in (0, 1)]
    assert (first[0] - first[1]).abs().sum() > 100
    mixed = model.sample_codes(400, label=torch.arange(400) % 2, generator=torch.Generator().manual_seed(0))
    assert mixed.shape == (400, 2, 2, 1)
    for bad in (2, -1):
        with pytest.raises(ValueError, match=r"labels must lie in \[0, 2\)"):
            model.sample_codes(3, label=bad)
    with pytest.raises(ValueError, match=r"--model.classes"):
        prior(release).sample_codes(3, label=1)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 2\), got 0 to 9"):
        model.training_metrics(batch())
    with pytest.raises(ValueError, match=r"the data has none: set --model\.classes=0"):
        model.training_metrics({"image": images()})
    with pytest.raises(ValueError, match=r"one for each of the 3 samples, got \(2,\)"):
        model.sample_codes(3, label=torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="labels must be whole numbers"):
        model.sample_codes(3, label=torch.tensor(0.5))
    for n in (0, -1):
        with pytest.raises(ValueError, match="n must be >= 1"):
            model.sample(n)


# -- releases and runs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", CODE_NETWORKS.names())
def test_a_release_needs_nothing_else(network: str, release: str, tmp_path: Path) -> None:
    model = prior(release, network, classes=10)
    folder = gumbelzoo.save_pretrained(model, tmp_path / "prior")
    for path in Path(release).iterdir():
        path.unlink()
    loaded = gumbelzoo.load(folder)
    assert json.loads((folder / "config.json").read_text())["arguments"]["vqvae"]["quantizer_options"]
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    first, second = (m.sample(4, label=3, generator=torch.Generator().manual_seed(0)) for m in (model, loaded))
    assert torch.equal(first, second) and not loaded.vqvae.training


def test_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A VQ-VAE's run, a prior on it by the run and by its checkpoint; then every command without the VQ-VAE's run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["gumbelzoo"])
    common = ["--data.class_path=ImageData", "--data.binarization=none", "--trainer.accelerator=cpu"]
    short = ["--trainer.max_steps=2", "--trainer.limit_val_batches=1"]
    stage = ["fit", *common, *short, "--model.class_path"]
    sizes = ["--model.image_shape=[1,8,8]", "--model.widths=[4]", '--model.quantizer_options={"codebook_size":3}']
    assert main([*stage, "VQVAE", *sizes]) == 0, capfd.readouterr().err
    run = "runs/vqvae_imagedata/1"
    for source in (run, f"{run}/checkpoints/last.ckpt"):
        options = ["CodePrior", f"--model.vqvae={source}", '--model.network_options={"width":8,"depth":2}']
        assert main([*stage, *options]) == 0, capfd.readouterr().err
    Path(run).rename("elsewhere")
    assert main(["test", "runs/codeprior_imagedata/1"]) == 0, capfd.readouterr().err
    prior = ["CodePrior", "--model.vqvae=elsewhere", '--model.network_options={"width":8,"depth":2}']
    longer = ["--trainer.max_steps=4", "--ckpt_path=runs/codeprior_imagedata/1/checkpoints/last.ckpt"]
    assert main([*stage, *prior, *longer]) == 0, capfd.readouterr().err
    assert main(["test", "runs/codeprior_imagedata/1"]) == 0, capfd.readouterr().err
    assert main(["sample", "runs/codeprior_imagedata/2", "-n", "4"]) == 0, capfd.readouterr().err
    assert main(["sample", "runs/codeprior_imagedata/2", "-n", "4", "--label", "3"]) == 2
    assert "this prior depends on no label" in capfd.readouterr().err
    assert main(["export", "runs/codeprior_imagedata/1", "released"]) == 0, capfd.readouterr().err
    assert main(["test", "released"]) == 0, capfd.readouterr().err
    assert "test/nats_per_code" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vqvae": ""}, "--model.vqvae"),
        ({"vqvae": "nothing"}, "unknown released checkpoint or folder: 'nothing'"),
        ({"vqvae": "nothing.ckpt"}, "there is no checkpoint 'nothing.ckpt'"),
        ({"vqvae": "categorical"}, "'categorical' is a categorical_vae; --model.vqvae takes a VQ-VAE"),
        ({"vqvae": {"wdths": [4]}}, "did you mean 'widths'"),
        ({"network": "pixel_cnn"}, "did you mean 'pixelcnn'"),
        ({"network_options": {"dept": 3}}, "did you mean 'depth'"),
        ({"classes": -1}, "classes must be >= 0"),
        ({"lr_schedule": "linear"}, "lr_schedule must be one of"),
    ],
    ids=str,
)
def test_mistakes_name_the_fix(
    arguments: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = gumbelzoo.create_model("categorical_vae", image_shape=[1, 4, 4], latents=2, categories=2, hidden=[4])
    gumbelzoo.save_pretrained(other, "categorical")
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        CodePrior(**{"vqvae": TINY, **arguments})
    assert "\n" not in str(caught.value)


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 4, 4\), the data has \(1, 8, 8\)"):
        trainer(max_steps=1).fit(CodePrior(TINY), ImageData("digits"))
