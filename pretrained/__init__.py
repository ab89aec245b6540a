"""Trained models on disk and on the hub: list, create, load, save; run folders and releases."""
