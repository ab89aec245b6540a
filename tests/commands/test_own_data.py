"""Data modules of users: what they lack is made up for, tuples are named, and what cannot work is refused at once."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gumbelzoo
import gumbelzoo.data
import gumbelzoo.models
import numpy as np
import pytest
import torch
from gumbelzoo.commands.training.own_data import FirstBatches, check_data_module
from gumbelzoo.data.own import by_key
from gumbelzoo.registry import Registry
from gumbelzoo.train import main
from lightning.pytorch import Trainer

DATA = '''
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset
from gumbelzoo.data.base import register_data


@register_data("own_pairs", keys=("image", "label"))
class Pairs(LightningDataModule):
    """Pairs of binary images and their classes.

    Args:
        rows: number of images of each split.
        folder: where they would lie.
        levels: darkest and brightest one.
    """

    def __init__(self, rows: int = 40, folder: str | None = None, levels: list[float] = [0.0, 1.0]) -> None:
        super().__init__()
        self.rows, self.levels = rows, levels

    def setup(self, stage: str) -> None:
        low, high = self.levels
        noise = torch.rand(self.rows, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        images = low + (high - low) * (noise > 0.75)
        self.split = TensorDataset(images, torch.arange(self.rows) % 3)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.split, batch_size=8, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.split, batch_size=8)

    test_dataloader = val_dataloader


class Dictionaries(Pairs):
    """The same in batches by key, in no registry."""

    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.split = [{"image": image, "label": label} for image, label in self.split]
'''

MODEL = '''
import torch
import torch.nn.functional as F
from torch import nn
from gumbelzoo.models.base import ModelCard, ZooModel, register_model


@register_model("own_rates")
class Rates(ZooModel):
    """Independent Bernoulli pixels.

    Args:
        image_shape: ``c h w``.
        initial: logit of every pixel.
    """

    card = ModelCard(metrics=("nll",))
    monitor = "val/nll"
    batch_key = "image"

    def __init__(self, image_shape: list[int] = [1, 8, 8], initial: float = 0.0) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.image_shape = tuple(image_shape)
        self.logits = nn.Parameter(torch.full(self.image_shape, initial))

    def nll(self, x):
        return F.binary_cross_entropy_with_logits(self.logits.expand_as(x), x, reduction="sum") / len(x)

    def training_metrics(self, batch):
        return {"loss": self.nll(batch["image"])}

    def validation_step(self, batch, batch_idx):
        self.log("val/nll", self.nll(batch["image"]), batch_size=len(batch["image"]))

    def test_step(self, batch, batch_idx):
        self.log("test/nll", self.nll(batch["image"]), batch_size=len(batch["image"]))

    @torch.no_grad()
    def sample(self, n: int, temperature: float = 1.0, generator=None):
        return self.logits.sigmoid().expand(n, -1, -1, -1)
'''

VAE = """
model:
  class_path: categorical_vae
  init_args:
    image_shape: [1, 8, 8]
    latents: 3
    categories: 4
    bound_samples: 2
    encoder: {name: mlp, hidden: [8]}
    decoder: {name: mlp, hidden: [8]}
"""
TRAINER = "trainer: {accelerator: cpu, max_steps: 2, log_every_n_steps: 1}\n"
FILE = "code/my_data.py"
PLUGIN = ["--plugin", FILE]


@pytest.fixture
def forget(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Forget what was imported and registered, as another process has not; also after the test."""
    before = [(registry, dict(registry._entries), dict(registry.plugins)) for registry in Registry.everyone]
    monkeypatch.setattr(sys, "path", list(sys.path))

    def restore() -> None:
        for registry, entries, plugins in before:
            registry._entries, registry.plugins = dict(entries), dict(plugins)
        for name in ("my_data", "my_parts"):
            sys.modules.pop(name, None)

    yield restore
    restore()


@pytest.fixture
def write(workspace: Path, forget: Callable[[], None]) -> Callable[[str], None]:
    """Write the plugin into a folder of its own."""

    def write_source(source: str) -> None:
        path = workspace / FILE
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)

    return write_source


