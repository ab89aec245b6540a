"""SimVQ: a frozen random codebook under one learned linear map, so that a step moves every code, used or not.

Zhu et al. 2024 (arXiv:2411.02038), section 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .nearest_neighbor import NearestCode
from .quantizer import QUANTIZERS


@QUANTIZERS.register("sim_vq")
class SimVQ(NearestCode):
    """The nearest of the codes C W, where C is random and fixed and W is learned; the loss is that of ``NearestCode``.

    Args:
        dim: width d of the vectors.
        codebook_size: number of codes k.
        gradient: how it passes the nearest code, ``straight_through`` or ``rotation``.
        commitment: weight of the term that draws the vectors to their codes.
    """

    frozen: Tensor

    def __init__(
        self, dim: int, codebook_size: int = 512, gradient: str = "straight_through", commitment: float = 0.25
    ) -> None:
        super().__init__(dim, codebook_size, gradient, True, commitment)
        self.register_buffer("frozen", torch.randn(codebook_size, dim) / dim**0.5)
        self.map = nn.Parameter(torch.eye(dim))

    def table(self) -> Tensor:
        """The mapped codes, ``k d``."""
        return self.frozen @ self.map
