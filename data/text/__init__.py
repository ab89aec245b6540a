"""Text: one LightningDataModule, one maker per text set."""

from .datamodule import TextData

__all__ = ["TextData"]
