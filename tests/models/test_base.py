"""Base class of models: steps, optimizer, configuration; and what the models of binary images share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from gumbelzoo import create_model
from gumbelzoo.data import ImageData
from gumbelzoo.models import MODELS, Classifier
from gumbelzoo.models.base import OptimizerConfig, ZooModel, learning_rate_factor, lerp_path, register_model
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.models.run_length import run_length
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

QUIET = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)


class TwoOptimizers(ZooModel):
    """The structure of a GAN: manual optimization, two optimizers, two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.first, self.second = nn.Linear(64, 6), nn.Linear(6, 6)
        self.layers = nn.ModuleList(RelaxedCategorical() for _ in range(2))
        self.due: list[bool] = []

    def training_metrics(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self.due.append(self._logs_are_due())
        for optimizer in self.optimizers():
            z = self.layers[0](self.first(batch["image"].flatten(1)))
            loss = self.layers[1](self.second(z)).square().mean()
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        return {"loss": loss}

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD(net.parameters(), lr=0.1) for net in (self.first, self.second)]


# -- training ---------------------------------------------------------------------------------------------------------


def test_two_optimizers_advance_temperature_once() -> None:
    """The temperature counts training batches; Lightning's global_step counts every optimizer's step."""
    model = TwoOptimizers()
    trainer = L.Trainer(max_epochs=2, limit_train_batches=5, accelerator="cpu", log_every_n_steps=2, **QUIET)
    trainer.fit(model, ImageData("digits").train_dataloader())
    assert trainer.global_step == 20
    assert [layer.step.item() for layer in model.relaxed_layers()] == [10, 10]
    due = [batch for batch, value in enumerate(model.due, start=1) if value]
    assert due == [2, 4, 5, 6, 8, 10]  # every second batch, and the last one of an epoch
    assert model.source is None


def test_source_is_datamodule() -> None:
    model, data = Classifier(image_shape=[1, 8, 8]), ImageData("digits", "none")
    L.Trainer(max_steps=1, limit_val_batches=0, accelerator="cpu", **QUIET).fit(model, datamodule=data)
    assert model.source is data


def test_learning_rate_warm_up_and_cosine() -> None:
    factors = [learning_rate_factor(step, warmup=10, total=100.0) for step in range(101)]
    assert factors[0] == pytest.approx(0.1) and max(factors) == factors[9]
    assert factors[50] == pytest.approx(0.5) and factors[100] == pytest.approx(0.0)
    assert learning_rate_factor(10**6, warmup=0, total=math.inf) == 1.0


def test_constant_group_is_exempt_from_the_schedule() -> None:
    """A critic goes on learning at its own rate while the model's falls."""

    class TwoRates(Classifier):
        def parameter_groups(self) -> list[dict[str, Any]]:
            first, *others = self.parameters()
            return [{"params": others}, {"params": [first], "lr": 0.02, "constant": True}]

    model = TwoRates(image_shape=[1, 8, 8], optimizer={"schedule": "cosine", "warmup": 2, "learning_rate": 0.01})
    trainer = L.Trainer(max_steps=8, limit_val_batches=0, accelerator="cpu", **QUIET)
    trainer.fit(model, datamodule=ImageData("digits", "none"))
    assert trainer.lr_scheduler_configs[0].scheduler.get_last_lr() == [pytest.approx(0.0), 0.02]


def test_cosine_without_end_raises() -> None:
    model = Classifier(image_shape=[1, 8, 8], optimizer={"schedule": "cosine"})
    trainer = L.Trainer(max_epochs=-1, accelerator="cpu", **QUIET)
    with pytest.raises(ValueError, match="'cosine' needs an end"):
        trainer.fit(model, datamodule=ImageData("digits", "none"))


class Stream(IterableDataset):
    """Four batches, a number that no loader knows."""

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        yield from ({"image": torch.rand(2, 1, 8, 8), "label": torch.tensor([0, 1])} for _ in range(4))


