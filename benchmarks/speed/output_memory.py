"""Peak memory of commands that write much: samples and codes, at three sizes.

    python benchmarks/speed/output_memory.py [--sizes 1000 10000 100000]

Each command is a process of its own; its peak is the resident memory of the whole process. The images that are encoded
are drawn at random and lie in an ``.npz`` file.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from gumbelzoo.benchmarks.common.measure import describe_machine
from gumbelzoo.benchmarks.common.pages import markdown_table, write_page

COMMANDS = (
    "sample textgan-names -n {n} --out names.txt",
    "encode vqvae-mnist-gumbel --images images.npz -n {n} --out codes.npz",
    "decode vqvae-mnist-gumbel codes.npz -n {n} --out images2.npz",
    "sample catvae-mnist -n {n} --scale 1 --no_labels --out samples.png",
)


def peak(arguments: list[str], folder: str) -> str:
    """Run gumbelzoo in a folder; return its peak memory in MB, or the last line that it says where it refuses."""
    command = [sys.executable, "-m", "gumbelzoo.train", *arguments]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        said.seek(0)
        lines = said.read().decode().strip().splitlines()
    return f"{usage.ru_maxrss / 1024:,.0f}" if status == 0 else f"refused: {lines[-1].partition(': ')[2]}"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    sizes = parser.parse_args().sizes
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        images = rng.integers(0, 256, (max(sizes), 1, 28, 28), dtype=np.uint8)
        np.savez(Path(folder) / "images.npz", images=images)
        rows = [
            [f"`{command.format(n='N')}`", *(peak(command.format(n=n).split(), folder) for n in sizes)]
            for command in COMMANDS
        ]
    parts = [
        "# Memory of much output",
        describe_machine(),
        "Peak resident memory of the process in MB, of which the imports of torch and Lightning are the most.",
        markdown_table(["", *(f"N = {size:,}" for size in sizes)], rows),
    ]
    write_page(__file__, parts)


if __name__ == "__main__":
    main()
