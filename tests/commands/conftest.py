"""Fixtures of the command tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from gumbelzoo.callbacks import NanGuard
from gumbelzoo.train import main


class Killed(BaseException):
    pass


@pytest.fixture
def killed_before(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, list[str]], None]:
    """Run a command and end it in the middle of a batch, without any cleaning up, as SIGKILL does."""

    def run(batch: int, arguments: list[str]) -> None:
        def kill(self: Any, trainer: Any, *_: Any) -> None:
            if trainer.fit_loop.total_batch_idx == batch:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(NanGuard, "on_before_backward", kill)
            with pytest.raises(Killed):
                main(arguments)

    return run
