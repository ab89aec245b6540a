"""Deterministic networks that several families share."""
