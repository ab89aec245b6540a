"""The Gumbel quantizer: codes are categories drawn by the shared relaxed-sampling layer.

q(code | z) has logits -scale |z - e|^2, those of a mixture of Gaussians around the codes (Sonderby, Poole & Mnih 2017,
"Continuous relaxation training of discrete latent variable image models", Bayesian deep learning workshop), or the
logits of a linear head. A code stands for its vector, so the codebook learns through whatever estimator the layer has,
and the KL to a uniform prior over codes makes the objective a bound.
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
from .distributed import total
from .kmeans import cluster_variance
from .quantizer import QUANTIZERS, Cost, Quantized, Quantizer, without_autocast


@QUANTIZERS.register("gumbel")
class GumbelQuantizer(Quantizer):
    """Codes drawn from q(code | z), one or several independent ones per position.

    ``loss`` is kl_weight times KL(q || uniform) in nats per position: a mean over positions and examples of the sum
    over the codes of a position. Next to a cost in nats per example it is to be multiplied by the number of positions.
    The metric ``rate`` is that KL without its weight.
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
        revive: a code with less than this part of the mean code's use restarts beside a code in use; 0: none does.

    Raises:
        ValueError: unknown ``logits``; ``dim`` that cannot be divided among ``codebooks``; those of the layer.
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
        distance, width = logits == "distance", dim if residual else dim // codebooks
        self.tables = nn.ModuleList(
            Codebook(codebook_size, width, committed=False, start_batches=start_batches, revive=revive)
            for _ in range(codebooks)
        )
        self.log_scale = nn.Parameter(torch.zeros(codebooks), requires_grad=distance)
        self.head = None if distance else nn.Linear(dim, codebooks * codebook_size)
        shape = None if positions is None else (positions * codebooks, codebook_size)
        self.relaxed = RelaxedCategorical(estimator, temperature, estimator_options, shape)

    # -- the distribution of the codes, and what they stand for -------------------------------------------------------

    def posterior(self, z: Tensor) -> Tensor:
        """Logits of q(codes | z), ``b ... d -> b ... q k``, up to a constant per row."""
        with without_autocast(z):
            return self._posterior(self.checked(z))[0]

    def mix(self, weights: Tensor) -> Tensor:
        """The vectors that one-hot or relaxed ``weights`` over the codes stand for, ``... q k -> ... d``."""
        with without_autocast(weights):
            weights = weights.to(torch.promote_types(weights.dtype, torch.float32))
            return self._join([w @ table() for w, table in zip(weights.unbind(-2), self._tables(), strict=True)])

    def _posterior(self, z: Tensor, learn: bool = False) -> tuple[Tensor, Tensor]:
        """The logits ``b ... q k`` and their modes ``b ... q``; ``learn``: codebooks start, revive and count."""
        if self.head is not None:
            logits = rearrange(self.head(z), "... (q k) -> ... q k", q=self.codebooks)
            return logits, self.relaxed.mode(logits)
        groups = [z] * self.codebooks if self.residual else list(z.chunk(self.codebooks, -1))
        each: list[Tensor] = []
        modes: list[Tensor] = []
        for i, table in enumerate(self._tables()):
            rows = rearrange(groups[i], "... d -> (...) d")
            if learn and table.prepare(rows):
                self._start_scale(i, rows)
            each.append(distance_logits(rows, table(), self.log_scale[i].exp()))  # n k
            modes.append(self.relaxed.mode(each[i]))  # n
            if learn:
                table.count(expected_counts(each[i]))
            if self.residual and i + 1 < self.codebooks:
                groups[i + 1] = (rows - F.embedding(modes[i], table()).detach()).reshape(z.shape)
        logits = torch.stack(each, -2) if len(each) > 1 else each[0].unsqueeze(-2)  # n q k
        return logits.unflatten(0, z.shape[:-1]), torch.stack(modes, -1).unflatten(0, z.shape[:-1])

    def _join(self, parts: list[Tensor]) -> Tensor:
        return torch.stack(parts).sum(0) if self.residual else torch.cat(parts, -1)

    def _tables(self) -> list[Codebook]:
        return [table for table in self.tables if isinstance(table, Codebook)]

    @torch.no_grad()
    def _start_scale(self, i: int, rows: Tensor) -> None:
        """Make the mixture's variance that of the rows around their codes."""
        self.log_scale[i] = -(2 * cluster_variance(rows, self._tables()[i]()).clamp(min=1e-8)).log()

    # -- the interface -------------------------------------------------------------------------------------------------

    def quantize(self, z: Tensor) -> Quantized:
        """See ``forward``."""
        logits, codes = self._posterior(z, learn=self.training)
        quantized = self._quantized(logits, codes)
        return quantized._replace(vectors=self.mix(self.relaxed(logits))) if self.training else quantized

    def expectation(self, z: Tensor, cost: Cost) -> tuple[Tensor, Quantized]:
        """See the base class; the vectors of the second are those of the modes."""
        with without_autocast(z):
            logits, codes = self._posterior(self.checked(z), learn=self.training)  # b ... q k, b ... q
            quantized = self._quantized(logits, codes)

        def cost_of_weights(weights: Tensor) -> Tensor:  # ... b n k, n = the codes of an example
            return cost(self.mix(weights.unflatten(-2, logits.shape[1:-1])))

        return self.relaxed.expectation(logits.flatten(1, -2), cost_of_weights), quantized

    def assign(self, z: Tensor) -> Tensor:
        """See ``encode``."""
        return self._posterior(z)[1]

    def look_up(self, codes: Tensor) -> Tensor:
        """See ``decode``."""
        return self._join([F.embedding(c, table()) for c, table in zip(codes.unbind(-1), self._tables(), strict=True)])

    def kl(self, z: Tensor) -> Tensor:
        """KL(q(codes | z) || uniform) in nats, summed over the positions and their codes, ``b ... d -> b``."""
        return self.relaxed.kl(self.posterior(z)).flatten(1).sum(1)

    @torch.no_grad()
    def sample_codes(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """An exact draw of q(codes | z), ``b ... d -> b ... q``."""
        return self.relaxed.sample(self.posterior(z), generator=generator)

    def _quantized(self, logits: Tensor, codes: Tensor) -> Quantized:
        kl = reduce(self.relaxed.kl(logits), "... q -> ...", "sum").mean().float()
        return Quantized(self.look_up(codes), codes, self.kl_weight * kl, {"rate": kl.detach()})


@torch.no_grad()
def expected_counts(logits: Tensor) -> Tensor:
    """How often each code is drawn for rows with these logits ``n k``, ``k``, over all processes."""
    return total(logits.softmax(-1).sum(0))


def distance_logits(rows: Tensor, table: Tensor, scale: Tensor) -> Tensor:
    """-scale |row - e|^2 without its term scale |row|^2, which no softmax sees: ``n d`` and ``k d`` to ``n k``."""
    return torch.addmm(-scale * table.square().sum(-1), 2 * scale * rows, table.T)
