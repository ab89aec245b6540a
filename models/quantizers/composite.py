"""Base of the quantizers that combine several others: their codes are concatenated, their losses summed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...ranges import check_sizes
from ...registry import Spec
from .quantizer import QUANTIZERS, Quantized, Quantizer


class Composite(Quantizer):
    """Several quantizers of one kind at each position; subclasses define what each of them quantizes.

    Args:
        dim: width d of the vectors.
        part_dim: width that each quantizer takes.
        quantizer: one quantizer, as a name or ``{name: ..., options}``.
        codebooks: number of quantizers.
        positions: positions of an example.

    Raises:
        ValueError: an unknown name or option, ``codebooks`` < 1, or a quantizer that draws its codes.
    """

    parts: ClassVar[Mapping[str, Any]] = {"quantizer": QUANTIZERS}

    def __init__(self, dim: int, part_dim: int, quantizer: Spec, codebooks: int, positions: int | None = None) -> None:
        name, _ = QUANTIZERS.read(quantizer)
        check_sizes(codebooks=codebooks)
        if QUANTIZERS[name].stochastic:
            raise ValueError(
                f"quantizer '{name}' draws the codes of a position together: use it by itself, with its own "
                f"codebooks={codebooks}"
            )
        built = [QUANTIZERS.build(quantizer, dim=part_dim, positions=positions) for _ in range(codebooks)]
        super().__init__(dim, built[0].codebook_size, codebooks * built[0].codebooks, positions)
        self.quantizers = nn.ModuleList(built)
        self.has_commitment_loss, self.unit_length = built[0].has_commitment_loss, built[0].unit_length
        self.gradient = built[0].gradient

    def members(self) -> list[Quantizer]:
        """Return the quantizers in the order of their codes."""
        return [member for member in self.quantizers if isinstance(member, Quantizer)]

    def split(self, codes: Tensor) -> Sequence[Tensor]:
        """Return the codes of each quantizer."""
        return codes.chunk(len(self.quantizers), -1)

    def combine(self, vectors: Tensor, outputs: Sequence[Quantized]) -> Quantized:
        """Join the codes and losses of the quantizers; ``vectors`` are those of all of them together."""
        codes = torch.cat([output.codes for output in outputs], -1)
        loss = torch.stack([output.loss for output in outputs]).sum()
        return Quantized(vectors, codes, loss, {"rate": vectors.new_full((), self.rate())})
