"""Pairs of sequences, a source and a target, for models that attend."""
