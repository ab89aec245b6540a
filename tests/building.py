"""Building the package from a copy of the tree, and running commands on what was built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import gumbelzoo
import pytest

ROOT = Path(gumbelzoo.__file__).parent


def copy_tree(folder: Path) -> Path:
    """Copy the tracked files: setuptools leaves its scratch folders in the source."""
    for path in tracked():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes((ROOT / path).read_bytes())
    return folder


def run(*arguments: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tracked() -> list[str]:
    """Files of the tree; in a checkout those that git knows or would add."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a checkout")
    listing = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, capture_output=True, text=True, check=True)
    return [path for path in done.stdout.splitlines() if (ROOT / path).is_file()]
