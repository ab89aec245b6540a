"""The classic quantizer: the nearest code of a codebook.

van den Oord, Vinyals & Kavukcuoglu 2017 (arXiv:1711.00937), eq. 1 to 3. Cosine: Yu et al. 2021 (arXiv:2110.04627),
section 3.2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from .codebook import Codebook
from .gradients import GRADIENTS
from .nearest import nearest
from .quantizer import QUANTIZERS, Quantized, Quantizer


@QUANTIZERS.register("vector")
class VectorQuantizer(Quantizer):
    """The nearest code. ``loss`` is commitment |z - sg(e)|^2, plus |sg(z) - e|^2 if the codebook learns by loss.

    Both are means over positions and over the d coordinates.

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
        super().__init__(dim, codebook_size)
        for option, value, allowed in (("gradient", gradient, GRADIENTS), ("update", update, ("ema", "loss"))):
            if value not in allowed:
                raise ValueError(f"{option} must be one of {', '.join(allowed)}, got '{value}'")
        self.gradient, self.commitment, self.cosine = GRADIENTS[gradient], commitment, cosine
        ema = update == "ema"
        self.codebook = Codebook(codebook_size, dim, ema, cosine, decay, start_batches, revive)

    def quantize(self, z: Tensor) -> Quantized:
        """See ``forward``."""
        rows = self._rows(z)  # n d
        if self.training:
            self.codebook.prepare(rows)
        table = self.codebook()  # k d
        codes = nearest(rows, table)
        chosen = F.embedding(codes, table)  # n d
        distortion = F.mse_loss(rows, chosen.detach())
        loss = self.commitment * distortion
        if not self.codebook.ema:
            loss = loss + F.mse_loss(chosen, rows.detach())
        if self.training:
            self.codebook.observe(rows.detach(), codes)
        vectors = self.gradient(rows, chosen)
        metrics = {"rate": torch.full_like(loss.detach(), self.rate()), "distortion": distortion.detach()}
        return Quantized(vectors.reshape(z.shape), codes.reshape(*z.shape[:-1], 1), loss.float(), metrics)

    def assign(self, z: Tensor) -> Tensor:
        """See ``encode``."""
        return nearest(self._rows(z), self.codebook()).reshape(*z.shape[:-1], 1)

    def look_up(self, codes: Tensor) -> Tensor:
        """See ``decode``."""
        return F.embedding(codes.squeeze(-1), self.codebook())

    def _rows(self, z: Tensor) -> Tensor:
        rows = rearrange(z, "... d -> (...) d")
        return F.normalize(rows, dim=-1) if self.cosine else rows
