"""Classifiers that look at a part of an image: by a hard choice of places in a row, or by a learned warp."""

from . import localizers, places, transforms  # noqa: F401  (importing registers)
