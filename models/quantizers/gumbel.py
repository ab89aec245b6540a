"""Gumbel quantizer: codes are categories drawn by the shared relaxed-sampling layer.

q(code | z) has logits -scale |z - e|^2, those of a mixture of Gaussians around the codes (Sonderby, Poole & Mnih 2017,
"Continuous relaxation training of discrete latent variable image models", Bayesian deep learning workshop), or the
logits of a linear head. The cost sees the vectors of the codes, so the codebook learns through the layer's estimator,
and the KL to a uniform prior over codes makes the objective a bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from ...ranges import check_weights
from ...registry import Spec
from ..relaxed import ESTIMATORS, SCHEDULES, RelaxedCategorical
from ..relaxed.distributed import total
from ..relaxed.surrogate import upcast
from .codebook import Codebook
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
        codebooks: number of codes q per position, drawn independently given the vector.
        residual: each code refines the sum of the modes before it; otherwise each represents d / q coordinates.
        logits: ``distance``: minus the squared distance to the codes times a learned scale; ``linear``: a linear head.
        estimator: gradient estimator, as a name or ``{name: reinforce, samples: 4}``.
        temperature: a number > 0, or a schedule such as ``{name: exponential, initial: 1.0, rate: 1.0e-4}``.
        kl_weight: weight of the KL in ``loss``.
        kmeans_batches: number of first training batches that initialise the codebook and its scale by k-means; 0
            leaves them random. Only for ``distance``, like the resets of dead codes.
        dead_code_threshold: a code used less than this share of the mean is reset next to a live code; 0 resets none.
        positions: positions of an example, for estimators that are built for one shape, such as ``relax``.

    Raises:
        ValueError: unknown ``logits``, ``dim`` that is not divisible by ``codebooks``, a negative ``kl_weight``, or
            what the relaxed-sampling layer refuses.
    """

    stochastic = True
    parts: ClassVar[Mapping[str, Any]] = {"estimator": ESTIMATORS, "temperature": SCHEDULES}

    def __init__(
        self,
        dim: int,
        codebook_size: int = 512,
        codebooks: int = 1,
        residual: bool = False,
        logits: str = "distance",
        estimator: Spec = "gumbel_softmax",
        temperature: float | Spec = 1.0,
        kl_weight: float = 1.0,
        kmeans_batches: int = 1,
        dead_code_threshold: float = 0.03,
        positions: int | None = None,
    ) -> None:
        super().__init__(dim, codebook_size, codebooks, positions)
        check_weights(kl_weight=kl_weight)
        if logits not in ("distance", "linear"):
            raise ValueError(f"logits must be one of distance, linear, got '{logits}'")
        if dim % codebooks and not residual:
            raise ValueError(f"dim must be divisible by codebooks, got {dim} and {codebooks}")
        self.residual, self.kl_weight = residual, kl_weight
        distance, width = logits == "distance", dim if residual else dim // codebooks
        self.tables = nn.ModuleList(
            Codebook(
                codebook_size,
                width,
                has_commitment_loss=False,
                kmeans_batches=kmeans_batches,
                dead_code_threshold=dead_code_threshold,
            )
            for _ in range(codebooks)
        )
        self.log_scale = nn.Parameter(torch.zeros(codebooks), requires_grad=distance)
        self.head = None if distance else nn.Linear(dim, codebooks * codebook_size)
        shape = None if positions is None else (positions * codebooks, codebook_size)
        self.relaxed = RelaxedCategorical(estimator, temperature, shape)

    # -- the distribution of the codes, and their vectors --------------------------------------------------------------

    def posterior(self, z: Tensor) -> Tensor:
        """Compute the logits of q(codes | z), ``b ... d -> b ... q k``, up to a constant per row."""
        with without_autocast(z):
            return self._posterior(self.checked(z))[0]

    def mix(self, weights: Tensor) -> Tensor:
        """Compute the vectors of one-hot or relaxed ``weights`` over the codes, ``... q k -> ... d``."""
        with without_autocast(weights):
            weights = upcast(weights)
            return self._join([w @ table() for w, table in zip(weights.unbind(-2), self._tables(), strict=True)])

    def _posterior(self, z: Tensor, learn: bool = False) -> tuple[Tensor, Tensor]:
        """Compute logits ``b ... q k`` and modes ``b ... q``; ``learn`` also updates the codebooks' statistics."""
        if self.head is not None:
            logits = rearrange(self.head(z), "... (q k) -> ... q k", q=self.codebooks)
            return logits, self.relaxed.mode(logits)
        groups = [z] * self.codebooks if self.residual else list(z.chunk(self.codebooks, -1))
        each: list[Tensor] = []
        modes: list[Tensor] = []
        for i, table in enumerate(self._tables()):
            inputs = rearrange(groups[i], "... d -> (...) d")
            moves = learn and not table.frozen
            if moves and table.init_and_reset(inputs):
                self._init_scale(i, inputs)
            each.append(distance_logits(inputs, table(), self.log_scale[i].exp()))  # n k
            modes.append(self.relaxed.mode(each[i]))  # n
            if moves:
                table.update_usage(expected_counts(each[i]))
            # The next codebook refines the mode, detached: its gradient reaches z only through its own logits.
            if self.residual and i + 1 < self.codebooks:
                groups[i + 1] = (inputs - F.embedding(modes[i], table()).detach()).reshape(z.shape)
        logits = torch.stack(each, -2) if len(each) > 1 else each[0].unsqueeze(-2)  # n q k
        return logits.unflatten(0, z.shape[:-1]), torch.stack(modes, -1).unflatten(0, z.shape[:-1])

    def _join(self, parts: list[Tensor]) -> Tensor:
        return torch.stack(parts).sum(0) if self.residual else torch.cat(parts, -1)

    def _tables(self) -> list[Codebook]:
        return [table for table in self.tables if isinstance(table, Codebook)]

    @torch.no_grad()
    def _init_scale(self, i: int, inputs: Tensor) -> None:
        """Set the mixture's variance to that of the inputs around their codes."""
        self.log_scale[i] = -(2 * cluster_variance(inputs, self._tables()[i]()).clamp(min=1e-8)).log()

    # -- the interface -------------------------------------------------------------------------------------------------

    def learns(self) -> bool:
        """True if a training batch moves statistics; those of a linear head do not exist."""
        return self.head is None and super().learns()

    def quantize(self, z: Tensor) -> Quantized:
        """Quantize ``b ... d``: in training mode relaxed or sampled vectors, in eval mode those of the modes."""
        logits, codes = self._posterior(z, learn=self.training)
        quantized = self._quantized(logits, codes)
        return quantized._replace(vectors=self.mix(self.relaxed(logits))) if self.training else quantized

    def expectation(self, z: Tensor, cost: Cost) -> tuple[Tensor, Quantized]:
        """Estimate E[cost(vectors)] per example, ``b``; the vectors of the output are those of the modes.

        Args:
            z: ``b ... d``.
            cost: maps vectors ``b ... d``, or samples ``s b ... d``, to one value per example, ``b`` or ``s b``.
        """
        with without_autocast(z):
            logits, codes = self._posterior(self.admitted(z), learn=self.training)  # b ... q k, b ... q
            quantized = self._quantized(logits, codes)

        def cost_of_weights(weights: Tensor) -> Tensor:  # ... b n k, n = the codes of an example
            return cost(self.mix(weights.unflatten(-2, logits.shape[1:-1])))

        return self.relaxed.expectation(logits.flatten(1, -2), cost_of_weights), quantized

    def nearest_codes(self, z: Tensor) -> Tensor:
        """Return the modes of q(codes | z), ``b ... d -> b ... q``."""
        return self._posterior(z)[1]

    def embed_codes(self, codes: Tensor) -> Tensor:
        """Return the vectors of codes, ``... q -> ... d``."""
        return self._join([F.embedding(c, table()) for c, table in zip(codes.unbind(-1), self._tables(), strict=True)])

    def kl(self, z: Tensor) -> Tensor:
        """Compute KL(q(codes | z) || uniform) in nats, summed over positions and codes, ``b ... d -> b``."""
        return self.relaxed.kl(self.posterior(z)).flatten(1).sum(1)

    @torch.no_grad()
    def sample_codes(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw exact samples of q(codes | z), ``b ... d -> b ... q``."""
        return self.relaxed.sample(self.posterior(z), generator=generator)

    def _quantized(self, logits: Tensor, codes: Tensor) -> Quantized:
        kl = reduce(self.relaxed.kl(logits), "... q -> ...", "sum").mean().float()
        return Quantized(self.embed_codes(codes), codes, self.kl_weight * kl, {"rate": kl.detach()})


@torch.no_grad()
def expected_counts(logits: Tensor) -> Tensor:
    """Return the expected count of each code for inputs with logits ``n k``, summed over processes, ``k``."""
    return total(logits.softmax(-1).sum(0))


def distance_logits(inputs: Tensor, table: Tensor, scale: Tensor) -> Tensor:
    """Compute -scale |input - e|^2 up to a constant per row, for inputs ``n d`` and a table ``k d``, ``n k``.

    Both are centred on the mean of the table, since far from 0 the product would round the distances away.
    """
    centre = table.detach().mean(0)
    inputs, table = inputs - centre, table - centre
    return torch.addmm(-scale * table.square().sum(-1), 2 * scale * inputs, table.T)
