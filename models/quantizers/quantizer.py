"""Interface of all quantizers: vectors to codes and back, with a gradient and a loss.

Axes: ``b`` batch, ``d`` width of a vector, ``q`` codes per position, ``k`` codes of a codebook, ``n`` inputs (all
positions of a batch), ``s`` samples. A quantizer takes ``b ... d``, where ``...`` are the positions of an example.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from ...ranges import check_sizes
from ...registry import Registry
from ..relaxed.checks import check_code_range, readable, refuse_recomputation
from ..relaxed.surrogate import upcast
from .codebook import Codebook
from .gradients import Gradient, straight_through

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
        check_sizes(dim=dim, codebooks=codebooks)
        check_sizes(2, codebook_size=codebook_size)
        self.dim, self.codebook_size, self.codebooks = dim, codebook_size, codebooks
        self.gradient: Gradient = straight_through  # from z to its codes, where a loss pulls them together

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
            ValueError: the width of the vectors is not ``dim``, there are none, or some are NaN or infinite (elsewhere
                than on the CPU only where training waits for the device anyway, to update a codebook's statistics);
                statistics would be updated by activation checkpointing or inside a ``torch.func`` transform.
        """
        with without_autocast(z):
            return self.quantize(self.admitted(z))

    @torch.no_grad()
    def encode(self, z: Tensor) -> Tensor:
        """Return the codes of vectors, ``b ... d -> b ... q`` (int64): deterministic and without side effects."""
        with without_autocast(z):
            return self.nearest_codes(self.checked(z))

    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors of codes, ``... q -> ... d``.

        Raises:
            ValueError: floating-point or boolean codes, another number q of codes, or codes outside [0, k).
        """
        codes = check_code_range(codes, self.codebooks, self.codebook_size)
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
        positions = math.prod(self.checked(z).shape[1:-1])
        return z.new_full((len(z),), positions * self.rate(), dtype=torch.float32)

    def sample_codes(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw exact samples of q(codes | z), ``b ... d -> b ... q``; without noise they are ``encode(z)``."""
        return self.encode(z)

    def rate(self) -> float:
        """Return the nats per position of a uniform code."""
        return self.codebooks * math.log(self.codebook_size)

    def learns(self) -> bool:
        """True if a training batch moves the statistics of a codebook."""
        return any(isinstance(module, Codebook) and not module.frozen for module in self.modules())

    def admitted(self, z: Tensor) -> Tensor:
        """Return the checked vectors of a batch that is quantized, and in training mode learned from; else ValueError.

        Nothing has moved when it raises.
        """
        if not z.numel():
            raise ValueError(f"a quantizer takes a batch of one vector or more, got shape {tuple(z.shape)}")
        z = self.checked(z)
        if self.training and self.learns():
            check_batch(z, looked=readable(z))
        return z

    def checked(self, z: Tensor) -> Tensor:
        """Return ``z`` in float32 at least.

        Raises:
            ValueError: another width than ``dim``, float32 for float64 or the reverse, or on a CPU a value that is not
                finite.
        """
        if not z.ndim or z.shape[-1] != self.dim:
            width = z.shape[-1] if z.ndim else 0
            raise ValueError(f"this quantizer takes vectors of width {self.dim}, got {width}; set dim to that")
        z = upcast(z)
        own = torch.promote_types(self._dtype(z.dtype), torch.float32)
        if z.dtype != own:
            raise ValueError(f"this quantizer takes vectors of {own}, got {z.dtype}; use z.to({own})")
        if readable(z):
            check_finite_vectors(z)
        return z

    def _dtype(self, default: torch.dtype) -> torch.dtype:
        """Return the floating-point type of the own state, ``default`` without any."""
        state = chain(self.parameters(), self.buffers())
        return next((tensor.dtype for tensor in state if tensor.is_floating_point()), default)

    def requires_grad_(self, requires_grad: bool = True) -> Quantizer:
        """Train the parameters and codebooks of moving averages, or freeze them."""
        for module in self.modules():
            if isinstance(module, Codebook):
                module.held = not requires_grad
        return super().requires_grad_(requires_grad)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Quantizer:
        """Move or convert all tensors, but never to half precision."""

        def converted(tensor: Tensor) -> Tensor:
            new = fn(tensor)
            return tensor.to(new.device) if new.is_floating_point() and new.itemsize < 4 else new

        return super()._apply(converted, recurse)

    def extra_repr(self) -> str:
        """Width, number of codebooks and their size."""
        return f"dim={self.dim}, codebooks={self.codebooks}, codebook_size={self.codebook_size}"


QUANTIZERS: Registry[type[Quantizer]] = Registry("quantizer", context=("dim", "positions"), base=Quantizer)


def without_autocast(like: Tensor) -> torch.autocast:
    """Return a context that disables autocast on the device of ``like``."""
    return torch.autocast(like.device.type, enabled=False)


@torch.compiler.disable  # it reads values, like the updates of the codebook that follow
def check_batch(z: Tensor, looked: bool) -> None:
    """Check vectors ``b ... d`` from which a codebook's statistics will learn, on any device; else ValueError.

    Args:
        z: the vectors.
        looked: they are known to be finite.
    """
    if torch._C._are_functorch_transforms_active() or isinstance(z, FakeTensor):
        raise ValueError(
            "a codebook cannot learn inside a torch.func transform such as vmap, or from fake tensors; "
            "call quantizer.eval()"
        )
    refuse_recomputation("the codebook of a quantizer in training mode")
    if not looked:
        check_finite_vectors(z)


def check_finite_vectors(z: Tensor) -> None:
    """Check that vectors are finite, and so small that their squares are; else ValueError."""
    if bool(torch.linalg.vector_norm(z.detach()).isfinite()):  # one pass without a copy
        return
    if bool(z.isfinite().all()):
        raise ValueError("vectors to quantize are too large: their squares overflow; normalize what computes them")
    raise ValueError("vectors to quantize contain NaN or inf; check what computes them (try a smaller learning rate)")
