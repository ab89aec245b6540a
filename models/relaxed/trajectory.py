"""Policy gradient of a sequence of choices (Williams 1992). Axes: ``b`` batch, ``t`` time."""

from __future__ import annotations

from torch import Tensor

from .surrogate import upcast


def trajectory_surrogate(
    log_probs: Tensor, reward: Tensor, baseline: Tensor | float = 0.0, mask: Tensor | None = None
) -> Tensor:
    """Return sum_t (reward_t - baseline_t) log p_t per trajectory, ``b``, to be maximised.

    Its gradient is the policy gradient: that of the expected reward, if the trajectories are exact draws and a step's
    baseline does not depend on that step's choice. Its value is none of the reward, and not a measure of progress.
    Rewards and baselines get no gradient.

    Args:
        log_probs: log-probability in nats of the choice of each step given the earlier ones, ``b t``; or with more
            leading axes.
        reward: reward of each whole trajectory, ``b``, or what follows from each step, ``b t``.
        baseline: a number, or a tensor of a form that a reward may have.
        mask: weight of each step, ``b t``, boolean or floating; steps of weight 0 may hold anything.

    Raises:
        ValueError: a reward, baseline or mask of another shape.

    Example:
        >>> import torch
        >>> from gumbelzoo.models.relaxed.densities import log_prob
        >>> from gumbelzoo.models.relaxed.sampling import categorical_sample
        >>> logits = torch.randn(32, 5, 10, requires_grad=True)  # b t k
        >>> picks = categorical_sample(logits)  # b t
        >>> reward = (picks == 3).float().sum(1)  # b
        >>> loss = -trajectory_surrogate(log_prob(logits, picks), reward, reward.mean()).mean()
        >>> loss.backward()
    """
    log_probs = upcast(log_probs)
    advantage = _per_step(reward, log_probs, "reward") - _per_step(baseline, log_probs, "baseline")
    if mask is None:
        return (advantage * log_probs).sum(-1)
    if mask.shape != log_probs.shape:
        raise ValueError(f"mask of shape {tuple(mask.shape)} does not fit log_probs of shape {tuple(log_probs.shape)}")
    nothing = mask == 0
    return (advantage.masked_fill(nothing, 0.0) * log_probs.masked_fill(nothing, 0.0) * mask).sum(-1)


def _per_step(value: Tensor | float, log_probs: Tensor, name: str) -> Tensor:
    """Return a value per trajectory or step, detached, such that it broadcasts against ``b t``."""
    if not isinstance(value, Tensor) or not value.ndim:
        return log_probs.new_tensor(value) if not isinstance(value, Tensor) else upcast(value.detach())
    value = upcast(value.detach())
    steps = value[..., None] if value.ndim == log_probs.ndim - 1 else value
    if steps.ndim != log_probs.ndim or any(v not in (1, n) for v, n in zip(steps.shape, log_probs.shape, strict=True)):
        raise ValueError(
            f"{name} of shape {tuple(value.shape)} does not fit log_probs of shape {tuple(log_probs.shape)}; give one "
            "value per trajectory or per step"
        )
    return steps
