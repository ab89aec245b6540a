"""The expected reward itself, whose gradient is known. Axes: ``b`` users, ``d`` user vector."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from ...interfaces import SlateSource
from ..relaxed import RelaxedCategorical
from ..relaxed.policy_gradient import is_trajectory, trajectory_loss
from .base import SLATE_OBJECTIVES, SlateObjective
from .network import SlateNetwork
from .rollouts import expected_reward


@SLATE_OBJECTIVES.register("white_box")
class WhiteBox(SlateObjective):
    """Ascend the expected reward of the source.

    Pathwise estimators use its gradient through all slots, ``exact`` enumerates all slates, and REINFORCE weights the
    log-probabilities of drawn ones. Other estimators nest, and their samples multiply.
    """

    def metrics(
        self, network: SlateNetwork, layer: RelaxedCategorical, user: Tensor, source: SlateSource, entropy: float
    ) -> dict[str, Tensor]:
        """Return ``loss`` and ``reward``.

        The reward is that of the drawn slates. For other estimators than REINFORCE these may be relaxed, and it is less
        ``entropy`` times the KL of each choice from uniform.
        """
        if is_trajectory(layer):
            slates = self.draw(network, layer, user, layer.estimator.samples)
            reward = source.reward(user, slates.codes)  # s b
            cost = entropy * slates.kl.sum(-1) - reward
            loss = trajectory_loss(layer, slates.log_probs, cost, slates.first[0])
            return {"loss": loss, "reward": reward.mean()}
        reward = expected_reward(network, layer, user, self.slots, partial(source.reward, user), entropy).mean()
        return {"loss": -reward, "reward": reward.detach()}
