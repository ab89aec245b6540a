"""Gradients of the policy against the exact one, at policies along a training run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gumbelzoo
import torch
import yaml
from gumbelzoo.benchmarks.common.cosines import closeness, train_parts
from gumbelzoo.benchmarks.slates.rows import STEPS, TUNING_STEPS, Row
from gumbelzoo.data import SlateData
from gumbelzoo.models import SlateAgent
from torch import Tensor

POLICIES = (0, TUNING_STEPS // 5, TUNING_STEPS, STEPS)  # steps of the runs whose last policies are taken
USERS, DRAWS = 64, 20


def cosines(row: Row, temperature: float | None, policies: Mapping[int, Path | None]) -> dict[str, dict[str, float]]:
    """Compare the gradient of the mean expected reward for the policy's weights, without entropy.

    A critic's gradient is that of its own training, so rows with one have no figures.

    Args:
        row: what is compared; a black box without a critic draws its rewards.
        temperature: of its estimator.
        policies: run folders by their number of steps; None is an untrained policy.

    Returns:
        For each policy ``single``, the mean cosine of one draw, and ``mean``, that of the mean of all draws, which
        approaches 1 for an unbiased estimator.
    """
    objective = next(
        (option.partition("=")[2] for option in row.options if option.startswith("--model.obj")), "white_box"
    )
    if "critic" in objective:
        return {}
    data = SlateData()
    user = data.splits.valid.vectors[:USERS]
    found = {}
    for steps, run in policies.items():
        torch.manual_seed(0)
        policy: Any = SlateAgent(10, 3, data.user_width) if run is None else gumbelzoo.load(str(run))
        truth = _gradient(_agent(policy, "exact", "white_box", None), data, user)
        agent = _agent(policy, yaml.safe_load(row.estimator), yaml.safe_load(objective), temperature)
        train_parts(agent.layer, partial(_gradient, agent, data, user))
        drawn = torch.stack([_gradient(agent, data, user) for _ in range(DRAWS)])
        found[str(steps)] = closeness(drawn, truth)
    return found


def _agent(policy: Any, estimator: Any, objective: Any, temperature: float | None) -> SlateAgent:
    """An agent of the same policy with another estimator."""
    agent = SlateAgent(10, 3, policy.user_width, objective, estimator, temperature or 1.0)
    agent.network.load_state_dict(policy.network.state_dict())
    return agent.train()


def _gradient(agent: SlateAgent, data: SlateData, user: Tensor) -> Tensor:
    """Gradient of the loss for all weights of the policy, as one vector."""
    agent.zero_grad()
    agent.objective.metrics(agent.network, agent.layer, user, data, 0.0)["loss"].backward()
    return torch.cat([weight.grad.flatten() for weight in agent.network.parameters() if weight.grad is not None])
