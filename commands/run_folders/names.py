"""Names of run folders, ``runs/<configuration>/<number or name>``."""

from __future__ import annotations

from pathlib import Path

from ...pretrained.run_files import CONFIG, was_trained

ROOT = Path("runs")
MAX_BYTES = 100
FORBIDDEN = frozenset('/\\:*?"<>|[]')  # separators, what a shell expands, what Windows refuses


def check_name(name: str) -> None:
    """Check that a name is a folder's on every system, and nothing else to a command; ValueError for others."""
    shown = f"--name {name[:MAX_BYTES]!r}"
    if not name.isprintable():
        raise ValueError(f"{shown}: a name has printable characters only")
    if found := sorted(FORBIDDEN.intersection(name)):
        raise ValueError(f"{shown}: a name is one folder's, without {' '.join(found)}")
    if not name or name != name.strip() or name.startswith(("-", "~", ".")) or name.endswith("."):
        raise ValueError(f"{shown}: a name starts with a letter, a digit or a sign other than '-', '~' and '.'")
    if len(name.encode()) > MAX_BYTES:
        raise ValueError(f"{shown}: a name has at most {MAX_BYTES} bytes")


def configuration_name(file: Path) -> str:
    """Return the name of the runs of a configuration file.

    It is the file's own name. ``config.yaml`` has the name of its folder; the one that ``fit`` wrote to a run has that
    of the run's configuration.
    """
    file = file.resolve()
    if file.stem != "config":
        return file.stem
    folder = file.parent
    return (folder.parent if file.name == CONFIG and was_trained(folder) else folder).name or file.stem
