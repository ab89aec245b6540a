"""Trained models on disk and on the hub: list, create, find, load, save."""
