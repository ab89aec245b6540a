"""Residual quantization: each quantizer takes what the ones before it have left over, and their vectors add up.

Zeghidour et al. 2021 (arXiv:2107.03312), section III.C.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .composite import Composite
from .quantizer import QUANTIZERS, Quantized


@QUANTIZERS.register("residual")
class ResidualQuantizer(Composite):
    """q quantizers in a row; the loss is the sum of theirs, and draws z to the sum of the codes.

    The vectors of quantizers that commit z to their codes are cut off from what is left over, so that every level's
    commitment reaches z; all but the first pass on how their gradient differs from the identity, so that the sum of q
    straight-through vectors has the identity as its gradient, and not q times that. The others have the chain rule.

    Args:
        dim: width d of the vectors.
        quantizer: name of the quantizers.
        codebooks: how many follow each other.
        quantizer_options: arguments of each, such as ``{codebook_size: 128}``.

    Raises:
        ValueError: those of ``Composite``; ``cosine``: what is left over has no length 1.
    """

    def __init__(
        self,
        dim: int,
        quantizer: str = "vector",
        codebooks: int = 4,
        quantizer_options: Mapping[str, Any] | None = None,
    ) -> None:
        if (quantizer_options or {}).get("cosine"):
            raise ValueError("a residual quantizer takes no cosine: what is left over of a vector has no length 1")
        super().__init__(dim, dim, quantizer, codebooks, quantizer_options)

    def quantize(self, z: Tensor) -> Quantized:
        """See ``forward``."""
        outputs: list[Quantized] = []
        passed: list[Tensor] = []
        rest = z
        for part in self.each_part():
            outputs.append(part.quantize(rest))
            vectors = outputs[-1].vectors
            once_more = rest - rest.detach() if part.commits and passed else torch.zeros_like(rest)
            passed.append(vectors - once_more)
            rest = rest - (vectors.detach() if part.commits else vectors)
        return self.gathered(z, total(passed), outputs)

    def assign(self, z: Tensor) -> Tensor:
        """See ``encode``."""
        codes, rest = [], z
        for part in self.each_part():
            codes.append(part.assign(rest))
            rest = rest - part.look_up(codes[-1])
        return torch.cat(codes, -1)

    def look_up(self, codes: Tensor) -> Tensor:
        """See ``decode``."""
        return total([part.look_up(c) for part, c in zip(self.each_part(), self.split(codes), strict=True)])


def total(parts: list[Tensor]) -> Tensor:
    """The sum, always in the same order: decoded codes are bit-equal to what was quantized."""
    return torch.stack(parts).sum(0)
