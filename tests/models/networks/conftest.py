"""Compiled networks are run without the shape checks, since ``torch.compile`` cannot trace them."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest
import torch


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Without the run-time check of annotations, and with an empty cache of the compiler."""
    jaxtyping.config.update("jaxtyping_disable", True)
    torch.compiler.reset()
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
