"""What a release folder may make us do: read two plain files of its own, and build no more than its weights fill."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

MAX_CONFIG_BYTES = 1 << 22
MAX_NUMBER = 10**7  # of a whole number among a model's arguments: sizes and counts
MAX_NUMBERS = 256  # in one list; a vocabulary's words may be more
MAX_DEPTH = 16
MAX_MESSAGE = 400  # characters: what is quoted from a foreign file may be long


def first_line(error: BaseException) -> str:
    """What an error says, in one printable line."""
    lines = str(error).strip().splitlines()
    text = printable(lines[0] if lines else type(error).__name__)
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}..."


def printable(text: str) -> str:
    """A text without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def own_file(folder: Path, name: str) -> Path:
    """The path of a file that really lies in the folder, or where the hub's cache keeps what its folders link to.

    Raises:
        ValueError: there is none, or it leads elsewhere.
    """
    try:
        home = folder.resolve()
        path = (home / name).resolve()
    except (OSError, RuntimeError) as error:  # links that lead in a circle
        raise ValueError(f"{name} leads nowhere: {first_line(error)}") from None
    cached = home.parent.name == "snapshots" and path.parent == home.parent.parent / "blobs"
    if path.parent != home and not cached:
        raise ValueError(f"{name} is a link that leads out of the folder; only files inside it are read")
    if not path.exists():
        raise ValueError(f"{name} is missing")
    if not path.is_file():
        raise ValueError(f"{name} is no file")
    return path


def read_json(path: Path) -> dict[str, Any]:
    """The one object of a JSON file of finite numbers and bounded depth.

    Raises:
        ValueError: too large, not UTF-8, not JSON, a key that is there twice, NaN or infinity, too deep.
    """
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise ValueError(f"it is larger than {MAX_CONFIG_BYTES} bytes")
    try:
        text = path.read_bytes().decode("utf-8")
        content = json.loads(text, object_pairs_hook=_unique)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("it must hold one JSON object")
    check_plain(content)
    return content


def check_plain(value: Any, key: str = "", largest: int | None = None, depth: int = 0) -> None:
    """ValueError naming the key if a value is not finite, too deep or, given ``largest``, a size beyond reason."""
    if depth > MAX_DEPTH:
        raise ValueError(f"'{key}' is nested too deeply")
    if isinstance(value, dict):
        for name, item in value.items():
            check_plain(name, f"{key}.{name}".lstrip("."))
            check_plain(item, f"{key}.{name}".lstrip("."), largest, depth + 1)
    elif isinstance(value, list):
        if largest is not None and len(value) > MAX_NUMBERS and not all(isinstance(item, str) for item in value):
            raise ValueError(f"'{key}' lists {len(value)} values, more than {MAX_NUMBERS}")
        for item in value:
            check_plain(item, key, largest, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"'{key}' is {value}, no finite number")
    elif isinstance(value, int) and largest is not None and abs(value) > largest:
        size = f"{value:.3g}" if abs(value) < 1e300 else "of many digits"  # no float is so large
        raise ValueError(f"'{key}' is {size}, beyond {largest}")
    elif isinstance(value, str) and not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(f"'{key[:40]}' holds half a character") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number]))
        raise ValueError(f"the key '{twice}' is there twice")
    return found


class Budget(TorchFunctionMode):
    """Inside it, building a model on the device ``meta`` ends as soon as it needs far more than some weights fill.

    On that device nothing is allocated; what is bounded is the time, and what a second building would allocate beside
    its weights.

    Args:
        tensors: number of the weights' tensors; building one takes six calls of torch or so.
        elements: of all of them.

    Raises:
        ValueError: more calls of torch than so many tensors need, or one tensor far larger than the weights.
    """

    def __init__(self, tensors: int, elements: int) -> None:
        super().__init__()
        self.calls, self.elements = 1000 + 20 * tensors, (1 << 22) + 4 * elements

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls -= 1
        if self.calls < 0 or (isinstance(result, Tensor) and result.numel() > self.elements):
            raise ValueError("the arguments ask for a far larger model than the weights fill")
        return result
