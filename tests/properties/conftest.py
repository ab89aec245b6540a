"""Small trained things that strangers' inputs are given to."""

from __future__ import annotations

from pathlib import Path

import gumbelzoo
import pytest
import torch
from gumbelzoo.tests.pretrained.changes import MODELS


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Releases of six tiny untrained models, by their kind; tests copy what they change."""
    root = tmp_path_factory.mktemp("releases")
    torch.manual_seed(0)
    made = {}
    for kind, (name, arguments) in MODELS.items():
        data = {"class": "images", "arguments": {"name": "digits"}} if "image_shape" in arguments else None
        test = {"metrics": {"test/elbo": 1.5}, "seed": 0, "batches": 3, "metadata": {"data set": "digits"}}
        model = gumbelzoo.create_model(name, **arguments)
        made[kind] = gumbelzoo.save_pretrained(model, root / kind, data=data, test=test)
    return made
