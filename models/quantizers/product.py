"""Product quantization: the coordinates in groups, each with a codebook of its own.

Jegou, Douze & Schmid 2011, "Product quantization for nearest neighbor search" (IEEE TPAMI 33), section 2.2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...ranges import check_sizes
from ...registry import Spec
from .composite import Composite
from .quantizer import QUANTIZERS, Quantized


@QUANTIZERS.register("product")
class ProductQuantizer(Composite):
    """Quantizers of d / q coordinates each: k^q vectors from q k stored ones. The loss is the sum of theirs.

    The metric ``distortion`` is the mean of theirs, for quantizers that have it.

    Args:
        dim: width d of the vectors, divisible by ``codebooks``.
        quantizer: quantizer of each group, as a name or ``{name: vector, codebook_size: 128}``.
        codebooks: number of groups.
        positions: positions of an example.

    Raises:
        ValueError: ``dim`` that is not divisible by ``codebooks``, an unknown name or option, or a quantizer that
            draws its codes.
    """

    def __init__(self, dim: int, quantizer: Spec = "vector", codebooks: int = 4, positions: int | None = None) -> None:
        check_sizes(codebooks=codebooks)
        if dim % codebooks:
            raise ValueError(f"dim must be divisible by codebooks, got {dim} and {codebooks}")
        super().__init__(dim, dim // codebooks, quantizer, codebooks, positions)

    def quantize(self, z: Tensor) -> Quantized:
        """Quantize ``b ... d``."""
        outputs = [member.quantize(group) for member, group in zip(self.members(), self.split(z), strict=True)]
        quantized = self.combine(torch.cat([output.vectors for output in outputs], -1), outputs)
        distortions = [output.metrics["distortion"] for output in outputs if "distortion" in output.metrics]
        if distortions:
            quantized.metrics["distortion"] = torch.stack(distortions).mean()
        return quantized

    def nearest_codes(self, z: Tensor) -> Tensor:
        """Return the codes of each group, ``b ... d -> b ... q``."""
        return torch.cat(
            [member.nearest_codes(group) for member, group in zip(self.members(), self.split(z), strict=True)], -1
        )

    def embed_codes(self, codes: Tensor) -> Tensor:
        """Return the vectors of codes, ``... q -> ... d``."""
        return torch.cat(
            [member.embed_codes(c) for member, c in zip(self.members(), self.split(codes), strict=True)], -1
        )
