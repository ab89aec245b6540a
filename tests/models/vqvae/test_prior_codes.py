"""A prior that is trained from codes on disk: the same as through the encoder, and codes that it does not take."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.data import CodeData, ImageData
from gumbelzoo.models import CodePrior
from gumbelzoo.models.vqvae.codes import weights_checksum
from gumbelzoo.train import main

TINY = ["--model.network={name: pixelcnn, width: 4, depth: 1}", "--model.classes=10", "--trainer.accelerator=cpu"]
VQVAE = "--model.vqvae=vqvae-digits-ema"


@pytest.fixture
def codes(workspace: Path) -> str:
    """Codes of the digits by a released VQ-VAE, of three splits."""
    assert main(["encode", "vqvae-digits-ema", "--split", "all", "--out", "codes", "--device", "cpu"]) == 0
    return "codes"


def fit(name: str, data: Sequence[str], *options: str) -> int:
    steps = ["--trainer.max_steps=16", "--seed_everything=3", "--ema=0.9", f"--name={name}"]
    return main(["fit", "--model=code_prior", VQVAE, *TINY, *data, *steps, *options])


def rows(run: str) -> list[list[str]]:
    with (Path("runs") / run / "metrics.csv").open() as file:
        return list(csv.reader(file))


@pytest.mark.filterwarnings("ignore:.*module.s. in eval mode at the start of training")
@pytest.mark.parametrize("classes", [0, 10])
def test_batches_of_codes_train_the_same_prior(codes: str, classes: int) -> None:
    """Weights and metrics are equal after an epoch and a part of the next."""
    images = ImageData("digits", binarization="none", batch_size=100)
    found = []
    for data in (images, CodeData(codes, batch_size=100)):
        torch.manual_seed(1)
        network = {"name": "pixelcnn", "width": 4, "depth": 1}
        prior = CodePrior(gumbelzoo.load("vqvae-digits-ema"), network, classes=classes)
        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
        trainer = L.Trainer(accelerator="cpu", max_steps=16, num_sanity_val_steps=0, **quiet)
        trainer.fit(prior, data)
        found.append((prior.state_dict(), trainer.test(prior, data, verbose=False)))
    (through, metrics), (from_disk, others) = found
    assert metrics == others and "test/nats_per_code" in metrics[0]
    assert all(torch.equal(value, from_disk[name]) for name, value in through.items())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*module.s. in eval mode at the start of training")
def test_codes_train_the_same_prior(codes: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Equal metrics and weights, with labels and averages, over an epoch and a part of the next."""
    assert fit("encoder", ["--data=images", "--data.name=digits", "--data.binarization=none"]) == 0
    assert fit("disk", ["--data=codes", f"--data.path={codes}"]) == 0, capfd.readouterr().err
    assert rows("code_prior_codes/disk") == rows("code_prior_images/encoder")
    through, from_disk = (gumbelzoo.load(f"runs/code_prior_{run}") for run in ("images/encoder", "codes/disk"))
    for name, value in through.state_dict().items():
        assert torch.equal(value, from_disk.state_dict()[name]), name
    run = "runs/code_prior_codes/disk"
    assert Path(run, "figures/samples.png").exists() and not Path(run, "figures/reconstructions.png").exists()
    for command in ("reconstruct", "encode"):
        capfd.readouterr()
        assert main([command, run]) == 2
        assert "are codes" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*module.s. in eval mode at the start of training")
def test_half_release_is_told(codes: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Rounding changes the weights that made the codes: the metrics are of the codes as they are."""
    assert fit("disk", ["--data=codes", f"--data.path={codes}"]) == 0
    run = "runs/code_prior_codes/disk"
    assert main(["test", run]) == main(["sample", run, "-n", "2", "--label", "3"]) == 0
    with pytest.warns(UserWarning, match="codes were made by vqvae-digits-ema, whose weights are other ones"):
        assert main(["export", run, "prior", "--half"]) == 0, capfd.readouterr().err
    assert main(["test", "prior", "--data.path=elsewhere"]) == 2
    assert "'elsewhere' has no codes.json" in capfd.readouterr().err


def test_codes_that_do_not_fit_are_refused(codes: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = ["--data=codes", f"--data.path={codes}"]
    cases = {
        "were made by vqvae-digits-ema, whose weights are other ones": ["--model.vqvae=vqvae-digits-gumbel"],
        "codes on disk are the modes": ["--model.posterior_draws=true"],
        "of 64 by vqvae-digits-ema": ["--model.vqvae=other"],
    }
    torch.manual_seed(0)
    arguments = {**gumbelzoo.load("vqvae-digits-ema").config(), "quantizer": {"name": "vector", "codebook_size": 8}}
    gumbelzoo.save_pretrained(gumbelzoo.create_model("vq_vae", **arguments), "other")
    for said, options in cases.items():
        capfd.readouterr()
        assert fit("refused", data, *options) == 2
        error = capfd.readouterr().err
        assert said in error and error.count("\n") == 1
    assert main(["fit", "--model=vq_vae", "--model.image_shape=[1,8,8]", *data]) == 2
    assert "learns from images" in capfd.readouterr().err


def test_checksum_is_that_of_the_weights() -> None:
    vqvae = gumbelzoo.load("vqvae-digits-ema")
    before = weights_checksum(vqvae)
    assert before == weights_checksum(gumbelzoo.load("vqvae-digits-ema"))
    with torch.no_grad():
        next(vqvae.decoder.parameters()).view(-1)[0].add_(1e-3)
    assert weights_checksum(vqvae) != before
