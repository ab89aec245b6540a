"""Costs of the leaderboard's rows: the time of a training step, and the variance of the gradient.

All are measured on one model, a release of ``gumbel_softmax``. Every row gets its weights, keeps what its own estimator
has learned (a control variate), and has its selected temperature.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from gumbelzoo.benchmarks.common.measure import interleaved_times
from gumbelzoo.commands.files.source import build_data, resolve_source
from gumbelzoo.models import CategoricalVAE, ZooModel
from torch import Tensor

DRAWS, TURNS, STEPS = 200, 15, 4  # gradients per variance; turns; steps per turn


def measure_costs(runs: Mapping[str, Path], reference: str) -> dict[str, dict[str, float | None]]:
    """Return ``ratio`` of step times and ``log_variance`` of each row's run, relative to and at a reference's weights.

    Args:
        runs: run folder by row.
        reference: a release or a run.
    """
    torch.set_num_threads(1)
    source = resolve_source(reference)
    weights = {name: value.clone() for name, value in source.model.state_dict().items()}
    data = build_data(source.data)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    steps = [_steps(_model(run, weights), batch) for run in runs.values()]
    seconds = interleaved_times([_steps(source.model.train(), batch), *steps], TURNS)
    base, *times = map(statistics.median, seconds)
    # Models are built again, since the timed steps have changed their weights.
    return {
        name: {"ratio": time / base, "log_variance": log_variance(_model(run, weights), batch["image"])}
        for (name, run), time in zip(runs.items(), times, strict=True)
    }


def _model(run: Path, weights: dict[str, Tensor]) -> ZooModel:
    """Return a run's model in training mode, with its own estimator and the given networks."""
    model = resolve_source(str(run)).model
    if isinstance(model, CategoricalVAE):
        own = {name: value for name, value in model.state_dict().items() if name.startswith("relaxed.")}
        model.load_state_dict({**weights, **own}, strict=False)
    return model.train()


def _steps(model: ZooModel, batch: dict[str, Tensor]) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0, fused=True)

    def steps() -> None:
        for _ in range(STEPS):
            loss = model.training_metrics(batch)["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return steps


def log_variance(model: ZooModel, x: Tensor) -> float | None:
    """Return the logarithm of the gradient's variance with respect to a posterior logit; None without categories.

    The gradient is that of an image's training loss in nats; its variance is averaged over logits and images.

    Args:
        model: in training mode.
        x: images ``b c h w``.
    """
    if not isinstance(model, CategoricalVAE):
        return None
    posterior = model.posterior(x).detach()  # b n k
    total, squares = torch.zeros_like(posterior), torch.zeros_like(posterior)
    for _ in range(DRAWS):
        logits = posterior.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(len(x) * model.objective(x, logits)["loss"], logits)
        total += gradient
        squares += gradient.square()
    variance = (squares / DRAWS - (total / DRAWS).square()) * DRAWS / (DRAWS - 1)
    return math.log(variance.mean().item())
