"""Finite scalar quantization: each coordinate is rounded to one of a few levels; the codebook is their grid.

Mentzer et al. 2023 (arXiv:2309.15505), section 3, with levels that lie symmetrically around 0 for even numbers too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...ranges import check_sizes
from ..relaxed.shapes import Float
from .quantizer import QUANTIZERS, Quantized, Quantizer


@QUANTIZERS.register("fsq")
class FSQ(Quantizer):
    """Rounding with a straight-through gradient: no codebook and no loss. A position has one code of prod(levels).

    Args:
        dim: width d of the vectors; linear maps lead from and to it if it is not the number of levels.
        levels: number of levels of each rounded coordinate, each >= 2; 8, 5, 5, 5 make 1000 codes.
        positions: positions of an example.

    Raises:
        ValueError: no levels, one that is not a whole number >= 2, or 2^63 codes or more.
    """

    levels: Tensor
    place: Tensor

    def __init__(self, dim: int, levels: Sequence[int] = (8, 5, 5, 5), positions: int | None = None) -> None:
        if not isinstance(levels, Sequence) or not levels:
            raise ValueError(f"levels must be a list of one number or more, such as [8, 5, 5, 5], got {levels}")
        check_sizes(2, levels=levels)
        if math.prod(levels) >= 2**63:
            raise ValueError(f"levels must make fewer than 2^63 codes, got {math.prod(levels)}")
        super().__init__(dim, math.prod(levels), positions=positions)
        place = [math.prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float32), persistent=False)  # l
        self.register_buffer("place", torch.tensor(place), persistent=False)  # l
        square = dim == len(levels)
        self.project_in = nn.Identity() if square else nn.Linear(dim, len(levels))
        self.project_out = nn.Identity() if square else nn.Linear(len(levels), dim)

    def quantize(self, z: Tensor) -> Quantized:
        """Quantize ``b ... d``."""
        scaled = scale_to_levels(self.project_in(z), self.levels)  # ... l
        codes = self._codes(scaled)
        spacing = 2 / (self.levels - 1)
        vectors = self.project_out(self._grid(codes) + spacing * (scaled - scaled.detach()))
        zero = vectors.new_zeros((), dtype=torch.float32)
        return Quantized(vectors, codes, zero, {"rate": zero + self.rate()})

    def nearest_codes(self, z: Tensor) -> Tensor:
        """Return the codes of the nearest grid points, ``b ... d -> b ... 1``."""
        return self._codes(scale_to_levels(self.project_in(z), self.levels))

    def embed_codes(self, codes: Tensor) -> Tensor:
        """Return the vectors of codes, ``... 1 -> ... d``."""
        return self.project_out(self._grid(codes))

    def _codes(self, scaled: Tensor) -> Tensor:
        return (scaled.round().long() * self.place).sum(-1, keepdim=True)

    def _grid(self, codes: Tensor) -> Tensor:
        """Return the points of [-1, 1]^l, ``... 1 -> ... l``."""
        # In integers: float32 has no odd numbers above 2^24.
        digits = codes // self.place % self.levels.long()
        return 2 * digits / (self.levels - 1) - 1


def scale_to_levels(z: Float[Tensor, "*b l"], levels: Tensor) -> Float[Tensor, "*b l"]:
    """Squash each coordinate of ``... l`` into [0, levels - 1]; rounding it gives the level."""
    return (levels - 1) * (torch.tanh(z) + 1) / 2
