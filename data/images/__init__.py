"""Images: the data module, and one reader per data set."""

from .datamodule import ImageData

__all__ = ["ImageData"]
