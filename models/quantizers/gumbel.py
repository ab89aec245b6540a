"""The Gumbel quantizer: codes are categories drawn by the shared relaxed-sampling layer.

q(code | z) has logits -scale |z - e|^2 (the posterior of a mixture of Gaussians around the codes; Sonderby, Poole &
Mnih 2017, "Continuous relaxation training of discrete latent variable image models", NIPS workshop) or those of a
linear head. Its vector is the code's, so the codebook learns through whatever estimator the layer has, and the KL to a
uniform prior over codes makes the objective a bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from ..relaxed import RelaxedCategorical
from .codebook import Codebook
from .nearest import nearest
from .quantizer import QUANTIZERS, Cost, Quantized, Quantizer, without_autocast


@QUANTIZERS.register("gumbel")
class GumbelQuantizer(Quantizer):
    """Codes drawn from q(code | z), one or several independent ones per position.

    ``loss`` is kl_weight times KL(q || uniform) in nats per position: a mean over positions and examples of the sum
    over the codes of a position. Next to a cost in nats per example it is to be multiplied by the number of positions.
    A training step is ``value, quantized = quantizer.expectation(z, cost)``, with any estimator; ``quantizer(z)`` works
    with those that have a pathwise gradient. In eval mode the code is the mode, and ``expectation`` takes exact draws.

    Args:
        dim: width d of the vectors.
        codebook_size: number of codes k of a codebook.
        codebooks: codes per position q, drawn independently given the vector.
        residual: each code refines the sum of the modes before it; otherwise each stands for d / q coordinates.
        logits: ``distance``: minus the squared distance to the codes times a learned scale; ``linear``: a linear head.
        estimator: how gradients pass the samples, a name of ``gumbelzoo list``.
        temperature: a number, or a schedule such as ``{name: exponential, initial: 1.0, minimum: 0.5, rate: 1.0e-4}``.
        estimator_options: arguments of the estimator, such as ``{samples: 4}``.
        kl_weight: weight of the KL in ``loss``.
        positions: positions of an example, for the estimators that are built for one shape, such as ``relax``.
        start_batches: how many first training batches start the codebook, and its scale, by k-means; 0 leaves it
            random. Of ``distance`` only, as is revival.
        revive: a code with less than this part of the mean code's use restarts at a vector of the batch; 0: none does.
    """

    stochastic = True

    def __init__(
        self,
        dim: int,
        codebook_size: int = 512,
        codebooks: int = 1,
        residual: bool = False,
        logits: str = "distance",
        estimator: str = "gumbel_softmax",
        temperature: float | Mapping[str, Any] = 1.0,
        estimator_options: Mapping[str, Any] | None = None,
        kl_weight: float = 1.0,
        positions: int | None = None,
        start_batches: int = 1,
        revive: float = 0.03,
    ) -> None:
        super().__init__(dim, codebook_size, codebooks)
        if logits not in ("distance", "linear"):
            raise ValueError(f"logits must be one of distance, linear, got '{logits}'")
        if dim % codebooks and not residual:
            raise ValueError(f"dim must be divisible by codebooks, got {dim} and {codebooks}")
        self.residual, self.kl_weight = residual, kl_weight
        width = dim if residual else dim // codebooks
        distance = logits == "distance"
        if not distance:
            start_batches, revive = 0, 0.0
        self.tables = nn.ModuleList(
            Codebook(codebook_size, width, start_batches=start_batches, revive=revive) for _ in range(codebooks)
        )
        self.log_scale = nn.Parameter(torch.zeros(codebooks), requires_grad=distance)
        self.head = None if distance else nn.Linear(dim, codebooks * codebook_size)
        shape = None if positions is None else (positions * codebooks, codebook_size)
        self.relaxed = RelaxedCategorical(estimator, temperature, estimator_options, shape)

    # -- the distribution of the codes and the vectors that they stand for ---------------------------------------------

    def logits(self, z: Tensor) -> Tensor:
        """Logits of q(codes | z), ``b ... d -> b ... q k``, up to a constant per row."""
        with without_autocast(z):
            return self._logits(self.checked(z), start=False)

    def mix(self, weights: Tensor) -> Tensor:
        """The vectors that one-hot or relaxed ``weights`` over the codes stand for, ``... q k -> ... d``."""
        with without_autocast(weights):
            weights = weights.to(torch.promote_types(weights.dtype, torch.float32))
            return self._join([w @ table() for w, table in zip(weights.unbind(-2), self._tables(), strict=True)])

    def _tables(self) -> list[Codebook]:
        return [table for table in self.tables if isinstance(table, Codebook)]

    def _join(self, parts: list[Tensor]) -> Tensor:
        return sum(parts[1:], parts[0]) if self.residual else torch.cat(parts, -1)

    def _logits(self, z: Tensor, start: bool) -> Tensor:
        if self.head is not None:
            return rearrange(self.head(z), "... (q k) -> ... q k", q=self.codebooks)
        logits, rest = [], z
        groups = z.chunk(self.codebooks, -1)
        for i, table in enumerate(self._tables()):
            part = rest if self.residual else groups[i]
            if start and table.prepare(flat := rearrange(part, "... d -> (...) d")):
                self._start_scale(i, flat)
            logits.append(distance_logits(part, table(), self.log_scale[i].exp()))
            if self.residual:
                rest = rest - F.embedding(logits[i].argmax(-1), table()).detach()
        return torch.stack(logits, -2) if len(logits) > 1 else logits[0].unsqueeze(-2)

    # -- the interface -------------------------------------------------------------------------------------------------

    def quantize(self, z: Tensor) -> Quantized:
        """See ``forward``."""
        logits = self._logits(z, start=self.training)
        quantized = self._summary(logits)
        return quantized._replace(vectors=self.mix(self.relaxed(logits))) if self.training else quantized

    def expectation(self, z: Tensor, cost: Cost) -> tuple[Tensor, Quantized]:
        """See the base class; the vectors of the second are those of the modes."""
        with without_autocast(z):
            logits = self._logits(self.checked(z), start=self.training)  # b ... q k
            quantized = self._summary(logits)
        shape = logits.shape[1:-1]

        def cost_of_weights(weights: Tensor) -> Tensor:  # ... b n k
            return cost(self.mix(weights.unflatten(-2, shape)))

        return self.relaxed.expectation(logits.flatten(1, -2), cost_of_weights), quantized

    def assign(self, z: Tensor) -> Tensor:
        """See ``encode``."""
        return self.relaxed.mode(self._logits(z, start=False))

    def look_up(self, codes: Tensor) -> Tensor:
        """See ``decode``."""
        return self._join([F.embedding(c, table()) for c, table in zip(codes.unbind(-1), self._tables(), strict=True)])

    def kl(self, z: Tensor) -> Tensor:
        """KL(q(codes | z) || uniform) in nats, summed over the positions and their codes, ``b ... d -> b``."""
        return self.relaxed.kl(self.logits(z)).flatten(1).sum(1)

    @torch.no_grad()
    def sample_codes(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """An exact draw of q(codes | z), ``b ... d -> b ... q``."""
        return self.relaxed.sample(self.logits(z), generator=generator)

    def _summary(self, logits: Tensor) -> Quantized:
        """Codes, their vectors and the loss; in training mode the codes are counted."""
        codes = self.relaxed.mode(logits)
        kl = reduce(self.relaxed.kl(logits), "... q -> ...", "sum").mean()
        if self.training:
            for table, used in zip(self._tables(), codes.unbind(-1), strict=True):
                table.observe(None, used.flatten())
        return Quantized(self.look_up(codes), codes, (self.kl_weight * kl).float(), {"rate": kl.detach().float()})

    @torch.no_grad()
    def _start_scale(self, i: int, rows: Tensor) -> None:
        """The scale of the mixture of Gaussians whose variance per coordinate is that around the codes."""
        table = self._tables()[i]()
        distortion = F.mse_loss(rows, F.embedding(nearest(rows, table), table))
        self.log_scale[i] = -(2 * distortion.clamp(min=1e-8)).log()


def distance_logits(z: Tensor, table: Tensor, scale: Tensor) -> Tensor:
    """-scale |z - e|^2 without its term scale |z|^2, which no softmax sees: ``... d``, ``k d`` -> ``... k``."""
    flat = rearrange(z, "... d -> (...) d")
    return torch.addmm(-scale * table.square().sum(-1), 2 * scale * flat, table.T).unflatten(0, z.shape[:-1])
