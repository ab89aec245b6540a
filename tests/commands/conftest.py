"""Fixtures of the command tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
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


@pytest.fixture
def vae(workspace: Path) -> Path:
    """A release of an untrained VAE of 8 x 8 images, in the working folder."""
    torch.manual_seed(0)
    mlp = {"name": "mlp", "hidden": [8]}
    arguments: dict[str, Any] = {
        "image_shape": [1, 8, 8],
        "latents": 3,
        "categories": 4,
        "encoder": mlp,
        "decoder": mlp,
    }
    model = gumbelzoo.create_model("categorical_vae", **arguments)
    data = {"class": "images", "arguments": {"name": "digits", "binarization": "none"}}
    return gumbelzoo.save_pretrained(model, workspace / "vae", data=data)


@pytest.fixture
def text_gan(workspace: Path) -> Path:
    """A release of an untrained text model, in the working folder."""
    torch.manual_seed(0)
    tokens = ["<eos>", "<unk>", "\u0645\u06cc\u200c\u0631\u0648\u0645", "a", "\U0001f468\u200d\U0001f469", "\ufdfa"]
    arguments: dict[str, Any] = {"vocabulary": {"tokens": tokens, "level": "word"}, "max_length": 5}
    arguments["generator"] = {"name": "lstm", "width": 4, "hidden": 4}
    return gumbelzoo.save_pretrained(gumbelzoo.create_model("text_gan", **arguments), workspace / "text")
