"""The quantizer that takes the nearest code of some table, however the table learns.

van den Oord, Vinyals & Kavukcuoglu 2017 (arXiv:1711.00937), eq. 1 to 3.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from .distances import nearest
from .gradients import GRADIENTS
from .quantizer import Quantized, Quantizer


class NearestCode(Quantizer):
    """``loss`` is commitment |z - sg(e)|^2, plus |sg(z) - e|^2 if the table learns by it; subclasses write ``table``.

    Both are means over positions and over the d coordinates. The metric ``distortion`` is the same mean of |z - e|^2.

    Args:
        dim: width d of the vectors.
        codebook_size: number of codes k.
        gradient: a name of ``GRADIENTS``.
        learned: the table learns by the loss.
        commitment: weight of the term that draws the vectors to their codes.
    """

    commits = True

    def __init__(self, dim: int, codebook_size: int, gradient: str, learned: bool, commitment: float) -> None:
        super().__init__(dim, codebook_size)
        if gradient not in GRADIENTS:
            raise ValueError(f"gradient must be one of {', '.join(GRADIENTS)}, got '{gradient}'")
        self.gradient, self.commitment = GRADIENTS[gradient], commitment
        self.learned = learned

    def table(self) -> Tensor:
        """The vectors of the codes, ``k d``."""
        raise NotImplementedError

    def rows(self, z: Tensor) -> Tensor:
        """The vectors that are compared with the table, ``b ... d -> n d``."""
        return rearrange(z, "... d -> (...) d")

    def quantize(self, z: Tensor) -> Quantized:
        """See ``forward``."""
        rows, table = self.rows(z), self.table()
        codes = nearest(rows, table)
        chosen = F.embedding(codes, table)  # n d
        distortion = F.mse_loss(rows, chosen.detach())
        loss = self.commitment * distortion
        if self.learned:
            loss = loss + F.mse_loss(chosen, rows.detach())
        vectors = self.gradient(rows, chosen).reshape(z.shape)
        metrics = {"rate": torch.full_like(loss, self.rate()), "distortion": distortion.detach()}
        return Quantized(vectors, codes.reshape(*z.shape[:-1], 1), loss.float(), metrics)

    def assign(self, z: Tensor) -> Tensor:
        """See ``encode``."""
        return nearest(self.rows(z), self.table()).reshape(*z.shape[:-1], 1)

    def look_up(self, codes: Tensor) -> Tensor:
        """See ``decode``."""
        return F.embedding(codes.squeeze(-1), self.table())
