"""Test metrics of image models: errors of reconstructions, and distances of images in the features of a network.

``rfid`` is the Frechet distance between test images and their reconstructions, ``fid`` between test images and samples.
Axes: ``b`` batch, ``c h w`` image, ``d`` features.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn
from torchmetrics import Metric
from tqdm import tqdm

from ..evaluation.fid import FrechetDistance, precision_recall
from ..evaluation.published_networks import three_channels
from ..evaluation.reconstruction import ReconstructionMetrics

BATCH = 500  # samples drawn at a time
MANIFOLD = 50_000  # images of a set for precision and recall, at most; as in the paper
NEIGHBOUR = 3  # k of precision and recall


class ImageMetrics(Callback):
    """NMSE, PSNR and SSIM at test, for every model of images that has ``encode`` and ``reconstruct``.

    Other networks add metrics. The random states of a test stay as they are, and so do its other metrics.

    Args:
        features: model whose ``features`` map images in [0, 1] ``b c h w -> b d``, such as a classifier of the same
            images: adds ``rfid``.
        samples: number of samples: adds ``fid``, ``precision`` and ``recall`` of them. They are drawn at temperature 1,
            labels uniformly, and clamped to [0, 1].
        lpips: torchmetrics' LPIPS: adds ``lpips`` of reconstructions.
        seed: of the samples.

    Attributes:
        added: names of the metrics that these arguments added, after a test.

    Raises:
        ValueError: samples without features, or too few; at test, samples in several processes.
    """

    def __init__(
        self, features: nn.Module | None = None, samples: int = 0, lpips: Metric | None = None, seed: int = 0
    ) -> None:
        if samples and features is None:
            raise ValueError("samples are compared in the features of a network: give one")
        if samples and samples <= NEIGHBOUR:
            raise ValueError(f"samples must be more than {NEIGHBOUR}, got {samples}")
        self.network, self.samples, self.lpips, self.seed = features, samples, lpips, seed
        self.added: set[str] = set()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prepare empty metrics on the model's device."""
        if self.samples and trainer.world_size > 1:
            raise ValueError("samples are drawn in one process: test with devices=1")
        self.reconstructs = hasattr(pl_module, "encode") and hasattr(pl_module, "reconstruct")
        self.reconstruction: ReconstructionMetrics | None = None
        self.distance: FrechetDistance | None = None
        self.real = _Thinned(MANIFOLD)
        for module in (self.network, self.lpips):
            if module is not None:
                module.to(pl_module.device).eval()
        if self.lpips is not None:
            self.lpips.reset()

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the images of a batch and their reconstructions."""
        if not isinstance(batch, dict) or "image" not in batch:
            return
        images = batch["image"]
        if self.network is not None:
            self._add_real(self._features(images))
        if self.reconstructs:
            self._add_reconstructions(trainer, pl_module, images)

    def _features(self, images: Tensor) -> Tensor:
        """Return features ``b d`` of images ``b c h w``."""
        assert self.network is not None
        return self.network.features(like(self.network, images))  # type: ignore[operator]

    def _add_real(self, features: Tensor) -> None:
        """Add features ``b d`` of test images."""
        if self.distance is None:
            self.distance = FrechetDistance(features.shape[1]).to(features.device)
        self.distance.update(features, real=True)
        if self.samples:
            self.real.add(features)

    def _add_reconstructions(self, trainer: Trainer, model: Any, images: Tensor) -> None:
        """Add the reconstructions of images ``b c h w``."""
        with isolate_rng():
            reconstructions = model.reconstruct(images)
            if reconstructions.shape != images.shape:  # a user's model may return something else
                self.reconstructs = False
                return
            if self.reconstruction is None:
                self.reconstruction = ReconstructionMetrics(_variance(trainer, model)).to(images.device)
        self.reconstruction.update(reconstructions, images)
        seen = reconstructions.clamp(0, 1)
        if self.distance is not None:
            self.distance.update(self._features(seen), real=False)
        if self.lpips is not None:
            self.lpips.update(*(like(self.lpips, three_channels(x)) for x in (seen, images)))

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the metrics; one that the model logs itself is the model's own."""
        metrics: dict[str, Any] = self.reconstruction.compute() if self.reconstruction is not None else {}
        added: dict[str, Any] = {}
        if self.lpips is not None and self.reconstruction is not None:
            added["lpips"] = self.lpips.compute()
        if self.distance is not None:
            if self.reconstruction is not None:
                added["rfid"] = self.distance.compute()
            if self.samples:
                added |= self._compare_samples(self.distance, pl_module)
        self.added = {f"test/{name}" for name in added}
        named = {f"test/{name}": float(value) for name, value in {**metrics, **added}.items()}
        logged = trainer.callback_metrics
        pl_module.log_dict({name: value for name, value in named.items() if name not in logged}, sync_dist=True)

    @torch.no_grad()
    def _compare_samples(self, distance: FrechetDistance, model: Any) -> dict[str, Any]:
        """Return ``fid``, ``precision`` and ``recall`` of samples."""
        distance.reset()
        generated = _Thinned(MANIFOLD)
        for images in self._draw(model):
            features = self._features(images.clamp(0, 1))
            distance.update(features, real=False)
            generated.add(features)
        precision, recall = precision_recall(self.real.rows(), generated.rows(), NEIGHBOUR)
        return {"fid": distance.compute(), "precision": precision, "recall": recall}

    def _draw(self, model: Any) -> Iterator[Tensor]:
        """Yield samples ``b c h w``, with a bar on a terminal."""
        generator = torch.Generator(model.device).manual_seed(self.seed)
        with isolate_rng(), tqdm(total=self.samples, unit=" samples", disable=None, leave=False, delay=1.0) as bar:
            for start in range(0, self.samples, BATCH):
                images = model.sample(min(BATCH, self.samples - start), generator=generator)
                yield images
                bar.update(len(images))


class _Thinned:
    """Rows ``n d`` in memory that does not grow: all, then every second one, every fourth, and so on.

    Args:
        most: largest number of rows.
    """

    def __init__(self, most: int) -> None:
        self.most, self.stride, self.seen = most, 1, 0
        self.kept: list[Tensor] = []

    def add(self, rows: Tensor) -> None:
        """Add rows, ``b d``."""
        self.kept.append(rows[-self.seen % self.stride :: self.stride].float().cpu())
        self.seen += len(rows)
        while sum(map(len, self.kept)) > self.most:
            self.kept, self.stride = [self.rows()[::2].clone()], 2 * self.stride

    def rows(self) -> Tensor:
        """Return the rows that were kept, in their order."""
        return torch.cat(self.kept)


def like(network: nn.Module, images: Tensor) -> Tensor:
    """Convert images to the type of a network's parameters; a test may be in another precision."""
    return images.to(next(network.parameters()).dtype)


def _variance(trainer: Trainer, model: nn.Module) -> float | None:
    """Return the variance of the training pixels: what the model or a part of it learned, else that of the data."""
    for part in (model, *model.children()):
        if hasattr(part, "pixel_variance"):
            return float(part.pixel_variance)  # type: ignore[arg-type]
    return getattr(getattr(trainer, "datamodule", None), "variance", None)
