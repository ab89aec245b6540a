"""What Lightning's options do here: the Trainer's arguments and Lightning's callbacks, right, untested or refused.

An option that is right is tested with the zoo's models, records and resumed runs. An untested one works at the user's
risk, after a line that says so. A refused one would train, record or resume something else than it says. Refusal comes
before training, and before a run folder is made.
"""

from __future__ import annotations

import pydoc
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, callbacks

from ...models import ZooModel
from ...models.inputs import check_source
from .own_data import check_data_module
from .splitting import MODEL_PARALLEL, OPTION, check_splits, has_averages

RIGHT, UNTESTED = "", "untested"
# RIGHT, UNTESTED, or the reason of a refusal; by the value given where it decides.
Verdict = str | Callable[[Any], str]

AVERAGES = (
    "averages buffers too, which ruins codebooks and the temperature's step, and a resumed run would go on from the "
    "averages; use --ema=0.999"
)
PRECISIONS = ("32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true")


def _strategy(value: Any) -> str:
    name = str(getattr(value, "class_path", value))
    if name.startswith("fsdp") or name.endswith("ModelParallelStrategy") or name.endswith("FSDPStrategy"):
        return f"splits no model of the zoo; use {OPTION}"
    if any(start in name.lower() for start in ("spawn", "fork", "notebook")):
        return "trains in processes whose results are lost here; use --trainer.strategy=ddp"
    return RIGHT if name in ("auto", "single_device", MODEL_PARALLEL) or name.startswith("ddp") else UNTESTED


def _length(value: Any) -> str:
    return "trains nothing" if value == 0 else RIGHT


def _at_least(least: int) -> Callable[[Any], str]:
    return lambda value: RIGHT if value >= least else f"must be {least} or more; leave it out for the default"


def _check_interval(value: Any) -> str:
    off = "validates never; use --trainer.limit_val_batches=0, or leave it out"
    return off if isinstance(value, (int, float)) and value <= 0 else RIGHT


def _max_time(value: Any) -> str:
    if isinstance(value, Mapping | Namespace):
        none = not any(vars(value).values() if isinstance(value, Namespace) else value.values())
    elif isinstance(value, timedelta):
        none = value <= timedelta(0)
    else:
        none = not str(value).strip("0:")
    return "trains nothing" if none else RIGHT


def _profiler(value: Any) -> str:
    return RIGHT if value in ("simple", "advanced") else UNTESTED


def _only(right: Any) -> Callable[[Any], str]:
    return lambda value: RIGHT if value == right else UNTESTED


def _rich(what: str) -> Callable[[Any], str]:
    return lambda _: UNTESTED if find_spec("rich") else f"needs rich (pip install rich); {what}"


OPTIONS: dict[str, Verdict] = {
    "accelerator": RIGHT,
    "strategy": _strategy,
    "devices": RIGHT,
    "num_nodes": _only(1),
    "precision": RIGHT,
    "logger": RIGHT,
    "callbacks": RIGHT,  # each by its class, below
    "fast_dev_run": RIGHT,
    "max_epochs": _length,
    "min_epochs": UNTESTED,
    "max_steps": _length,
    "min_steps": UNTESTED,
    "max_time": _max_time,
    "limit_train_batches": _length,
    "limit_val_batches": RIGHT,
    "limit_test_batches": RIGHT,
    "limit_predict_batches": RIGHT,  # no command predicts
    "overfit_batches": _only(0),
    "val_check_interval": _check_interval,
    "check_val_every_n_epoch": _at_least(1),
    "num_sanity_val_steps": _only(0),
    "log_every_n_steps": _at_least(0),
    "enable_checkpointing": lambda on: RIGHT if on else "keeps no weights; every run has its checkpoints, leave it out",
    "enable_progress_bar": RIGHT,
    "enable_model_summary": UNTESTED,
    "accumulate_grad_batches": _at_least(1),  # for some models: ``check_model``
    "gradient_clip_val": _at_least(0),
    "gradient_clip_algorithm": RIGHT,
    "deterministic": RIGHT,
    "benchmark": RIGHT,
    "inference_mode": RIGHT,
    "use_distributed_sampler": _only(True),
    "profiler": _profiler,
    "detect_anomaly": RIGHT,
    "barebones": "trains without checkpoints and metrics; leave it out",
    "plugins": UNTESTED,
    "sync_batchnorm": UNTESTED,
    "reload_dataloaders_every_n_epochs": _only(0),
    "default_root_dir": RIGHT,
    "enable_autolog_hparams": RIGHT,  # config.yaml has the hyperparameters
    "model_registry": UNTESTED,
}

