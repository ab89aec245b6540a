"""One YAML per experiment, ``<model>_<data>.yaml``; package data."""
