"""Lightning's commands (fit, validate, test) on the models, data and run folders of the zoo."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import ProgressBar as LightningProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from ...callbacks import AtomicCheckpointIO, AveragedWeights, ProgressBar, RandomState
from ...data.own import metadata_of
from ...models import ZooModel
from ...pretrained.api import load
from ...pretrained.paths import user_path
from ...pretrained.plain_yaml import parse_yaml
from ...pretrained.run import CONFIG
from ...pretrained.untrusted import printable
from ..files.source import Source, data_class, plain_options, with_options
from ..parsing.configuration import Configuration, ZooParser
from ..parsing.errors import explain
from ..parsing.options import TRAINER_DEFAULTS
from ..run_folders import runs
from ..run_folders.names import ROOT
from .data_paths import make_absolute
from .measured import added_metrics, image_metrics, print_metrics, shown_options
from .own_data import FirstBatches, unused_labels
from .processes import ending_together, is_first, measure_in_one_process
from .quiet import quiet_lightning
from .recorder import RunRecorder
from .requeue import checkpoint_of_this_job
from .run_options import add_run_options, refuse_run_options
from .same_data import SameData
from .speed import compile_networks, keep_freed_memory
from .splitting import prepare_strategy
from .vouched import check_model, check_options, explain_refusal


class ZooCLI(LightningCLI):
    """Lightning's command line over the zoo's models and data.

    Args:
        arguments: the command line, without the program.
        source: for ``test`` of a trained model by its name: the model and its data, which no configuration describes.
            The arguments in a release never reach the parser.
    """

    def __init__(self, arguments: list[str], source: Source | None = None) -> None:
        quiet_lightning()
        self.source = source
        self.command = runs.command_line(arguments)
        self.configuration = Configuration.read(arguments, () if source else ("model", "data"))
        for note in self.configuration.notes:
            print(printable(note), file=sys.stderr)
        self.recorder: RunRecorder | None = None  # of a command that has a run folder
        self.tested: dict[str, Any] = {}
        options = {"exit_on_error": False, "allow_abbrev": False}
        try:
            super().__init__(
                ZooModel,
                LightningDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_callback=None,
                seed_everything_default=source.seed if source else 0,
                trainer_defaults=TRAINER_DEFAULTS,
                parser_kwargs={**options, **dict.fromkeys(self.subcommands(), options)},
                parser_class=ZooParser,
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,
                args=self.configuration.arguments,
            )
        except Exception:
            if self.recorder is not None:
                self.recorder.remove_unused()
            raise
        finally:
            if self.recorder is not None:
                self.recorder.lock.release()

    # -- the parser ---------------------------------------------------------------------------------------------------

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Return Lightning's own commands, less what is no choice here: checkpoints are read as plain data."""
        loaders = {"model", "dataloaders", "datamodule", "weights_only", "verbose"}
        return {"fit": loaders | {"train_dataloaders", "val_dataloaders"}, "validate": loaders, "test": loaders}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add our options to Lightning's."""
        add_run_options(parser)

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add a model and data of any class; for a source its own, with their plain values as defaults."""
        if self.source is None:
            super().add_core_arguments_to_parser(parser)
            return
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
            if refusal := explain_refusal(str(error), args):
                raise ValueError(refusal) from error
            options = [action.dest for action in self._parser(args[0])._actions]
            raise ValueError(explain(error, [*options, *self.configuration.known])) from error

    def _parse_ckpt_path(self) -> None:
        """Nothing: the configuration describes the model, and a checkpoint only fills it."""

    # -- before the run -----------------------------------------------------------------------------------------------

    def before_instantiate_classes(self) -> None:
        """Check the trainer's options, find the checkpoint, and the run it belongs to."""
        options = self.config[self.subcommand]
        if options.trainer.default_root_dir is not None:
            options.trainer.default_root_dir = str(user_path(options.trainer.default_root_dir))
        if (untested := check_options(options.trainer)) and is_first():
            print(printable(f"not tested with gumbelzoo: {', '.join(untested)}"), file=sys.stderr)
        self.averages: list[Callback] = [] if options.ema is None else [AveragedWeights(options.ema)]
        if self.subcommand != "fit":
            measure_in_one_process(options.trainer)
        prepare_strategy(options)
        if self.source is not None:
            refuse_run_options(options, self.averages)
            return
        make_absolute(self.configuration.sections["data"].kind, options.data.init_args)
        if options.trainer.fast_dev_run:
            return
        fits = self.subcommand == "fit"
        parent = Path(options.trainer.default_root_dir or ROOT) / self.configuration.name
        if fits and (requeued := checkpoint_of_this_job(parent, options, self._dump(options))):
            options.ckpt_path, options.name = requeued, None
        self.recorder = RunRecorder(parent, self.command, options.name)
        options.ckpt_path = self.recorder.find_checkpoint(options.ckpt_path, needed=not fits)
        if self.recorder.run is not None:
            begun = Configuration.read(["fit", "--config", str(self.recorder.run / CONFIG)])
            self.recorder.check_unchanged(
                parse_yaml(self._dump(self._parser("fit").parse_args(begun.arguments[1:]))),
                parse_yaml(self._dump(options)),
                goes_on=fits,
            )

    def _dump(self, options: Namespace) -> str:
        """Content of ``config.yaml``: everything but the name of the run and the checkpoint that it starts from."""
        options = options.clone()
        options.ckpt_path = options.name = None
        return self._parser(self.subcommand).dump(options, skip_none=True)

    def instantiate_classes(self) -> None:
        """Build callbacks, model and data. Models and data get plain values, which only their classes interpret."""
        config = self.config.clone()
        options = config[self.subcommand]
        described = {name: options.pop(name) for name in ("model", "data") if self.source is None}
        self.config_init = self.parser.instantiate_classes(config)
        if self.source is not None:
            self.model = with_options(self.source.model, vars(options.get("model", Namespace())))
            self.datamodule = self.config_init[self.subcommand].data
        else:
            arguments = {name: value.init_args.as_dict() for name, value in described.items()}
            model, data = (self.configuration.sections[name].kind for name in ("model", "data"))
            self.model = model(**model.resolve(arguments["model"], load))
            self.datamodule = data(**arguments["data"])
            if (unused := unused_labels(arguments["data"], self.model)) and self.subcommand == "fit" and is_first():
                print(unused, file=sys.stderr)
        check_model(self.config[self.subcommand].trainer, self.model, self.datamodule)
        if self.subcommand == "fit" and options.compile:
            compile_networks(self.model)
        self.trainer = self.instantiate_trainer()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add the loggers and callbacks of a run to those of the configuration."""
        options = self.config[self.subcommand]
        given = self._given("callbacks")
        callbacks: list[Callback] = [RandomState(), FirstBatches()]
        bars = [callback for callback in given if isinstance(callback, LightningProgressBar)]
        if options.trainer.enable_progress_bar is not False and not bars:
            callbacks.append(ProgressBar())
        callbacks += image_metrics(self.subcommand, options, self.model, self.datamodule)
        kwargs["plugins"] = [*self._given("plugins"), AtomicCheckpointIO()]
        if self.subcommand == "fit" and self.recorder is not None:
            run = self.recorder.prepare(self._dump(options))
            callbacks += self.recorder.callbacks(self.model, options.checkpoint_every, options.trainer.max_time)
            if options.trainer.logger is not False:
                loggers = [logger for logger in self._given("logger") if logger is not True]
                kwargs["logger"] = [*self.recorder.loggers(options.wandb), *loggers]
            kwargs["default_root_dir"] = str(run)  # what Lightning leaves for a requeued job is that run's alone
        else:
            folder = f"{options.trainer.default_root_dir}/{self.subcommand}"  # where no hpc_ckpt is
            kwargs.update(logger=False, enable_checkpointing=False, default_root_dir=folder)
        place = self.source or self.recorder
        callbacks += [SameData(place.run)] if place is not None and place.run is not None else []
        return super().instantiate_trainer(**kwargs, callbacks=[*self.averages, *given, *callbacks])

    def _given(self, name: str) -> list[Any]:
        """Callbacks, loggers or plugins of the configuration, which may be one or several."""
        given = self._get(self.config_init, "trainer")[name] or []
        return given if isinstance(given, list) else [given]

    # -- the commands -------------------------------------------------------------------------------------------------

    def fit(self, **kwargs: Any) -> None:
        """Train; the metadata of an interrupted run are written as well."""
        try:
            keep_freed_memory()
            with ending_together(self.trainer):
                self.trainer.fit(**kwargs, weights_only=True)
        except (KeyboardInterrupt, SystemExit) as error:
            if self.recorder is not None:
                self.recorder.write_metadata(self.trainer, self.config.fit.seed_everything)
                if self.recorder.resumable:
                    error.add_note("go on with the same command and --ckpt_path last")
                self.recorder.remove_unused()
            raise

    def after_fit(self) -> None:
        """Write the metadata of the run, and print its results."""
        if self.recorder is not None:
            self.recorder.finish(self.trainer, self.model, self.config.fit.seed_everything)

    def validate(self, **kwargs: Any) -> None:
        """Print the validation metrics, and keep them in ``tested``."""
        self.tested = self._print(self.trainer.validate(**kwargs, weights_only=True, verbose=False))

    def test(self, **kwargs: Any) -> None:
        """Print the test metrics, and keep them in ``tested``."""
        start = time.monotonic()
        self.tested = {
            **self._print(self.trainer.test(**kwargs, weights_only=True, verbose=False)),
            "added": added_metrics(self.trainer),
            "command": self.command,
            "seed": self.config.test.seed_everything,
            "minutes": round((time.monotonic() - start) / 60, 2),
            **runs.environment(),
        }

    def _print(self, results: Sequence[Mapping[str, float]]) -> dict[str, Any]:
        """Print metrics, and return them with facts of the data."""
        facts, options = metadata_of(self.datamodule), self.config[self.subcommand]
        shown = {**facts, **shown_options(options)}
        if self.recorder is not None:
            shown = {"run": str(self.recorder.run or "none"), "checkpoint": options.ckpt_path, **shown}
        return {"metrics": print_metrics(results, shown), "data": facts}
