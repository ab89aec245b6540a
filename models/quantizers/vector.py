"""Vector quantization: the nearest code of a codebook that learns by moving averages or by gradient.

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
    """Nearest code of a codebook with k-means initialisation and resets of dead codes.

    ``quantizer.requires_grad_(False)`` freezes the codebook. Moving averages are buffers, which
    ``model.requires_grad_(False)`` of a whole model does not reach; ``model.eval()`` does.

    Args:
        dim: width d of the vectors.
        codebook_size: number of codes k.
        gradient: gradient through the nearest code, ``straight_through`` or ``rotation``.
        update: rule by which the codebook learns, ``ema`` (moving averages of the inputs) or ``loss`` (the optimizer).
        commitment: weight of the term that pulls the vectors towards their codes.
        decay: of the moving averages, per training step.
        cosine: normalize vectors and codes to length 1, so that the nearest code has the largest cosine.
        kmeans_batches: number of first training batches that initialise the codebook by k-means; 0 leaves it random.
        dead_code_threshold: a code used less than this share of the mean is reset to an encoder output; 0 resets none.
        positions: positions of an example.

    Raises:
        ValueError: an unknown ``gradient`` or ``update``, or a number out of its range.

    Example:
        >>> import torch
        >>> from gumbelzoo.models.quantizers.vector import VectorQuantizer
        >>> quantizer = VectorQuantizer(dim=8, codebook_size=32)
        >>> z = torch.randn(16, 7, 7, 8, requires_grad=True)  # b h w d
        >>> vectors, codes, loss, metrics = quantizer(z)  # in training mode the codebook learns
        >>> (vectors.square().mean() + loss).backward()  # straight-through: a gradient reaches z
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
        kmeans_batches: int = 1,
        dead_code_threshold: float = 0.03,
        positions: int | None = None,
    ) -> None:
        super().__init__(dim, codebook_size, gradient, update == "loss", commitment, positions)
        if update not in ("ema", "loss"):
            raise ValueError(f"update must be one of ema, loss, got '{update}'")
        self.unit_length = cosine
        self.codebook = Codebook(
            codebook_size,
            dim,
            ema=update == "ema",
            unit_length=cosine,
            decay=decay,
            kmeans_batches=kmeans_batches,
            dead_code_threshold=dead_code_threshold,
        )

    def table(self) -> Tensor:
        """Return the codebook, ``k d``."""
        return self.codebook()

    def inputs(self, z: Tensor) -> Tensor:
        """Return the vectors, with ``cosine`` of length 1, ``b ... d -> n d``."""
        inputs = super().inputs(z)
        return F.normalize(inputs, dim=-1) if self.unit_length else inputs

    def quantize(self, z: Tensor) -> Quantized:
        """Quantize ``b ... d``; in training mode initialise or reset the codebook before, and update it after."""
        if not self.training or self.codebook.frozen:
            return super().quantize(z)
        inputs = self.inputs(z.detach())
        self.codebook.init_and_reset(inputs)
        quantized = super().quantize(z)
        self.codebook.update_ema(inputs, quantized.codes.flatten())
        return quantized
