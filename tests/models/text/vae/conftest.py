"""A VAE of sentences of three tokens with two latents of three categories, small enough to enumerate."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from gumbelzoo.models.text.text_vae import TextVAE
from gumbelzoo.vocabulary import EOS, Vocabulary
from torch import Tensor

LETTERS = Vocabulary([EOS, "a", "b"], level="character")
SMALL: dict[str, Any] = {
    "vocabulary": LETTERS,
    "max_length": 3,
    "latent": {"name": "categorical", "latents": 2, "categories": 3},
    "generator": {"name": "lstm", "width": 4, "hidden": 6},
    "encoder": {"width": 4, "hidden": 5},
    "test_samples": 20,
}


@pytest.fixture
def make() -> Callable[..., TextVAE]:
    """Options of the latents, and arguments, to a model of fixed weights with logits of a few units."""

    def made(latent: dict[str, Any] | None = None, **arguments: Any) -> TextVAE:
        torch.manual_seed(0)
        spec = latent if latent and "name" in latent else {**SMALL["latent"], **(latent or {})}
        model = TextVAE(**{**SMALL, **arguments, "latent": spec})
        with torch.no_grad():
            model.generator.head.weight.mul_(4)
            model.generator.label_embedding.weight.mul_(4)
            model.encoder.head.weight.mul_(4)
        return model

    return made


@pytest.fixture
def sentences() -> dict[str, Tensor]:
    """All sentences of up to three tokens, EOS included; those of three letters have none."""
    rows = []
    for row in itertools.product(range(3), repeat=3):
        end = row.index(0) if 0 in row else 3
        if all(token == 0 for token in row[end:]):
            rows.append(row)
    tokens = torch.tensor(rows)
    return {"tokens": tokens, "length": LETTERS.lengths(tokens)}
