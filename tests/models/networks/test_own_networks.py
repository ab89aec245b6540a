"""An encoder and a decoder in a user's own file stand in a VAE and in a VQ-VAE: fit, test, export, load."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import gumbelzoo
import pytest
import torch
from gumbelzoo.models.networks.grid import GRID_DECODERS, GRID_ENCODERS
from gumbelzoo.models.networks.image import DECODERS, ENCODERS
from gumbelzoo.train import main

GRID = '''
from torch import nn
from gumbelzoo.models.networks.grid import GRID_DECODERS, GRID_ENCODERS


@GRID_ENCODERS.register("patches")
class Patches(nn.Conv2d):
    """A linear map of square patches, ``b c h w -> b d h' w'``."""

    def __init__(self, image_shape, dim, side=2):
        super().__init__(image_shape[0], dim, kernel_size=side, stride=side)


@GRID_DECODERS.register("patches")
class FromPatches(nn.ConvTranspose2d):
    """The transpose, ``b d h' w' -> b o h w``."""

    def __init__(self, image_shape, dim, outputs, side=2):
        super().__init__(dim, outputs, kernel_size=side, stride=side)
'''

VECTOR = '''
import math

from torch import nn
from gumbelzoo.models.networks.image import DECODERS, ENCODERS


@ENCODERS.register("bilinear")
class Bilinear(nn.Module):
    """Products of two linear maps, ``b c h w -> b d``."""

    def __init__(self, image_shape, features, scale=1.0):
        super().__init__()
        self.scale = scale
        self.one, self.other = (nn.Linear(math.prod(image_shape), features) for _ in range(2))

    def forward(self, x):
        return self.scale * self.one(x.flatten(1)) * self.other(x.flatten(1))


@DECODERS.register("linear")
def linear(image_shape, features):
    """One linear layer, ``b d -> b c h w``."""
    return nn.Sequential(nn.Linear(features, math.prod(image_shape)), nn.Unflatten(1, image_shape))
'''

FILES = {"grid": GRID, "vector": VECTOR}
COMMANDS = {
    "vector": "--model=categorical_vae --model.encoder.name=bilinear --model.encoder.scale=0.5 --model.decoder=linear "
    "--model.latents=3 --model.bound_samples=2 --data.binarization=threshold",
    # a grid network inside a VAE
    "grid in a VAE": "--model=gaussian_vae --model.latents=3 --model.encoder.name=grid --model.encoder.network=patches "
    "--model.decoder.name=grid --model.decoder.network=patches --model.bound_samples=2 --data.binarization=threshold",
}
SPECS = {
    "vector": {"name": "bilinear", "scale": 0.5},
    "grid in a VAE": {"name": "grid", "network": "patches"},
}


@pytest.mark.parametrize("case", COMMANDS)
def test_own_networks_are_released(case: str, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The release has their names and options, its weights are those of the run, and its metrics are measured again."""
    for registry in (GRID_ENCODERS, GRID_DECODERS, ENCODERS, DECODERS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "plugins", dict(registry.plugins))
    module = f"own_networks_{case.replace(' ', '_')}"
    Path(f"{module}.py").write_text(FILES[case.partition(" ")[0]])
    monkeypatch.syspath_prepend(workspace)
    monkeypatch.delitem(sys.modules, module, raising=False)
    digits = ["--model.image_shape=[1,8,8]", "--data=images", "--data.name=digits", "--seed_everything=0"]
    quick = ["--trainer.max_steps=5", "--trainer.accelerator=cpu", "--trainer.limit_test_batches=1"]
    assert main(["fit", "--plugin", f"{module}.py", *COMMANDS[case].split(), *digits, *quick]) == 0
    run = next(Path("runs").rglob("config.yaml")).parent
    assert main(["test", str(run)]) == 0
    assert main(["export", str(run), "release"]) == 0
    assert main(["test", "release"]) == 0
    config = json.loads(Path("release/config.json").read_text())
    assert config["arguments"]["encoder"] == SPECS[case]
    model, trained = gumbelzoo.load("release"), gumbelzoo.load(str(run))
    assert all(value.equal(trained.state_dict()[name]) for name, value in model.state_dict().items())
    images = torch.rand(3, 1, 8, 8).round()
    assert torch.equal(model.reconstruct(images), trained.reconstruct(images))


def test_commands_of_the_page(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of "Your own encoder and decoder", as it is typed, and the release in Python."""
    for registry in (GRID_ENCODERS, GRID_DECODERS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "plugins", dict(registry.plugins))
    page = (Path(gumbelzoo.__file__).parent / "docs/your_data.md").read_text()
    section = page.partition("## Your own encoder and decoder")[2].partition("\n## ")[0]
    source, commands = (re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL)[0] for kind in ("python", "bash"))
    monkeypatch.delitem(sys.modules, "my_networks", raising=False)
    Path("my_networks.py").write_text(source)
    for line in commands.replace("\\\n", " ").splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    model = gumbelzoo.load("checkpoints/patches", plugins=["my_networks.py"])
    assert model.grid == (4, 4) and model.config()["decoder"] == {"name": "patches", "side": 2}
    trained, images = gumbelzoo.load("runs/vq_vae_images/patches"), torch.rand(3, 1, 8, 8)
    assert torch.equal(model.reconstruct(images), trained.reconstruct(images))
