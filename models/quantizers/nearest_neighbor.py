"""Base of the quantizers that take the nearest code of a table, however the table learns.

van den Oord, Vinyals & Kavukcuoglu 2017 (arXiv:1711.00937), eq. 1 to 3.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ...ranges import check_weights
from .distances import nearest
from .gradients import GRADIENTS
from .quantizer import Quantized, Quantizer


class NearestCode(Quantizer):
    """Nearest code of a table; subclasses write ``table``.

    ``loss`` is commitment |z - sg(e)|^2, plus |sg(z) - e|^2 if the table learns by it. Both are means over positions
    and over the d coordinates. The metric ``distortion`` is the same mean of |z - e|^2.

    Args:
        dim: width d of the vectors.
        codebook_size: number of codes k.
        gradient: gradient through the nearest code, a name of ``GRADIENTS``.
        learned: the table learns by the loss.
        commitment: weight of the term that pulls the vectors towards their codes.
        positions: positions of an example.

    Raises:
        ValueError: an unknown ``gradient``, a negative ``commitment``.
    """

    has_commitment_loss = True

    def __init__(
        self,
        dim: int,
        codebook_size: int,
        gradient: str,
        learned: bool,
        commitment: float,
        positions: int | None = None,
    ) -> None:
        super().__init__(dim, codebook_size, positions=positions)
        check_weights(commitment=commitment)
        if gradient not in GRADIENTS:
            raise ValueError(f"gradient must be one of {', '.join(GRADIENTS)}, got '{gradient}'")
        self.gradient, self.commitment = GRADIENTS[gradient], commitment
        self.learned = learned

    def table(self) -> Tensor:
        """Return the vectors of the codes, ``k d``."""
        raise NotImplementedError

    def inputs(self, z: Tensor) -> Tensor:
        """Return the vectors that are compared with the table, ``b ... d -> n d``."""
        return rearrange(z, "... d -> (...) d")

    def quantize(self, z: Tensor) -> Quantized:
        """Quantize ``b ... d``."""
        inputs, table = self.inputs(z), self.table()
        codes = nearest(inputs, table)
        chosen = F.embedding(codes, table)  # n d
        distortion = F.mse_loss(inputs, chosen.detach())
        loss = self.commitment * distortion
        if self.learned:
            loss = loss + F.mse_loss(chosen, inputs.detach())
        vectors = self.gradient(inputs, chosen).reshape(z.shape)
        metrics = {"rate": torch.full_like(loss, self.rate()), "distortion": distortion.detach()}
        return Quantized(vectors, codes.reshape(*z.shape[:-1], 1), loss.float(), metrics)

    def nearest_codes(self, z: Tensor) -> Tensor:
        """Return the nearest codes, ``b ... d -> b ... 1``."""
        return nearest(self.inputs(z), self.table()).reshape(*z.shape[:-1], 1)

    def embed_codes(self, codes: Tensor) -> Tensor:
        """Return the vectors of codes, ``... 1 -> ... d``."""
        return F.embedding(codes.squeeze(-1), self.table())
