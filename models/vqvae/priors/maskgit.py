"""MaskGIT: a bidirectional transformer that fills a grid of codes in a few parallel steps.

Chang et al. 2022 (arXiv:2202.04200): the training loss (section 3.1, eq. 1), decoding (section 3.2), the cosine mask
schedule (section 3.3); the annealed Gumbel noise on the confidence is that of the authors' released code. The parallel
decoder has no tractable likelihood. What is reported is the negative log-likelihood of the same network as a model that
draws one code at a time, in a uniformly random order (Hoogeboom et al. 2022, arXiv:2110.02037, eq. 4), of which it is a
bound on average.

Axes: ``b`` batch, ``h w q`` grid, ``n`` its codes in raster order, ``k`` codes of a codebook, ``d`` width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...networks.transformer import Transformer
from ...relaxed.noise import gumbel_noise
from .base import CODE_NETWORKS, CodeNetwork, Draw


@CODE_NETWORKS.register("maskgit")
class MaskGIT(CodeNetwork):
    """Predicts masked codes from all others, the label added to every position.

    Args:
        shape: ``h w q``.
        codebook_size: k.
        classes: number of labels.
        width: d.
        depth: number of blocks.
        heads: of the attention.
        dropout: in training.
        steps: of decoding; at most one for each code.
        choice_temperature: of the Gumbel noise that the confidence of a drawn code starts with; it falls to 0.
    """

    def __init__(
        self,
        shape: Sequence[int],
        codebook_size: int,
        classes: int = 1,
        width: int = 128,
        depth: int = 5,
        heads: int = 4,
        dropout: float = 0.1,
        steps: int = 12,
        choice_temperature: float = 4.5,
    ) -> None:
        super().__init__(shape, codebook_size, classes)
        if steps < 1 or choice_temperature < 0:
            raise ValueError(f"steps must be >= 1 and choice_temperature >= 0, got {steps} and {choice_temperature}")
        self.steps, self.choice_temperature = min(steps, self.codes), choice_temperature
        self.mask_token = self.shape[-1] * codebook_size
        self.label = nn.Embedding(classes, width)
        self.embedding = nn.Embedding(self.mask_token + 1, width)
        self.transformer = Transformer(width, depth, heads, self.codes, causal=False, dropout=dropout)
        self.head = nn.Linear(width, codebook_size)

    def logits(self, codes: Tensor, masked: Tensor, label: Tensor) -> Tensor:
        """Logits of every code given those that are not ``masked``, ``b n`` each, ``-> b n k``."""
        tokens = self.tokens(codes.unflatten(1, self.shape)).flatten(1).masked_fill(masked, self.mask_token)
        return self.head(self.transformer(self.embedding(tokens) + self.label(label)[:, None]))

    def masked_nll(self, codes: Tensor, label: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        """-log p of ``number`` (``b``) random codes of each grid given the others, ``b n`` nats, and which they are."""
        flat = codes.flatten(1)
        order = torch.rand(flat.shape, device=flat.device).argsort(1)
        masked = order < number[:, None]
        logits = self.logits(flat, masked, label)
        return F.cross_entropy(logits.mT, flat, reduction="none") * masked, masked

    def loss(self, codes: Tensor, label: Tensor) -> Tensor:
        """The mean over masked codes, their share following the cosine schedule (eq. 1); nats per code."""
        share = mask_share(torch.rand(len(codes), device=codes.device))
        nats, masked = self.masked_nll(codes, label, (share * self.codes).ceil().clamp(min=1))
        return nats.sum() / masked.sum()

    def nll(self, codes: Tensor, label: Tensor) -> Tensor:
        """A draw whose mean bounds -log p(codes | label) of decoding one code at a time, ``b`` nats.

        With a uniform number m of masked codes it is the number of all codes times the mean over the masked ones.
        """
        number = torch.randint(1, self.codes + 1, (len(codes),), device=codes.device)
        nats, _ = self.masked_nll(codes, label, number)
        return self.codes * nats.sum(1) / number

    def sample(self, label: Tensor, draw: Draw, generator: torch.Generator | None = None) -> Tensor:
        """See the base class. Each step draws all masked codes and keeps those of the highest noisy confidence."""
        codes = label.new_zeros(len(label), self.codes)
        masked = torch.ones_like(codes, dtype=torch.bool)
        left = self.codes
        for step in range(1, self.steps + 1):
            logits = self.logits(codes, masked, label)
            codes = torch.where(masked, draw(logits), codes)
            confidence = logits.log_softmax(-1).gather(-1, codes[..., None]).squeeze(-1)
            noise = gumbel_noise(confidence, generator=generator)
            confidence = confidence + self.choice_temperature * (1 - step / self.steps) * noise
            left = min(left - 1, int(self.codes * mask_share(torch.tensor(step / self.steps))))
            least = confidence.masked_fill(~masked, math.inf).argsort(1)[:, :left]
            masked = torch.zeros_like(masked).scatter(1, least, True)
        return codes.unflatten(1, self.shape)


def mask_share(progress: Tensor) -> Tensor:
    """The share of masked codes at ``progress`` in [0, 1]: cos(pi/2 progress), from 1 to 0."""
    return torch.cos(math.pi / 2 * progress)
