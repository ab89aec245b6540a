"""Product quantization: the coordinates in groups, each with a codebook of its own.

Jegou, Douze & Schmid 2011, "Product quantization for nearest neighbor search" (IEEE TPAMI 33), section 2.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .composite import Composite
from .quantizer import QUANTIZERS, Quantized


@QUANTIZERS.register("product")
class ProductQuantizer(Composite):
    """q quantizers of d / q coordinates each: k^q vectors from q k stored ones. The loss is the sum of theirs.

    Args:
        dim: width d of the vectors, divisible by ``codebooks``.
        quantizer: name of the quantizer of each group.
        codebooks: number of groups.
        quantizer_options: arguments of each group's quantizer, such as ``{codebook_size: 128}``.

    Raises:
        ValueError: ``dim`` that is not divisible by ``codebooks``; those of ``Composite``.
    """

    def __init__(
        self,
        dim: int,
        quantizer: str = "vector",
        codebooks: int = 4,
        quantizer_options: Mapping[str, Any] | None = None,
    ) -> None:
        if codebooks < 1 or dim % codebooks:
            raise ValueError(f"dim must be divisible by codebooks, got {dim} and {codebooks}")
        super().__init__(dim, dim // codebooks, quantizer, codebooks, quantizer_options)

    def quantize(self, z: Tensor) -> Quantized:
        """See ``forward``."""
        outputs = [part.quantize(group) for part, group in zip(self.each_part(), self.split(z), strict=True)]
        quantized = self.gathered(z, torch.cat([output.vectors for output in outputs], -1), outputs)
        quantized.metrics["distortion"] = torch.stack([output.metrics["distortion"] for output in outputs]).mean()
        return quantized

    def assign(self, z: Tensor) -> Tensor:
        """See ``encode``."""
        return torch.cat([part.assign(group) for part, group in zip(self.each_part(), self.split(z), strict=True)], -1)

    def look_up(self, codes: Tensor) -> Tensor:
        """See ``decode``."""
        return torch.cat([part.look_up(c) for part, c in zip(self.each_part(), self.split(codes), strict=True)], -1)
