"""Lightning's commands (fit, validate, test) in run folders of ours."""

from __future__ import annotations

import logging
import os
import shlex
import time
import warnings
from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint, Timer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from .. import data
from ..callbacks import Figures, LastCheckpoint, NanGuard, ProgressBar, RandomState, WholeCheckpoints, run_loggers
from ..callbacks.loggers import METRICS, forget_after
from ..models import MODELS, ZooModel
from . import runs
from .errors import explain
from .source import Source, data_class, plain_options, with_options

NAMED = ("best", "last")
FACTS = "fit.json"
NOT_FOR_USERS = (
    ".*smaller than the logging interval.*",  # it counts over epochs, so short epochs are logged all the same
    ".*isinstance.treespec, LeafSpec.* is deprecated.*",
    ".*Checkpoint directory .* exists and is not empty.*",  # the run goes on in its folder
    ".*module.s. in eval mode at the start of training.*",  # a frozen part of a model is
    ".*callbacks used to create the checkpoint need to be provided.*",  # a test needs no callbacks of the fit
)


class ZooCLI(LightningCLI):
    """Lightning's command line over the zoo's models and data.

    Args:
        arguments: the command line, without the program.
        source: for ``test`` of what was trained: the model and its data, which no configuration describes then. What a
            release says of its model never reaches the parser, which would make an object of anything with a
            ``class_path``.
    """

    def __init__(self, arguments: list[str], source: Source | None = None) -> None:
        _quiet()
        self.arguments, self.source = arguments, source
        self.run: Path | None = None
        self.fresh: Path | None = None  # the run, if it is a new one
        self.batches = 0
        self.tested: dict[str, Any] = {}
        self.timer = Timer()
        quiet = {"exit_on_error": False, "allow_abbrev": False}
        try:
            self._command(arguments, quiet)
        except Exception:
            if self.fresh is not None:
                runs.remove_unused(self.fresh)
            raise

    def _command(self, arguments: list[str], quiet: dict[str, Any]) -> None:
        """Lightning's own constructor, which parses and runs."""
        source = self.source
        super().__init__(
            ZooModel,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            seed_everything_default=source.seed if source else 0,
            trainer_defaults={
                "default_root_dir": str(runs.ROOT),
                "num_sanity_val_steps": 0,
                "enable_model_summary": False,
            },
            parser_kwargs={**quiet, **{command: dict(quiet) for command in self.subcommands()}},
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            args=arguments,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Lightning's own commands, less what is no choice here: checkpoints are read as plain data."""
        loaders = {"model", "dataloaders", "datamodule", "weights_only", "verbose"}
        return {"fit": loaders | {"train_dataloaders", "val_dataloaders"}, "validate": loaders, "test": loaders}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Two options beside Lightning's."""
        parser.add_argument(
            "--wandb", type=Literal["off", "online", "offline"], default="off", help="Log to Weights & Biases as well."
        )
        parser.add_argument(
            "--checkpoint_every", type=int, default=500, help="Training batches between two writes of last.ckpt."
        )

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """A model and data of any class; for a source its own, with their plain values as defaults."""
        if self.source is None:
            super().add_core_arguments_to_parser(parser)
        else:
            parser.add_lightning_class_args(Trainer, "trainer")
            parser.set_defaults({f"trainer.{name}": value for name, value in self.trainer_defaults.items()})
            parser.add_lightning_class_args(data_class(self.source.data), "data")
            arguments = self.source.data.get("arguments", {})
            parser.set_defaults({f"data.{name}": value for name, value in arguments.items()})
            for name, kind, value in plain_options(self.source.model):
                parser.add_argument(f"--model.{name}", type=kind, default=value)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse ``args`` only: Lightning warns when the program's own arguments are not empty."""
        try:
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            keys = [action.dest for action in self._parser(args[0])._actions]
            classes = [MODELS[name].__name__ for name in MODELS.names()] + data.__all__
            raise ValueError(explain(error, [*keys, *(f"--{key}" for key in keys)], classes)) from error

    def _parse_ckpt_path(self) -> None:
        """The configuration says what the model is; a checkpoint only fills it."""

    # -- before the run -----------------------------------------------------------------------------------------------

    def before_instantiate_classes(self) -> None:
        """Find the checkpoint, and the run it belongs to."""
        options = self.config[self.subcommand]
        if self.source is not None and options.ckpt_path:
            raise ValueError(
                "what is tested says which weights: leave --ckpt_path out, or name a checkpoint in the run's place, "
                "RUN/checkpoints/last.ckpt"
            )
        if self.source is not None or options.trainer.fast_dev_run:
            return
        parent = Path(options.trainer.default_root_dir or runs.ROOT) / self._name()
        if options.ckpt_path in NAMED:
            self.run = runs.newest_run(parent, options.ckpt_path)
            options.ckpt_path = str(runs.checkpoint_path(self.run, options.ckpt_path))
        elif options.ckpt_path:
            self.run = runs.run_of(Path(options.ckpt_path))
        elif self.subcommand != "fit":
            self.run = runs.newest_run(parent, "last")
            options.ckpt_path = str(runs.find_checkpoint(self.run))
        if self.run and self.subcommand == "fit":
            begun = self._parser("fit").parse_path(self.run / runs.CONFIG)
            if others := runs.differences(vars(begun.as_flat()), vars(options.as_flat())):
                raise ValueError(
                    f"{self.run} was begun with {'; '.join(others)}: --ckpt_path goes on with a run as it is; give the "
                    f"options it was begun with, or train a new run without --ckpt_path"
                )
        if options.ckpt_path:
            self.batches = runs.batches_trained(runs.read_checkpoint(Path(options.ckpt_path)))

    def _prepare_run(self) -> None:
        """A fresh folder, or the name of the one that goes on; only the first process touches the disk."""
        options = self.config.fit
        parent = Path(options.trainer.default_root_dir or runs.ROOT) / self._name()
        if rank_zero_only.rank != 0:  # type: ignore[attr-defined]
            self.run = self.run or parent / "of-the-first-process"
            return
        if self.run is None:
            self.run = self.fresh = runs.new_run(parent)
            self._write_config()

    def _write_config(self) -> None:
        assert self.run is not None
        options = self.config.fit.clone()
        options.ckpt_path = None
        runs.write_text(self.run / runs.CONFIG, self._parser("fit").dump(options, skip_none=True))

    @rank_zero_only
    def _go_on(self, *_: Any) -> None:
        """Let the run's record say what it is from here on: everything about a resumed run has been accepted now."""
        if self.run is not None and self.run != self.fresh:
            forget_after(self.run / METRICS, self.batches)
            self._write_config()
            (self.run / FACTS).unlink(missing_ok=True)

    def _name(self) -> str:
        """The configuration file's name, or ``<model>_<data>`` without one."""
        options = self.config[self.subcommand]
        files = [Path(str(path)) for path in options.config or []]
        if files and files[0].name == runs.CONFIG:
            return files[0].resolve().parent.parent.name
        if files:
            return files[0].stem
        return "_".join(options[part].class_path.rpartition(".")[2].lower() for part in ("model", "data"))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add the loggers and callbacks of a run to what the configuration asks for."""
        options = self.config[self.subcommand]
        callbacks: list[Callback] = [RandomState()]
        if options.trainer.enable_progress_bar is not False:
            callbacks.append(ProgressBar())
        if self.subcommand == "fit" and not options.trainer.fast_dev_run:
            self._prepare_run()
            assert self.run is not None
            if self.model.monitor:
                best = ModelCheckpoint(
                    self.run / "checkpoints",
                    filename="best",
                    monitor=self.model.monitor,
                    enable_version_counter=False,
                    save_on_train_epoch_end=False,  # after a validation, where the metric is new
                )
                callbacks.append(best)
            last = LastCheckpoint(runs.checkpoint_path(self.run, "last"), options.checkpoint_every)
            self.timer = Timer(options.trainer.max_time)
            begin = LambdaCallback(on_train_start=self._go_on)
            callbacks += [begin, NanGuard(), self.timer, Figures(self.run / "figures"), last]
            kwargs["plugins"] = [*self._given("plugins"), WholeCheckpoints()]
            if options.trainer.logger is None:
                kwargs["logger"] = run_loggers(self.run, options.wandb)
        else:
            kwargs.update(logger=False, enable_checkpointing=False)
        return super().instantiate_trainer(**kwargs, callbacks=[*self._given("callbacks"), *callbacks])

    def _given(self, name: str) -> list[Any]:
        """The callbacks or plugins of the configuration, which may be one or several."""
        given = self._get(self.config_init, "trainer")[name] or []
        return given if isinstance(given, list) else [given]

    def after_instantiate_classes(self) -> None:
        """A source has its model already."""
        if self.source is not None:
            self.model = with_options(self.source.model, vars(self.config.test.get("model", Namespace())))

    # -- the commands -------------------------------------------------------------------------------------------------

    def fit(self, **kwargs: Any) -> None:
        """Train; what was interrupted is a run too, with the facts of as far as it came."""
        try:
            self.trainer.fit(**kwargs, weights_only=True)
        except (KeyboardInterrupt, SystemExit):
            self._keep_facts()
            raise

    def validate(self, **kwargs: Any) -> None:
        """Print the validation metrics."""
        self._print_metrics(self.trainer.validate(**kwargs, weights_only=True, verbose=False))

    def test(self, **kwargs: Any) -> None:
        """Print the test metrics, and keep them in ``tested``."""
        start = time.monotonic()
        metrics = self._print_metrics(self.trainer.test(**kwargs, weights_only=True, verbose=False))
        self.tested = {
            "metrics": metrics,
            "data": self.datamodule.facts(),
            "command": runs.command_line(self.arguments),
            "seed": self.config.test.seed_everything,
            "minutes": round((time.monotonic() - start) / 60, 2),
            **runs.circumstances(),
        }

    @rank_zero_only
    def after_fit(self) -> None:
        """Keep the circumstances of the run, and say what to type next."""
        content = self._keep_facts()
        if self.run is None or content is None:
            return
        for logger in self.trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()
        best = self.trainer.checkpoint_callback
        score = best.best_model_score if isinstance(best, ModelCheckpoint) else None
        chosen = "no validation has run" if score is None else f"{self.model.monitor} {float(score):.4g}"
        chosen = chosen if self.model.monitor else "none: nothing measured here says which is; the last one stands"
        pictures = ", ".join(str(path) for path in sorted((self.run / "figures").glob("*.png")))
        program, run = runs.program(), shlex.quote(str(self.run))
        print(
            f"\nrun       {self.run}  ({content['batches']} batches, {content['minutes']} minutes)\n"
            f"best      {chosen}\n"
            f"pictures  {pictures or 'none yet'}\n"
            f"next      {program} test {run}\n"
            f"          {program} sample {run} -n 64\n"
            f"          {program} export {run} checkpoints/NAME   (after test)"
        )

    @rank_zero_only
    def _keep_facts(self) -> dict[str, Any] | None:
        """Write and return the circumstances of a run, if it has left a checkpoint."""
        if self.run is None or not any((self.run / "checkpoints").glob("*.ckpt")):
            return None
        content = {
            "command": runs.command_line(self.arguments),
            "seed": self.config.fit.seed_everything,
            "batches": self.trainer.fit_loop.total_batch_idx + 1,
            "minutes": round(self.timer.time_elapsed("train") / 60, 2),
            **runs.circumstances(),
        }
        runs.write_json(self.run / FACTS, content)
        return content

    def _print_metrics(self, results: Sequence[Mapping[str, float]]) -> dict[str, float]:
        metrics = {name: float(value) for result in results for name, value in result.items()}
        if self.trainer.is_global_zero:
            for name, value in self.datamodule.facts().items():
                print(f"{name:24s} {value}")
            for name, value in metrics.items():
                print(f"{name:24s} {value:.4f}")
        return metrics


def _quiet() -> None:
    """Lightning's remarks on hardware, seeds and its other products are no news."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # about calls that Lightning makes
    for message in NOT_FOR_USERS:
        warnings.filterwarnings("ignore", message=message)
