"""YAML of strangers: every syntax, a class anywhere, every option with every value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from gumbelzoo.commands.parsing.configuration import Configuration
from gumbelzoo.models import MODELS
from gumbelzoo.pretrained.plain_yaml import dump_yaml, parse_yaml, read_yaml
from gumbelzoo.tests.properties.harness import check, contents, examples, refusal
from hypothesis import strategies as st

KEYS = st.sampled_from(["model", "data", "trainer", "class_path", "init_args", "name", "a", "<<", "seed_everything"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), 1 << 63),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["1e3", "~", "no", "0x1f", "0b2", "1_000", "12:30:00", "2024-01-02", "=", "<<", ".inf", "-.nan"]),
    st.sampled_from(["os.system", "subprocess.Popen", "torch.nn.Linear", "a.b", ".", "..", "a..b", "builtins.exec"]),
)
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4)
)
SMUGGLED = {"class_path": "os.system", "init_args": {"command": "touch ran"}}
TOKENS = st.sampled_from(
    [
        "a",
        ": ",
        "- ",
        "\n",
        "  ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&a ",
        "*a",
        "!!int ",
        "!!python/object/apply:os.system ['x']",
        "!own ",
        "'",
        '"',
        "|\n",
        ">\n",
        "<<: ",
        "? ",
        "# ",
        "%YAML 1.2\n",
        "---\n",
        "...\n",
        "\t",
        "\0",
        "\x1b",
        "\ud800",
        "\ufeff",
        "\x85",
        "\u2028",
        "1",
        "null",
        "!!binary aGk=",
        "!!set {x}",
        "!!float ",
        "!!bool ",
        "!!null ",
        "@",
        "`",
        "!!timestamp ",
        "!!omap [a: 1]",
        "!<tag:yaml.org,2002:str> ",
        "0o",
        "1:60",
        "9" * 5000,
        "0xf",
        "0x" + "f" * 5000,
        "-",
        "_",
        "1e",
        ".",
    ]
)

KEPT = [b"!!float ", b"a: !!bool x", b"a: 0x" + b"f" * 5000, b"a: !!timestamp x"]


@examples(80, 5000)
def test_yaml_is_plain_or_refused(examples: int, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"

    def holds(content: bytes) -> None:
        path.write_bytes(content)
        found: list[dict[str, Any]] = []
        if refusal(lambda: found.append(read_yaml(path)), names=str(path)) is None:
            assert_plain(found[0])
            assert same(parse_yaml(dump_yaml(found[0])), found[0])
        assert contents(tmp_path) == {"own.yaml": content}

    texts = st.lists(TOKENS | st.text(max_size=3), max_size=25).map("".join)
    files = texts.flatmap(
        lambda text: st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"]).map(
            lambda encoding: text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")
        )
    )
    check(examples, holds, files | st.binary(max_size=60) | PLAIN.map(lambda value: yaml.dump(value).encode()), KEPT)


def assert_plain(value: Any) -> None:
    assert type(value) in (dict, list, str, int, float, bool, type(None)), type(value)
    if isinstance(value, dict):
        assert all(type(key) is str for key in value)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        assert_plain(item)


def same(one: Any, other: Any) -> bool:
    """Equality of plain values, in which NaN is NaN."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or (one != one and other != other))


@examples(50, 4000)
def test_plain_values_are_written_and_read_again(examples: int) -> None:
    def holds(value: Any) -> None:
        for flow in (False, True):
            assert same(parse_yaml(dump_yaml(value, flow)), value)

    values = PLAIN.map(lambda value: _without_merge(value))
    check(examples, holds, values)


def _without_merge(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_merge(item) for key, item in value.items()}
    return [_without_merge(item) for item in value] if isinstance(value, list) else value


@examples(40, 2000)
def test_class_anywhere_is_refused(examples: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any depth of the arguments of model and data, in files and in options; and nothing is imported."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "own.yaml"

    def holds(given: tuple[str, str, list[str | int], bool]) -> None:
        section, name, place, option = given
        nested: Any = SMUGGLED
        for key in reversed(place):
            nested = {key: nested} if isinstance(key, str) else [0] * key + [nested]
        arguments = ["fit", f"--{section}={name}"]
        if option:
            arguments.append(f"--{section}.{place[0]}={dump_yaml(nested[place[0]], flow=True).strip()}")
        else:
            path.write_text(dump_yaml({section: {"class_path": name, "init_args": nested}}))
            arguments = ["fit", "--config", str(path)]
        said = refusal(lambda: Configuration.read(arguments))
        assert said is not None and ("names a class" in said or "unknown" in said)
        assert set(contents(tmp_path)) <= {"own.yaml"}

    sections = st.sampled_from([*(("model", name) for name in MODELS), ("data", "images"), ("data", "text")])
    keys = st.sampled_from(["estimator", "optimizer", "quantizer", "image_shape", "name", "temperature", "x", "root"])
    places = st.tuples(keys, st.lists(keys | st.integers(0, 3), max_size=4)).map(lambda parts: [parts[0], *parts[1]])
    check(
        examples,
        holds,
        st.tuples(sections, places, st.booleans()).map(lambda parts: (*parts[0], parts[1], parts[2])),
    )


@examples(30, 2000)
def test_configuration_is_merged_or_refused(examples: int, workspace: Path) -> None:
    path = workspace / "own.yaml"

    def holds(content: Any) -> None:
        path.write_text(yaml.dump(content), encoding="utf-8", errors="replace")
        found: list[Configuration] = []
        if refusal(lambda: found.append(Configuration.read(["fit", "--config", str(path)]))) is None:
            assert found[0].arguments[0] == "fit"

    entries = st.fixed_dictionaries(
        {}, optional={"class_path": st.sampled_from([*MODELS, "text", "images"]) | SCALARS, "init_args": PLAIN}
    )
    sections = dict.fromkeys(("model", "data"), entries | PLAIN)
    strategy = st.fixed_dictionaries({}, optional={**sections, "trainer": PLAIN, "a": PLAIN})
    check(examples, holds, strategy, [{"model": {"class_path": "."}}])
