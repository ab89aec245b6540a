"""Searches that need no policy gradient and no discriminator, with as many scored molecules as training has."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from gumbelzoo.benchmarks.common.runs import fit_record
from gumbelzoo.benchmarks.text.organ_rows import SAMPLES, SCORED
from gumbelzoo.commands.files.source import build_data, resolve_source
from gumbelzoo.models.text.text_gan import TextGAN
from torch import Tensor

ROUNDS, KEPT, RATE, EPOCHS = 10, 0.1, 1e-3, 2  # of hill climbing: share that is learned, and how
CHUNK = 64  # sentences in a step of it


def searched(name: str, start: Path, seed: int) -> dict[str, Any]:
    """Search from a trained model, and return what a record keeps of a run.

    ``best_of_n`` draws ``SCORED`` molecules and keeps the ``SAMPLES`` with the highest reward. ``hill_climbing`` draws
    them in ten rounds, and learns the best tenth of each by maximum likelihood (Segler et al. 2018, Brown et al. 2019).
    """
    source = resolve_source(str(start))
    model: Any = source.model
    data: Any = build_data(source.data)
    torch.manual_seed(seed)
    begun = time.monotonic()
    if name == "best_of_n":
        tokens = best(model, model.sample_tokens(SCORED), SAMPLES)
    else:
        climb(model)
        tokens = model.sample_tokens(SAMPLES)
    minutes = (time.monotonic() - begun) / 60
    begun = time.monotonic()
    metrics = {**data.score(tokens), **model.objective.sample_metrics(tokens)}
    known = {key: value for key, value in fit_record(start).items() if key in ("hardware", "versions", "commit")}
    return {
        "metrics": {f"test/{key}": value for key, value in metrics.items()},
        "test_minutes": round((time.monotonic() - begun) / 60, 2),
        "minutes": round(minutes, 2),
        "seed": seed,
        **known,
    }


def best(model: TextGAN, tokens: Tensor, number: int) -> Tensor:
    """Return the different sentences with the highest rewards, ``n t -> number t``; copies come last."""
    domain = model.objective.domain
    sentences = domain.written(tokens)
    first: dict[str | None, int] = {None: -1}  # of each molecule; strings that are none have no reward anyway
    rows = [first.setdefault(form, row) for row, form in enumerate(domain.reward.forms(sentences))]
    different = torch.tensor([row == own for row, own in enumerate(rows)])
    return tokens[(domain.reward(sentences) * different).topk(number).indices]


def climb(model: TextGAN) -> None:
    """Learn the best samples of each round."""
    optimizer = torch.optim.AdamW(model.generator.parameters(), RATE)
    drawn = SCORED // ROUNDS
    for _ in range(ROUNDS):
        kept = best(model, model.sample_tokens(drawn), int(drawn * KEPT))
        lengths = model.require_vocabulary().lengths(kept)
        model.train()
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(kept)).split(CHUNK):
                batch = {"tokens": kept[rows], "length": lengths[rows]}
                optimizer.zero_grad()
                model.maximum_likelihood.generator_metrics(model.generator, batch)["loss"].backward()
                optimizer.step()
        model.eval()
