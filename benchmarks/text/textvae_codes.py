"""Critics of the codes of captions. The test file of captions differs from the file of training and validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from gumbelzoo.commands.files.source import build_data, resolve_source
from gumbelzoo.models.text.text_vae import TextVAE
from gumbelzoo.models.text.vae.critic import accuracy, fresh_critic, two_sample_accuracy
from torch import Tensor

DRAWS = 8  # of the code of each validation caption, of which there are few


def code_figures(run: Path, seed: int) -> dict[str, float]:
    """Return what fresh critics tell of the codes of a run's best model; 0.5 is chance.

    - ``validation_accuracy``: codes of validation captions from draws of the prior, by a critic that has learned from
      codes of training captions. Both are of one file.
    - ``files_accuracy``: codes of test captions from codes of training captions, by a critic on codes of captions that
      it has not seen. Codes that follow the prior on one file cannot follow it on the other where this is high.
    """
    source = resolve_source(str(run))
    model: Any = source.model
    data: Any = build_data(source.data)
    data.prepare_data()
    data.setup("test")
    torch.manual_seed(seed)
    train = codes(model, data.splits.train, 1)
    held_out = codes(model, data.splits.valid, DRAWS)
    critic = fresh_critic(train, prior(model, len(train)))
    return {
        "validation_accuracy": accuracy(critic, held_out, prior(model, len(held_out))),
        "files_accuracy": two_sample_accuracy(codes(model, data.splits.test, 1), train),
    }


@torch.no_grad()
def codes(model: TextVAE, sentences: Any, draws: int) -> Tensor:
    """Return exact draws of z for each sentence of a split, in a random order, ``i w``."""
    parts = torch.arange(len(sentences)).split(500)
    batches = ({"tokens": sentences.tokens[part], "length": sentences.lengths[part]} for part in parts)
    posterior = torch.cat([model.posterior(batch) for batch in batches])
    z = model.latent.draw(posterior, draws)[0].flatten(0, 1)
    return z[torch.randperm(len(z))]


def prior(model: TextVAE, n: int) -> Tensor:
    """Return n draws of z from the prior, ``n w``."""
    return model.latent.embed(model.latent.sample_prior(n)).float()
