"""Text: the data module, and one reader per text set."""

from .datamodule import TextData

__all__ = ["TextData"]
