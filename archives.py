"""Zip files from elsewhere: their directory is bounded before it is read."""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import IO

MAX_DIRECTORY_BYTES = 1 << 22  # tens of thousands of entries


def open_zip(file: IO[bytes] | BytesIO) -> zipfile.ZipFile:
    """Open a zip file whose directory is small: in memory, each of its entries is ten times as large.

    Raises:
        ValueError: its directory is too large.
        zipfile.BadZipFile: no zip file.
    """
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # what ZipFile itself will read
    if end and end[zipfile._ECD_SIZE] > MAX_DIRECTORY_BYTES:  # type: ignore[attr-defined]
        raise ValueError(f"its directory is larger than {MAX_DIRECTORY_BYTES:,} bytes")
    return zipfile.ZipFile(file)
