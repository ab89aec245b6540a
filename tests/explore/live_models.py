"""Build the pages of tiny untrained models of each kind, and print the titles of their sections."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from gumbelzoo.commands.files.source import Source
from gumbelzoo.explore.live.page import build_page, sections_of
from gumbelzoo.explore.live.subject import Subject
from gumbelzoo.interfaces import Cells
from gumbelzoo.models import (
    VQVAE,
    AttentionSeq2Seq,
    CategoricalVAE,
    Classifier,
    CodePrior,
    FrequencyGate,
    GaussianVAE,
    GlimpseClassifier,
    SlateAgent,
    StructuredPrediction,
    TextGAN,
    TextVAE,
)
from gumbelzoo.vocabulary import EOS, Vocabulary

SHAPE = (1, 8, 8)
LETTERS = Vocabulary([EOS, "a", "b"], level="character")
TEXT: dict[str, Any] = {"vocabulary": LETTERS, "max_length": 5, "generator": {"name": "lstm", "width": 4, "hidden": 4}}
CELLS = Cells(2, 3, 6, 5)
LATENT = {"name": "categorical", "latents": 2, "categories": 3}


def vqvae() -> VQVAE:
    conv = {"name": "conv", "widths": [4]}
    return VQVAE(SHAPE, 4, conv, conv, quantizer={"name": "vector", "codebook_size": 6})


MODELS: dict[str, Callable[[], Any]] = {
    "attention": lambda: AttentionSeq2Seq(LETTERS, LETTERS, max_lengths=(5, 6), width=8),
    "attention_of_cells": lambda: AttentionSeq2Seq(CELLS, LETTERS, max_lengths=(7, 4), width=8, encoder="cells"),
    "categorical": lambda: CategoricalVAE(SHAPE, latents=3, categories=4),
    "classifier": lambda: Classifier(SHAPE, classes=3, widths=(4,), features=4),
    "code_prior": lambda: CodePrior(vqvae(), network={"name": "transformer", "width": 8, "depth": 1}, classes=2),
    "gates": lambda: FrequencyGate(SHAPE, widths=(4,)),
    "gaussian": lambda: GaussianVAE(SHAPE, latents=2),
    "glimpse": lambda: GlimpseClassifier(SHAPE, glimpses=2, grid=3, window=4, scales=1, hidden=8),
    "slate": lambda: SlateAgent(items=5, slots=2, user_width=4, hidden=4),
    "structured": lambda: StructuredPrediction(SHAPE, latents=3, categories=2),
    "text_gan": lambda: TextGAN(**TEXT),
    "text_vae": lambda: TextVAE(**TEXT, latent=LATENT, encoder={"width": 4, "hidden": 4}),
    "vqvae": vqvae,
}

if __name__ == "__main__":
    titles = {}
    for kind, make in MODELS.items():
        subject = Subject(kind, Source(make().eval(), {}))
        titles[kind] = [section.title for section in sections_of(subject)]
        build_page(subject)
    print(json.dumps(titles))
