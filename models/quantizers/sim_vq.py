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
    """Nearest of the codes C W, where C is random and fixed and W is learned.

    Args:
        dim: width d of the vectors.
        codebook_size: number of codes k.
        gradient: gradient through the nearest code, ``straight_through`` or ``rotation``.
        commitment: weight of the term that pulls the vectors towards their codes.
        positions: positions of an example.
    """

    frozen: Tensor

    def __init__(
        self,
        dim: int,
        codebook_size: int = 512,
        gradient: str = "straight_through",
        commitment: float = 0.25,
        positions: int | None = None,
    ) -> None:
        super().__init__(dim, codebook_size, gradient, True, commitment, positions)
        self.register_buffer("frozen", torch.randn(codebook_size, dim) / dim**0.5)
        self.map = nn.Parameter(torch.eye(dim))

    def table(self) -> Tensor:
        """Return the mapped codes, ``k d``."""
        return self.frozen @ self.map
