"""TemperatureCallback around the plain Lightning modules of users."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gumbelzoo.callbacks import TemperatureCallback
from gumbelzoo.models import CategoricalVAE
from gumbelzoo.models.relaxed import RelaxedCategorical
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

SCHEDULE = {"name": "linear", "initial": 1.0, "final": 0.5, "steps": 10}


class Plain(LightningModule):
    """A user's module of two layers, one of them nested, and a number of optimizers."""

    def __init__(self, optimizers: int = 1) -> None:
        super().__init__()
        self.first = RelaxedCategorical(temperature=SCHEDULE)
        self.nested = nn.ModuleDict({"second": RelaxedCategorical(temperature=SCHEDULE)})
        self.weight = nn.Parameter(torch.zeros(3, 2))
        self.number = optimizers
        self.automatic_optimization = optimizers == 1
        self.seen: list[float] = []

    def loss(self, x: Tensor) -> Tensor:
        return (self.first(x @ self.weight) + self.nested["second"](x @ self.weight))[..., 0].sum()

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor | None:
        self.seen.append(round(self.first.current_temperature().item(), 4))
        if self.automatic_optimization:
            return self.loss(batch)
        for optimizer in self.optimizers():
            optimizer.zero_grad()
            self.manual_backward(self.loss(batch))
            optimizer.step()
        return None

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD([self.weight], 0.1) for _ in range(self.number)]


def fit(module: LightningModule, **options: Any) -> Trainer:
    options = {"max_epochs": 1, "log_every_n_steps": 1, **options}
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[TemperatureCallback()],
        **options,
    )
    trainer.fit(module, DataLoader(torch.randn(24, 3), batch_size=4))
    return trainer


def test_every_layer_advances_once_a_step() -> None:
    """The temperature of the last step is logged."""
    module = Plain()
    trainer = fit(module)
    assert module.first.step == module.nested["second"].step == 6
    assert module.seen == [1.0, 0.95, 0.9, 0.85, 0.8, 0.75]
    assert trainer.logged_metrics["temperature"].item() == pytest.approx(0.75)


def test_accumulated_batches_are_one_step() -> None:
    module = Plain()
    fit(module, accumulate_grad_batches=3)
    assert module.first.step == 2
    assert module.seen == [1.0, 1.0, 1.0, 0.95, 0.95, 0.95]


def test_several_optimizers_are_one_step() -> None:
    module = Plain(optimizers=2)
    fit(module)
    assert module.first.step == 6


@pytest.mark.filterwarnings("ignore:You defined a `validation_step`")
def test_model_that_advances_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="CategoricalVAE advances and logs its temperatures itself"):
        fit(CategoricalVAE((1, 8, 8), latents=2, categories=2))


def test_module_without_layers_is_refused() -> None:
    module = Plain()
    module.first, module.nested = nn.Identity(), nn.Identity()
    with pytest.raises(ValueError, match="found no relaxed-sampling layer in Plain"):
        fit(module)