@pytest.mark.parametrize(("options", "length"), [({"max_epochs": 2}, math.inf), ({"max_steps": 6}, 6.0)])
def test_cosine_of_a_stream(options: dict[str, Any], length: float) -> None:
    """Lightning estimates -1 steps without max_steps: the rate would be 0 from the second step on."""
    trainer = L.Trainer(accelerator="cpu", limit_val_batches=0, **options, **QUIET)
    model = Classifier(image_shape=[1, 8, 8], optimizer={"schedule": "cosine"})
    with nullcontext() if length == 6 else pytest.raises(ValueError, match=r"set --trainer\.max_steps"):
        trainer.fit(model, *[DataLoader(Stream(), batch_size=None)] * 2)
    assert run_length(trainer) == length


@pytest.mark.parametrize("given", [OptimizerConfig(0.02, 0.1), {"learning_rate": 0.02, "weight_decay": 0.1}])
def test_optimizer_config_reaches_adamw(given: OptimizerConfig | dict[str, Any]) -> None:
    model = Classifier(image_shape=[1, 8, 8], optimizer=given)
    trainer = L.Trainer(max_steps=1, limit_val_batches=0, accelerator="cpu", **QUIET)
    trainer.fit(model, datamodule=ImageData("digits", "none"))
    (group,) = trainer.optimizers[0].param_groups
    assert (group["lr"], group["weight_decay"]) == (0.02, 0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "linear"}, "optimizer.schedule must be one of constant, cosine, got 'linear'"),
        ({"learning_rate": 0.0}, "optimizer.learning_rate must be > 0"),
        ({"learning_rate": float("nan")}, "optimizer.learning_rate must be > 0"),
        ({"weight_decay": -0.1}, "optimizer.weight_decay"),
        ({"warmup": -1}, "optimizer.warmup"),
        ({"lr_warmup": 5}, "did you mean 'warmup'"),
    ],
)
def test_bad_optimizer_raises(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Classifier(optimizer=options)


# -- configuration ----------------------------------------------------------------------------------------------------

ARGUMENTS: dict[str, dict[str, Any]] = {
    "categorical_vae": {
        "encoder": {"name": "conv", "hidden": (4, 8)},
        "estimator": {"name": "reinforce", "samples": 2},
        "temperature": {"name": "exponential", "rate": 0.1},
    },
    "gaussian_vae": {"decoder": {"name": "mlp", "hidden": [8], "activation": "tanh"}},
    "structured_prediction": {"hidden": (3,), "estimator": "reinmax"},
    "classifier": {"widths": (4, 8)},
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_config_rebuilds_model(name: str) -> None:
    """It holds plain values only, and its own configuration is the same."""
    optimizer = OptimizerConfig(schedule="cosine", warmup=3)
    model = create_model(name, image_shape=(1, 8, 8), optimizer=optimizer, **ARGUMENTS[name])
    config = model.config()
    assert config["image_shape"] == [1, 8, 8]
    assert config["optimizer"] == {"learning_rate": 0.001, "weight_decay": 0.0, "schedule": "cosine", "warmup": 3}
    again = MODELS[name](**config)
    assert again.config() == config and again.optimizer_config == optimizer
    again.load_state_dict(model.state_dict())


def test_checkpoint_holds_config(tmp_path: Path) -> None:
    model = create_model("categorical_vae", image_shape=(1, 8, 8), **ARGUMENTS["categorical_vae"])
    trainer = L.Trainer(max_steps=1, limit_val_batches=0, accelerator="cpu", **QUIET)
    trainer.fit(model, datamodule=ImageData("digits"))
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    checkpoint = torch.load(tmp_path / "model.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"] == model.config()


def test_register_model_names_class() -> None:
    assert {name: MODELS[name].registry_name for name in MODELS} == {name: name for name in MODELS}
    with pytest.raises(ValueError, match="model 'classifier' is registered twice"):
        register_model("classifier")(type("Another", (Classifier,), {}))


def test_every_model_has_a_card() -> None:
    for name in MODELS:
        card = MODELS[name].card
        assert card.metrics and card.use != ZooModel.card.use and card.limits != ZooModel.card.limits, name
        compile(card.example, name, "exec")


# -- shared by models of images ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["categorical_vae", "gaussian_vae", "structured_prediction", "vq_vae"])
def test_trained_model_keeps_mean_image(name: str) -> None:
    """A new model takes the mean of the training images. A trained one continues from its own, whatever the data."""
    model, data = create_model(name, image_shape=[1, 8, 8], optimizer={"learning_rate": 0.01}), ImageData("digits")

    def fit(model: ZooModel, data: ImageData) -> dict[str, Tensor]:
        trainer = L.Trainer(max_steps=1, limit_val_batches=0, accelerator="cpu", **QUIET)
        trainer.fit(model, datamodule=data)
        return {key: value.clone() for key, value in model.state_dict().items()}

    first = fit(model, data)
    learned = {key for key, _ in model.named_parameters()} | {
        key for key in first if "base_rate" in key or "data_" in key
    }
    model.configure_optimizers = lambda: torch.optim.SGD(model.parameters(), lr=0.0)
    data.mean = 1 - data.mean
    second = fit(model, data)
    moved = [key for key in learned if not torch.equal(first[key], second[key])]
    assert not [key for key in moved if "codebook" not in key]


def test_mixed_precision_is_clipped() -> None:
    """Lightning refuses to clip the gradients of a fused optimizer in mixed precision."""
    options = {"accelerator": "cpu", "precision": "bf16-mixed", "gradient_clip_val": 1e-3}
    trainer = L.Trainer(max_steps=2, limit_val_batches=0, **options, **QUIET)
    trainer.fit(create_model("categorical_vae", image_shape=[1, 8, 8], latents=4), datamodule=ImageData("digits"))
    assert trainer.global_step == 2


BOUNDED = ["categorical_vae", "gaussian_vae", "structured_prediction"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", BOUNDED)
def test_half_precision_bound_is_float32(name: str, dtype: torch.dtype) -> None:
    """Only the weights are rounded: 16 bits cannot distinguish 100.0 from 100.2 nats."""
    torch.manual_seed(0)
    half = create_model(name, image_shape=[1, 28, 28], latents=4).to(dtype).eval()
    whole = create_model(name, image_shape=[1, 28, 28], latents=4).eval()
    whole.load_state_dict(half.state_dict())
    x = torch.rand(3, 1, 28, 28).round()
    bounds = []
    for model in (half, whole):
        torch.manual_seed(1)
        bounds.append(model.importance_weighted_bound(x.to(next(model.parameters()).dtype), samples=50))
    assert bounds[0].dtype == torch.float32
    torch.testing.assert_close(*bounds, atol=0.1, rtol=0)


@pytest.mark.parametrize("name", BOUNDED)
def test_bound_is_repeated_by_generator(name: str) -> None:
    model, x = create_model(name, image_shape=[1, 8, 8], latents=4), torch.rand(3, 1, 8, 8).round()
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    first, second = (model.importance_weighted_bound(x, 5, generator) for generator in generators)
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("samples", [0, -1])
def test_bound_without_samples_raises(name: str, samples: int) -> None:
    model = create_model(name, image_shape=[1, 8, 8])
    with pytest.raises(ValueError, match="samples must be >= 1"):
        model.importance_weighted_bound(torch.zeros(1, 1, 8, 8), samples=samples)


@pytest.mark.parametrize("n", [0, -1])
@pytest.mark.parametrize("name", ["categorical_vae", "gaussian_vae", "vq_vae"])
def test_sample_of_none_raises(name: str, n: int) -> None:
    with pytest.raises(ValueError, match="n must be a whole number >= 1"):
        create_model(name, image_shape=[1, 8, 8]).sample(n)


@pytest.mark.parametrize("temperature", [0.0, -1.0, 1e-40, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["categorical_vae", "gaussian_vae", "vq_vae"])
def test_sample_temperature_out_of_range_raises(name: str, temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be > 0"):
        create_model(name, image_shape=[1, 8, 8]).sample(2, temperature=temperature)


def test_lerp_path_has_both_ends() -> None:
    start, end = torch.randn(3, 2, 5), torch.randn(3, 2, 5)
    path = lerp_path(start, end, 5)
    assert path.shape == (3, 5, 2, 5)
    assert torch.equal(path[:, 0], start) and torch.equal(path[:, -1], end)
    assert torch.allclose(path[:, 1], 0.75 * start + 0.25 * end)
