"""A text GAN of six words or of the grammar, small enough for brute force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import lightning as L
import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.models.text.objectives import OBJECTIVES, Adversarial
from gumbelzoo.models.text.text_gan import TextGAN
from gumbelzoo.vocabulary import EOS
from torch import Tensor

SMALL: dict[str, Any] = {
    "vocabulary": {"tokens": [EOS, "<unk>", "a", "man", "sits", "."], "level": "word"},
    "max_length": 5,
    "generator": {"name": "lstm", "width": 4, "hidden": 6},
    "test_samples": 50,
}
MAN = {"name": "token_share", "tokens": ["man"]}
OPTIONS: dict[str, dict[str, Any]] = {
    "seqgan": {"rollouts": 2},
    "scheduled_sampling": {"steps": 4},
    "organ": {"domain_reward": MAN},
    "organ_gumbel": {"domain_reward": MAN},
    "professor_forcing": {"adversary": {"width": 4}},
}
ADVERSARY: dict[str, Any] = {"discriminator": {"name": "cnn", "width": 4}}


@pytest.fixture
def make() -> Callable[..., TextGAN]:
    """An objective, its options, its adversary's and the model's arguments to a model of sentences of five words."""

    def made(
        objective: str = "mle",
        options: Mapping[str, Any] | None = None,
        adversary: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> TextGAN:
        spec = {"name": objective, **OPTIONS.get(objective, {}), **(options or {})}
        if issubclass(OBJECTIVES[objective], Adversarial):
            spec["adversary"] = {**ADVERSARY, **(adversary or {})}
        torch.manual_seed(0)
        return TextGAN(**{**SMALL, "objective": spec, **arguments})

    return made


@pytest.fixture
def make_unbuilt(make: Callable[..., TextGAN]) -> Callable[..., TextGAN]:
    """The same, but the model takes its vocabulary from the data."""
    return lambda *positional, **arguments: make(*positional, **{"vocabulary": None, "max_length": None, **arguments})


@pytest.fixture
def batch() -> Callable[..., dict[str, Tensor]]:
    """A number of sentences to a batch of different lengths."""

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
