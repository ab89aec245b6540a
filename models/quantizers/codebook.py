"""Codebook with k-means initialisation, exponential moving averages and resets of dead codes.

Exponential moving averages: van den Oord et al. 2017 (arXiv:1711.00937), appendix A.1, with Laplace smoothing. All
statistics are summed over the processes of a distributed run, so that every process holds the same codebook.
Axes: ``n`` inputs (all positions of a batch), ``k`` codes, ``d`` width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...ranges import check_numbers, check_sizes
from ..relaxed.distributed import draw_inputs
from ..relaxed.shapes import Float, Int
from ..relaxed.surrogate import upcast
from .distances import nearest
from .kmeans import cluster_counts, cluster_sums, kmeans

EPSILON = 1e-5
STEP = 0.1  # of ``perturb_nearest_code``, in mean distances of the used codes from their mean


class Codebook(nn.Module):
    """Vectors ``k d`` and their usage statistics.

    A codebook of moving averages changes only in ``init_and_reset`` and ``update_ema``, a learned one also in the
    optimizer's step. A frozen one does not change.

    Args:
        size: number of codes k.
        dim: width d.
        ema: vectors are moving averages of their inputs; otherwise they are a parameter.
        unit_length: vectors are normalized to length 1.
        has_commitment_loss: whether a commitment loss is used. If so, dead codes are reset to random encoder outputs;
            if not, next to a live code, since the decoder has only seen codebook vectors.
        decay: of all moving averages, per training step.
        kmeans_batches: number of first training batches that initialise the codebook by k-means; 0 leaves it random.
        dead_code_threshold: a code is dead if its moving count is less than this share of the mean count; 0 resets
            none.

    Raises:
        ValueError: decay or dead_code_threshold outside [0, 1), a negative kmeans_batches.
    """

    weight: Tensor
    counts: Tensor
    sums: Tensor
    batches: Tensor

    def __init__(
        self,
        size: int,
        dim: int,
        ema: bool = False,
        unit_length: bool = False,
        has_commitment_loss: bool = True,
        decay: float = 0.99,
        kmeans_batches: int = 1,
        dead_code_threshold: float = 0.03,
    ) -> None:
        super().__init__()
        check_sizes(0, kmeans_batches=kmeans_batches)
        check_numbers(decay=decay, dead_code_threshold=dead_code_threshold)
        if not 0 <= decay < 1 or not 0 <= dead_code_threshold < 1:
            raise ValueError(
                f"a codebook needs decay and dead_code_threshold in [0, 1), got {decay} and {dead_code_threshold}"
            )
        self.ema, self.unit_length, self.has_commitment_loss = ema, unit_length, has_commitment_loss
        self.held = False  # moving averages have no ``requires_grad``; see ``Quantizer.requires_grad_``
        self.decay, self.kmeans_batches, self.dead_code_threshold = decay, kmeans_batches, dead_code_threshold
        weight = torch.randn(size, dim) / dim**0.5
        self.register_buffer("counts", torch.ones(size))  # moving mean of the inputs per batch
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        if ema:
            self.register_buffer("weight", weight)
            self.register_buffer("sums", weight.clone())
        else:
            self.weight = nn.Parameter(weight)

    @property
    def frozen(self) -> bool:
        """Whether the vectors and their statistics stay as they are, in training mode too."""
        return self.held if self.ema else not self.weight.requires_grad

    def forward(self) -> Tensor:
        """Return the vectors ``k d``, in float32 at least."""
        weight = upcast(self.weight)
        return F.normalize(weight, dim=-1) if self.unit_length else weight

    @torch.no_grad()
    def init_and_reset(self, inputs: Float[Tensor, "n d"]) -> bool:
        """Run k-means on the first training batches, and reset dead codes on later ones; True if k-means ran.

        Call it before a training batch uses the codebook.
        """
        self.batches += 1
        if self.batches <= self.kmeans_batches:
            centres = draw_inputs(inputs, len(self.weight)) if self.batches == 1 else self()
            self._reset(torch.ones_like(self.counts, dtype=torch.bool), kmeans(inputs, centres))
            return True
        dead = self.counts < self.dead_code_threshold * self.counts.mean()
        if dead.any():
            drawn = draw_inputs(inputs, int(dead.sum()))
            self._reset(dead, drawn if self.has_commitment_loss else perturb_nearest_code(drawn, self(), self.counts))
        return False

    @torch.no_grad()
    def update_ema(self, inputs: Float[Tensor, "n d"], codes: Int[Tensor, " n"]) -> None:
        """Update the counts, and with ``ema`` the vectors, by the inputs of a training batch and their codes."""
        self.update_usage(cluster_counts(codes, len(self.counts), self.counts.dtype))
        if self.ema:
            self.sums.lerp_(cluster_sums(inputs, codes, len(self.sums)), 1 - self.decay)
            self.weight.copy_(smoothed_means(self.counts, self.sums))

    @torch.no_grad()
    def update_usage(self, counts: Float[Tensor, " k"]) -> None:
        """Update the moving counts by those of a training batch, summed over processes."""
        self.counts.lerp_(counts.to(self.counts), 1 - self.decay)

    def _reset(self, which: Tensor, vectors: Tensor) -> None:
        """Move codes to ``vectors`` and give them the mean count."""
        self.weight[which] = vectors.to(self.weight)
        self.counts[which] = self.counts.mean()
        if self.ema:
            self.sums[which] = self.weight[which] * self.counts[which, None]


def perturb_nearest_code(
    inputs: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"], counts: Float[Tensor, " k"]
) -> Float[Tensor, "n d"]:
    """Return the nearest code of each input, moved a small step towards the input, so that both codes share inputs."""
    codes = F.embedding(nearest(inputs, codebook), codebook)
    usage = (counts / counts.sum())[:, None]  # unused codes may lie anywhere, so they do not count
    spread = (usage * (codebook - (usage * codebook).sum(0)).norm(dim=-1, keepdim=True)).sum()
    return codes + STEP * spread * F.normalize(inputs - codes, dim=-1)


def smoothed_means(counts: Float[Tensor, " k"], sums: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
    """Divide sums by counts under Laplace smoothing, which keeps the total count."""
    n = counts.sum()
    smoothed = (counts + EPSILON) * n / (n + len(counts) * EPSILON)
    return sums / smoothed[:, None]
