"""Digits on a larger canvas, among pieces of other digits."""
