"""Discriminators of text, by name in ``DISCRIMINATORS``: token ids ``b t`` or relaxed tokens ``b t v`` to scores ``b``.

Positions after EOS are masked: scores do not depend on padding. For relaxed tokens the mask is fractional
(``relaxed_tokens.token_mask``). Axes: ``b`` batch, ``t`` time, ``v`` vocabulary, ``e`` embeddings, ``d`` width of each,
``c`` channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from ...ranges import check_sizes
from ...registry import Registry
from ...vocabulary import Vocabulary
from ..relaxed import select
from .relaxed_tokens import token_mask


class Discriminator(nn.Module):
    """Base class of discriminators. A subclass writes ``scores``.

    Args:
        vocabulary: v tokens, with EOS if sentences end.
        max_length: t of the longest sentence.
        width: d of an embedded token.

    Attributes:
        pack: sentences that share one score.
    """

    pack: int = 1

    def __init__(self, vocabulary: Vocabulary, max_length: int, width: int) -> None:
        super().__init__()
        self.max_length, self.eos_id = max_length, vocabulary.eos
        self.table = nn.Parameter(torch.randn(len(vocabulary), width))

    def forward(self, x: Tensor) -> Tensor:
        """Score each sentence, higher for real text: ``b t`` or ``b t v`` ``-> b``."""
        mask = token_mask(x, self.eos_id).to(self.table.dtype)  # b t
        return self.scores(select(x, self.table) * mask[..., None], mask)

    def scores(self, embedded: Tensor, token_mask: Tensor) -> Tensor:
        """Scores ``b`` of embedded tokens ``b t d``, which are 0 where ``token_mask`` (``b t``) is."""
        raise NotImplementedError


DISCRIMINATORS: Registry[type[Discriminator]] = Registry(
    "discriminator", context=("vocabulary", "max_length"), base=Discriminator
)


@DISCRIMINATORS.register("cnn")
class CNNDiscriminator(Discriminator):
    """Several embeddings of the text, the same convolutions over each, max pooling over time, and the mean score.

    Nie, Narodytska & Patel 2019 (RelGAN), section 2.3, which averages the losses of the embeddings instead of their
    scores. The convolutions are those of Kim 2014 (arXiv:1408.5882).

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: longest sentence in tokens.
        embeddings: number of embeddings e.
        width: d of each embedding.
        windows: kernel sizes of the convolutions, in tokens.
        channels: c of each convolution.
        hidden: width of the last hidden layer.

    Raises:
        ValueError: a size below 1.

    Example:
        >>> discriminator = CNNDiscriminator(Vocabulary(["<eos>", "a", "b"]), max_length=5)
        >>> scores = discriminator(torch.tensor([[1, 2, 2, 0, 0], [2, 1, 0, 0, 0]]))  # b
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        max_length: int,
        embeddings: int = 4,
        width: int = 16,
        windows: Sequence[int] = (2, 3, 4, 5),
        channels: int = 32,
        hidden: int = 64,
    ) -> None:
        check_sizes(embeddings=embeddings, width=width, windows=windows, channels=channels, hidden=hidden)
        if not windows:
            raise ValueError("windows must have a kernel size, such as [2, 3, 4, 5]")
        super().__init__(vocabulary, max_length, embeddings * width)
        self.embeddings, self.windows = embeddings, tuple(windows)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, channels, window) for window in windows)
        self.head = nn.Sequential(nn.Linear(len(windows) * channels, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def scores(self, embedded: Tensor, token_mask: Tensor) -> Tensor:
        """Mean score over embeddings, ``b t (e d) -> b``."""
        x = rearrange(embedded, "b t (e d) -> (b e) d t", e=self.embeddings)
        mask = token_mask.repeat_interleave(self.embeddings, 0)[:, None]  # (b e) 1 t
        pooled = []
        for window, convolution in zip(self.windows, self.convolutions, strict=True):
            # A window starts at every position and is padded with zeros. Windows that start after EOS are 0, which a
            # maximum of non-negative features ignores.
            features = convolution(F.pad(x, (0, window - 1))).relu() * mask
            pooled.append(features.amax(-1))  # (b e) c
        return reduce(self.head(torch.cat(pooled, 1)), "(b e) 1 -> b", "mean", e=self.embeddings)


@DISCRIMINATORS.register("recurrent")
class RecurrentDiscriminator(Discriminator):
    """A forward GRU over the text, averaged over the positions of the sentence.

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: longest sentence in tokens.
        width: embedding width.
        hidden: width of the GRU and of the last hidden layer.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(self, vocabulary: Vocabulary, max_length: int, width: int = 32, hidden: int = 64) -> None:
        check_sizes(width=width, hidden=hidden)
        super().__init__(vocabulary, max_length, width)
        self.network = nn.GRU(width, hidden, batch_first=True)
        self.head = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def scores(self, embedded: Tensor, token_mask: Tensor) -> Tensor:
        """Scores of the mean feature, ``b t d -> b``."""
        features, _ = self.network(embedded)  # b t h
        return self.head((features * token_mask[..., None]).sum(1) / token_mask.sum(1, keepdim=True)).squeeze(-1)


@DISCRIMINATORS.register("mlp")
class MLPDiscriminator(Discriminator):
    """An MLP over all positions at once; with ``pack`` > 1 sentences are scored together, by their mean features.

    Against a discriminator of single sentences, a generator of short texts does best by repeating the best one. Packs
    reveal the lack of diversity: Lin et al. 2018 (PacGAN, arXiv:1712.04086). The mean, after Zaheer et al. 2017 (Deep
    Sets, arXiv:1703.06114), is independent of the order in a pack. Every sentence of a pack gets the pack's score.

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: longest sentence in tokens.
        width: embedding width.
        hidden: width of the layers.
        pack: sentences scored together; the last pack of a batch may be smaller.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self, vocabulary: Vocabulary, max_length: int, width: int = 16, hidden: int = 128, pack: int = 1
    ) -> None:
        check_sizes(width=width, hidden=hidden, pack=pack)
        super().__init__(vocabulary, max_length, width)
        self.pack = pack
        self.features = nn.Sequential(
            nn.Linear(max_length * width, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2)
        )
        self.head = nn.Sequential(nn.Linear(hidden, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1))

    def scores(self, embedded: Tensor, token_mask: Tensor) -> Tensor:
        """Scores of packs, repeated for their sentences, ``b t d -> b``."""
        padded = F.pad(embedded, (0, 0, 0, self.max_length - embedded.shape[1]))  # a negative padding cuts
        packs = self.features(padded.flatten(1)).split(self.pack)
        scores = self.head(torch.stack([pack.mean(0) for pack in packs])).squeeze(-1)
        return scores.repeat_interleave(self.pack)[: len(embedded)]
