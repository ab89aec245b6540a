"""Residual quantization: each quantizer takes the residual of the ones before it, and their vectors add up.

Zeghidour et al. 2021 (arXiv:2107.03312), section III.C.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...registry import Spec
from .composite import Composite
from .quantizer import QUANTIZERS, Quantized


@QUANTIZERS.register("residual")
class ResidualQuantizer(Composite):
    """A sequence of quantizers whose vectors add up to z; the loss is the sum of theirs.

    Quantizers with a commitment loss detach their vectors from the residual, so that every level's commitment reaches
    z. Their ``gradient``, straight-through or the rotation, is that from z to the sum of the vectors: one for all
    levels, since those of deep levels explain little of z. Quantizers without a commitment loss follow the chain rule.
    The metric ``distortion`` is the mean of (z - vectors)^2.

    Args:
        dim: width d of the vectors.
        quantizer: quantizer of each level, as a name or ``{name: vector, codebook_size: 128}``.
        codebooks: number of levels.
        positions: positions of an example.

    Raises:
        ValueError: an unknown name or option, a quantizer that draws its codes, or one that normalizes its inputs
            (``cosine``): a residual has no length 1.
    """

    def __init__(self, dim: int, quantizer: Spec = "vector", codebooks: int = 4, positions: int | None = None) -> None:
        super().__init__(dim, dim, quantizer, codebooks, positions)
        if self.unit_length:
            raise ValueError("a residual quantizer takes no cosine: the residual of a vector has no length 1")

    def quantize(self, z: Tensor) -> Quantized:
        """Quantize ``b ... d``."""
        outputs: list[Quantized] = []
        residual = z
        for member in self.members():
            outputs.append(member.quantize(residual))
            vectors = outputs[-1].vectors
            residual = residual - (vectors.detach() if self.has_commitment_loss else vectors)
        vectors = total([output.vectors for output in outputs])
        quantized = self.combine(self.gradient(z, vectors) if self.has_commitment_loss else vectors, outputs)
        quantized.metrics["distortion"] = F.mse_loss(quantized.vectors.detach(), z.detach())
        return quantized

    def nearest_codes(self, z: Tensor) -> Tensor:
        """Return the codes of each level, ``b ... d -> b ... q``."""
        codes, residual = [], z
        for member in self.members():
            codes.append(member.nearest_codes(residual))
            residual = residual - member.embed_codes(codes[-1])
        return torch.cat(codes, -1)

    def embed_codes(self, codes: Tensor) -> Tensor:
        """Return the vectors of codes, ``... q -> ... d``."""
        return total([member.embed_codes(c) for member, c in zip(self.members(), self.split(codes), strict=True)])


def total(terms: list[Tensor]) -> Tensor:
    """Sum the terms in one fixed order, so that decoded codes are bit-equal to quantized vectors."""
    return torch.stack(terms).sum(0)
