"""Interface of all quantizers: vectors to codes and back, with a gradient and a loss.

Axes: ``b`` batch, ``d`` width of a vector, ``q`` codes per position, ``k`` codes of a codebook, ``n`` inputs (all
positions of a batch), ``s`` samples. A quantizer takes ``b ... d``, where ``...`` are the positions of an example.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ...registry import Registry

Cost = Callable[[Tensor], Tensor]


class Quantized(NamedTuple):
    """Output of a quantizer for ``b ... d``.

    Attributes:
        vectors: input of the decoder, ``b ... d``, in float32 at least, with the gradient.
        codes: ``b ... q`` (int64).
        loss: term to add to the objective, a float32 scalar: a mean over all positions of the batch.
        metrics: detached scalars by name. ``rate`` is always there: nats per position under a uniform prior.
    """

    vectors: Tensor
    codes: Tensor
    loss: Tensor
    metrics: dict[str, Tensor]


class Quantizer(nn.Module):
    """Base class of quantizers. Subclasses write ``quantize``, ``nearest_codes`` and ``embed_codes``.

    Computation and state are float32 or float64, also under autocast and in a model made half precision, where moving
    averages would stop moving. In eval mode a quantizer is deterministic and changes no state, and the vectors of
    ``forward`` are exactly ``decode(codes)``.

    Args:
        dim: width d of the vectors.
        codebook_size: number of codes k of one codebook.
        codebooks: number of codes q per position.
        positions: positions of an example, for quantizers that are built for one shape.

    Example:
        >>> import torch
        >>> from gumbelzoo.models.quantizers import QUANTIZERS
        >>> quantizer = QUANTIZERS.build({"name": "vector", "codebook_size": 32}, dim=8, positions=49)
        >>> z = torch.randn(16, 7, 7, 8)  # b h w d
        >>> quantized = quantizer(z)  # vectors b h w d, codes b h w 1
        >>> objective = quantized.vectors.square().mean() + quantized.loss
        >>> assert quantizer.decode(quantizer.encode(z)).shape == z.shape
    """

    stochastic: ClassVar[bool] = False  # codes are drawn from a distribution q(codes | z)
    has_commitment_loss: bool = False  # the loss pulls z towards its codes
    unit_length: bool = False  # z is normalized to length 1 before it is quantized

    def __init__(self, dim: int, codebook_size: int, codebooks: int = 1, positions: int | None = None) -> None:
        super().__init__()
        if dim < 1 or codebooks < 1 or codebook_size < 2:
            raise ValueError(
                f"a quantizer needs dim >= 1, codebooks >= 1 and codebook_size >= 2, got {dim}, {codebooks} and "
                f"{codebook_size}"
            )
        self.dim, self.codebook_size, self.codebooks = dim, codebook_size, codebooks

    # -- written by subclasses; called outside autocast, on float32 ----------------------------------------------------

    def quantize(self, z: Tensor) -> Quantized:
        """Quantize ``b ... d``."""
        raise NotImplementedError

    def nearest_codes(self, z: Tensor) -> Tensor:
        """Return the codes ``b ... q`` of ``b ... d`` in eval mode."""
        raise NotImplementedError

    def embed_codes(self, codes: Tensor) -> Tensor:
        """Return the vectors ``... d`` of codes ``... q``."""
        raise NotImplementedError

    # -- called by models ----------------------------------------------------------------------------------------------

    def forward(self, z: Tensor) -> Quantized:
        """Quantize ``b ... d``; in training mode also update the codebook's statistics.

        Raises:
            ValueError: the width of the vectors is not ``dim``.
        """
        with without_autocast(z):
            return self.quantize(self.checked(z))

    @torch.no_grad()
    def encode(self, z: Tensor) -> Tensor:
        """Return the codes of vectors, ``b ... d -> b ... q`` (int64): deterministic and without side effects."""
        with without_autocast(z):
            return self.nearest_codes(self.checked(z))

    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors of codes, ``... q -> ... d``.

        Raises:
            ValueError: floating-point codes, another number q of codes, or codes outside [0, k).
        """
        if codes.is_floating_point():
            raise ValueError(f"codes must be whole numbers, got {codes.dtype}")
        codes = codes.long()
        if codes.shape[-1] != self.codebooks or ((codes < 0) | (codes >= self.codebook_size)).any():
            values = f"[{codes.min()}, {codes.max()}]" if codes.numel() else "[]"
            raise ValueError(
                f"codes must have shape (..., {self.codebooks}) with values in [0, {self.codebook_size}), got shape "
                f"{tuple(codes.shape)} with values in {values}"
            )
        with without_autocast(codes):
            return self.embed_codes(codes)

    def expectation(self, z: Tensor, cost: Cost) -> tuple[Tensor, Quantized]:
        """Estimate E[cost(vectors)] per example, with gradients for z, the codebook and the cost's own parameters.

        Args:
            z: ``b ... d``.
            cost: maps vectors ``b ... d``, or samples ``s b ... d``, to one value per example, ``b`` or ``s b``.

        Returns:
            The estimate ``b``, and the quantizer's output, whose ``loss`` is to be added to the objective. Without
            noise the estimate is ``cost(vectors)``.
        """
        quantized = self(z)
        return cost(quantized.vectors), quantized

    def kl(self, z: Tensor) -> Tensor:
        """Compute KL(q(codes | z) || uniform) in nats, summed over positions, ``b ... d -> b``.

        Without noise it is the length of a uniform code, log k nats per code.
        """
        positions = self.checked(z)[..., 0].numel() // len(z)
        return z.new_full((len(z),), positions * self.rate(), dtype=torch.float32)

    def sample_codes(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw exact samples of q(codes | z), ``b ... d -> b ... q``; without noise they are ``encode(z)``."""
        return self.encode(z)

    def rate(self) -> float:
        """Nats per position of a uniform code."""
        return self.codebooks * math.log(self.codebook_size)

    def checked(self, z: Tensor) -> Tensor:
        """Return ``z`` in float32 at least; ValueError if its width is not ``dim``."""
        if z.shape[-1] != self.dim:
            raise ValueError(f"this quantizer takes vectors of width {self.dim}, got {z.shape[-1]}; set dim to that")
        return z.to(torch.promote_types(z.dtype, torch.float32))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Quantizer:
        """Move or convert all tensors, but never to half precision."""

        def converted(tensor: Tensor) -> Tensor:
            new = fn(tensor)
            return tensor.to(new.device) if new.is_floating_point() and new.itemsize < 4 else new

        return super()._apply(converted, recurse)

    def extra_repr(self) -> str:
        """Width, number of codebooks and their size."""
        return f"dim={self.dim}, codebooks={self.codebooks}, codebook_size={self.codebook_size}"


QUANTIZERS: Registry[type[Quantizer]] = Registry("quantizer", context=("dim", "positions"))


def without_autocast(like: Tensor) -> torch.autocast:
    """Return a context that disables autocast on the device of ``like``."""
    return torch.autocast(like.device.type, enabled=False)
