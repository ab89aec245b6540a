"""A slate agent and its data, small enough to enumerate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from gumbelzoo.data import SlateData
from gumbelzoo.models import SlateAgent

SMALL = {"items": 4, "slots": 2, "user_width": 13, "hidden": 8}


@pytest.fixture
def data() -> SlateData:
    """Four items, two slots."""
    return SlateData(items=4, slots=2, batch_size=16)


@pytest.fixture
def make() -> Callable[..., SlateAgent]:
    """Arguments to an agent of fixed weights, with logits of a few units."""

    def made(**arguments: Any) -> SlateAgent:
        torch.manual_seed(0)
        agent = SlateAgent(**{**SMALL, **arguments})
        with torch.no_grad():
            agent.network.head.weight.mul_(4)
        return agent.train()

    return made
