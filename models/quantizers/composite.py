"""Several quantizers of one kind at each position: their codes stand side by side, their losses add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import unknown_arguments
from .quantizer import QUANTIZERS, Quantized, Quantizer


class Composite(Quantizer):
    """Holds the parts; subclasses say what each of them quantizes.

    Args:
        dim: width d of the vectors.
        part_dim: width of what a part quantizes.
        quantizer: name of the parts' quantizer.
        codebooks: number of parts.
        options: arguments of each part.

    Raises:
        ValueError: an unknown name or argument; no part; a quantizer whose codes are drawn, which must be done at once.
    """

    def __init__(
        self, dim: int, part_dim: int, quantizer: str, codebooks: int, options: Mapping[str, Any] | None
    ) -> None:
        kind, options = QUANTIZERS[quantizer], dict(options or {})
        if codebooks < 1:
            raise ValueError(f"codebooks must be >= 1, got {codebooks}")
        if kind.stochastic:
            raise ValueError(
                f"quantizer '{quantizer}' draws the codes of a position together: use it by itself, with its own "
                f"codebooks={codebooks}"
            )
        unknown_arguments(f"quantizer '{quantizer}'", kind, options, ("dim",))
        parts = [kind(part_dim, **options) for _ in range(codebooks)]
        super().__init__(dim, parts[0].codebook_size, codebooks * parts[0].codebooks)
        self.parts = nn.ModuleList(parts)
        self.commits = parts[0].commits

    def each_part(self) -> list[Quantizer]:
        """The quantizers in the order of their codes."""
        return [part for part in self.parts if isinstance(part, Quantizer)]

    def split(self, codes: Tensor) -> Sequence[Tensor]:
        """The codes of each part."""
        return codes.chunk(len(self.parts), -1)

    def gathered(self, z: Tensor, vectors: Tensor, outputs: Sequence[Quantized]) -> Quantized:
        """The codes and losses of the parts, with the ``vectors`` that they make of ``z`` together."""
        codes = torch.cat([output.codes for output in outputs], -1)
        loss = torch.stack([output.loss for output in outputs]).sum()
        distortion = F.mse_loss(vectors.detach(), z.detach())
        return Quantized(
            vectors, codes, loss, {"rate": torch.full_like(distortion, self.rate()), "distortion": distortion}
        )
