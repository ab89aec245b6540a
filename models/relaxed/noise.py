"""Standard exponential and Gumbel noise in float32: never 0, infinite or NaN, and finest where maxima fall.

A Gumbel variable is g = -log(E) with E exponential, and argmax(logits + g) is decided by the smallest E. So E is
-log(1 - u) with u uniform on the midpoints of a grid of 2^-31, and keeps its relative precision as u -> 0: no epsilon
is needed, and the bounds are E in [2.3e-10, 16.7], g in [-2.9, 22.2].

With y = 1 - u rounded to a float, E = (y - 1 + u) - log(y), where the bracket is the rounding error. ``log1p(-u)``
would be the same to 3e-7, but it takes three times as long as ``log``, and ten times where PyTorch does not vectorise
it.

On a CPU the random bits come from NumPy's SFC64, seeded afresh from PyTorch's generator in each call: PyTorch's own
Mersenne Twister takes twice as long, and its ``exponential_`` twenty times. Seeds and generators work as everywhere in
PyTorch, and a compiled function draws the noise that the eager one draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeGuard

import numpy as np
import torch
from numpy.random.bit_generator import ISeedSequence
from torch import Tensor, library

from .checks import eager, refuse_recomputation

NoiseFn = Callable[[Tensor], Tensor]  # returns standard Gumbel noise of the argument's shape

_STEP = 2.0**-31 * (1 - 2.0**-24)  # just under 2^-31, so that the last points of the grid do not round to u = 1
_ONE, _FIRST = torch.tensor(1.0, dtype=torch.float32), torch.tensor(0.5 * _STEP, dtype=torch.float32)
_BLOCK = 2**16  # numbers drawn at a time on a CPU: their buffers stay in its cache


def exponential_noise(
    like: Tensor | Sequence[int], *, generator: torch.Generator | None = None, device: torch.device | str | None = None
) -> Tensor:
    """Draw standard exponential noise, float32.

    Args:
        like: a shape, or a tensor of any dtype that gives shape and device.
        generator: source of randomness, for reproducible draws; ``torch.compile`` breaks the graph at it.
        device: device of the noise if ``like`` is a shape; the default device otherwise.
    """
    return _noise(like, generator, device, False)


def gumbel_noise(
    like: Tensor | Sequence[int], *, generator: torch.Generator | None = None, device: torch.device | str | None = None
) -> Tensor:
    """Draw standard Gumbel noise, float32; arguments as for ``exponential_noise``."""
    return _noise(like, generator, device, True)


def _noise(
    like: Tensor | Sequence[int], generator: torch.Generator | None, device: torch.device | str | None, gumbel: bool
) -> Tensor:
    if generator is not None:
        refuse_recomputation("a generator of its own")
    shape, device = (like.shape, like.device) if isinstance(like, Tensor) else (like, device)
    if torch._C._are_functorch_transforms_active():
        # A random template, so that vmap's `randomness` decides whether it has the mapped axis.
        template = torch.rand((), dtype=torch.float32, device=device).expand(shape)
        return torch.ops.gumbelzoo.noise(template, generator, gumbel)
    if eager():
        return _draw(shape, device, generator, gumbel)
    template = torch.empty((), dtype=torch.float32, device=device)
    if torch.compiler.is_compiling() and generator is None and template.device.type != "cpu":
        # Native random numbers fuse with the next operations. They lie in [0, 1); 0 moves to the first midpoint.
        exponential = -torch.log1p(-torch.rand(shape, dtype=torch.float32, device=device).clamp(min=0.5 * _STEP))
        return -exponential.log() if gumbel else exponential
    return torch.ops.gumbelzoo.noise(template.expand(shape), generator, gumbel)


library.define(
    "gumbelzoo::noise",
    "(Tensor like, Generator? generator, bool gumbel) -> Tensor",
    tags=torch.Tag.nondeterministic_seeded,
)


def _draw(
    shape: Sequence[int], device: torch.device | str | None, generator: torch.Generator | None, gumbel: bool
) -> Tensor:
    noise = torch.empty(shape, dtype=torch.float32, device=device)
    if n := noise.numel():
        step = min(_BLOCK, n) if noise.device.type == "cpu" else n
        blocks = NoiseBlocks(step, noise.device, generator)
        for block in noise.view(-1).split(step):
            blocks.fill(block)
            if gumbel:
                block.log_().neg_()
    return noise


class NoiseBlocks:
    """Exponential noise a block at a time, from one seed; together the blocks are the noise of one call.

    Args:
        size: most numbers of a block; even, if there is more than one block.
        device: device of the blocks.
        generator: source of randomness; None for PyTorch's own.
    """

    def __init__(self, size: int, device: torch.device, generator: torch.Generator | None) -> None:
        self.generator = generator
        self.source = _SFC64(generator) if device.type == "cpu" else None
        self.buffers = torch.empty(2, size, dtype=torch.float32, device=device).unbind()

    def fill(self, block: Tensor) -> Tensor:
        """Fill a contiguous block in place; it has the size of the first block, or is the last one."""
        flat, size = block.view(-1), block.numel()
        number, log = (buffer if len(buffer) == size else buffer[:size] for buffer in self.buffers)
        pairs = (size + 1) // 2  # 64 random bits make two numbers
        if self.source:
            bits = self.source.draw(pairs)
        else:
            bits = torch.empty(pairs, dtype=torch.int64, device=block.device).random_(generator=self.generator)
        number.copy_(bits.view(torch.int32)[:size].bitwise_and_(0x7FFFFFFF))
        torch.add(_ONE, number, alpha=-_STEP, out=log)  # y
        torch.sub(log, 1.0, out=flat).add_(number, alpha=_STEP)
        flat.sub_(log.log_()).add_(_FIRST)
        return block


@library.impl("gumbelzoo::noise", "CompositeExplicitAutograd")
def _noise_kernel(like: Tensor, generator: torch.Generator | None, gumbel: bool) -> Tensor:
    return _draw(like.shape, like.device, generator, gumbel)


@library.register_fake("gumbelzoo::noise")
def _noise_fake(like: Tensor, generator: torch.Generator | None, gumbel: bool) -> Tensor:
    return torch.empty(like.shape, dtype=torch.float32, device=like.device)


@library.register_vmap("gumbelzoo::noise")
def _noise_vmap(info, in_dims, like, generator, gumbel):
    return torch.ops.gumbelzoo.noise(like.movedim(in_dims[0], 0), generator, gumbel), 0


class _SFC64(ISeedSequence):
    """NumPy's SFC64, its state of 192 bits drawn from a PyTorch generator."""

    def __init__(self, generator: torch.Generator | None) -> None:
        self.state = torch.empty(3, dtype=torch.int64).random_(generator=generator)
        self.bits = np.random.SFC64(self)  # type: ignore[arg-type]  # any ISeedSequence will do

    def generate_state(self, n_words: int, dtype: object = np.uint32) -> np.ndarray:
        """Return the state in the form in which SFC64 takes its seed."""
        return self.state.numpy().view(np.uint64)[:n_words]

    def draw(self, n: int) -> Tensor:
        """Draw n integers of 64 random bits."""
        return torch.from_numpy(self.bits.random_raw(n).view(np.int64))


def draw_noise(like: Tensor, *, noise: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
    """Return ``noise``, or draw Gumbel noise of the shape of ``like``; ValueError for noise of another shape."""
    if noise is None:
        return gumbel_noise(like, generator=generator)
    if noise.shape != like.shape:
        raise ValueError(f"noise must have shape {tuple(like.shape)}, got {tuple(noise.shape)}")
    return noise


def is_drawn(noise_fn: Tensor | NoiseFn) -> TypeGuard[partial[Tensor]]:
    """Return True if a function is ``partial(draw_noise, ...)`` that draws its noise."""
    return isinstance(noise_fn, partial) and noise_fn.func is draw_noise and noise_fn.keywords.get("noise") is None
