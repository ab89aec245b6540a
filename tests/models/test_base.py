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


@pytest.mark.parametrize("name", ["categorical_vae", "gaussian_vae", "structured_prediction", "vq_vae"])
def test_a_trained_model_goes_on_from_its_weights_whatever_the_data(name: str) -> None:
    """A new one takes the mean of the training images; to a loaded one that would be damage."""
    model, data = create_model(name, image_shape=[1, 8, 8], learning_rate=0.01), ImageData("digits")

    def fit(model: ZooModel, data: ImageData) -> dict[str, Tensor]:
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        trainer = L.Trainer(max_steps=1, limit_val_batches=0, enable_model_summary=False, accelerator="cpu", **quiet)  # type: ignore[arg-type]
        trainer.fit(model, datamodule=data)
        return {key: value.clone() for key, value in model.state_dict().items()}

    first = fit(model, data)
    learned = {key for key, _ in model.named_parameters()} | {
        key for key in first if "base_rate" in key or "data_" in key
    }
    model.learning_rate = 0.0
    data.mean = 1 - data.mean
    second = fit(model, data)
    moved = [key for key in learned if not torch.equal(first[key], second[key])]
    assert not [key for key in moved if "codebook" not in key]


BOUNDED = ["categorical_vae", "gaussian_vae", "structured_prediction"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", BOUNDED)
def test_bounds_of_a_model_in_half_precision_are_summed_in_float32(name: str, dtype: torch.dtype) -> None:
    """The weights are rounded, and nothing else to speak of: a half cannot tell 100.0 nats from 100.2."""
    torch.manual_seed(0)
    half = create_model(name, image_shape=[1, 28, 28], latents=4).to(dtype).eval()
    whole = create_model(name, image_shape=[1, 28, 28], latents=4).eval()
    whole.load_state_dict(half.state_dict())
    x = torch.rand(3, 1, 28, 28).round()
    bounds = []
    for model in (half, whole):
        torch.manual_seed(1)
        bounds.append(model.bound(x.to(next(model.parameters()).dtype), samples=50))
    assert bounds[0].dtype == torch.float32
    torch.testing.assert_close(*bounds, atol=0.1, rtol=0)


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("samples", [0, -1])
def test_a_bound_of_no_samples_is_an_error(name: str, samples: int) -> None:
    with pytest.raises(ValueError, match="samples must be >= 1"):
        create_model(name, image_shape=[1, 8, 8]).bound(torch.zeros(1, 1, 8, 8), samples=samples)


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
