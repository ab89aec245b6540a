"""A network that predicts purchases, so that a drawn reward has a gradient, and a baseline.

Axes: ``k`` slots, ``n`` items, ``d`` user vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..relaxed.surrogate import upcast
from .network import SlateNetwork


class Critic(nn.Module):
    """Probability of a purchase of every item in the next slot, and the expected reward of the whole slate.

    Args:
        items: number of items n.
        slots: items in a slate k.
        user_width: width d of a user vector.
        hidden: width of the network.
    """

    def __init__(self, items: int, slots: int, user_width: int, hidden: int) -> None:
        super().__init__()
        self.network = SlateNetwork(items, slots, user_width, hidden, items + 1)

    def forward(self, user: Tensor, slate: Tensor) -> tuple[Tensor, Tensor]:
        """Predict from users ``... d`` and slates, codes ``... k`` or points ``... k n``.

        Returns:
            Probabilities of a purchase in each slot, ``... k``, linear in the slot's own point; and the reward expected
            before each slot, ``... k``, which does not depend on this slot nor on later ones.
        """
        state, bought, values = self.network.start(user), [], []
        slots = slate.unbind(-2 if slate.is_floating_point() else -1)
        for slot, z in enumerate(slots):
            output = self.network.head(state)
            chances = output[..., :-1].sigmoid()
            if z.is_floating_point():
                bought.append((z * chances).sum(-1))
            else:
                bought.append(chances.expand(*z.shape, -1).gather(-1, z[..., None]).squeeze(-1))
            values.append(output[..., -1].expand_as(bought[-1]))
            if slot < len(slots) - 1:
                state = self.network.advance(state, z)
        return torch.stack(bought, -1), torch.stack(values, -1)

    def reward(self, user: Tensor, slate: Tensor) -> Tensor:
        """Predict the reward of slates, ``...``, with a gradient for points but none for the critic's parameters."""
        frozen = {name: parameter.detach() for name, parameter in self.named_parameters()}
        return functional_call(self, frozen, (user, slate))[0].sum(-1)

    def loss(self, predicted: tuple[Tensor, Tensor], bought: Tensor) -> Tensor:
        """Return the cross-entropy of purchases ``... k`` in nats per slot, plus the squared error of the reward."""
        chances, values = predicted
        # Not ``binary_cross_entropy``, which torch refuses in mixed precision on a GPU; bfloat16 has no 1 - 1e-6.
        chances = upcast(chances).clamp(1e-6, 1 - 1e-6)
        entropy = -(bought * chances.log() + (1 - bought) * (-chances).log1p()).mean()
        return entropy + (values - bought.sum(-1, keepdim=True)).square().mean()
