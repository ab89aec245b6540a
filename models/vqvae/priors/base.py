"""Base classes of distributions over a grid of codes: of any kind, and autoregressive.

Axes: ``b`` batch, ``h w`` grid, ``q`` codes per position, ``n`` = h w q codes in raster order, ``k`` codes of a
codebook.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from ....registry import Registry
from ...networks.sharding import shard
from ...relaxed.surrogate import upcast

Draw = Callable[[Tensor], Tensor]  # samples codes ``...`` from logits ``... k``


class CodeNetwork(nn.Module):
    """p(codes | label) over grids ``b h w q``, for labels ``b`` in [0, classes).

    Args:
        shape: ``h w q``.
        codebook_size: k.
        classes: number of labels; 1 for an unconditional distribution, whose labels are all 0.
    """

    def __init__(self, shape: Sequence[int], codebook_size: int, classes: int = 1) -> None:
        super().__init__()
        self.shape, self.num_codes = tuple(shape), math.prod(shape)
        self.codebook_size, self.classes = codebook_size, classes

    def shard(self, mesh: DeviceMesh) -> None:
        """Split the parameters over the processes of a mesh of one dimension, a block at a time."""
        shard(self, self.blocks(), ("loss", "nll", "sample"), mesh)

    def blocks(self) -> Sequence[nn.Module]:
        """Return the parts that are gathered one at a time where parameters are split over processes."""
        return ()

    def nll(self, codes: Tensor, label: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Compute -log p(codes | label) in nats, ``b h w q`` and ``b`` to ``b``, in float32 at least.

        Args:
            codes: ``b h w q``.
            label: ``b``.
            generator: source of randomness, if the network estimates it.
        """
        raise NotImplementedError

    def loss(self, codes: Tensor, label: Tensor) -> Tensor:
        """Compute the training loss, a scalar in nats per code."""
        return self.nll(codes, label).mean() / self.num_codes

    def sample(self, label: Tensor, draw: Draw, generator: torch.Generator | None = None) -> Tensor:
        """Sample a grid for each label, ``b -> b h w q``.

        Args:
            label: ``b``.
            draw: samples codes ``...`` from logits ``... k``.
            generator: source of further randomness, if the network needs any.
        """
        raise NotImplementedError

    def tokens(self, codes: Tensor) -> Tensor:
        """Convert codes ``b h w q`` to token ids in [0, q k): a code of another codebook is another token."""
        return codes + self.codebook_size * torch.arange(self.shape[-1], device=codes.device)


CODE_NETWORKS: Registry[type[CodeNetwork]] = Registry(
    "code network", context=("shape", "codebook_size", "classes"), base=CodeNetwork
)


class AutoregressiveNetwork(CodeNetwork):
    """The product over codes, in raster order, of p(code | earlier codes). Subclasses write ``logits``."""

    def logits(self, codes: Tensor, label: Tensor) -> Tensor:
        """Compute the logits of every code given earlier ones, ``b h w q -> b h w q k``."""
        raise NotImplementedError

    def nll(self, codes: Tensor, label: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Compute the exact -log p(codes | label) in nats, ``b h w q`` and ``b`` to ``b``, in float32 at least."""
        logits = rearrange(upcast(self.logits(codes, label)), "b h w q k -> b k h w q")
        return reduce(F.cross_entropy(logits, codes, reduction="none"), "b h w q -> b", "sum")

    def sample(self, label: Tensor, draw: Draw, generator: torch.Generator | None = None) -> Tensor:
        """Sample a grid for each label, ``b -> b h w q``, evaluating the whole grid for every code.

        Subclasses override it with caches, for the same result at less cost.
        """
        codes = label.new_zeros(len(label), *self.shape)
        flat = codes.view(len(label), self.num_codes)
        for i in range(self.num_codes):
            flat[:, i] = draw(self.logits(codes, label).flatten(1, 3)[:, i])
        return codes
