"""MaskGIT: a bidirectional transformer that fills a grid of codes in a few parallel steps.

Chang et al. 2022 (arXiv:2202.04200): the training loss (section 3.1, eq. 1), decoding (section 3.2) and the cosine mask
schedule (section 3.3). The annealed Gumbel noise on the confidence is that of the authors' released code.

The parallel decoder has no tractable likelihood. Reported is the negative log-likelihood of the same network as a model
that samples one code at a time in a uniformly random order (Hoogeboom et al. 2022, arXiv:2110.02037, eq. 4). Its
estimate here is an upper bound on average.

Axes: ``b`` batch, ``h w q`` grid, ``n`` its codes in raster order, ``k`` codes of a codebook, ``d`` width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....ranges import check_sizes, check_weights
from ...networks.transformer import Transformer
from ...relaxed.distributed import process_mean
from ...relaxed.noise import gumbel_noise
from ...relaxed.surrogate import upcast
from .base import CODE_NETWORKS, CodeNetwork, Draw


@CODE_NETWORKS.register("maskgit")
class MaskGIT(CodeNetwork):
    """A bidirectional transformer that predicts masked codes from all others; the label is added to every position.

    Args:
        shape: ``h w q``.
        codebook_size: k.
        classes: number of labels.
        width: feature width d.
        depth: number of blocks.
        heads: number of attention heads, a divisor of the width.
        dropout: dropout probability in training.
        steps: number of decoding steps; at most one per code is used.
        choice_temperature: initial weight of the Gumbel noise on the confidence of a sampled code; it falls to 0.
        gradient_checkpointing: compute features again in the backward pass, as ``Transformer`` does, to save memory.

    Raises:
        ValueError: a size or number below 1, a dropout outside [0, 1), a negative choice_temperature.
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
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__(shape, codebook_size, classes)
        check_sizes(width=width, steps=steps)
        check_weights(choice_temperature=choice_temperature)
        self.steps, self.choice_temperature = min(steps, self.num_codes), choice_temperature
        self.mask_token = self.shape[-1] * codebook_size
        self.label = nn.Embedding(classes, width)
        self.embedding = nn.Embedding(self.mask_token + 1, width)
        self.transformer = Transformer(
            width, depth, heads, self.num_codes, False, dropout, gradient_checkpointing=gradient_checkpointing
        )
        self.head = nn.Linear(width, codebook_size)

    def blocks(self) -> Sequence[nn.Module]:
        """Return the blocks of the transformer."""
        return list(self.transformer.blocks)

    def logits(self, codes: Tensor, masked: Tensor, label: Tensor) -> Tensor:
        """Compute the logits of every code given those that are not ``masked``, ``b n`` each, ``-> b n k``."""
        tokens = self.tokens(codes.unflatten(1, self.shape)).flatten(1).masked_fill(masked, self.mask_token)
        return self.head(self.transformer(self.embedding(tokens) + self.label(label)[:, None]))

    def masked_nll(
        self, codes: Tensor, label: Tensor, num_masked: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mask ``num_masked`` (``b``) random codes per grid; return their nll in nats given the others, and the mask.

        Both are ``b n``; the nll is 0 at codes that are not masked.
        """
        flat = codes.flatten(1)
        # In 16 bits, the default type of a step whose weights have them, ties would prefer the first codes.
        order = torch.rand(flat.shape, dtype=torch.float32, device=flat.device, generator=generator).argsort(1)
        masked = order < num_masked[:, None]
        logits = upcast(self.logits(flat, masked, label))
        return F.cross_entropy(logits.mT, flat, reduction="none") * masked, masked

    def loss(self, codes: Tensor, label: Tensor) -> Tensor:
        """Compute the mean nll of masked codes in nats per code; mask ratios follow the cosine schedule (eq. 1).

        With several processes, the mean of their values is that of all masked codes.
        """
        ratio = mask_ratio(torch.rand(len(codes), dtype=torch.float32, device=codes.device))
        nll, masked = self.masked_nll(codes, label, (ratio * self.num_codes).ceil().clamp(min=1))
        return nll.sum() / process_mean(masked.sum())

    def nll(self, codes: Tensor, label: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Estimate a bound on -log p(codes | label) of sampling code by code, ``b h w q`` and ``b`` to ``b`` nats.

        With a uniform number of masked codes, it is the number of all codes times the mean over the masked ones.
        """
        num_masked = torch.randint(1, self.num_codes + 1, (len(codes),), device=codes.device, generator=generator)
        nll, _ = self.masked_nll(codes, label, num_masked, generator)
        return self.num_codes * nll.sum(1) / num_masked

    def sample(self, label: Tensor, draw: Draw, generator: torch.Generator | None = None) -> Tensor:
        """Sample a grid for each label, ``b -> b h w q``.

        Each step samples all masked codes and keeps those with the highest noisy confidence.
        """
        codes = label.new_zeros(len(label), self.num_codes)
        masked = torch.ones_like(codes, dtype=torch.bool)
        num_masked = self.num_codes
        for step in range(1, self.steps + 1):
            logits = self.logits(codes, masked, label)
            codes = torch.where(masked, draw(logits), codes)
            confidence = logits.log_softmax(-1).gather(-1, codes[..., None]).squeeze(-1)
            noise = gumbel_noise(confidence, generator=generator)
            confidence = confidence + self.choice_temperature * (1 - step / self.steps) * noise
            # The least confident of the masked codes stay masked, at least one fewer than before.
            num_masked = min(num_masked - 1, int(self.num_codes * mask_ratio(torch.tensor(step / self.steps))))
            least = confidence.masked_fill(~masked, math.inf).argsort(1)[:, :num_masked]
            masked = torch.zeros_like(masked).scatter(1, least, True)
        return codes.unflatten(1, self.shape)


def mask_ratio(progress: Tensor) -> Tensor:
    """Compute the share of masked codes at ``progress`` in [0, 1]: cos(pi/2 progress), from 1 to 0."""
    return torch.cos(math.pi / 2 * progress)
