"""Averaged weights of any Lightning module, under Lightning's own Trainer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from gumbelzoo.callbacks import AveragedWeights
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader

BATCHES = 5  # of an epoch


class Regression(LightningModule):
    """A linear layer with a tied and a frozen parameter, and a buffer that counts batches."""

    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.tied, self.frozen = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False)
        self.tied.weight = self.layer.weight
        self.register_buffer("count", torch.zeros(()))
        self.validated: list[Tensor] = []

    def loss(self, batch: Tensor) -> Tensor:
        return (self.tied(self.layer(batch)) + self.frozen(batch)).square().mean()

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.count += 1
        return self.loss(batch)

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.validated.append(self.layer.weight.detach().clone())

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.1)


class TwoOptimizers(Regression):
    """Each layer has an optimizer of its own; the second one steps in every other batch."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Tensor, batch_idx: int) -> None:  # type: ignore[override]
        for optimizer in self.optimizers()[: 1 + batch_idx % 2]:  # type: ignore[index]
            optimizer.zero_grad()
            self.manual_backward(self.loss(batch))
            optimizer.step()

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD([value], lr=0.01) for value in (self.layer.bias, self.tied.bias)]


class Spy(Callback):
    """Raw weights after each training batch, and the weights that hooks see."""

    def __init__(self) -> None:
        self.raw: list[Tensor] = []
        self.seen: dict[str, Tensor] = {}

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        self.raw.append(module.layer.weight.detach().clone())

    def note(self, trainer: Any, module: Any) -> None:
        self.seen[module._current_fx_name] = module.layer.weight.detach().clone()

    on_validation_end = on_train_epoch_start = on_train_epoch_end = on_train_end = note


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., Trainer]:
    """Train for two epochs, from a fixed seed unless a model is given."""

    def run(averages: AveragedWeights | None, *others: Callback, ckpt_path: Any = None, **options: Any) -> Trainer:
        torch.manual_seed(0)
        model = options.pop("model", None) or Regression()
        options = {"max_epochs": 2, "accelerator": "cpu", "logger": False, **options}
        trainer = Trainer(
            default_root_dir=tmp_path,
            enable_checkpointing=any(isinstance(other, ModelCheckpoint) for other in others),
            callbacks=[*([] if averages is None else [averages]), *others],
            enable_progress_bar=False,
            enable_model_summary=False,
            **options,
        )
        data = torch.randn(3 * BATCHES, 2, generator=torch.Generator().manual_seed(1))
        loader = DataLoader(data, batch_size=3)  # type: ignore[arg-type]
        trainer.fit(model, loader, loader, ckpt_path=ckpt_path, weights_only=True)
        return trainer

    return run


def read(path: Path) -> dict[str, Any]:
    return torch.load(path / "kept.ckpt", weights_only=True)


def keep(trainer: Trainer, path: Path) -> dict[str, Any]:
    trainer.save_checkpoint(path / "kept.ckpt")
    return read(path)


@pytest.mark.parametrize("decay", [0.3, 0.999])
def test_average_is_that_of_the_raw_weights(decay: float, fit: Any, tmp_path: Path) -> None:
    """Recomputed as a sum over all raw weights, each with its share."""
    averages, spy = AveragedWeights(decay), Spy()
    trainer = fit(averages, spy)
    decays = [min(decay, (2 + n) / (11 + n)) for n in range(2 * BATCHES)]
    torch.manual_seed(0)
    raw = [Regression().layer.weight, *spy.raw]
    shares = [(1 - d) * torch.tensor(decays[n + 1 :]).prod() for n, d in enumerate([0.0, *decays], -1)]
    expected = sum(share * weight.detach() for share, weight in zip(shares, raw, strict=True))
    assert sum(shares) == pytest.approx(1)
    assert averages.updates == 2 * BATCHES
    checkpoint = keep(trainer, tmp_path)
    for weight in (trainer.lightning_module.layer.weight.detach(), checkpoint["state_dict"]["layer.weight"]):
        torch.testing.assert_close(weight, expected)
    assert torch.equal(checkpoint["callbacks"]["AveragedWeights"]["raw"]["layer.weight"], spy.raw[-1])


def test_training_is_that_without_averages(fit: Any) -> None:
    plain, averaged = Spy(), Spy()
    fit(None, plain)
    fit(AveragedWeights(0.5), averaged)
    assert all(torch.equal(one, other) for one, other in zip(plain.raw, averaged.raw, strict=True))


