"""Clocks, peak memory and a description of the machine, for all benchmarks."""

from __future__ import annotations

import datetime
import gc
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # silences the profiler, which counts the memory

import torch
from torch.profiler import ProfilerActivity, profile

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def now() -> float:
    """Return seconds of this process's processor time, or of the wall clock once an accelerator has finished.

    Processor time does not count other work on the machine.
    """
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def interleaved_times(functions: Sequence[Callable[[], object]], turns: int) -> list[list[float]]:
    """Time functions in turns; return the seconds of each, one number per turn, after one warm-up call."""
    for function in functions:
        function()
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(turns):
        for function, record in zip(functions, seconds, strict=True):
            gc.collect()
            start = now()
            function()
            record.append(now() - start)
    return seconds


def peak_memory(function: Callable[[], object]) -> int:
    """Return the largest number of bytes that a call allocates at a time, in addition to earlier allocations."""
    gc.collect()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        function()
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    allocated = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        allocated += event.nbytes()
        peak = max(peak, allocated)
    return peak


def describe_machine() -> str:
    """Return processor or accelerator, threads, versions and date in one line."""
    count = torch.get_num_threads()
    threads = f"{count} thread{'s' * (count > 1)}"
    machine = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"{_processor()}, {threads}"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{machine}; {versions}; {datetime.date.today().isoformat()}."


def allocator() -> str:
    """Return the name of the memory allocator, which decides what fresh memory costs on a CPU."""
    library, version = platform.libc_ver()
    replaced = os.environ.get("LD_PRELOAD", "")
    return f"Allocator: {Path(replaced).name}" if replaced else f"Allocator: malloc of {library or 'libc'} {version}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    names = [line for line in path.read_text().splitlines() if line.startswith("model name")] if path.exists() else []
    return names[0].split(":")[1].strip() if names else platform.processor() or platform.machine()
