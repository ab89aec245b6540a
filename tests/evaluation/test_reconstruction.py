"""NMSE, PSNR and SSIM against NumPy, position by position."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gumbelzoo.evaluation.reconstruction import ReconstructionMetrics
from torch import Tensor


def ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. 2004 of two images ``h w`` in [0, 1], reflected at the border."""
    across = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(across, across) / across.sum() ** 2
    x_padded, y_padded = np.pad(x, 5, mode="reflect"), np.pad(y, 5, mode="reflect")
    values = []
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            a, b = (image[row : row + 11, column : column + 11] for image in (x_padded, y_padded))
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            variance_a, variance_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            covariance = (window * (a - mean_a) * (b - mean_b)).sum()
            luminance = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
            values.append(luminance * (2 * covariance + 0.03**2) / (variance_a + variance_b + 0.03**2))
    return float(np.mean(values))


def measure(reconstructions: Tensor, images: Tensor, variance: float | None = None, batch: int = 3) -> dict[str, float]:
    metric = ReconstructionMetrics(variance)
    for start in range(0, len(images), batch):
        metric.update(reconstructions[start : start + batch], images[start : start + batch])
    return {name: float(value) for name, value in metric.compute().items()}


def test_metrics_equal_their_definitions() -> None:
    """Over batches of different sizes, two channels, and reconstructions outside [0, 1]."""
    images = torch.rand(5, 2, 12, 14)
    reconstructions = images + 0.2 * torch.randn(images.shape)
    assert reconstructions.min() < 0 and reconstructions.max() > 1
    x, y = images.double().numpy(), reconstructions.double().numpy()
    seen = y.clip(0, 1)
    assert measure(reconstructions, images, variance=0.07) == pytest.approx(
        {
            "nmse": ((x - y) ** 2).mean() / 0.07,
            "psnr": np.mean([-10 * np.log10(((a - b) ** 2).mean()) for a, b in zip(x, seen, strict=True)]),
            "ssim": np.mean([ssim(a, b) for pair in zip(x, seen, strict=True) for a, b in zip(*pair, strict=True)]),
        },
        abs=1e-5,
    )


def test_window_larger_than_images_has_no_ssim() -> None:
    for shape, names in (((3, 1, 10, 20), {"psnr"}), ((3, 1, 11, 11), {"psnr", "ssim"})):
        images = torch.rand(shape)
        assert measure(images / 2, images).keys() == names


def test_exact_reconstructions() -> None:
    images = torch.rand(4, 1, 11, 11)
    assert measure(images, images, variance=1.0) == {"nmse": 0.0, "psnr": math.inf, "ssim": pytest.approx(1.0)}


def test_reset_forgets_everything() -> None:
    metric, images = ReconstructionMetrics(0.5), torch.rand(4, 1, 11, 11)
    metric.update(torch.zeros_like(images), images)
    metric.reset()
    metric.update(0.9 * images, images)
    assert {name: float(value) for name, value in metric.compute().items()} == measure(0.9 * images, images, 0.5, 4)


def test_other_shapes_raise() -> None:
    with pytest.raises(ValueError, match="must have the shape of their images"):
        ReconstructionMetrics().update(torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 9))
