"""Pictures of a model in training, as PNG and in the loggers: reconstructions, samples, latents, alignments, codes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torchvision.utils import save_image

from ..interfaces import Batch
from ..pretrained.paths import whole_file
from ..pretrained.run_files import METRICS
from .alignments import PAIRS, alignment_picture
from .curves import save_codebook_usage, save_curves
from .grids import grid
from .pictures import completion_grid, reconstruction_grid, reconstruction_name, sample_grid, table_grid, view_grid

IMAGES = 32  # validation images in a picture
VIEWED = 16  # images in a picture of what a classifier sees
COMPLETED, COMPLETIONS = 8, 4  # images, and completions of each
SAMPLES = 64
ROWS = 10  # classes in a picture of samples, and samples of each


@torch.no_grad()
def image_figures(model: Any, images: Tensor, classes: Sequence[int] = ()) -> dict[str, Tensor]:
    """Return pictures ``3 H W`` by name, one for each method that the model has.

    Args:
        model: an image model. The noise is the same at each call.
        images: ``b c h w`` of a data set; none for a data set of codes, of which there are samples only.
        classes: of the images, if they are known.
    """
    if hasattr(model, "views"):
        return _draw_views(model, images[:VIEWED], classes[:VIEWED])
    generator = torch.Generator(images.device).manual_seed(0)
    figures: dict[str, Tensor] = {}
    if hasattr(model, "sample"):
        figures["samples"] = _draw_samples(model, generator)
    if not len(images):
        return figures
    reconstructions = model.reconstruct(images)
    name = reconstruction_name(model)
    figures["reconstructions"] = reconstruction_grid(images, reconstructions, classes=classes, name=name)
    if hasattr(model, "complete"):
        chosen = images[:: max(1, len(images) // COMPLETED)][:COMPLETED]  # the set may be sorted by class
        figures["completions"] = draw_completions(model, chosen, generator)
    if hasattr(model, "latent_table"):
        codes = model.encode(images[:1])[0]
        figures["latents"] = table_grid(model.latent_table(codes), codes, images[0], reconstructions[0])
    return figures


def draw_completions(model: Any, images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw completions of images ``b c h w`` from their upper halves, and pixels drawn from them, ``3 H W``."""
    completions = model.complete(images, COMPLETIONS, generator=generator)  # s b c h w
    drawn = completions.clone()
    lower = drawn[..., drawn.shape[-2] // 2 :, :]
    lower.copy_(torch.bernoulli(lower, generator=generator))
    return completion_grid(images, completions, drawn)


def _draw_views(model: Any, images: Tensor, classes: Sequence[int]) -> dict[str, Tensor]:
    """Pictures of the parts of images that a classifier sees; none if it is told more than the image."""
    views = model.views(images)
    found = model.predict(images).tolist() if views and classes else ()
    return {"views": view_grid(images, views, classes=classes, predicted=found)} if views else {}


def _draw_samples(model: Any, generator: torch.Generator) -> Tensor:
    """Samples in a square; a row for each of the first classes if they can be asked for."""
    classes = min(ROWS, model.classes) if "label" in model.sample_options else 0
    if not classes:
        return sample_grid(model.sample(SAMPLES, generator=generator), title=f"{SAMPLES} samples, seed 0")
    labels = torch.arange(classes).repeat_interleave(ROWS)
    images = model.sample(len(labels), label=labels, generator=generator)
    names = [f"class {label}" for label in range(classes)]
    return grid(images, ROWS, title=f"{ROWS} samples of each class, seed 0", rows=names)


class Figures(Callback):
    """Writes pictures after a validation and when training ends; without images or pairs it draws the curves only.

    Args:
        folder: of the pictures.
        seconds: least time between two drawings.
    """

    def __init__(self, folder: Path, seconds: float = 10.0) -> None:
        self.folder, self.seconds = folder, seconds
        self._images: Tensor | None = None
        self._pairs: Batch = {}
        self._classes: list[int] = []
        self._drawn = -1e9
        self._began = False

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Keep the first images, so that all pictures of a run show the same ones."""
        if self._images is None and isinstance(batch, dict) and "image" in batch:
            self._images = batch["image"][:IMAGES].clone()
            self._classes = batch["label"][:IMAGES].tolist() if "label" in batch else []
        elif self._images is None and isinstance(batch, dict) and "codes" in batch:
            self._images = torch.zeros(0, device=batch["codes"].device)
        elif not self._pairs and isinstance(batch, dict) and hasattr(pl_module, "attend"):
            self._pairs = {key: value[:PAIRS].clone() for key, value in batch.items()}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, unless it was done less than ``seconds`` ago."""
        due = time.monotonic() - self._drawn >= self.seconds
        if _is_split(trainer):
            due = trainer.strategy.broadcast(due)
        if not trainer.sanity_checking and due:
            self._draw(trainer, pl_module)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the curves of a resumed run, which may have been killed before they were drawn."""
        self._began = True
        self._draw_curves(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the final state."""
        training = pl_module.training
        self._draw(trainer, pl_module.eval())
        if self._pairs and trainer.is_global_zero:
            self._save(trainer, {"alignments": alignment_picture(pl_module, self._pairs)})
        pl_module.train(training)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the curves, also where a resumed run had no batch left."""
        self._draw_curves(trainer)
        self._log_to_wandb(trainer, "curves")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Draw the curves of a run that was interrupted; a full disk is reported already."""
        if self._began:
            with suppress(OSError):
                self._draw_curves(trainer)

    def _draw_curves(self, trainer: Trainer) -> None:
        if trainer.is_global_zero:
            save_curves(self.folder.parent / METRICS, self.folder / "curves.png")

    def _log_to_wandb(self, trainer: Trainer, name: str) -> None:
        path = self.folder / f"{name}.png"
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger) and trainer.is_global_zero and path.exists():
                logger.log_image(name, [str(path)])

    def _draw(self, trainer: Trainer, model: LightningModule) -> None:
        images = self._images if hasattr(model, "reconstruct") or hasattr(model, "views") else None
        if not trainer.is_global_zero:
            if images is not None and _is_split(trainer):  # the first process samples with the parts of the others
                image_figures(model, images, self._classes)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if images is None:
            return
        self._save(trainer, image_figures(model, images, self._classes))
        if (usage := getattr(model, "codebook_usage", None)) is not None and usage.last is not None:
            save_codebook_usage(usage.last, self.folder / "codes.png")
            self._log_to_wandb(trainer, "codes")
        self._drawn = time.monotonic()

    def _save(self, trainer: Trainer, pictures: Mapping[str, Tensor]) -> None:
        for name, figure in pictures.items():
            with whole_file(self.folder / f"{name}.png") as file:
                save_image(figure, file, format="png")
            self._log_to_wandb(trainer, name)
            for logger in trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    logger.experiment.add_image(name, figure, trainer.global_step)


def _is_split(trainer: Trainer) -> bool:
    """True where parameters are split over processes, which then compute everything together."""
    return isinstance(trainer.strategy, ModelParallelStrategy)
