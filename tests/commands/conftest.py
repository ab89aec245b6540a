"""Fixtures of the command tests."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
import yaml
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
    data = {"class": "images", "arguments": {"name": "digits", "binarization": "threshold"}}
    return gumbelzoo.save_pretrained(model, workspace / "vae", data=data)


@pytest.fixture
def text_gan(workspace: Path) -> Path:
    """A release of an untrained text model, in the working folder."""
    torch.manual_seed(0)
    tokens = ["<eos>", "<unk>", "\u0645\u06cc\u200c\u0631\u0648\u0645", "a", "\U0001f468\u200d\U0001f469", "\ufdfa"]
    arguments: dict[str, Any] = {"vocabulary": {"tokens": tokens, "level": "word"}, "max_length": 5}
    arguments["generator"] = {"name": "lstm", "width": 4, "hidden": 4}
    return gumbelzoo.save_pretrained(gumbelzoo.create_model("text_gan", **arguments), workspace / "text")


@pytest.fixture
def made_run(workspace: Path, tiny_config: str) -> Callable[..., Path]:
    """Make the folder of a finished run without training: its configuration with changes, records and metrics."""

    def make(
        name: str, bounds: Sequence[float] = (30.0, 20.0, 25.0), monitor: str = "val/elbo", **options: Any
    ) -> Path:
        folder = workspace / "runs" / name
        (folder / "checkpoints").mkdir(parents=True)
        content = yaml.safe_load(tiny_config)
        for key, value in options.items():
            place, path = content, key.split("__")
            for part in path[:-1]:
                place = place[part]
            place[path[-1]] = value
        (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        rows = [f"{i},{10 * i + 9},,{bound}" for i, bound in enumerate(bounds)]
        (folder / "metrics.csv").write_text("\n".join([f"epoch,step,train/loss,{monitor}", "0,4,40.0,", *rows]) + "\n")
        batches = 10 * len(bounds)
        (folder / "fit.json").write_text(json.dumps({"finished": True, "batches": batches, "minutes": 1.5}))
        for checkpoint in ("best", "last"):
            with zipfile.ZipFile(folder / f"checkpoints/{checkpoint}.ckpt", "w") as archive:
                archive.writestr(
                    f"{checkpoint}/data.pkl", f"BestCheckpoint{{'monitor': '{monitor}', 'mode': 'min', 'x'}}"
                )
        return folder.relative_to(workspace)

    return make
