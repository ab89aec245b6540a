"""Start-up of the command line beside its floor: an empty Python, and the imports of torch and Lightning.

    python benchmarks/speed/startup.py [--turns 5] [--before FOLDER]

Every line is a process of its own, in turns. The page has medians, with the range of all turns: seconds on the clock,
and of the processor, which other work on the machine does not lengthen. ``--before`` measures a second gumbelzoo as
well: FOLDER has a folder ``gumbelzoo`` with its files, as ``git archive`` writes them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gumbelzoo.benchmarks.common.measure import describe_machine
from gumbelzoo.benchmarks.common.pages import markdown_table, write_page

FLOORS = ("pass", "import torch", "import torch, lightning.pytorch")
COMMANDS = (
    "--version",
    "--help",
    "help sample",
    "list",
    "list estimator reinforce",
    "smple",
    "sample catvae-mnist --sed 1",
    "fit --config catvae_digits --model.estmator=exact",
    "fit --help",
    "completion words fit --config catvae_digits --model.estimator=re",
    "sample catvae-mnist -n 64",
    "sample textgan-names -n 64",
)
Seconds = tuple[float, float]  # on the clock, of the processor


def measure(arguments: list[str], folder: str, package: Path | None = None) -> Seconds:
    """Run Python in a folder, and return its seconds; ``package`` comes first among the places of imports."""
    path = {} if package is None else {"PYTHONPATH": str(package.resolve())}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **path}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, usage = os.wait4(process.pid, 0)
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def cell(seconds: list[Seconds]) -> list[str]:
    """Format seconds on the clock with their range, and those of the processor."""
    clock, processor = ([turn[number] for turn in seconds] for number in range(2))
    low, high = min(clock), max(clock)
    return [f"{statistics.median(clock):.2f} ({low:.2f} to {high:.2f})", f"{statistics.median(processor):.2f}"]


def main() -> None:
    """Measure in turns, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--before", type=Path, help="folder with another gumbelzoo")
    options = parser.parse_args()
    packages = [None, *filter(None, [options.before])]
    cases = [(f"`python -c '{code}'`", ["-c", code]) for code in FLOORS]
    cases += [(f"`gumbelzoo {command}`", ["-m", "gumbelzoo.train", *command.split()]) for command in COMMANDS]
    seconds: dict[tuple[str, Path | None], list[Seconds]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(options.turns + 1):  # the first fills the caches
            for name, arguments in cases:
                for package in packages if arguments[0] == "-m" else packages[:1]:
                    found = measure(arguments, folder, package)
                    if turn:
                        seconds.setdefault((name, package), []).append(found)
    heads = ["", "clock", "processor"] + ["clock, before", "processor, before"] * len(packages[1:])
    rows = [
        [name, *(text for package in packages if (name, package) in seconds for text in cell(seconds[name, package]))]
        for name, _ in cases
    ]
    floor = statistics.median(turn[1] for turn in seconds[cases[len(FLOORS) - 1][0], None])
    over = [
        f"{name} {statistics.median(turn[1] for turn in seconds[name, None]) - floor:.2f} s"
        for name, arguments in cases
        if "-n" in arguments
    ]
    write_page(
        __file__,
        [
            "# Start-up of the command line",
            f"{describe_machine()} Load of the machine: {os.getloadavg()[1]:.1f}.",
            f"Seconds: median and range of {options.turns} processes in turns, one thread. Only the samples need torch "
            "and Lightning.",
            markdown_table(heads, [row + [""] * (len(heads) - len(row)) for row in rows]),
            f"Processor time over `import torch, lightning.pytorch`: {', '.join(over)}.",
        ],
    )


if __name__ == "__main__":
    main()
