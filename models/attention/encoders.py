"""Encoders of a source, by name: one value per place. Axes: ``b`` batch, ``s`` places, ``d`` width."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ...interfaces import Cells
from ...ranges import check_sizes
from ...registry import Registry, Spec
from ...vocabulary import EOS, Vocabulary


class Encoder(nn.Module):
    """Base class of encoders, and the one that mixes no places: the sum of a token's and its place's embedding.

    Which place a value belongs to is certain, so that the attention to a known place can be judged.

    Args:
        source: the tokens.
        places: s at most.
        width: d.
    """

    smallest: ClassVar[Vocabulary | Cells] = Vocabulary([EOS])  # source of the kind that is read

    def __init__(self, source: Vocabulary, places: int, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(len(source), width)
        self.places = nn.Embedding(places, width)

    def forward(self, source: Tensor, length: Tensor) -> Tensor:
        """Return values ``b s d`` of token ids ``b s`` and their lengths ``b``."""
        return self.tokens(source) + self.places.weight[: source.shape[1]]


ENCODERS: Registry[type[Encoder]] = Registry("encoder of pairs", context=("source", "places", "width"), base=Encoder)
ENCODERS.register("embedding")(Encoder)


def build_encoder(spec: Spec, source: Vocabulary | Cells | None, places: int, width: int) -> Encoder:
    """Build the encoder of a spec; without a source for the smallest one that it reads.

    Raises:
        ValueError: an unknown name or option, or sources of the kind that the encoder does not read.
    """
    name, _ = ENCODERS.read(spec)
    smallest = ENCODERS[name].smallest
    if source is not None and type(source) is not type(smallest):
        fitting = [other for other in ENCODERS if type(ENCODERS[other].smallest) is type(source)]
        kind = "pictures" if isinstance(source, Cells) else "tokens"
        raise ValueError(f"encoder '{name}' does not read {kind}: use --model.encoder={' or '.join(fitting)}")
    encoder: Encoder = ENCODERS.build(spec, source=smallest if source is None else source, places=places, width=width)
    return encoder


@ENCODERS.register("bilstm")
class BiLSTM(Encoder):
    """Two LSTMs, one in each direction, over token embeddings; every value has seen all places.

    Args:
        source: the tokens.
        places: s at most.
        width: d, a half of it in each direction.
        layers: number of layers.

    Raises:
        ValueError: an odd width, a size below 1.
    """

    def __init__(self, source: Vocabulary, places: int, width: int, layers: int = 1) -> None:
        nn.Module.__init__(self)
        check_sizes(layers=layers)
        if width % 2:
            raise ValueError(f"the width of a bilstm must be even, a half for each direction, got {width}")
        self.tokens = nn.Embedding(len(source), width)
        self.lstm = nn.LSTM(width, width // 2, layers, batch_first=True, bidirectional=True)

    def forward(self, source: Tensor, length: Tensor) -> Tensor:
        """Return values ``b s d``; those of the padding are 0, and seen by none."""
        packed = pack_padded_sequence(self.tokens(source), length.cpu(), batch_first=True, enforce_sorted=False)
        values, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=source.shape[1])
        return torch.as_tensor(values)
