"""Gradients of the scores' weights against the exact ones, at networks along a training run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gumbelzoo
import torch
import yaml
from gumbelzoo.benchmarks.attention.rows import BOUND, CONFIG, STEPS, TUNING_STEPS, Row
from gumbelzoo.benchmarks.common.cosines import closeness, train_parts
from gumbelzoo.commands.parsing.configs import find_config
from gumbelzoo.data import PairData
from gumbelzoo.models import AttentionSeq2Seq
from torch import Tensor

NETWORKS = (0, TUNING_STEPS // 4, TUNING_STEPS, STEPS)  # steps of the runs whose last networks are taken
PAIRS, DRAWS = 32, 20


def cosines(row: Row, temperature: float | None, networks: Mapping[int, Path | None]) -> dict[str, dict[str, float]]:
    """Compare gradients of a row's bound, without entropy, for the weights of the query, which only the choice trains.

    Args:
        row: what is compared; a row without the bound of one sample has no figures.
        temperature: of its estimator.
        networks: run folders by their number of steps; None is an untrained network.

    Returns:
        ``closeness`` for each network.
    """
    if row.section != BOUND:
        return {}
    data = PairData("cipher")
    batch = {key: value[:PAIRS] for key, value in data.splits.valid.tensors().items()}
    spec = yaml.safe_load(row.attention)
    found = {}
    for steps, run in networks.items():
        torch.manual_seed(0)
        source: Any = _model(data, "marginal") if run is None else gumbelzoo.load(str(run))
        truth = _gradient(_model(data, {**spec, "estimator": "exact"}, source), batch)
        tau = {} if temperature is None else {"temperature": temperature}
        model = _model(data, {**spec, **tau}, source)
        train_parts(model.network.attention.layer, partial(_gradient, model, batch))
        found[str(steps)] = closeness(torch.stack([_gradient(model, batch) for _ in range(DRAWS)]), truth)
    return found


def _model(data: PairData, attention: Any, source: Any = None) -> AttentionSeq2Seq:
    """A model of the configuration with another attention, and the network of ``source``."""
    arguments = yaml.safe_load(find_config(CONFIG).read_text(encoding="utf-8"))["model"]["init_args"]
    sides = data.source_vocabulary, data.target_vocabulary, data.max_lengths
    model = AttentionSeq2Seq(*sides, **{**arguments, "attention": attention})
    if source is not None:
        weights = source.network.state_dict()
        shared = {name: weight for name, weight in weights.items() if not name.startswith("attention.")}
        model.network.load_state_dict(shared, strict=False)
    return model.train()


def _gradient(model: AttentionSeq2Seq, batch: Mapping[str, Tensor]) -> Tensor:
    """Gradient of the objective's sum for the weights of the query, as one vector; empty if there is none."""
    model.zero_grad()
    scores, values, log_prob, steps = model.network(batch)
    (model.network.attention.objective(scores, values, log_prob, steps) * steps).sum().backward()
    grads = [weight.grad.flatten() for weight in model.network.query.parameters() if weight.grad is not None]
    return torch.cat(grads) if grads else torch.zeros(0)