@pytest.mark.parametrize("interval", [2, 1.0])
def test_hooks_see_averages_of_a_validation_only(interval: float, fit: Any) -> None:
    """Within an epoch and at its end."""
    spy = Spy()
    trainer = fit(AveragedWeights(0.5), spy, val_check_interval=interval)
    model = trainer.lightning_module
    assert not any(torch.equal(weight, raw) for weight in model.validated[1:] for raw in spy.raw)
    assert torch.equal(spy.seen["on_validation_end"], model.validated[-1])
    assert torch.equal(spy.seen["on_train_epoch_start"], spy.raw[BATCHES - 1])
    assert torch.equal(spy.seen["on_train_epoch_end"], spy.raw[-1])
    assert torch.equal(spy.seen["on_train_end"], model.layer.weight)
    assert not torch.equal(spy.seen["on_train_end"], spy.raw[-1])


def test_only_trained_parameters_are_averaged(fit: Any, tmp_path: Path) -> None:
    """Buffers are those of training, and both names of a tied parameter have its average, also between two steps."""
    plain = keep(fit(None), tmp_path)["state_dict"]
    (tmp_path / "kept.ckpt").unlink()
    fit(AveragedWeights(0.5), ModelCheckpoint(tmp_path, filename="kept", every_n_train_steps=2 * BATCHES))
    checkpoint = read(tmp_path)
    weights, raw = checkpoint["state_dict"], checkpoint["callbacks"]["AveragedWeights"]["raw"]
    assert set(raw) == {"layer.weight", "layer.bias", "tied.bias"}
    assert torch.equal(weights["layer.weight"], weights["tied.weight"])
    equal = {name for name, value in weights.items() if torch.equal(value, plain[name])}
    assert equal == {"count", "frozen.weight", "frozen.bias"}
    assert weights["count"] == 2 * BATCHES


@pytest.mark.parametrize(("options", "updates"), [({"accumulate_grad_batches": 3}, 4), ({"max_steps": 7}, 7)])
def test_update_of_each_optimizer_step(options: dict[str, Any], updates: int, fit: Any) -> None:
    averages = AveragedWeights(0.5)
    assert fit(averages, **options).global_step == averages.updates == updates


def test_update_of_several_optimizers(fit: Any) -> None:
    """A batch in which two optimizers step is one update."""
    averages = AveragedWeights(0.5)
    assert fit(averages, model=TwoOptimizers()).global_step == 2 * (BATCHES + 2)
    assert averages.updates == 2 * BATCHES


def test_half_precision_is_averaged_in_float32(fit: Any, tmp_path: Path) -> None:
    """Steps of bfloat16 are too coarse for an average."""
    checkpoint = keep(fit(AveragedWeights(0.999), precision="bf16-true"), tmp_path)
    weights, raw = checkpoint["state_dict"], checkpoint["callbacks"]["AveragedWeights"]["raw"]
    assert weights["layer.weight"].dtype == torch.float32
    assert not torch.equal(weights["layer.weight"], weights["layer.weight"].bfloat16().float())
    assert raw["layer.weight"].dtype == weights["frozen.weight"].dtype == torch.bfloat16


@pytest.mark.parametrize("precision", ["32-true", "bf16-true"])
@pytest.mark.filterwarnings("ignore:Checkpoint directory")
@pytest.mark.parametrize("in_validation", [True, False])
def test_resume_is_bit_exact(in_validation: bool, precision: str, fit: Any, tmp_path: Path) -> None:
    """Averages, raw weights and moments, wherever the averages are when the checkpoint is written."""
    whole = keep(fit(AveragedWeights(0.9), precision=precision, max_epochs=3), tmp_path)
    saves = [ModelCheckpoint(tmp_path, filename="kept", enable_version_counter=False)] if in_validation else []
    trainer = fit(AveragedWeights(0.9), *saves, precision=precision, max_epochs=1)
    stopped = read(tmp_path) if in_validation else keep(trainer, tmp_path)
    assert stopped["global_step"] == BATCHES
    again = AveragedWeights(0.9)
    options = {"precision": precision, "max_epochs": 3, "ckpt_path": tmp_path / "kept.ckpt"}
    resumed = keep(fit(again, *saves, model=Regression(), **options), tmp_path)
    assert again.updates == resumed["global_step"] == 3 * BATCHES
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(resumed[part], whole[part], rtol=0, atol=0)
    raw = [checkpoint["callbacks"]["AveragedWeights"]["raw"] for checkpoint in (resumed, whole)]
    torch.testing.assert_close(*raw, rtol=0, atol=0)


