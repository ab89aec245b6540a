"""The interface of the objectives of slate agents, by name in ``SLATE_OBJECTIVES``.

Axes: ``b`` users, ``n`` items, ``k`` slots, ``s`` samples, ``d`` user vector.
"""

from __future__ import annotations

from torch import Tensor, nn

from ...interfaces import SlateSource
from ...registry import Registry
from ..relaxed import RelaxedCategorical
from .network import SlateNetwork
from .rollouts import Slates, draw_slates


class SlateObjective(nn.Module):
    """Base class of objectives. A subclass writes ``metrics``.

    Args:
        items: number of items n.
        slots: items in a slate k.
        user_width: width d of a user vector.
    """

    def __init__(self, items: int, slots: int, user_width: int) -> None:
        super().__init__()
        self.items, self.slots, self.user_width = items, slots, user_width

    def check(self, layer: RelaxedCategorical) -> None:
        """Check that the objective can use the layer's estimator, else ValueError."""

    def metrics(
        self, network: SlateNetwork, layer: RelaxedCategorical, user: Tensor, source: SlateSource, entropy: float
    ) -> dict[str, Tensor]:
        """Return named scalars of a batch of users ``b d``; the model descends ``loss``.

        Args:
            network: the policy.
            layer: its estimator.
            user: vectors ``b d``.
            source: items and rewards.
            entropy: reward of each choice per nat of its entropy.
        """
        raise NotImplementedError

    def draw(self, network: SlateNetwork, layer: RelaxedCategorical, user: Tensor, samples: int) -> Slates:
        """Draw slates of each user, ``s b k``."""
        return draw_slates(network, user.expand(samples, *user.shape), self.slots, layer.sample)


SLATE_OBJECTIVES: Registry[type[SlateObjective]] = Registry(
    "slate objective", context=("items", "slots", "user_width"), base=SlateObjective
)
