"""How close two sets of images are in the features of a network: Frechet distance, precision and recall.

Heusel et al. 2017 (arXiv:1706.08500), eq. 6; Kynkaanniemi et al. 2019 (arXiv:1904.06991), eq. 1 and 2. A figure means
something only beside the feature network and the numbers of images: the Frechet distance of finite sets is biased
upwards. Axes: ``n`` real and ``m`` generated images, ``d`` features.
"""

from __future__ import annotations

import torch
from torch import Tensor

ROWS = 1000  # images compared with all others at a time


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """|mu - mu'|^2 + Tr(C + C' - 2 (C C')^1/2) of the means and covariances of features ``n d`` and ``m d``.

    Raises:
        ValueError: fewer than two images.
    """
    if min(len(real), len(generated)) < 2:
        raise ValueError(f"a covariance needs two images or more, got {len(real)} and {len(generated)}")
    (mean, covariance), (other_mean, other_covariance) = _moments(real), _moments(generated)
    # the eigenvalues of C C' are those of the symmetric C^1/2 C' C^1/2
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    overlap = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    distance = (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * overlap
    return float(distance)


def precision_recall(real: Tensor, generated: Tensor, k: int = 3) -> tuple[float, float]:
    """Shares of the generated images among the real ones, and of the real among the generated.

    An image lies among others if it is no further from one of them than that one is from its k-th nearest neighbour.

    Args:
        real: features ``n d``.
        generated: features ``m d``.
        k: which neighbour.

    Raises:
        ValueError: k < 1, or no image has k neighbours.
    """
    if not 1 <= k < min(len(real), len(generated)):
        raise ValueError(f"k must be at least 1 and less than the images of a set, got {k}")
    real, generated = real.double(), generated.double()
    return _share_within(generated, real, k), _share_within(real, generated, k)


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    features = features.double()
    return features.mean(0), torch.cov(features.T).reshape(features.shape[1], -1)


def _share_within(images: Tensor, others: Tensor, k: int) -> float:
    """Share of ``images`` in a ball around one of ``others`` that reaches to its k-th nearest neighbour among them."""
    # the nearest of all is the image itself
    radii = torch.cat([torch.cdist(rows, others).kthvalue(k + 1, dim=1).values for rows in others.split(ROWS)])
    within = [(torch.cdist(rows, others) <= radii).any(1) for rows in images.split(ROWS)]
    return float(torch.cat(within).double().mean())
