"""Block DCT: images as channels of frequencies.

Gueguen et al. 2018, "Faster neural networks straight from JPEG"; Xu et al. 2020, "Learning in the frequency domain"
(arXiv:2002.12416). The DCT-II is orthonormal, so the channels have the energy of the image.
Axes: ``b`` batch, ``c h w`` image, ``p`` side of a block, ``n`` = c p^2 channels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def dct_matrix(p: int) -> Tensor:
    """Return the orthonormal DCT-II of p numbers, ``p p``: a row for each frequency."""
    frequency, place = torch.arange(p, dtype=torch.float64)[:, None], torch.arange(p, dtype=torch.float64)
    matrix = (math.pi * (place + 0.5) * frequency / p).cos() * math.sqrt(2 / p)
    matrix[0] /= math.sqrt(2)
    return matrix.float()


def block_dct(channels: int, p: int) -> nn.Conv2d:
    """Build the block DCT as a convolution of stride p, ``b c h w -> b n h/p w/p``, without parameters that train.

    Channel ``(i p + u) p + v`` has the vertical frequency u and the horizontal frequency v of image channel i.
    """
    matrix = dct_matrix(p)
    filters = torch.einsum("ux,vy->uvxy", matrix, matrix).reshape(p * p, p, p)
    weight = torch.einsum("ij,nxy->injxy", torch.eye(channels), filters).reshape(-1, channels, p, p)
    convolution = nn.Conv2d(channels, channels * p * p, p, stride=p, bias=False)
    convolution.weight = nn.Parameter(weight, requires_grad=False)
    return convolution


def zigzag(p: int) -> list[int]:
    """Return the numbers ``u p + v`` of the frequencies in the order of JPEG, the lowest first."""
    places = [(u, v) for u in range(p) for v in range(p)]
    places.sort(key=lambda place: (sum(place), place[1 - sum(place) % 2]))
    return [u * p + v for u, v in places]
