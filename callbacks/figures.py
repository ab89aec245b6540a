"""Pictures of a model in training, as PNG and in the loggers: reconstructions, samples, latents, codes, curves."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from einops import rearrange, repeat
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor
from torchvision.utils import make_grid, save_image

from .loggers import METRICS, read_metrics

IMAGES = 32  # validation images in a picture
MIN_WIDTH = 32  # pixels; smaller images are enlarged
COMPLETIONS = 8  # images, and completions of each


def grid(images: Tensor, columns: int) -> Tensor:
    """Arrange images in rows of ``columns``, ``b c h w -> c H W``; small ones are enlarged."""
    scale = max(1, MIN_WIDTH // images.shape[-1])
    enlarged = repeat(images, "b c h w -> b c (h y) (w x)", y=scale, x=scale)
    return make_grid(enlarged, nrow=columns, pad_value=0.5)


def reconstruction_grid(images: Tensor, reconstructions: Tensor, pairs: int = 8) -> Tensor:
    """Arrange pairs of image and reconstruction, ``b c h w`` twice ``-> c H W``, ``pairs`` in a row."""
    both = torch.stack([images, reconstructions], dim=1)  # b 2 c h w
    return grid(rearrange(both, "b two c h w -> (b two) c h w"), 2 * pairs)


def sample_grid(images: Tensor) -> Tensor:
    """Arrange images in a square, ``b c h w -> c H W``."""
    return grid(images, max(1, round(len(images) ** 0.5)))


def completion_grid(images: Tensor, completions: Tensor) -> Tensor:
    """Arrange each image and its ``s`` completions in a row, ``b c h w, s b c h w -> c H W``."""
    rows = torch.cat([images[None], completions])
    return grid(rearrange(rows, "s b c h w -> (b s) c h w"), len(rows))


def table_grid(table: Tensor) -> Tensor:
    """Arrange a latent table, ``n k c h w -> c H W``: one latent per row, one category per column."""
    return grid(rearrange(table, "n k c h w -> (n k) c h w"), table.shape[1])


@torch.no_grad()
def image_figures(model: Any, images: Tensor) -> dict[str, Tensor]:
    """Return grids ``c H W`` by name, one for each method that the model has.

    Args:
        model: an image model. The noise is the same at each call.
        images: ``b c h w`` of a data set.
    """
    generator = torch.Generator(images.device).manual_seed(0)
    figures = {"reconstructions": reconstruction_grid(images, model.reconstruct(images))}
    if hasattr(model, "sample"):
        figures["samples"] = sample_grid(model.sample(64, generator=generator))
    if hasattr(model, "complete"):
        chosen = images[:: max(1, len(images) // COMPLETIONS)][
            :COMPLETIONS
        ]  # spread over the set, which may be sorted by class
        figures["completions"] = completion_grid(chosen, model.complete(chosen, COMPLETIONS, generator=generator))
    if hasattr(model, "latent_table"):
        figures["latents"] = table_grid(model.latent_table(model.encode(images[:1])[0]))
    return {name: figure.clamp(0, 1).cpu() for name, figure in figures.items()}


def save_codebook_usage(counts: Tensor, picture: Path) -> None:
    """Draw the frequency of the codes of each codebook, most frequent first.

    Args:
        counts: occurrences of codes, ``q k``.
        picture: file to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axis = figure.subplots()
    share = counts.double() / counts.sum(-1, keepdim=True).clamp(min=1)
    for codebook in share.sort(-1, descending=True).values:
        axis.stairs(codebook.tolist(), fill=len(counts) == 1)
    axis.axhline(1 / counts.shape[-1], color="grey", linewidth=1, label="uniform")
    axis.set_xlabel("codes, most frequent first")
    axis.set_ylabel("share of all codes")
    axis.legend()
    figure.savefig(picture, dpi=100)


def save_curves(metrics: Path, picture: Path) -> None:
    """Draw ``metrics.csv``, one panel per metric with training and validation in it; nothing without metrics."""
    from matplotlib.figure import Figure

    panels: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for name, points in read_metrics(metrics).items():
        stage, _, quantity = name.partition("/")
        if stage in ("train", "val") and quantity:
            panels.setdefault(quantity, {})[stage] = points
    if not panels:
        return
    figure = Figure(figsize=(4 * len(panels), 3), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (quantity, stages) in zip(axes, panels.items(), strict=True):
        for stage, points in sorted(stages.items()):
            steps, values = zip(*points, strict=True)
            axis.plot(steps, values, label=stage, marker="." if len(points) == 1 else None)
        axis.set_title(quantity)
        axis.set_xlabel("training batches")
        axis.legend()
    figure.savefig(picture, dpi=100)


class Figures(Callback):
    """Writes pictures after a validation and when training ends; without images it draws the curves only.

    Args:
        folder: of the pictures.
        seconds: least time between two drawings.
    """

    def __init__(self, folder: Path, seconds: float = 10.0) -> None:
        self.folder, self.seconds = folder, seconds
        self._images: Tensor | None = None
        self._drawn = -1e9

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Keep the first images, so that all pictures of a run show the same ones."""
        if self._images is None and isinstance(batch, dict) and "image" in batch:
            self._images = batch["image"][:IMAGES].clone()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, unless it was done less than ``seconds`` ago."""
        if not trainer.sanity_checking and time.monotonic() - self._drawn >= self.seconds:
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the final state, and the curves."""
        training = pl_module.training
        self._draw(trainer, pl_module.eval())
        pl_module.train(training)
        metrics = self.folder.parent / METRICS
        if trainer.is_global_zero and metrics.exists():
            save_curves(metrics, self.folder / "curves.png")
            for logger in trainer.loggers:
                if isinstance(logger, WandbLogger):
                    logger.log_image("curves", [str(self.folder / "curves.png")])

    def _draw(self, trainer: Trainer, model: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._images is None or not hasattr(model, "reconstruct"):
            return
        for name, figure in image_figures(model, self._images).items():
            path = self.folder / f"{name}.png"
            save_image(figure, path)
            for logger in trainer.loggers:
                if isinstance(logger, WandbLogger):
                    logger.log_image(name, [str(path)])
                elif isinstance(logger, TensorBoardLogger):
                    logger.experiment.add_image(name, figure, trainer.global_step)
        if (usage := getattr(model, "codebook_usage", None)) is not None and usage.last is not None:
            save_codebook_usage(usage.last, self.folder / "codes.png")
            for logger in trainer.loggers:
                if isinstance(logger, WandbLogger):
                    logger.log_image("codes", [str(self.folder / "codes.png")])
        self._drawn = time.monotonic()
