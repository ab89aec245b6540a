"""Distances of two sets of images in the features of a network: Frechet distance, precision and recall.

Heusel et al. 2017 (arXiv:1706.08500), eq. 6; Kynkaanniemi et al. 2019 (arXiv:1904.06991), eq. 1 and 2. Results are
comparable only for the same feature network and numbers of images: the Frechet distance of finite sets is biased
upwards. Axes: ``n`` real and ``m`` generated images, ``d`` features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

PAIRS = 10_000_000  # distances in memory at a time


class _Given(nn.Module):
    """Features as they are, where torchmetrics has a network."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features.double()


class FrechetDistance(FrechetInceptionDistance):
    """|mu - mu'|^2 + Tr(C + C' - 2 (C C')^1/2) from means and covariances of features, in constant memory.

    ``reset`` forgets the generated images only: several sets are compared with the same real images.

    Args:
        features: number of features d.
    """

    def __init__(self, features: int) -> None:
        super().__init__(_Given(features), reset_real_features=False)


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """Compute the ``FrechetDistance`` of features ``n d`` and ``m d``.

    Raises:
        ValueError: fewer than two images.
    """
    if min(len(real), len(generated)) < 2:
        raise ValueError(f"a covariance needs two images or more, got {len(real)} and {len(generated)}")
    distance = FrechetDistance(real.shape[1])
    distance.update(real, real=True)
    distance.update(generated, real=False)
    return float(distance.compute())


def precision_recall(real: Tensor, generated: Tensor, k: int = 3) -> tuple[float, float]:
    """Compute the share of generated images within the real ones, and of real images within the generated ones.

    An image is within a set if its distance to some image of the set is at most that image's distance to its k-th
    nearest neighbour in the set.

    Args:
        real: features ``n d``.
        generated: features ``m d``.
        k: index of the neighbour, from 1.

    Raises:
        ValueError: k < 1, or a set with at most k images.
    """
    if not 1 <= k < min(len(real), len(generated)):
        raise ValueError(f"k must be at least 1 and less than the images of a set, got {k}")
    real, generated = real.double(), generated.double()
    return _share_within(generated, real, k), _share_within(real, generated, k)


def _share_within(images: Tensor, others: Tensor, k: int) -> float:
    """Return the share of ``images`` in a ball around one of ``others`` that reaches to its k-th nearest neighbour."""
    rows = max(1, PAIRS // len(others))
    # The nearest of all is the image itself, hence k + 1.
    radii = torch.cat([torch.cdist(chunk, others).kthvalue(k + 1, dim=1).values for chunk in others.split(rows)])
    within = [(torch.cdist(chunk, others) <= radii).any(1) for chunk in images.split(rows)]
    return float(torch.cat(within).double().mean())
