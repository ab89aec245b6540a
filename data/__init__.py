"""Data modules, by name in ``DATA``: ``clutter``, ``codes``, ``images``, ``pairs``, ``slates`` and ``text``.

The keys of a batch, the conventions of text and the attributes that models read are those of ``interfaces.py``.
"""

from .base import DATA
from .clutter.datamodule import ClutterData
from .codes import CodeData, CodeFolder
from .frequencies.datamodule import FrequencyData
from .images.datamodule import ImageData
from .pairs.datamodule import PairData
from .slates.datamodule import SlateData
from .text.datamodule import TextData

__all__ = [
    "DATA",
    "ClutterData",
    "CodeData",
    "CodeFolder",
    "FrequencyData",
    "ImageData",
    "PairData",
    "SlateData",
    "TextData",
]
