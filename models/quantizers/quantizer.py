"""What every quantizer is: vectors in, codes and vectors out, one way to train it.

Axes: ``b`` batch, ``d`` width of a vector, ``q`` codes per position, ``k`` codes of a codebook, ``n`` rows (positions
of a whole batch), ``s`` samples. A quantizer takes ``b ... d``, where ``...`` are the positions of an example.
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
    """What a quantizer makes of ``b ... d``.

    Attributes:
        vectors: ``b ... d`` for the decoder, in float32 at least, with the gradient.
        codes: ``b ... q`` (int64).
        loss: what is added to the objective, a float32 scalar: a mean over all positions of the batch.
        metrics: detached scalars by name; ``rate`` is always among them: nats per position under a uniform prior.
    """

    vectors: Tensor
    codes: Tensor
    loss: Tensor
    metrics: dict[str, Tensor]


class Quantizer(nn.Module):
    """A quantizer of vectors. Subclasses write ``quantize``, ``assign`` and ``look_up``.

    They work in float32 (or float64) inside autocast too, whatever comes in, and what they hold stays in it when a
    model is made half precision: moving averages would stand still in that. In eval mode nothing is random, no state
    changes, and the vectors of ``forward`` are exactly ``decode(codes)``.

    Args:
        dim: d, the width of the vectors.
        codebook_size: k, the number of codes of one codebook.
        codebooks: q, the number of codes per position.
    """

    stochastic: ClassVar[bool] = False  # are codes drawn from a distribution q(codes | z)?
    commits: bool = False  # does the loss draw z to its codes?

    def __init__(self, dim: int, codebook_size: int, codebooks: int = 1) -> None:
        super().__init__()
        if dim < 1 or codebooks < 1 or codebook_size < 2:
            raise ValueError(
                f"a quantizer needs dim >= 1, codebooks >= 1 and codebook_size >= 2, got {dim}, {codebooks} and "
                f"{codebook_size}"
            )
        self.dim, self.codebook_size, self.codebooks = dim, codebook_size, codebooks

    # -- what subclasses write, outside autocast and on float32 --------------------------------------------------------

    def quantize(self, z: Tensor) -> Quantized:
        """``b ... d`` to vectors, codes, loss and metrics."""
        raise NotImplementedError

    def assign(self, z: Tensor) -> Tensor:
        """The codes ``b ... q`` of ``b ... d`` at evaluation."""
        raise NotImplementedError

    def look_up(self, codes: Tensor) -> Tensor:
        """The vectors ``... d`` of codes ``... q``."""
        raise NotImplementedError

    # -- what others call ----------------------------------------------------------------------------------------------

    def forward(self, z: Tensor) -> Quantized:
        """Quantize ``b ... d``; in training mode this also updates the codebook's statistics.

        Raises:
            ValueError: vectors of another width than ``dim``.
        """
        with without_autocast(z):
            return self.quantize(self.checked(z))

    @torch.no_grad()
    def encode(self, z: Tensor) -> Tensor:
        """The codes of vectors, ``b ... d -> b ... q`` (int64): deterministic and without a trace, in any mode."""
        with without_autocast(z):
            return self.assign(self.checked(z))

    def decode(self, codes: Tensor) -> Tensor:
        """The vectors of codes, ``... q -> ... d``.

        Raises:
            ValueError: codes of another number q, outside [0, k), or no whole numbers.
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
            return self.look_up(codes)

    def expectation(self, z: Tensor, cost: Cost) -> tuple[Tensor, Quantized]:
        """Estimate E[cost(vectors)] per example, with the gradient for z, the codebook and what the cost depends on.

        Args:
            z: ``b ... d``.
            cost: maps vectors ``b ... d``, or samples ``s b ... d``, to one value per example, ``b`` or ``s b``.

        Returns:
            The estimate ``b``, to which the objective adds ``loss`` of the second. A quantizer without noise has
            nothing to estimate: ``cost(vectors)``.
        """
        quantized = self(z)
        return cost(quantized.vectors), quantized

    def kl(self, z: Tensor) -> Tensor:
        """KL(q(codes | z) || uniform) in nats, summed over the positions, ``b ... d -> b``.

        Without noise it is the length of a uniform code, log k nats for each code.
        """
        positions = self.checked(z)[..., 0].numel() // len(z)
        return z.new_full((len(z),), positions * self.rate(), dtype=torch.float32)

    def sample_codes(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """An exact draw of q(codes | z), ``b ... d -> b ... q``; without noise that is ``encode``."""
        return self.encode(z)

    def rate(self) -> float:
        """Nats per position of a uniform code."""
        return self.codebooks * math.log(self.codebook_size)

    def checked(self, z: Tensor) -> Tensor:
        """``z`` in float32 at least; ValueError if its width is not ``dim``."""
        if z.shape[-1] != self.dim:
            raise ValueError(f"this quantizer takes vectors of width {self.dim}, got {z.shape[-1]}; set dim to that")
        return z.to(torch.promote_types(z.dtype, torch.float32))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Quantizer:
        """Move or convert all that it holds, but never to half precision."""

        def converted(tensor: Tensor) -> Tensor:
            new = fn(tensor)
            return tensor.to(new.device) if new.is_floating_point() and new.itemsize < 4 else new

        return super()._apply(converted, recurse)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"dim={self.dim}, codebooks={self.codebooks}, codebook_size={self.codebook_size}"


QUANTIZERS: Registry[type[Quantizer]] = Registry("quantizer")


def without_autocast(like: Tensor) -> torch.autocast:
    """A context on the device of ``like`` where nothing is cast to half precision."""
    return torch.autocast(like.device.type, enabled=False)
