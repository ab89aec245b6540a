"""Critics of text, by name in ``DISCRIMINATORS``: codes ``b t`` or relaxed points ``b t v`` to one score each.

What stands behind a sentence's end is no part of it: scores depend neither on it nor on the width of the batch. For
relaxed points a place counts as far as the sentence has not ended before it (``soft_tokens.presence``). Axes: ``b``
batch, ``t`` time, ``v`` vocabulary, ``e`` embeddings, ``d`` width of each, ``c`` channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from ...registry import Registry
from .relaxed_tokens import embed, presence


class Discriminator(nn.Module):
    """Subclasses write ``scores``.

    Args:
        size: v.
        length: t of the longest text.
        end: the token that ends a sentence; None for sequences of a fixed length.
        width: of an embedded token.
    """

    pack = 1  # sentences that are judged together

    def __init__(self, size: int, length: int, end: int | None, width: int) -> None:
        super().__init__()
        self.length, self.end = length, end
        self.table = nn.Parameter(torch.randn(size, width))

    def forward(self, x: Tensor) -> Tensor:
        """A score for each sentence, higher for real text: ``b t`` or ``b t v`` ``-> b``."""
        here = presence(x, self.end).to(self.table.dtype)  # b t
        return self.scores(embed(x, self.table) * here[..., None], here)

    def scores(self, embedded: Tensor, here: Tensor) -> Tensor:
        """Scores ``b`` from embedded tokens ``b t d``, 0 where ``here`` (``b t``) is."""
        raise NotImplementedError


DISCRIMINATORS: Registry[type[Discriminator]] = Registry("discriminator")


@DISCRIMINATORS.register("cnn")
class CNNDiscriminator(Discriminator):
    """Several embeddings of the text, each read by the same convolutions, pooled over time; the mean of their scores.

    Nie, Narodytska & Patel 2019 (RelGAN), section 2.3, where the losses of the embeddings are averaged, not the scores;
    the convolutions are those of Kim 2014 (arXiv:1408.5882).

    Args:
        size: v.
        length: t of the longest text.
        end: the token that ends a sentence, if there is one.
        embeddings: how many.
        width: of each.
        windows: tokens that a convolution sees.
        channels: of each convolution.
        hidden: width of the layer in front of the score.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self,
        size: int,
        length: int,
        end: int | None = None,
        embeddings: int = 4,
        width: int = 16,
        windows: Sequence[int] = (2, 3, 4, 5),
        channels: int = 32,
        hidden: int = 64,
    ) -> None:
        if min(embeddings, width, channels, hidden, *windows) < 1 or not windows:
            raise ValueError("embeddings, width, windows, channels and hidden of a discriminator must be >= 1")
        super().__init__(size, length, end, embeddings * width)
        self.embeddings, self.windows = embeddings, tuple(windows)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, channels, window) for window in windows)
        self.head = nn.Sequential(nn.Linear(len(windows) * channels, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def scores(self, embedded: Tensor, here: Tensor) -> Tensor:
        """See the base class."""
        x = rearrange(embedded, "b t (e d) -> (b e) d t", e=self.embeddings)
        counts = here.repeat_interleave(self.embeddings, 0)[:, None]  # (b e) 1 t
        pooled = []
        for window, convolution in zip(self.windows, self.convolutions, strict=True):
            # Every place begins a window, which sees zeros behind the end. What begins behind it is 0 as well, and a
            # maximum of numbers that are not negative does not notice.
            features = convolution(F.pad(x, (0, window - 1))).relu() * counts
            pooled.append(features.amax(-1))  # (b e) c
        return reduce(self.head(torch.cat(pooled, 1)), "(b e) 1 -> b", "mean", e=self.embeddings)


@DISCRIMINATORS.register("recurrent")
class RecurrentDiscriminator(Discriminator):
    """A GRU over the text, forwards; its outputs are averaged over the sentence.

    Args:
        size: v.
        length: t of the longest text.
        end: the token that ends a sentence, if there is one.
        width: of the embedded tokens.
        hidden: width of the GRU and of the layer in front of the score.
    """

    def __init__(self, size: int, length: int, end: int | None = None, width: int = 32, hidden: int = 64) -> None:
        super().__init__(size, length, end, width)
        self.network = nn.GRU(width, hidden, batch_first=True)
        self.head = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def scores(self, embedded: Tensor, here: Tensor) -> Tensor:
        """See the base class."""
        features, _ = self.network(embedded)  # b t h
        return self.head((features * here[..., None]).sum(1) / here.sum(1, keepdim=True)).squeeze(-1)


@DISCRIMINATORS.register("mlp")
class MLPDiscriminator(Discriminator):
    """All places at once, each with weights of its own; several sentences are judged together by their mean features.

    Against what is judged one by one a generator of short texts does best by always writing the best one. Packs show
    that there is no variety: Lin et al. 2018 (PacGAN, arXiv:1712.04086); the mean, after Zaheer et al. 2017 (Deep Sets,
    arXiv:1703.06114), makes their order irrelevant. Every sentence of a pack has the pack's score.

    Args:
        size: v.
        length: t of the longest text.
        end: the token that ends a sentence, if there is one.
        width: of the embedded tokens.
        hidden: width of the layers.
        pack: sentences that are judged together; the last pack of a batch may be smaller.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self, size: int, length: int, end: int | None = None, width: int = 16, hidden: int = 128, pack: int = 1
    ) -> None:
        if min(width, hidden, pack) < 1:
            raise ValueError("width, hidden and pack of a discriminator must be >= 1")
        super().__init__(size, length, end, width)
        self.pack = pack
        self.features = nn.Sequential(
            nn.Linear(length * width, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2)
        )
        self.head = nn.Sequential(nn.Linear(hidden, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1))

    def scores(self, embedded: Tensor, here: Tensor) -> Tensor:
        """See the base class."""
        whole = F.pad(embedded, (0, 0, 0, self.length - embedded.shape[1]))  # a negative padding cuts
        packs = self.features(whole.flatten(1)).split(self.pack)
        scores = self.head(torch.stack([pack.mean(0) for pack in packs])).squeeze(-1)
        return scores.repeat_interleave(self.pack)[: len(embedded)]
