"""Frechet distance against its closed form, precision and recall against their definition in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gumbelzoo.evaluation import fid
from scipy.linalg import sqrtm
from torch import Tensor


def gaussian(mean: list[float], factor: Tensor, n: int = 500, seed: int = 0) -> Tensor:
    """Points whose mean and covariance are exactly ``mean`` and ``factor factor^T``."""
    x = torch.randn(n, len(mean), generator=torch.Generator().manual_seed(seed)).double()
    x = x - x.mean(0)
    white = x @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T
    return white @ factor.double().T + torch.tensor(mean).double()


def brute_force(real: np.ndarray, generated: np.ndarray, k: int) -> tuple[float, float]:
    """Precision and recall from all distances, in the words of the paper."""

    def share_within(images: np.ndarray, others: np.ndarray) -> float:
        radii = [np.sort(np.linalg.norm(others - other, axis=1))[k] for other in others]  # the first is itself
        return float(np.mean([any(np.linalg.norm(image - others, axis=1) <= np.array(radii)) for image in images]))

    return share_within(generated, real), share_within(real, generated)


def test_equal_sets_have_no_distance() -> None:
    x = torch.randn(200, 8)
    assert abs(fid.frechet_distance(x, x)) < 1e-6
    assert abs(fid.frechet_distance(x, x.flip(0))) < 1e-6


def test_batches_are_one_set() -> None:
    """And another set is compared with the same real images after a reset."""
    real, generated = torch.randn(40, 5), 2 * torch.randn(30, 5)
    distance = fid.FrechetDistance(5)
    for batch in real.split(7):
        distance.update(batch, real=True)
    for images in (generated, generated + 1):
        for batch in images.split(11):
            distance.update(batch, real=False)
        assert float(distance.compute()) == pytest.approx(fid.frechet_distance(real, images), rel=1e-9)
        distance.reset()


def test_distance_of_diagonal_gaussians() -> None:
    """|mu - mu'|^2 + sum of (s - s')^2."""
    first = gaussian([0.0, 1.0, 2.0], torch.diag(torch.tensor([1.0, 2.0, 3.0])))
    second = gaussian([1.0, 1.0, 0.0], torch.diag(torch.tensor([2.0, 2.0, 0.5])), n=300, seed=1)
    assert fid.frechet_distance(first, second) == pytest.approx(1 + 4 + 1 + 6.25, rel=1e-9)


def test_distance_of_any_gaussians() -> None:
    """Against the matrix square root of the product of covariances."""
    generator = torch.Generator().manual_seed(3)
    a, b = (torch.randn(4, 4, generator=generator).double() for _ in range(2))
    first, second = gaussian([0.0] * 4, a), gaussian([0.5, 0.0, -1.0, 0.0], b, seed=1)
    c, d = (a @ a.T).numpy(), (b @ b.T).numpy()
    expected = 1.25 + np.trace(c + d - 2 * sqrtm(c @ d).real)
    assert fid.frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)
    assert fid.frechet_distance(second, first) == pytest.approx(expected, rel=1e-6)


def test_constant_features() -> None:
    """Dead units have them: the covariance is singular."""
    x = torch.cat([torch.randn(50, 3), torch.zeros(50, 4)], 1)
    assert fid.frechet_distance(x, x + 1) == pytest.approx(7.0, rel=1e-5)


def test_precision_and_recall_on_a_line() -> None:
    real = torch.tensor([0.0, 1.0, 2.0, 10.0])[:, None]  # radii for k = 1: 1, 1, 1, 8
    generated = torch.tensor([-0.5, 1.5, 3.5, 30.0])[:, None]  # radii for k = 1: 2, 2, 2, 26.5
    # -0.5 and 1.5 lie within 1 of 0 and 2, and 3.5 within 8 of 10; 0, 1, 2 lie within 2 of something, 10 of 30
    assert fid.precision_recall(real, generated, k=1) == (0.75, 1.0)
    assert fid.precision_recall(generated, real, k=1) == (1.0, 0.75)


def test_precision_and_recall_of_collapse() -> None:
    """Collapsed samples have precision and no recall, noise the reverse."""
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(400, 2, generator=generator)
    collapsed, wide = 0.01 * torch.randn(400, 2, generator=generator), 20 * torch.randn(400, 2, generator=generator)
    precision, recall = fid.precision_recall(real, collapsed)
    assert precision == 1.0 and recall < 0.05
    precision, recall = fid.precision_recall(real, wide)
    assert precision < 0.1 and recall > 0.5


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_equal_brute_force(k: int) -> None:
    """Of sets that overlap, with images that occur in both or twice."""
    real, generated = torch.randn(70, 3), 2 * torch.randn(50, 3) + 2
    real, generated = torch.cat([real, real[:5]]), torch.cat([generated, real[10:14]])
    expected = brute_force(real.double().numpy(), generated.double().numpy(), k)
    assert fid.precision_recall(real, generated, k) == pytest.approx(expected, abs=1e-12)
    assert min(expected) > 0 and max(expected) < 1


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, generated = torch.randn(60, 3), torch.randn(50, 3)
    at_once = fid.precision_recall(real, generated)
    monkeypatch.setattr(fid, "PAIRS", 400)
    assert fid.precision_recall(real, generated) == at_once


def test_too_few_images_raise() -> None:
    with pytest.raises(ValueError, match="two images"):
        fid.frechet_distance(torch.randn(1, 3), torch.randn(5, 3))
    for k in (0, 5):
        with pytest.raises(ValueError, match="k must be"):
            fid.precision_recall(torch.randn(5, 3), torch.randn(9, 3), k=k)
