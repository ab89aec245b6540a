"""Slates: k of n items, chosen one after another, with one reward for all of them."""

from . import black_box, white_box  # noqa: F401  (importing registers)