def test_resume_of_a_finished_run_keeps_averages(fit: Any, tmp_path: Path) -> None:
    weights = keep(fit(AveragedWeights(0.9)), tmp_path)["state_dict"]
    again = fit(AveragedWeights(0.9), model=Regression(), ckpt_path=tmp_path / "kept.ckpt")
    assert torch.equal(again.lightning_module.layer.weight, weights["layer.weight"])
    torch.testing.assert_close(keep(again, tmp_path)["state_dict"], weights, rtol=0, atol=0)


def test_best_checkpoint_has_averages(fit: Any, tmp_path: Path) -> None:
    """The callback of Lightning saves after the validation, which the averages were measured in."""
    trainer = fit(AveragedWeights(0.5), ModelCheckpoint(tmp_path, filename="kept"), num_sanity_val_steps=0)
    assert torch.equal(read(tmp_path)["state_dict"]["layer.weight"], trainer.lightning_module.validated[-1])


def test_second_fit_starts_anew(fit: Any) -> None:
    averages = AveragedWeights(0.5)
    model = fit(averages).lightning_module
    start, spy = model.layer.weight.detach().clone(), Spy()
    fit(averages, spy, model=model, max_steps=1, num_sanity_val_steps=0)
    assert averages.updates == 1
    torch.testing.assert_close(model.layer.weight.detach(), torch.lerp(spy.raw[0], start, 2 / 11))


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_decay_out_of_range_raises(decay: float) -> None:
    with pytest.raises(ValueError, match=r"\(--ema\) must be > 0 and < 1, such as 0\.999, got"):
        AveragedWeights(decay)


def test_checkpoint_of_weights_only_raises(fit: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="save_weights_only would have the raw weights"):
        fit(AveragedWeights(), ModelCheckpoint(tmp_path, save_weights_only=True))


def test_split_parameters_raise() -> None:
    trainer = Mock(spec=Trainer, strategy=Mock(spec=ModelParallelStrategy), checkpoint_callbacks=[])
    with pytest.raises(ValueError, match="or the strategy ddp"):
        AveragedWeights().on_fit_start(trainer, Regression())


def test_checkpoint_without_averages_raises(fit: Any, tmp_path: Path) -> None:
    keep(fit(None, Spy()), tmp_path)
    with pytest.raises(ValueError, match="has no averaged weights, and they cannot begin within a run"):
        fit(AveragedWeights(), ckpt_path=tmp_path / "kept.ckpt")


def test_checkpoint_of_another_decay_raises(fit: Any, tmp_path: Path) -> None:
    keep(fit(AveragedWeights(0.9)), tmp_path)
    with pytest.raises(ValueError, match=r"has averages of decay 0\.9, not 0\.99"):
        fit(AveragedWeights(0.99), ckpt_path=tmp_path / "kept.ckpt")


DAMAGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no mapping": lambda callbacks: callbacks.update(AveragedWeights=[1]),
    "no raw weights": lambda callbacks: callbacks["AveragedWeights"].pop("raw"),
    "a missing weight": lambda callbacks: callbacks["AveragedWeights"]["raw"].pop("layer.weight"),
    "a weight too many": lambda callbacks: callbacks["AveragedWeights"]["raw"].update(more=torch.zeros(2)),
    "another shape": lambda callbacks: callbacks["AveragedWeights"]["raw"].update({"tied.bias": torch.zeros(1)}),
    "no tensor": lambda callbacks: callbacks["AveragedWeights"]["raw"].update({"tied.bias": [0.0, 0.0]}),
    "a negative count": lambda callbacks: callbacks["AveragedWeights"].update(updates=-1),
    "a decay that is a text": lambda callbacks: callbacks["AveragedWeights"].update(decay="0.9"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_averages_raise(damage: str, fit: Any, tmp_path: Path) -> None:
    checkpoint = keep(fit(AveragedWeights(0.9), max_steps=1), tmp_path)
    DAMAGES[damage](checkpoint["callbacks"])
    torch.save(checkpoint, tmp_path / "kept.ckpt")
    with pytest.raises(ValueError, match="damaged, or those of another model"):
        fit(AveragedWeights(0.9), ckpt_path=tmp_path / "kept.ckpt")
