"""Options of ``fit`` that are ours, beside Lightning's. ``--help`` reads them from here without importing this file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from jsonargparse import Namespace
from lightning.pytorch import Callback
from lightning.pytorch.cli import LightningArgumentParser


def add_run_options(parser: LightningArgumentParser) -> None:
    """Add our options to a parser of ``fit``, ``validate`` or ``test``."""
    parser.add_argument("--name", type=str | None, help="Name of the run's folder, in the place of a number.")
    parser.add_argument(
        "--ema",
        type=float | None,
        help="Average the weights with this decay, such as 0.999, to evaluate and keep the averages.",
    )
    parser.add_argument(
        "--compile",
        type=bool,
        default=False,
        help="Compile encoder, decoder or network when training starts; it needs a C++ compiler.",
    )
    parser.add_argument(
        "--wandb", type=Literal["off", "online", "offline"], default="off", help="Log to Weights & Biases as well."
    )
    parser.add_argument(
        "--checkpoint_every", type=int, default=500, help="Training batches between two writes of last.ckpt."
    )
    parser.add_argument(
        "--fid",
        type=str | None,
        help="Of `test`: features of the Frechet distance, a classifier such as features-mnist, or inception.",
    )
    parser.add_argument(
        "--fid_samples", type=int | None, help="Of `test`: samples that are compared with the test images by --fid."
    )
    parser.add_argument(
        "--lpips", type=Literal["alex", "squeeze", "vgg"] | None, help="Of `test`: network of LPIPS of reconstructions."
    )
    parser.add_argument("--plugin", type=list[str] | None, help="Module or .py file of your own; repeatable.")


def refuse_run_options(options: Namespace, averages: Sequence[Callback]) -> None:
    """Check that options of a run are not given where a trained model is tested by its name, else ValueError.

    Args:
        options: of the command.
        averages: callbacks of ``--ema``.
    """
    if averages or options.compile:
        option = "--ema" if averages else "--compile"
        raise ValueError(f"{option} is an option of `fit`; what is tested is as it was kept, leave it out")
    if options.ckpt_path or options.name:
        raise ValueError(
            "what is tested says which weights: leave --ckpt_path out, and --name, or name a checkpoint in the run's "
            "place, RUN/checkpoints/last.ckpt"
        )
