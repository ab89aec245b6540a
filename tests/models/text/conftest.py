"""A text GAN of six words or of the grammar, small enough for brute force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.models.text.text_gan import TextGAN
from gumbelzoo.vocabulary import EOS
from torch import Tensor

WORDS: dict[str, Any] = {"tokens": [EOS, "<unk>", "a", "man", "sits", "."], "level": "word"}
SMALL: dict[str, Any] = {
    "vocabulary": WORDS,
    "length": 5,
    "generator_options": {"width": 4, "hidden": 6},
    "discriminator_options": {"width": 4},
    "rollouts": 2,
    "scheduled_steps": 4,
    "test_samples": 50,
}


@pytest.fixture
def make() -> Callable[..., TextGAN]:
    """An objective and other arguments to a model of sentences of five words."""

    def made(objective: str = "mle", **arguments: Any) -> TextGAN:
        torch.manual_seed(0)
        return TextGAN(**{**SMALL, "objective": objective, **arguments})

    return made


@pytest.fixture
def ungiven(make: Callable[..., TextGAN]) -> Callable[..., TextGAN]:
    """The same, but the model takes its vocabulary from the data."""
    return lambda objective, **arguments: make(objective, vocabulary=None, length=None, **arguments)


@pytest.fixture
def batch() -> Callable[..., dict[str, Tensor]]:
    """How many sentences to these, of different lengths."""

    def drawn(number: int = 16) -> dict[str, Tensor]:
        tokens = torch.randint(1, 6, (number, 5), generator=torch.Generator().manual_seed(0))
        lengths = torch.arange(number) % 5 + 1
        padded = tokens.masked_fill(torch.arange(5) >= lengths[:, None] - 1, 0)
        return {"tokens": padded, "length": lengths}

    return drawn


@pytest.fixture
def fit() -> Callable[..., L.Trainer]:
    """A model and a number of batches to the trainer that fitted it to the grammar."""

    def fitted(model: TextGAN, batches: int = 5, **options: Any) -> L.Trainer:
        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
        trainer = L.Trainer(accelerator="cpu", max_steps=batches, log_every_n_steps=1, **quiet, **options)
        trainer.fit(model, TextData("grammar", batch_size=20))
        return trainer

    return fitted
