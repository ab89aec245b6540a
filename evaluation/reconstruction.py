"""Errors of reconstructions: NMSE, PSNR and SSIM over any number of images, in constant memory.

SSIM is that of Wang et al. 2004 (doi:10.1109/TIP.2003.819861), eq. 13. Axes: ``b`` batch, ``c h w`` image.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

WINDOW = 11  # pixels across the Gaussian window of SSIM, whose standard deviation is 1.5


class ReconstructionMetrics(Metric):
    """NMSE, PSNR and SSIM of reconstructions of images in [0, 1].

    ``nmse``: mean squared error over ``variance``, of reconstructions as they are. ``psnr``: -10 log10 of the mean
    squared error of an image, in dB, averaged over images; infinite if one of them is exact. ``ssim``: of images that
    are reflected at their border, averaged over positions, channels and images; only of images that the window of
    11 x 11 pixels fits into. PSNR and SSIM are of reconstructions that are clamped to [0, 1], with a peak of 1.

    Args:
        variance: of the training pixels; None for no ``nmse``.
    """

    full_state_update = False
    images: Tensor
    error: Tensor
    psnr: Tensor
    ssim: Tensor

    def __init__(self, variance: float | None = None) -> None:
        super().__init__()
        self.variance, self.fits = variance, False
        self.add_state("images", torch.tensor(0), dist_reduce_fx="sum")
        for name in ("error", "psnr", "ssim"):
            self.add_state(name, torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, reconstructions: Tensor, images: Tensor) -> None:
        """Add reconstructions ``b c h w`` of images ``b c h w``; ValueError for other shapes."""
        if reconstructions.shape != images.shape:
            raise ValueError(
                f"reconstructions {tuple(reconstructions.shape)} must have the shape of their images "
                f"{tuple(images.shape)}"
            )
        reconstructions, images = reconstructions.float(), images.float()
        self.images += len(images)
        self.error += (reconstructions - images).square().mean((1, 2, 3)).sum()
        seen = reconstructions.clamp(0, 1)
        self.psnr += peak_signal_noise_ratio(seen, images, data_range=1.0, dim=(1, 2, 3), reduction="sum")
        # torchmetrics reflects smaller images until the window fits, which compares an image with its mirror image.
        self.fits = min(images.shape[-2:]) >= WINDOW
        if self.fits:
            similarity = structural_similarity_index_measure(seen, images, data_range=1.0, reduction="sum")
            assert isinstance(similarity, Tensor)
            self.ssim += similarity

    def compute(self) -> dict[str, Tensor]:
        """Return the metrics by name."""
        metrics = {}
        if self.variance is not None:
            metrics["nmse"] = self.error / self.images / self.variance
        metrics["psnr"] = self.psnr / self.images
        if self.fits:
            metrics["ssim"] = self.ssim / self.images
        return metrics
