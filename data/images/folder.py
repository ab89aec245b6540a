"""A folder of pictures as a data set: any tree, any sizes and modes, with or without classes."""

from __future__ import annotations

import hashlib
import re
import threading
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from ...pretrained.untrusted import printable
from ...ranges import is_whole
from ..left_out import summary, tell
from ..split_names import PARTS
from ..storage import Folders, user_cache
from .decoding import open_picture, upright
from .folder_cache import Decoded, decode_once
from .folder_tree import MAX_BYTES, PictureTree, read_tree
from .splits import Split, Splits, image_set

SIZE, CHANNELS = 64, 3
MAX_SIZE = 2048
MAX_PIXELS, LARGE = 1 << 26, 1 << 24  # of a picture; large ones are decoded one at a time
NAMED_CLASSES = 20
_LARGE = threading.Lock()


def folder_shape(path: str | None = None, size: int = SIZE, channels: int = CHANNELS) -> tuple[int, int, int]:
    """Return ``(c, h, w)``; ValueError for a size or a number of channels that is out of range."""
    if not is_whole(size) or not 1 <= size <= MAX_SIZE:
        raise ValueError(f"size must be a whole number from 1 to {MAX_SIZE}, got {size!r}")
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (colour), got {channels}")
    return channels, size, size


@image_set("folder", folder_shape, "path", "size", "channels", binarization="none")
def folder(
    folders: Folders,
    published: bool = False,
    path: str | None = None,
    size: int = SIZE,
    channels: int = CHANNELS,
) -> Splits:
    """Read the pictures of a folder tree, decoded once into a file in the user's cache that is mapped into memory.

    Args:
        folders: their root is the default of ``path``, if it was given.
        published: unused.
        path: the folder.
        size: side of the images. The shorter side of a picture is resized to it, and the centre is kept.
        channels: 3 for colour, 1 for grey.

    Raises:
        ValueError: no path, a file in its place, too few pictures that can be read.
        FileNotFoundError: there is no such folder.
    """
    shape, root = folder_shape(path, size, channels), _find(path or folders.given)
    tree = read_tree(root)
    files = [file for part in tree.parts for file in part]
    levels = decode_once(_cache(root, shape), files, shape, lambda file: decode(root / file.name, size, channels))
    left_out = dict(sorted((tree.left_out | levels.refused).items()))
    tell(root, left_out)
    train, valid, test = _split(root, tree, levels)
    return Splits(
        train,
        valid,
        test,
        f"{len(levels.images):,} pictures of the folder {root.name}",
        details={
            "images": f"{size} x {size}, {'colour' if channels == 3 else 'grey'}: upright, on black, the shorter side "
            f"resized to {size} (bicubic, antialiased), the centre kept",
            "splits": tree.rule,
            "classes": _classes(tree),
            "left out": summary(left_out) or "nothing",
        },
        class_names=tree.classes,
    )


def _find(path: str | None) -> Path:
    """Find the folder; errors are those of ``folder``."""
    if path is None:
        raise ValueError(
            "name='folder' needs a path, the folder of the pictures: --data.path=DIR, or --root=DIR where a command "
            "has that option"
        )
    try:
        found = Path(path).expanduser().resolve()
        if found.is_dir():
            return found
    except (OSError, RuntimeError, ValueError):  # no such user, a circle of links, a name with NUL
        found = Path("/")
    if found.is_file():
        raise ValueError(f"'{path}' is a file; data.path must be the folder of the pictures")
    raise FileNotFoundError(f"there is no folder '{path}'; data.path must be the folder of the pictures")


def _cache(root: Path, shape: tuple[int, int, int]) -> Path:
    """File of the levels in the user's cache: one for each folder and shape."""
    key = hashlib.sha256(f"{root}\0{shape}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    name = re.sub(r"[^\w-]", "_", root.name)[:40]
    return user_cache() / "pictures" / f"{name}-{shape[1]}px-{shape[0]}c-{key}"


def decode(file: Path, size: int, channels: int) -> np.ndarray:
    """Decode a picture to uint8 levels ``c h w``: upright, on black, resized, its centre.

    Raises:
        Exception: whatever Pillow raises for what it cannot read.
    """
    from PIL import Image

    with open_picture(file, MAX_BYTES) as picture:
        picture.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at a fraction of its size
        pixels = picture.width * picture.height
        if pixels > MAX_PIXELS:
            raise ValueError(f"{picture.width} x {picture.height} pixels, more than {MAX_PIXELS:,}")
        with _LARGE if pixels > LARGE else nullcontext():
            shown = upright(picture, "L" if channels == 1 else "RGB", sixteen_bits=True)
            side = min(shown.size)
            left, top = (shown.width - side) / 2, (shown.height - side) / 2
            box = (left, top, left + side, top + side)
            levels = np.asarray(shown.resize((size, size), Image.Resampling.BICUBIC, box, reducing_gap=3.0))
    return levels[None] if channels == 1 else levels.transpose(2, 0, 1)


def _split(root: Path, tree: PictureTree, levels: Decoded) -> list[Split]:
    """Slices of the levels, with their labels."""
    splits, first = [], 0
    for name, part in zip(PARTS, tree.parts, strict=True):
        files = [file for file in part if file.name not in levels.refused]
        if not files:
            raise ValueError(f"{root} has no picture for the {name} split that can be read; give more")
        labels = [tree.class_of[file.name] for file in files] if tree.classes else []
        splits.append(Split(levels.images[first : first + len(files)], torch.tensor(labels, dtype=torch.int64)))
        first += len(files)
    return splits


def _classes(tree: PictureTree) -> str:
    """The classes with their numbers."""
    if not tree.classes:
        return "none"
    named = ", ".join(f"{number} {name}" for number, name in enumerate(tree.classes[:NAMED_CLASSES]))
    return printable(f"{len(tree.classes)}: {named}" + (", ..." if len(tree.classes) > NAMED_CLASSES else ""))
