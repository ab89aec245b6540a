"""Points of a sweep: every combination of some values, or a number of random ones, each with a name."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...pretrained.plain_yaml import parse_yaml
from ..run_folders.comparison import short_names
from ..run_folders.names import check_name

MAX_POINTS = 1000
LONGEST_NAME = 80
OPTION = re.compile(r"[A-Za-z_][\w.]*")


@dataclass(frozen=True)
class Values:
    """A parameter with a few values."""

    values: Sequence[Any]

    def draw(self, generator: random.Random) -> Any:
        """Draw one of the values."""
        return generator.choice(self.values)


@dataclass(frozen=True)
class Range:
    """A parameter between two numbers, both included.

    Args:
        low: the smaller number.
        high: the larger one.
        log: uniform in the logarithm.
        whole: whole numbers only.

    Raises:
        ValueError: ``low`` > ``high``, or a logarithm of what is not positive.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not (self.low <= self.high and math.isfinite(self.high - self.low)):
            raise ValueError(f"min must be <= max, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithm needs min > 0, got {self.low}")

    def draw(self, generator: random.Random) -> float | int:
        """Draw a number, to four digits, as it is shown."""
        if self.whole:
            return generator.randint(int(self.low), int(self.high))
        if self.log:
            value = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = generator.uniform(self.low, self.high)
        return min(max(float(f"{value:.4g}"), self.low), self.high)


@dataclass(frozen=True)
class Point:
    """Options of one run of a sweep.

    Attributes:
        name: of the run.
        options: values by the names of ``fit``'s options.
    """

    name: str
    options: Mapping[str, Any]

    @property
    def arguments(self) -> list[str]:
        """Options as ``fit`` takes them."""
        return [f"--{name}={_text(value)}" for name, value in self.options.items()]


def parse_values(text: str) -> tuple[str, Values]:
    """Read ``OPTION=VALUE,VALUE,...``; a value is written as in a configuration.

    Raises:
        ValueError: it has another form, or a value is there twice.
    """
    name, equals, rest = text.partition("=")
    name = name.strip().removeprefix("--")
    if not equals or not OPTION.fullmatch(name):
        raise ValueError(f"--grid {text}: give an option of fit and its values, such as model.latents=10,20")
    try:
        values = parse_yaml(f"[{rest}]")
    except ValueError as error:
        raise ValueError(f"--grid {text}: {str(error).removesuffix(')').partition(' (line')[0]}") from None
    return name, check_values(name, values)


def check_values(name: str, values: Any) -> Values:
    """Check that there is a list of different values, else ValueError."""
    if not isinstance(values, list) or not values:
        raise ValueError(f"'{name}' has no values")
    texts = [_text(value) for value in values]
    if twice := [text for number, text in enumerate(texts) if text in texts[:number]]:
        raise ValueError(f"'{name}' has the value {twice[0]} twice")
    return Values(values)


def make_points(
    parameters: Mapping[str, Values | Range], count: int | None = None, seed: int = 0, prefix: str = ""
) -> list[Point]:
    """Return the points of a sweep.

    Args:
        parameters: by option.
        count: number of different points to draw at random; None for all combinations.
        seed: of the draw. The first points of a larger ``count`` are the same.
        prefix: of every name.

    Raises:
        ValueError: no parameter, too many points, a range without a count, or fewer different points than ``count``.
    """
    if not parameters:
        raise ValueError("nothing to vary: give --grid OPTION=VALUE,VALUE or the file of a sweep")
    finite = [parameter for parameter in parameters.values() if isinstance(parameter, Values)]
    total = math.prod(len(parameter.values) for parameter in finite) if len(finite) == len(parameters) else None
    if count is None and total is None:
        raise ValueError("a parameter with min and max has no combinations; give a number of random points, --count")
    number = count or total or 0
    if number > MAX_POINTS:
        raise ValueError(f"{number} runs are more than {MAX_POINTS}; draw some of them with --count")
    if count is None:
        drawn = list(itertools.product(*(parameter.values for parameter in finite)))
    else:
        drawn = _draw(list(parameters.values()), count, seed, total)
    points = [_point(dict(zip(parameters, values, strict=True)), prefix) for values in drawn]
    if len({point.name for point in points}) < len(points):
        raise ValueError("two points have the same name; give their values in another form")
    return points


def _draw(parameters: Sequence[Values | Range], count: int, seed: int, total: int | None) -> list[tuple[Any, ...]]:
    """Draw different combinations."""
    generator = random.Random(seed)
    found: dict[str, tuple[Any, ...]] = {}
    for _ in range(100 * count):
        values = tuple(parameter.draw(generator) for parameter in parameters)
        found.setdefault(json.dumps(values), values)
        if len(found) == min(count, total or count):
            break
    if len(found) < count:
        raise ValueError(f"there are fewer than --count {count} different points: {total or len(found)}")
    return list(found.values())


def _point(options: Mapping[str, Any], prefix: str) -> Point:
    """Name a point by its values; what no name can hold is cut, and a checksum tells it from others."""
    short = short_names(list(options))
    full = ",".join(f"{short[name]}={_short(value)}" for name, value in options.items())
    plain = re.sub(r"[^\w.,=+-]+", "-", full)
    if plain != full or len(plain.encode()) > LONGEST_NAME:
        checksum = hashlib.sha256(json.dumps(dict(options)).encode()).hexdigest()[:8]
        plain = f"{plain.encode()[: LONGEST_NAME - 9].decode(errors='ignore').rstrip('-.,')}-{checksum}"
    name = f"{prefix}-{plain}" if prefix else plain
    check_name(name)
    return Point(name, options)


def _short(value: Any) -> str:
    """A value in a name: a part is its name and its options."""
    if isinstance(value, Mapping):
        others = [f"{name}={_short(item)}" for name, item in value.items() if name != "name"]
        return "-".join([*([_short(value["name"])] if "name" in value else []), *others])
    return "-".join(map(_short, value)) if isinstance(value, list) else _text(value)


def _text(value: Any) -> str:
    """A value as an option takes it: a text as it is, unless it would be read as something else."""
    if isinstance(value, str) and _is_plain(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    try:
        return parse_yaml(text) == text
    except ValueError:
        return False
