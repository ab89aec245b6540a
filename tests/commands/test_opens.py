"""Every file of a source is opened once, however many parts of a command need it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
from gumbelzoo.train import main

NAMES = ("config.json", "model.safetensors", "config.yaml", "best.ckpt", "last.ckpt", "fit.json", "test.json")


class Watch:
    """Counts files opened for reading, by the last two parts of their path, while ``counts`` is one."""

    counts: Counter[str] | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and self.counts is not None and arguments[1] in ("r", "rb"):
            path = Path(str(arguments[0]))
            if path.name in NAMES:
                self.counts["/".join(path.parts[-2:])] += 1


WATCH = Watch()
sys.addaudithook(WATCH)  # a hook stays for good; without ``counts`` it does nothing


@pytest.fixture
def opened() -> Iterator[Callable[[], dict[str, int]]]:
    """Start counting; the result gives the counts since the last call."""

    def counts() -> dict[str, int]:
        found, WATCH.counts = dict(WATCH.counts or {}), Counter()
        return found

    counts()
    yield counts
    WATCH.counts = None


@pytest.mark.parametrize("name", ["catvae-digits", "vqvae-mnist", "textgan-names"])
def test_release_is_opened_once(name: str, opened: Callable[[], dict[str, int]]) -> None:
    gumbelzoo.load(name)
    assert opened() == {f"{name}/config.json": 1, f"{name}/model.safetensors": 1}


def test_commands_open_a_run_once(workspace: Path, opened: Callable[[], dict[str, int]]) -> None:
    """``test RUN``, ``export`` of it, and ``test`` of the release."""
    assert main(["fit", "--config", "tiny.yaml", "--trainer.max_epochs=1"]) == 0
    opened()
    assert main(["test", "runs/tiny/1"]) == 0
    run = {"1/config.yaml": 1, "checkpoints/best.ckpt": 1}
    assert opened() == run
    assert main(["export", "runs/tiny/1", "released"]) == 0
    assert opened() == {**run, "1/fit.json": 1, "1/test.json": 1}
    assert main(["test", "released"]) == 0
    assert opened() == {"released/config.json": 1, "released/model.safetensors": 1}
