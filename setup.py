"""What the package index shows of the repository: its address, and the README with that in its relative links."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from setuptools import setup

REPOSITORY = "https://github.com/gumbelzoo/gumbelzoo"  # the one place with the address; nothing is there yet
ROOT = Path(__file__).resolve().parent
RELATIVE = re.compile(r"(!?)(\[[^\]]*\]\()(?!#|[a-z]+:)([^)\s]+)")  # of a picture the first group is "!"


def long_description() -> str:
    """README with addresses of the repository, at the tag of this version."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

    def absolute(link: re.Match[str]) -> str:
        view = "raw" if link[1] else "blob"
        return f"{link[1]}{link[2]}{REPOSITORY}/{view}/v{version}/{link[3]}"

    return RELATIVE.sub(absolute, (ROOT / "README.md").read_text(encoding="utf-8"))


if __name__ == "__main__":  # which it is for every build front end
    # The name keeps this file out of the wheel, whose package is this folder.
    setup(
        script_name="setup.py",
        long_description=long_description(),
        long_description_content_type="text/markdown",
        project_urls={
            "Repository": REPOSITORY,
            "Documentation": f"{REPOSITORY}/tree/main/docs",
            "Changelog": f"{REPOSITORY}/blob/main/CHANGELOG.md",
            "Issues": f"{REPOSITORY}/issues",
        },
    )
