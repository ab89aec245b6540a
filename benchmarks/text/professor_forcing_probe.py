"""A fresh probe tells states under teacher forcing from those of a free run, place by place.

Axes: ``b`` sentences, ``t`` places, ``h`` features.
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

STEPS, BATCH, LEARNING_RATE, WEIGHT_DECAY, HIDDEN = 1000, 512, 1e-3, 1e-2, 128
LEAST = 50  # held-out sentences of either kind that a place needs


@dataclass(frozen=True)
class Probed:
    """Accuracy of a probe on sentences that it has not seen; 0.5 is chance.

    Attributes:
        places: accuracy at each place, the mean of both kinds; the last places, of few sentences, are left out.
        accuracy: mean over states, in which both kinds have the same weight at every place.
    """

    places: list[float]
    accuracy: float


@torch.no_grad()
def states(generator: LanguageModel, tokens: Tensor) -> Tensor:
    """Return the states of sentences ``b t`` as inputs, ``b t h``; that of a place has read the tokens before it."""
    width = generator.head.in_features
    return torch.cat([teacher_forced(generator, part)[..., :width] for part in tokens.split(500)])


def probe(forced: Tensor, free: Tensor, masks: tuple[Tensor, Tensor]) -> Probed:
    """Train an MLP of two hidden layers on half of the sentences, and measure it on the other half.

    It reads one state at a time. At each place both kinds weigh the same, so that lengths of sentences tell nothing.

    Args:
        forced, free: states of both kinds, ``b t h``, as many sentences of either.
        masks: places that count, ``b t``, of either.

    Raises:
        ValueError: fewer sentences than a place needs in each half.
    """
    half = len(forced) // 2
    held = half if half >= LEAST and len(forced) == len(free) else 0
    if not held:
        raise ValueError(f"a probe needs {2 * LEAST} sentences or more of either kind, got {len(forced)}, {len(free)}")
    x = torch.stack([forced[: 2 * half], free[: 2 * half]])  # 2 b t h
    mask = torch.stack([part[: 2 * half] for part in masks])  # 2 b t
    learned, tested = mask[:, :half], mask[:, half:]
    weight = (_balanced(learned) * learned).flatten()
    target = torch.tensor([1.0, 0.0])[:, None, None].expand(learned.shape).flatten()
    seen = x[:, :half].flatten(0, 2)
    scale = seen[weight > 0].std(0).clamp(min=1e-6)
    layers = (nn.Linear(x.shape[-1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
    network = nn.Sequential(*layers)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for rows in torch.multinomial(weight, STEPS * BATCH, replacement=True).split(BATCH):
        loss = F.binary_cross_entropy_with_logits(network(seen[rows] / scale).squeeze(-1), target[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        says_forced = network(x[:, half:] / scale).squeeze(-1) > 0  # 2 b t
    right = torch.stack([says_forced[0], ~says_forced[1]]) & tested
    counts = tested.sum(1)  # 2 t
    by_place = (right.sum(1) / counts.clamp(min=1)).mean(0)  # t
    common = counts.min(0).values
    kept = int((common >= LEAST).cumprod(0).sum())
    mean = (by_place * common).sum() / common.sum()
    return Probed([round(value, 4) for value in by_place[:kept].tolist()], float(mean))


def _balanced(mask: Tensor) -> Tensor:
    """Weight of the states of each kind and place, ``2 b t -> 2 1 t``: both kinds weigh as much as the rarer one."""
    counts = mask.sum(1, keepdim=True)  # 2 1 t
    return counts.min(0).values / counts.clamp(min=1)


def late_distance(samples: Corpus, real: Corpus) -> float:
    """Return the total variation, in [0, 1], between the n-grams of late places of samples and of real sentences."""
    numbers = ngrams(concatenate(samples, real), ORDER)[-1][:, LATE:]
    parts = [part[part >= 0] for part in (numbers[: len(samples)], numbers[len(samples) :])]
    size = 1 + max(part.max(initial=0) for part in parts)
    shares = [np.bincount(part, minlength=size) / max(part.size, 1) for part in parts]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def measure(model: Any, data: Any, seed: int = 0) -> dict[str, Any]:
    """Return ``probe``, its accuracy by place, and ``metrics``: its mean, the late distance and the floor of that.

    The floor is the distance of as many training sentences, which is all that their number leaves to tell.

    Args:
        model: a trained text model.
        data: its data module, whose test sentences are the teacher's.
        seed: of the free run and of the probe.
    """
    torch.manual_seed(seed)
    tokens, lengths = data.test_sequences()
    written = model.sample_tokens(len(tokens))
    ends = data.vocabulary.lengths(written)
    masks = length_mask(lengths, tokens.shape[1]), length_mask(ends, tokens.shape[1])
    found = probe(states(model.generator, tokens), states(model.generator, written), masks)
    train = data.splits.train
    rows = torch.randperm(len(train))[: len(tokens)]
    real, samples, known = (
        Corpus(ids.numpy(), long.numpy())
        for ids, long in ((tokens, lengths), (written, ends), (train.tokens[rows], train.lengths[rows]))
    )
    metrics = {
        "probe_accuracy": found.accuracy,
        "late_distance": late_distance(samples, real),
        "late_floor": late_distance(known, real),
    }
    return {"probe": found.places, "metrics": {f"test/{name}": value for name, value in metrics.items()}}
