"""Metrics of images at test: of reconstructions and samples, without a change of any other metric."""

from __future__ import annotations

from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.callbacks import ImageMetrics, image_metrics
from gumbelzoo.evaluation.fid import frechet_distance, precision_recall
from gumbelzoo.models import ZooModel
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchmetrics import Metric

IMAGES = torch.rand(40, 1, 12, 12, generator=torch.Generator().manual_seed(1)).round()
Results = dict[str, float]


def build(name: str, **options: Any) -> ZooModel:
    torch.manual_seed(0)
    return gumbelzoo.create_model(name, image_shape=[1, 12, 12], **options).eval()


def vae(bound_samples: int = 2) -> ZooModel:
    networks = {part: {"name": "mlp", "hidden": [8]} for part in ("encoder", "decoder")}
    return build("categorical_vae", latents=3, categories=4, bound_samples=bound_samples, **networks)


def vqvae() -> ZooModel:
    networks = {part: {"name": "conv", "widths": [4]} for part in ("encoder", "decoder")}
    return build("vq_vae", dim=4, quantizer={"name": "vector", "codebook_size": 8}, **networks)


def classifier() -> ZooModel:
    return build("classifier", widths=[4], features=6)


def measure(model: Any, *callbacks: ImageMetrics, precision: Any = "32-true") -> Results:
    """Test metrics with a fixed seed."""
    torch.manual_seed(3)
    batches = [{"image": images} for images in IMAGES.split(16)]
    options: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    options["precision"] = precision
    trainer = Trainer(accelerator="cpu", enable_checkpointing=False, callbacks=list(callbacks), **options)
    loader: DataLoader = DataLoader(batches, batch_size=None)  # type: ignore[arg-type]
    return dict(trainer.test(model, loader, verbose=False)[0])


class Projected(Metric):
    """A distance with weights, in the place of LPIPS."""

    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Conv2d(3, 1, 1)
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, seen: Tensor, images: Tensor) -> None:
        self.total += (self.network(seen) - self.network(images)).square().mean()

    def compute(self) -> Tensor:
        return self.total


def features(images: Tensor) -> Tensor:
    return classifier().features(images.clamp(0, 1))  # type: ignore[operator]


@pytest.mark.parametrize("build", [vae, vqvae])
def test_other_metrics_stay_the_same(build: Any) -> None:
    """Bounds are of random draws, and the networks and samples of the callback draw too."""
    alone, model = measure(build()), build()
    measured = measure(model, ImageMetrics(classifier(), samples=8))
    added = {"rfid", "fid", "precision", "recall"}
    assert measured.keys() - alone.keys() >= {f"test/{name}" for name in added | {"psnr", "ssim"}}
    assert {name: measured[name] for name in alone} == alone


@torch.no_grad()
def test_metrics_of_reconstructions_and_samples() -> None:
    """The same as from all images at once; the seed decides on the samples."""
    model, callback = vqvae(), ImageMetrics(classifier(), samples=20, seed=5)
    measured = measure(model, callback)
    reconstructions: Any = model.reconstruct(IMAGES)  # type: ignore[operator]
    samples = model.sample(20, generator=torch.Generator().manual_seed(5))  # type: ignore[operator]
    assert measured["test/rfid"] == pytest.approx(frechet_distance(features(IMAGES), features(reconstructions)))
    assert measured["test/fid"] == pytest.approx(frechet_distance(features(IMAGES), features(samples)))
    precision, recall = precision_recall(features(IMAGES), features(samples))
    assert (measured["test/precision"], measured["test/recall"]) == pytest.approx((precision, recall))
    assert callback.added == {"test/rfid", "test/fid", "test/precision", "test/recall"}
    errors = (reconstructions.clamp(0, 1) - IMAGES).square().mean((1, 2, 3))
    assert measured["test/psnr"] == pytest.approx(float(-10 * errors.log10().mean()), rel=1e-5)
    assert measure(model, ImageMetrics(classifier(), samples=20, seed=6))["test/fid"] != measured["test/fid"]


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_test_in_another_precision(precision: str) -> None:
    """The networks that measure stay in theirs."""
    measured, expected = (
        measure(vqvae(), ImageMetrics(classifier(), samples=20, lpips=Projected()), precision=either)
        for either in (precision, "32-true")
    )
    assert measured == pytest.approx(expected, rel=0.1, abs=0.1)


def test_batches_of_samples_are_one_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples are drawn in parts, and long sets are thinned for precision and recall."""
    monkeypatch.setattr(image_metrics, "BATCH", 7)
    monkeypatch.setattr(image_metrics, "MANIFOLD", 15)
    callback = ImageMetrics(classifier(), samples=20)
    assert 0 <= measure(vqvae(), callback)["test/recall"] <= 1
    assert torch.allclose(callback.real.rows(), features(IMAGES[::4]), atol=1e-6)


def test_nmse_of_a_model_is_its_own() -> None:
    """It is relative to the training pixels of the model, and the callback's is the same."""
    model = vqvae()
    alone, measured = measure(model)["test/nmse"], measure(model, ImageMetrics())
    assert measured["test/nmse"] == alone
    error = (model.reconstruct(IMAGES) - IMAGES).square().mean()  # type: ignore[operator]
    assert alone == pytest.approx(12 * float(error.detach()), rel=1e-5)


def test_model_without_reconstructions_has_no_metrics() -> None:
    """A classifier, and a model whose reconstructions have another shape."""
    model: Any = vae()
    model.reconstruct = lambda images: images.flatten(1)
    assert measure(model, ImageMetrics()).keys() == measure(vae()).keys()


def test_wrong_samples_raise() -> None:
    with pytest.raises(ValueError, match="features of a network: give one"):
        ImageMetrics(samples=10)
    with pytest.raises(ValueError, match="more than 3, got 3"):
        ImageMetrics(classifier(), samples=3)