def test_own_model_on_own_tuples(write: Callable[[str], None], forget: Callable[[], None]) -> None:
    """Every command in turn, each as in a process of its own; the release names no place on this machine."""
    write(DATA + MODEL)
    arguments = f"{{rows: 40, folder: {Path.cwd()}}}"
    Path("mine.yaml").write_text(
        f"model: own_rates\ndata: {{class_path: own_pairs, init_args: {arguments}}}\n{TRAINER}"
    )
    assert main(["fit", "--config", "mine.yaml", *PLUGIN]) == 0
    for command in (
        ["test", "runs/mine/1"],
        ["export", "runs/mine/1", "release"],
        ["test", "release"],
        ["sample", "release", "-n", "4"],
    ):
        forget()
        assert main([*command, *PLUGIN]) == 0
    config = json.loads(Path("release/config.json").read_text())
    assert (config["model"], config["plugins"], config["test"]["batches"]) == ("own_rates", ["my_data"], 2)
    assert config["data"] == {"class": "own_pairs", "arguments": {"rows": 40, "levels": [0.0, 1.0]}}
    facts = {"data set": "own_pairs", "source": "my_data.Pairs", "licence": "unknown"}
    assert config["test"]["metadata"] == facts
    assert str(Path.cwd()) not in Path("release/README.md").read_text()
    forget()
    assert gumbelzoo.load("release", plugins=[FILE]).sample(2).shape == (2, 1, 8, 8)


