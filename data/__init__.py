"""Data modules, by name in ``DATA``: ``images`` and ``text``.

The keys of a batch, the conventions of text and the attributes that models read are those of ``interfaces.py``.
"""

from .base import DATA
from .images.datamodule import ImageData
from .text.datamodule import TextData

__all__ = ["DATA", "ImageData", "TextData"]
