"""A discriminator of sequences of a language model's states, for Professor Forcing.

Axes: ``b`` batch, ``t`` time, ``h`` features, ``v`` vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...ranges import check_positive, check_sizes


@dataclass(frozen=True)
class StateAdversary:
    """The discriminator of sequences of states.

    Args:
        width: of its GRU in each direction.
        steps: discriminator steps per generator step.
        learning_rate: its peak learning rate.

    Raises:
        ValueError: a size below 1, a learning rate that is not > 0.
    """

    width: int = 64
    steps: int = 1
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        check_sizes(**{"adversary.width": self.width, "adversary.steps": self.steps})
        check_positive(**{"adversary.learning_rate": self.learning_rate})


class StateDiscriminator(nn.Module):
    """A GRU in each direction over states and output probabilities, ``b t h+v -> b``: the logit of teacher forcing.

    Args:
        inputs: h + v.
        width: of the GRU in each direction.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.inputs = nn.Linear(inputs, width)
        self.onward = nn.GRU(width, width, batch_first=True)
        self.backward_in_time = nn.GRU(width, width, batch_first=True)
        self.head = nn.Sequential(nn.Linear(2 * width, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def forward(self, behaviour: Tensor, mask: Tensor) -> Tensor:
        """Return logits ``b`` of sequences ``b t h+v``, of which only positions of mask 1 (``b t``) are seen."""
        weight = mask[..., None].to(behaviour.dtype)
        lengths = (mask.detach() > 0).sum(1)
        seen = F.leaky_relu(self.inputs(behaviour), 0.2)
        # The padding stays at the end, where neither direction has come from. Packed sequences would do as well, but
        # their gradient has a cost that is quadratic in t: 3 times as much at t = 170.
        onward, _ = self.onward(seen)
        backward, _ = self.backward_in_time(reverse(seen, lengths))
        found = torch.cat([onward, reverse(backward, lengths)], -1)
        return self.head((found * weight).sum(1) / weight.sum(1).clamp(min=1)).squeeze(-1)


def reverse(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse the first ``lengths`` (``b``) places of sequences ``b t d``, and leave the padding where it is."""
    place = torch.arange(x.shape[1], device=x.device)
    last = lengths[:, None] - 1
    return x.take_along_dim(torch.where(place <= last, last - place, place)[..., None], 1)
