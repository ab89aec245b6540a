"""Settings that make training faster and change no result beyond rounding: freed memory that is kept, compilation."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil

from ...models import ZooModel

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def keep_freed_memory() -> None:
    """Let glibc reuse the memory of freed tensors; nothing with other C libraries.

    By default it returns blocks of more than 32 MiB to the system at once. Then a step spends up to a quarter of its
    time on pages that are mapped, cleared and returned. The process keeps its peak memory.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, 2**30)
        libc.mallopt(_TRIM_THRESHOLD, -1)  # never


def compile_networks(model: ZooModel) -> None:
    """Compile the networks of a model in place, at their first call; checkpoints stay as they are.

    Raises:
        ValueError: a model without such a network, or a machine without a C++ compiler.
    """
    networks = [getattr(model, name) for name in model.networks if hasattr(model, name)]
    if not networks:
        names = ", ".join(model.networks)
        raise ValueError(f"--compile is for models with one of {names}; {model.registry_name} has none, leave it out")
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++", "c++")):
        raise ValueError("--compile needs a C++ compiler, and there is none; install g++, or leave --compile out")
    for network in networks:
        network.compile()
