"""The temperature's step counts training batches, whatever the number of optimizers (pitfall 18)."""

import lightning as L
import pytest
import torch
from gumbelzoo import create_model
from gumbelzoo.data import ImageData
from gumbelzoo.models.base import ZooModel
from gumbelzoo.models.relaxed import RelaxedCategorical
from torch import Tensor, nn


class TwoOptimizers(ZooModel):
    """The shape of a GAN: manual optimization, two optimizers, two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.first, self.second = nn.Linear(64, 6), nn.Linear(6, 6)
        self.layers = nn.ModuleList(RelaxedCategorical() for _ in range(2))

    def training_metrics(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        for optimizer in self.optimizers():
            z = self.layers[0](self.first(batch["image"].flatten(1)))
            loss = self.layers[1](self.second(z)).square().mean()
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        return {"loss": loss}

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD(net.parameters(), lr=0.1) for net in (self.first, self.second)]


def test_two_optimizers_advance_the_temperature_once_per_batch() -> None:
    model = TwoOptimizers()
    trainer = L.Trainer(
        max_epochs=2,
        limit_train_batches=5,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    trainer.fit(model, ImageData("digits").train_dataloader())
    assert trainer.global_step == 20
    assert [layer.step.item() for layer in model.relaxed_layers()] == [10, 10]


@pytest.mark.parametrize("n", [0, -1])
@pytest.mark.parametrize("name", ["categorical_vae", "gaussian_vae", "vq_vae"])
def test_no_samples_are_an_error(name: str, n: int) -> None:
    with pytest.raises(ValueError, match="n must be >= 1"):
        create_model(name, image_shape=[1, 8, 8]).sample(n)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["categorical_vae", "gaussian_vae", "vq_vae"])
def test_a_temperature_is_a_positive_number(name: str, temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be > 0"):
        create_model(name, image_shape=[1, 8, 8]).sample(2, temperature=temperature)
