"""A fresh probe tells states under teacher forcing from those of a free run, place by place.

Axes: ``n`` sequences, ``t`` places, ``h`` features. A first axis of 2 is teacher forcing, and the free run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from gumbelzoo.benchmarks.text.professor_forcing_rows import LATE, ORDER
from gumbelzoo.evaluation.ngrams import Corpus, concatenate, ngrams
from gumbelzoo.models.text.generators.base import LanguageModel, length_mask
from gumbelzoo.models.text.objectives.professor_forcing import teacher_forced
from torch import Tensor, nn

LEARNED = 4000  # most sequences of either kind that the probe learns from
STEPS, WARMUP, BATCH, LEARNING_RATE, WEIGHT_DECAY, WIDTH = 600, 50, 32, 5e-3, 1e-2, 64
LEAST = 50  # sequences of either kind that a place needs


@dataclass(frozen=True)
class Probed:
    """Accuracy of a probe on sequences that it has not seen; 0.5 is chance.

    Attributes:
        places: accuracy at each place, the mean of both kinds; the last places, of few sequences, are left out.
        accuracy: mean over states, in which both kinds have the same weight at every place.
    """

    places: list[float]
    accuracy: float


@dataclass(frozen=True)
class States:
    """States of both kinds, ``2 n t h``, and the places that count, bool ``2 n t``."""

    values: Tensor
    mask: Tensor


class Probe(nn.Module):
    """A GRU over the states up to each place, ``n t h -> n t``: the logit of teacher forcing."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.inputs = nn.Linear(features, WIDTH)
        self.gru = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, states: Tensor) -> Tensor:
        """Return a logit for each place."""
        found, _ = self.gru(F.leaky_relu(self.inputs(states), 0.2))
        return self.head(found).squeeze(-1)


@torch.no_grad()
def states(generator: LanguageModel, tokens: Tensor) -> Tensor:
    """Return the states of sequences ``n t`` as inputs, ``n t h``; that of a place has read the tokens before it."""
    width = generator.head.in_features
    return torch.cat([teacher_forced(generator, part)[..., :width] for part in tokens.split(500)])


def probe(learned: States, held_out: States) -> Probed:
    """Train a probe on states of both kinds, and measure it on others.

    At each place both kinds weigh the same, so that the lengths of sequences tell nothing.

    Raises:
        ValueError: fewer sequences than a place needs.
    """
    for part in (learned, held_out):
        if (n := part.mask.shape[1]) < LEAST:
            raise ValueError(f"a probe needs {LEAST} sequences or more of either kind, got {n}")
    scale = learned.values[learned.mask].std(0).clamp(min=1e-6)
    network = Probe(learned.values.shape[-1])
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / WARMUP) * (1 - step / STEPS))
    weight = _balanced(learned.mask) * learned.mask
    for _ in range(STEPS):
        rows = torch.randperm(weight.shape[1])[:BATCH]
        logits = network((learned.values[:, rows] / scale).flatten(0, 1)).unflatten(0, (2, -1))
        loss = torch.stack([F.softplus(-logits[0]), F.softplus(logits[1])])
        loss = (loss * weight[:, rows]).sum() / weight[:, rows].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    with torch.no_grad():
        says_forced = torch.stack([network(kind / scale) > 0 for kind in held_out.values])
    right = torch.stack([says_forced[0], ~says_forced[1]]) & held_out.mask
    counts = held_out.mask.sum(1)  # 2 t
    by_place = (right.sum(1) / counts.clamp(min=1)).mean(0)  # t
    common = counts.min(0).values
    kept = int((common >= LEAST).cumprod(0).sum())
    mean = (by_place * common).sum() / common.sum()
    return Probed([round(value, 4) for value in by_place[:kept].tolist()], float(mean))


def _balanced(mask: Tensor) -> Tensor:
    """Weight of the states of each kind and place, ``2 n t -> 2 1 t``: both kinds weigh as much as the rarer one."""
    counts = mask.sum(1, keepdim=True)  # 2 1 t
    return counts.min(0).values / counts.clamp(min=1)


def late_distance(samples: Corpus, real: Corpus) -> float:
    """Return the total variation, in [0, 1], between the n-grams of late places of samples and of real sentences.

    It is 1 where one of them has none: samples that have ended by then are no nearer.
    """
    numbers = ngrams(concatenate(samples, real), ORDER)[-1][:, LATE:]
    parts = [part[part >= 0] for part in (numbers[: len(samples)], numbers[len(samples) :])]
    if not parts[0].size or not parts[1].size:
        return float(parts[0].size != parts[1].size)
    size = 1 + max(part.max() for part in parts)
    shares = [np.bincount(part, minlength=size) / part.size for part in parts]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def both_kinds(model: Any, tokens: Tensor, lengths: Tensor) -> tuple[States, Tensor]:
    """Return the states of sequences and of as many of a free run, and the tokens ``n t`` of the latter."""
    written = model.sample_tokens(len(tokens))
    ends = model.vocabulary.lengths(written)
    values = torch.stack([states(model.generator, part) for part in (tokens, written)])
    return States(values, torch.stack([length_mask(part, tokens.shape[1]) for part in (lengths, ends)])), written


def measure(model: Any, data: Any, seed: int = 0) -> dict[str, Any]:
    """Return ``probe``, its accuracy by place, and ``metrics``: its mean, the late distance and the floor of that.

    The probe learns from training sequences, and is measured on those of test. The floor is the distance of as many
    training sequences as there are of test, which is all that their number leaves to tell.

    Args:
        model: a trained text model.
        data: its data module.
        seed: of the free run and of the probe.
    """
    torch.manual_seed(seed)
    train = data.splits.train
    order = torch.randperm(len(train))
    rows = order[:LEARNED]
    learned, _ = both_kinds(model, train.tokens[rows], train.lengths[rows])
    tokens, lengths = data.test_sequences()
    held_out, written = both_kinds(model, tokens, lengths)
    found = probe(learned, held_out)
    rows = order[: len(tokens)]
    real, samples, known = (
        Corpus(ids.numpy(), long.numpy())
        for ids, long in (
            (tokens, lengths),
            (written, data.vocabulary.lengths(written)),
            (train.tokens[rows], train.lengths[rows]),
        )
    )
    metrics = {
        "probe_accuracy": found.accuracy,
        "late_distance": late_distance(samples, real),
        "late_floor": late_distance(known, real),
    }
    return {"probe": found.places, "metrics": {f"test/{name}": value for name, value in metrics.items()}}
