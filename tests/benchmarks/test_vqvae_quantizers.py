"""Rows of the quantizer benchmark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from gumbelzoo.benchmarks.vqvae.vqvae_quantizers import CONFIG, ROWS, command_options
from gumbelzoo.models.quantizers import QUANTIZERS


@pytest.mark.parametrize("name", ROWS)
def test_row_builds_its_quantizer(name: str, describe: Callable[..., Any]) -> None:
    """The options are accepted, and a training step has a finite loss."""
    model_class, arguments, _ = describe(CONFIG, command_options(name))
    model = model_class(**arguments).train()
    assert type(model.quantizer) is QUANTIZERS[ROWS[name]["name"]]
    assert model.training_metrics({"image": torch.rand(8, 1, 28, 28)})["loss"].isfinite()


def test_rows_have_every_quantizer() -> None:
    """Those of the package; other tests register more."""
    own = {name for name in QUANTIZERS if QUANTIZERS[name].__module__.startswith("gumbelzoo.models.")}
    assert {spec["name"] for spec in ROWS.values()} == own