@pytest.mark.slow
def test_own_dictionaries_by_import_path(
    write: Callable[[str], None], forget: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    """A class in no registry trains, tests and shows its images, and is told how to be released."""
    write(DATA)
    Path("mine.yaml").write_text(f"{VAE}data: my_data.Dictionaries\n{TRAINER}")
    assert main(["fit", "--config", "mine.yaml", *PLUGIN]) == 0
    for command in ("test", "reconstruct", "encode", "interpolate"):
        forget()
        assert main([command, "runs/mine/1", *PLUGIN]) == 0, command
    with np.load("codes.npz") as arrays:
        assert arrays["codes"].shape == (40, 3)
    assert main(["export", "runs/mine/1", "release", *PLUGIN]) == 2
    assert 'my_data.Dictionaries is in no registry, and a release names no import path: put @register_data("NAME")' in (
        capfd.readouterr().err
    )
    forget()
    assert main(["test", "runs/mine/1"]) == 2
    assert "--plugin code/my_data.py" in capfd.readouterr().err


TUPLES = DATA.replace(', keys=("image", "label")', "")
REFUSED = {
    "no test loader": (
        DATA.replace("    test_dataloader = val_dataloader\n", ""),
        "the data module Pairs has no test_dataloader: `test` and `export` need one",
    ),
    "no validation loader": (
        DATA.replace("def val_dataloader", "def test_dataloader").replace("    test_dataloader = val_dataloader\n", ""),
        "the data module Pairs has no val_dataloader: nothing would select best.ckpt",
    ),
    "tuples without keys": (TUPLES, "Pairs.train_dataloader: a batch must be a dictionary with 'image', got a list"),
    "another number of keys": (
        DATA.replace('("image", "label")', '("image",)'),
        "Pairs.train_dataloader: a batch has 2 values, and the data were registered with the keys image",
    ),
    "validation of another form": (
        DATA.replace("DataLoader(self.split, batch_size=8)", "DataLoader([1, 2])"),
        "Pairs.val_dataloader: a batch has 1 values",
    ),
    "levels up to 255": (
        DATA.replace("[0.0, 1.0]", "[0.0, 255.0]"),
        "Pairs.train_dataloader: training images must be floating point in [0, 1]",
    ),
    "images of 64 bits": (
        DATA.replace("TensorDataset(images,", "TensorDataset(images.double(),"),
        "Pairs.train_dataloader: images must be float32, got torch.float64; give images.float()",
    ),
    "two validation loaders": (
        DATA.replace("return DataLoader(self.split, batch_size=8)", "return [DataLoader(self.split)] * 2"),
        "Pairs.val_dataloader: it gives 2 loaders; give one",
    ),
    "images of another shape": (
        DATA.replace("1, 8, 8", "1, 9, 9"),
        "Pairs.train_dataloader: this model takes images of shape (1, 8, 8), got (1, 9, 9)",
    ),
    "no images": (DATA.replace("shuffle=True", "drop_last=True").replace("40", "4"), "it has no batch; is its batch"),
}


def scope_of(source: str) -> dict[str, Any]:
    """Names of a plugin's source, as a notebook has them."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(source, scope)
    return scope


def short(*callbacks: Any, **options: Any) -> Trainer:
    quiet = dict.fromkeys(["logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"], False)
    return Trainer(max_steps=1, accelerator="cpu", callbacks=list(callbacks), **quiet, **options)


@pytest.mark.parametrize("case", REFUSED)
def test_data_that_cannot_work(case: str, forget: Callable[[], None]) -> None:
    """What a loader gives is looked at before the model is set up."""
    source, message = REFUSED[case]
    data, model = scope_of(source)["Pairs"](), gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8], dim=4)

    def begin() -> None:
        check_data_module(data, model, 1.0)
        short(FirstBatches(), limit_val_batches=1).fit(model, datamodule=data)

    with pytest.raises(ValueError, match=rf"^[^\n]*{re.escape(message)}[^\n]*$"):
        begin()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("[:, None]", "labels must be one number for each row, 'b', got (8, 1)"),
        (".add(9)", "labels must lie in [0, 3)"),
    ],
)
def test_labels_of_a_model_of_classes(labels: str, message: str, forget: Callable[[], None]) -> None:
    """Those of a model without classes may have any form."""
    data = scope_of(DATA.replace("% 3)", f"% 3){labels})").replace("torch.arange", "(torch.arange"))["Pairs"]
    classifier = gumbelzoo.create_model("classifier", image_shape=[1, 8, 8], classes=3)
    with pytest.raises(ValueError, match=re.escape(f"Pairs.train_dataloader: {message}")):
        short(FirstBatches(), limit_val_batches=1).fit(classifier, datamodule=data())
    short(FirstBatches(), limit_val_batches=1).fit(gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8]), data())


def test_test_loader_without_a_batch(forget: Callable[[], None]) -> None:
    source = DATA.replace("    test_dataloader = val_dataloader", "    def test_dataloader(self):\n        return []")
    model = gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8], dim=4)
    with pytest.raises(ValueError, match=r"^Pairs\.test_dataloader: it has no batch"):
        short(FirstBatches()).test(model, datamodule=scope_of(source)["Pairs"]())


def test_looking_draws_nothing(forget: Callable[[], None]) -> None:
    """The first step is that of a run in which nothing looked."""
    kind, weights = scope_of(DATA)["Pairs"], []
    for callbacks in ([], [FirstBatches()]):
        torch.manual_seed(0)
        model = gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8], dim=4)
        short(*callbacks, limit_val_batches=1).fit(model, datamodule=kind())
        weights.append(model.encoder[0].weight.detach())
    assert torch.equal(*weights)


def test_data_without_validation(forget: Callable[[], None]) -> None:
    """Where none is asked for."""
    data, model = scope_of(REFUSED["no validation loader"][0])["Pairs"](), gumbelzoo.create_model("vq_vae")
    check_data_module(data, model, 0)


def test_refusal_leaves_no_run(write: Callable[[str], None], capfd: pytest.CaptureFixture[str]) -> None:
    write(TUPLES)
    Path("mine.yaml").write_text(f"{VAE}data: own_pairs\n{TRAINER}")
    assert main(["fit", "--config", "mine.yaml", *PLUGIN]) == 2
    error = capfd.readouterr().err
    assert error.startswith(f"gumbelzoo fit: {REFUSED['tuples without keys'][1]}") and error.count("\n") == 1
    assert not list(Path().glob("runs/mine/*"))


def test_tuples_by_key() -> None:
    image, label = torch.zeros(2), torch.ones(2)
    assert by_key([image, label], ("image", "label")) == {"image": image, "label": label}
    assert by_key(image, ("image",)) == {"image": image}
    assert by_key({"x": image}, ("image", "label")) == {"x": image}


def test_own_data_in_a_notebook(forget: Callable[[], None]) -> None:
    """Lightning's own trainer; the user's hooks come before the keys."""

    class Inverted(scope_of(DATA)["Pairs"]):  # type: ignore[misc]
        def on_before_batch_transfer(self, batch: list[torch.Tensor], index: int) -> list[torch.Tensor]:
            return [1 - batch[0], batch[1]]

    model = gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8], dim=4)
    short(limit_val_batches=0).fit(model, datamodule=Inverted())
    assert float(model.likelihood.data_mean) == pytest.approx(0.75, abs=0.02)


def test_page_has_a_module_that_works(
    workspace: Path, forget: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    """Every command of "Your own module", as it is typed; each plugin is imported anew."""
    section = (Path(gumbelzoo.__file__).parent / "docs/your_data.md").read_text().partition("## Your own module")[2]
    source, commands = (re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)[0] for language in ("py", "bash"))
    Path("my_parts.py").write_text(source)
    for line in commands.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line)
        assert program == "gumbelzoo"
        forget()
        quick = ["--trainer.accelerator=cpu", "--model.bound_samples=2"] if words[0] == "fit" else []
        assert main([*words, *quick]) == 0, f"{line}: {capfd.readouterr().err}"
    forget()
    model = gumbelzoo.load("checkpoints/squares", plugins=["my_parts.py"])
    assert type(model.encoder).__name__ == "Linear" and model.encoder[1].bias is None
