"""Base class of models whose images have codes: evaluation, with the usage of the codebooks over each epoch.

Axes: ``b`` batch, ``c h w`` image, ``h w q`` grid of codes.
"""

from __future__ import annotations

from torch import Tensor

from ...interfaces import Batch
from ..base import ZooModel
from ..quantizers import CodebookUsage


class CodeModel(ZooModel):
    """Base class of the VQ-VAE and its prior. A subclass writes ``evaluate``, ``encode`` and ``decode``.

    Attributes:
        codebook_usage: of the codes of held-out images, in the current epoch.
    """

    batch_key = "image"
    codebook_usage: CodebookUsage

    def evaluate(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Compute the metrics of a held-out batch, and its codes ``b h w q``."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> Tensor:
        """Compute the codes of images, ``b c h w -> b h w q``."""
        raise NotImplementedError

    def decode(self, codes: Tensor) -> Tensor:
        """Compute the images of codes, ``b h w q -> b c h w``."""
        raise NotImplementedError

    def reconstruct(self, x: Tensor) -> Tensor:
        """Compute ``decode(encode(x))``, ``b c h w -> b c h w``."""
        return self.decode(self.encode(x))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the metrics of ``evaluate``."""
        self._log_metrics(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the metrics of ``evaluate``."""
        self._log_metrics(batch, "test")

    def on_validation_epoch_end(self) -> None:
        """Log the codebook usage of the epoch."""
        self._log_codebook_usage("val")

    def on_test_epoch_end(self) -> None:
        """Log the codebook usage of the epoch."""
        self._log_codebook_usage("test")

    def _log_metrics(self, batch: Batch, stage: str) -> None:
        metrics, codes = self.evaluate(batch)
        named = {f"{stage}/{name}": value for name, value in metrics.items()}
        self.log_dict(named, on_epoch=True, batch_size=len(codes), sync_dist=True)
        self.codebook_usage.update(codes)

    def _log_codebook_usage(self, stage: str) -> None:
        named = {f"{stage}/{name}": value for name, value in self.codebook_usage.compute().items()}
        self.log_dict(named, sync_dist=True)
        self.codebook_usage.reset()
