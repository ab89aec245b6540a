"""A run's own data are known again by a record of them: their files may change, and a path may lead elsewhere.

Data sets of a name are known by it: their files have checksums, or they are drawn. Text has its vocabulary as well.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer

from ...data import CodeData
from ...data.base import InMemoryData
from ...data.codes.header import SPLITS
from ...pretrained.run_files import DATA_RECORD
from ...pretrained.untrusted import first_line, printable, read_json
from ..files.split_images import spread
from ..run_folders import runs
from .processes import is_first

OWN = ("arrays", "folder", "text", "codes")  # names of data sets that are the user's files
ROWS = 16  # of a split, that are read for its checksum


class SameData(Callback):
    """Keeps what a run's own data are, and compares it with the data of a command.

    Args:
        run: its folder.
    """

    def __init__(self, run: Path) -> None:
        self.run = run

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Compare the data before anything is computed; keep a record in a run that has none.

        Other data than the run was begun with are told on the terminal where it is measured.

        Raises:
            ValueError: to train on other data, or a damaged record.
        """
        found = describe_data(trainer.datamodule)  # type: ignore[attr-defined]
        file = self.run / DATA_RECORD
        if found and file.is_file():
            changed = _difference(_read(file), found)
            if changed and stage == "fit":
                raise ValueError(
                    f"{self.run} was begun with other data ({changed}): give --data.path those it was begun with, or "
                    f"train a new run without --ckpt_path; if only the decoding of its pictures differs, remove {file}"
                )
            if changed and is_first():
                said = f"other data than {self.run} was trained on ({changed}); --data.path takes the right ones"
                print(printable(said), file=sys.stderr)
        elif found and stage == "fit" and is_first():
            runs.write_json(file, found)


def describe_data(data: LightningDataModule) -> dict[str, str]:
    """Describe a user's own data: their source, their classes, and each split; nothing of other data.

    A split is described by its number of rows and a SHA-256 over some of them, which are spread evenly.
    """
    if not isinstance(data, InMemoryData) or data.name not in OWN:
        return {}
    names = data.folder.splits if isinstance(data, CodeData) else SPLITS
    classes = getattr(data, "class_names", ())
    return {
        "source": data.splits.source,
        "classes": ", ".join(classes) or "none",
        **{name: _describe_split(getattr(data.splits, name)) for name in names},
    }


def _describe_split(split: Any) -> str:
    index = spread(len(split), ROWS)
    checksum = hashlib.sha256()
    for tensor in split.tensors().values():
        rows = tensor.index_select(0, index)
        checksum.update(f"{rows.dtype} {tuple(rows.shape)}".encode())
        checksum.update(rows.numpy().tobytes())
    return f"{len(split):,} rows with the SHA-256 {checksum.hexdigest()[:16]}"


def _read(file: Path) -> dict[str, Any]:
    """Read a record; the ValueError names its file."""
    try:
        return read_json(file)
    except ValueError as error:
        raise ValueError(f"{file}: {first_line(error)}; remove it if the data are as they were") from None


def _difference(begun: dict[str, Any], found: dict[str, str]) -> str:
    """The first difference of two descriptions, with both sources; empty for none in what both describe."""
    for name in ("classes", *SPLITS):
        one, other = begun.get(name), found.get(name)
        if one != other and None not in (one, other):
            return f"{name} of {begun.get('source')}: {one}, not {other} of {found['source']}"
    return ""