CALLBACKS: dict[str, Verdict] = {
    "BackboneFinetuning": UNTESTED,
    "BaseFinetuning": UNTESTED,
    "BasePredictionWriter": UNTESTED,
    "BatchSizeFinder": "changes the batch size and not its record; use --data.batch_size",
    "Callback": UNTESTED,
    "Checkpoint": UNTESTED,
    "DeviceStatsMonitor": UNTESTED,
    "EMAWeightAveraging": AVERAGES,
    "EarlyStopping": RIGHT,
    "GradientAccumulationScheduler": "changes the batch size within a run; use --trainer.accumulate_grad_batches",
    "LambdaCallback": UNTESTED,
    "LearningRateFinder": "changes the rate's record and not the rate; use --model.optimizer.learning_rate",
    "LearningRateMonitor": RIGHT,
    "ModelCheckpoint": RIGHT,
    "ModelPruning": "renames the weights, so that a resumed run does not find them; train without it",
    "ModelSummary": UNTESTED,
    "OnExceptionCheckpoint": UNTESTED,
    "ProgressBar": UNTESTED,
    "RichModelSummary": _rich("leave it out"),
    "RichProgressBar": _rich("or leave it out: a progress bar is shown anyway"),
    "SpikeDetection": UNTESTED,
    "StochasticWeightAveraging": (
        "replaces the learning-rate schedule, and its run has no configuration that can be read again; use "
        "--model.optimizer.schedule=cosine"
    ),
    "TQDMProgressBar": RIGHT,
    "ThroughputMonitor": UNTESTED,
    "Timer": "is a part of every run; use --trainer.max_time",
    "WeightAveraging": AVERAGES,
}


def check_options(trainer: Namespace) -> list[str]:
    """Return the options that are untested, as typed.

    Args:
        trainer: the Trainer's arguments as parsed.

    Raises:
        ValueError: an option that is refused.
    """
    given = {f"--trainer.{name}": (OPTIONS[name], value) for name, value in vars(trainer).items()}
    for kind in _classes(trainer.callbacks):
        if kind is not None and not kind.__module__.startswith(f"{__name__.partition('.')[0]}."):
            given[f"--trainer.callbacks={kind.__name__}"] = (CALLBACKS[_ancestor(kind)], kind)
    untested = []
    for option, (rule, value) in given.items():
        if value is None:
            continue
        verdict = rule(value) if callable(rule) else rule if value is not False else RIGHT
        if verdict == UNTESTED:
            untested.append(option if "=" in option else f"{option}={_shown(value)}")
        elif verdict:
            raise ValueError(f"{option if '=' in option else f'{option}={_shown(value)}'} {verdict}")
    return untested


def check_model(trainer: Namespace, model: ZooModel, data: LightningDataModule) -> None:
    """Check data and options that are right for some models only; the ValueError names the model's own way."""
    check_splits(trainer.strategy, model)
    if model.batch_key is not None:
        check_source(data, model.batch_key)  # before anything is downloaded
    check_data_module(data, model, trainer.limit_val_batches)
    if not model.automatic_optimization:
        if trainer.gradient_clip_val is not None:
            raise ValueError(
                f"--trainer.gradient_clip_val is not for a {model.registry_name} model, which clips the gradients of "
                "each optimizer by itself; use --model.clip"
            )
        if trainer.accumulate_grad_batches > 1:
            raise ValueError(
                f"--trainer.accumulate_grad_batches is not for a {model.registry_name} model, which steps its "
                "optimizers by itself; use a larger --data.batch_size"
            )
    if has_averages(model) and trainer.accumulate_grad_batches > 1:
        raise ValueError(
            "--trainer.accumulate_grad_batches is not for a codebook of moving averages, which would move with every "
            "batch that is accumulated; use a larger --data.batch_size, or --model.quantizer.update=loss"
        )


def explain_refusal(text: str, arguments: Iterable[str]) -> str | None:
    """Return the reason why the parser does not take a callback or precision of Lightning; None for other errors.

    Args:
        text: of the parser's error.
        arguments: the command line.
    """
    if 'Parser key "trainer.precision"' in text:
        return f"--trainer.precision must be one of {', '.join(PRECISIONS)}"
    words = set(re.findall(r"\w+", " ".join([text, *arguments])))
    for name, rule in CALLBACKS.items():
        verdict = rule(None) if callable(rule) else rule
        if name in words and verdict not in (RIGHT, UNTESTED):
            return f"--trainer.callbacks={name} {verdict}"
    return None


def _classes(given: Any) -> Iterator[type | None]:
    """Classes of the callbacks that are configured, one or several."""
    entries: Iterable[Any] = given if isinstance(given, list) else [given]
    for entry in entries:
        if entry is not None:
            yield pydoc.locate(entry.class_path)  # type: ignore[misc]


def _ancestor(kind: type) -> str:
    """Name of the nearest of Lightning's classes: who changes a callback of Lightning has its faults too."""
    lightning = {getattr(callbacks, name): name for name in CALLBACKS if hasattr(callbacks, name)}
    return next((lightning[base] for base in kind.__mro__ if base in lightning), "Callback")


def _shown(value: Any) -> str:
    return str(getattr(value, "class_path", value))
