"""`torch.compile` cannot trace the shape checks, so tests named `test_compiled_...` run without; eager ones check."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest


@pytest.fixture(autouse=True)
def _unchecked_when_compiled(request: pytest.FixtureRequest) -> Iterator[None]:
    jaxtyping.config.update("jaxtyping_disable", request.node.name.startswith("test_compiled"))
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
