"""A reward that is only drawn: purchases 0 or 1 of slates that were shown.

REINFORCE needs nothing else. Pathwise estimators need a gradient for the slate, so they ascend the reward that a critic
predicts, which learns from the purchases of slates that the policy draws.

Axes: ``b`` users, ``k`` slots, ``s`` samples.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from ...interfaces import SlateSource
from ...ranges import check_sizes
from ..relaxed import RelaxedCategorical
from ..relaxed.baselines import Baseline
from ..relaxed.policy_gradient import is_trajectory, trajectory_loss
from .base import SLATE_OBJECTIVES, SlateObjective
from .critic import Critic
from .network import SlateNetwork
from .rollouts import expected_reward


@SLATE_OBJECTIVES.register("black_box")
class BlackBox(SlateObjective):
    """Learn from the drawn purchases of slates, one draw of each.

    Args:
        items: number of items n.
        slots: items in a slate k.
        user_width: width d of a user vector.
        critic: learn a critic. REINFORCE uses it as its baseline, all others as their reward.
        shuffled: credit each slate with the purchases of another user: a control, in which there is nothing to learn.
        hidden: width of the critic.

    Raises:
        ValueError: a width below 1.
    """

    def __init__(
        self,
        items: int,
        slots: int,
        user_width: int,
        critic: bool = False,
        shuffled: bool = False,
        hidden: int = 64,
    ) -> None:
        super().__init__(items, slots, user_width)
        check_sizes(hidden=hidden)
        self.shuffled = shuffled
        self.critic = Critic(items, slots, user_width, hidden) if critic else None

    def check(self, layer: RelaxedCategorical) -> None:
        """Check that the estimator has a gradient or needs none.

        Raises:
            ValueError: an estimator other than REINFORCE without a critic; a critic and another baseline.
        """
        if is_trajectory(layer):
            if self.critic is not None and type(layer.estimator.baseline) is not Baseline:
                raise ValueError("the critic is the baseline: use estimator {name: reinforce, baseline: none}")
        elif self.critic is None:
            raise ValueError(
                f"a drawn reward has no gradient for estimator '{layer.name}': use objective {{name: black_box, "
                "critic: true}, or estimator reinforce"
            )

    def metrics(
        self, network: SlateNetwork, layer: RelaxedCategorical, user: Tensor, source: SlateSource, entropy: float
    ) -> dict[str, Tensor]:
        """Return ``loss``, the mean drawn ``reward``, and with a critic ``critic_loss``.

        Raises:
            ValueError: ``shuffled`` in a batch of one user, who would get the purchases of its own slate.
        """
        if self.shuffled and len(user) < 2:
            raise ValueError("shuffled credits the purchases of another user: set --data.batch_size to 2 or more")
        trajectory = is_trajectory(layer)
        with torch.set_grad_enabled(trajectory):
            slates = self.draw(network, layer, user, layer.estimator.samples if trajectory else 1)
        bought = source.feedback(user, slates.codes)  # s b k
        if self.shuffled:
            bought = bought.roll(1, 1)
        reward = bought.sum(-1)  # s b
        metrics = {"reward": reward.mean()}
        policy = partial(
            trajectory_loss, layer, slates.log_probs, entropy * slates.kl.sum(-1) - reward, slates.first[0]
        )
        if self.critic is None:
            return {"loss": policy(), **metrics}
        predicted = self.critic(user, slates.codes)
        metrics["critic_loss"] = self.critic.loss(predicted, bought)
        if trajectory:
            loss = policy(baseline=-predicted[1])
        else:
            predict = partial(self.critic.reward, user)
            loss = -expected_reward(network, layer, user, self.slots, predict, entropy).mean()
        return {"loss": loss + metrics["critic_loss"], **metrics}
