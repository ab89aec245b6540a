"""Codes on disk: a folder that is written shard by shard, its reader, and the data module of its codes."""

from .datamodule import CodeData
from .folder import CodeFolder

__all__ = ["CodeData", "CodeFolder"]
