"""What the benchmarks share: clocks, peak memory, the facts of a machine, tables."""

from __future__ import annotations

import datetime
import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler, which counts the memory, is talkative otherwise

import torch
from torch.profiler import ProfilerActivity, profile

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def now() -> float:
    """Seconds of this process's processor time, of which other work takes nothing; of a clock on an accelerator."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def in_turns(functions: Sequence[Callable[[], object]], turns: int) -> list[list[float]]:
    """Seconds of each function, one number per turn, after one call that is not counted."""
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


def peak(function: Callable[[], object]) -> int:
    """The most bytes that a call holds at a time on top of what was there before."""
    gc.collect()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        function()
    events = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def facts() -> str:
    """Machine, threads, versions, date."""
    count = torch.get_num_threads()
    threads = f"{count} thread{'s' * (count > 1)}"
    machine = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"{_processor()}, {threads}"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{machine}; {versions}; {datetime.date.today().isoformat()}."


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    names = [x for x in path.read_text().splitlines() if x.startswith("model name")] if path.exists() else []
    return names[0].split(":")[1].strip() if names else platform.processor() or platform.machine()


def mean_and_error(values: Sequence[float], digits: int) -> str:
    """Mean and standard error, as far as there are any."""
    if not values:
        return ""
    error = f" ± {statistics.stdev(values) / len(values) ** 0.5:.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{error}"


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(map(line, [header, ["---"] * len(header), *rows]))


def write_page(script: str, parts: Sequence[str]) -> None:
    """Print a page of Markdown, and write it beside the script that made it."""
    text = "\n\n".join(parts) + "\n"
    Path(script).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
