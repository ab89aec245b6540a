"""The classic quantizer: the nearest code of a codebook that learns by moving averages or by loss.

van den Oord, Vinyals & Kavukcuoglu 2017 (arXiv:1711.00937). Cosine: Yu et al. 2021 (arXiv:2110.04627), section 3.2.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .codebook import Codebook
from .nearest_neighbor import NearestCode
from .quantizer import QUANTIZERS, Quantized


@QUANTIZERS.register("vector")
class VectorQuantizer(NearestCode):
    """The nearest code of a codebook that is kept alive; its loss is that of ``NearestCode``.

    Args:
        dim: width d of the vectors.
        codebook_size: number of codes k.
        gradient: how it passes the nearest code, ``straight_through`` or ``rotation``.
        update: how the codebook learns, ``ema`` (moving averages of the vectors) or ``loss`` (by the optimizer).
        commitment: weight of the term that draws the vectors to their codes.
        decay: of the moving averages, per training batch.
        cosine: vectors and codes have length 1, so that the nearest code is the one of the largest cosine.
        start_batches: how many first training batches start the codebook by k-means; 0 leaves it random.
        revive: a code with less than this part of the mean code's use restarts at a vector of the batch; 0: none does.

    Raises:
        ValueError: an unknown ``gradient`` or ``update``, or a number out of its range.
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int = 512,
        gradient: str = "straight_through",
        update: str = "ema",
        commitment: float = 0.25,
        decay: float = 0.99,
        cosine: bool = False,
        start_batches: int = 1,
        revive: float = 0.03,
    ) -> None:
        super().__init__(dim, codebook_size, gradient, update == "loss", commitment)
        if update not in ("ema", "loss"):
            raise ValueError(f"update must be one of ema, loss, got '{update}'")
        self.codebook = Codebook(codebook_size, dim, update == "ema", cosine, True, decay, start_batches, revive)

    def table(self) -> Tensor:
        """The codebook, ``k d``."""
        return self.codebook()

    def rows(self, z: Tensor) -> Tensor:
        """The vectors, of length 1 with ``cosine``, ``b ... d -> n d``."""
        rows = super().rows(z)
        return F.normalize(rows, dim=-1) if self.codebook.unit else rows

    def quantize(self, z: Tensor) -> Quantized:
        """See ``forward``."""
        if not self.training:
            return super().quantize(z)
        rows = self.rows(z.detach())
        self.codebook.prepare(rows)
        quantized = super().quantize(z)
        self.codebook.observe(rows, quantized.codes.flatten())
        return quantized
