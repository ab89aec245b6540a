"""``list`` reads the source; here it is compared with the imported package, so that the two never differ."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import gumbelzoo.data
import gumbelzoo.models
import pytest
from gumbelzoo.commands import list as listing
from gumbelzoo.commands.documentation.catalogue import Catalogue
from gumbelzoo.commands.documentation.entries import Entry
from gumbelzoo.commands.documentation.syntax import section
from gumbelzoo.commands.parsing.configs import config_names
from gumbelzoo.registry import Registry
from gumbelzoo.train import main

ROOT = Path(gumbelzoo.models.__file__).parents[1]
CATALOGUE = Catalogue()


def registries() -> dict[str, Registry[Any]]:
    """Every registry of the imported package by the name of its variable."""
    found = {}
    for package in (gumbelzoo.models, gumbelzoo.data):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            values = vars(importlib.import_module(module.name))
            found |= {name: value for name, value in values.items() if isinstance(value, Registry)}
    return found


def unwrap(entry: Any) -> Any:
    """The function that a ``partial`` calls."""
    return entry.func if isinstance(entry, partial) else entry


REGISTRIES = registries()
ENTRIES = [(variable, name) for variable, registry in REGISTRIES.items() for name in registry.names()]
CALLABLES = [
    (variable, name)
    for variable, name in ENTRIES
    if callable(REGISTRIES[variable][name]) and unwrap(REGISTRIES[variable][name]).__module__.startswith("gumbelzoo")
]


def kinds_of_dataclasses() -> dict[str, type]:
    """Dataclasses that are parts of any class, or of another such dataclass."""
    waiting = [REGISTRIES[variable][name] for variable, name in CALLABLES]
    found: dict[str, type] = {}
    while waiting:
        for part in getattr(waiting.pop(), "parts", {}).values():
            if isinstance(part, type) and part.__name__ not in found:
                found[part.__name__] = part
                waiting.append(part)
    return found


DATACLASSES = kinds_of_dataclasses()


def entry_of(variable: str, name: str) -> Entry:
    return CATALOGUE.registries[variable].entries[name]


def same_default(text: str | None, parameter: inspect.Parameter) -> bool:
    if parameter.default is parameter.empty or text is None:
        return parameter.default is parameter.empty and text is None
    try:
        return ast.literal_eval(text) == parameter.default
    except ValueError:  # an expression, such as 1 / 16
        return True


# -- the catalogue is the package -------------------------------------------------------------------------------------


def test_every_registry_is_found() -> None:
    assert set(CATALOGUE.registries) == set(REGISTRIES)
    assert len({kind.name for kind in CATALOGUE.registries.values()}) == len(REGISTRIES)


@pytest.mark.parametrize("variable", REGISTRIES)
def test_names_and_context_equal_the_registry(variable: str) -> None:
    kind, registry = CATALOGUE.registries[variable], REGISTRIES[variable]
    assert (kind.name, kind.context, sorted(kind.entries)) == (registry.kind, registry.context, registry.names())


@pytest.mark.parametrize(("variable", "name"), CALLABLES)
def test_options_equal_the_signature(variable: str, name: str) -> None:
    """Names in their order, and defaults that are literals."""
    registry = REGISTRIES[variable]
    parameters = {
        key: parameter
        for key, parameter in inspect.signature(registry[name]).parameters.items()
        if key not in registry.context and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    options = entry_of(variable, name).options
    assert [option.name for option in options] == list(parameters)
    assert all(same_default(option.default, parameters[option.name]) for option in options)


@pytest.mark.parametrize(("variable", "name"), CALLABLES)
def test_parts_equal_the_class(variable: str, name: str) -> None:
    entry, parts = REGISTRIES[variable][name], entry_of(variable, name).parts
    real = getattr(entry, "parts", {})
    assert list(parts) == list(real)
    for argument, part in real.items():
        kind = part.kind if isinstance(part, Registry) else part.__name__.removesuffix("Config").lower()
        assert parts[argument].name == kind


@pytest.mark.parametrize(("variable", "name"), CALLABLES)
def test_facts_equal_the_class(variable: str, name: str) -> None:
    entry, facts = REGISTRIES[variable][name], entry_of(variable, name).facts
    assert {key: fact.value for key, fact in facts.items()} == {key: getattr(entry, key) for key in facts}


@pytest.mark.parametrize(("variable", "name"), CALLABLES)
def test_object_and_file_are_the_entry(variable: str, name: str) -> None:
    entry = unwrap(REGISTRIES[variable][name])
    found = entry_of(variable, name)
    module = ".".join(Path(found.file).with_suffix("").parts)
    assert (found.object, f"gumbelzoo.{module}") == (entry.__name__, entry.__module__)


@pytest.mark.parametrize("name", DATACLASSES)
def test_a_group_of_options_is_a_kind(name: str) -> None:
    """OptimizerConfig is ``list optimizer``."""
    (entry,) = CATALOGUE.find(name.removesuffix("Config")).entries.values()
    assert entry.object == name
    fields = [field.name for field in dataclasses.fields(DATACLASSES[name]) if field.init]
    assert [option.name for option in entry.options] == fields
    assert all(option.documentation for option in entry.options)


def test_parts_and_their_parts_are_found() -> None:
    assert "OptimizerConfig" in DATACLASSES
    assert len(CALLABLES) > 60
    assert {part.name for kind in CATALOGUE.kinds.values() for e in kind.entries.values() for part in e.parts.values()}


def test_card_metrics_equal_the_model() -> None:
    for name, entry in CATALOGUE.registries["MODELS"].entries.items():
        assert entry.keyword("card", "metrics") == REGISTRIES["MODELS"][name].card.metrics != ()


# -- the command line -------------------------------------------------------------------------------------------------


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["list", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(("variable", "name"), ENTRIES)
def test_an_entry_has_a_page(variable: str, name: str) -> None:
    kind, entry = CATALOGUE.registries[variable], entry_of(variable, name)
    page, plain = listing.page(kind, entry), json.loads(json.dumps(entry.describe()))
    assert page.startswith(f"{kind.name} {name}\n")
    assert page.count("\n  ") >= len(plain["options"]) + len(plain["facts"])
    assert all(f"\n  {option['name']}: {option['type']}" in page for option in plain["options"])
    assert (ROOT / plain["file"]).exists()


def test_a_kind_lists_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "text-sets").splitlines()
    assert [line.split()[0] for line in lines[:-1]] == REGISTRIES["TEXT_SETS"].names()
    assert lines[-1] == "`list text-set NAME` tells more of one"


def test_a_page_tells_options_facts_and_file(capsys: pytest.CaptureFixture[str]) -> None:
    page = printed(capsys, "estimators", "reinforce")
    assert "  samples: int = 4\n      draws of z per example" in page
    assert "(a baseline, see `list baseline`)" in page
    assert "event_shape" not in page
    assert "  unbiased             True" in page
    assert page.endswith("file   models/relaxed/estimators/reinforce.py, REINFORCE\n")
    assert "paper  https://arxiv.org/abs/1703.07370\n" in printed(capsys, "estimator", "rebar")


def test_options_filled_in_by_a_partial(capsys: pytest.CaptureFixture[str]) -> None:
    names = [option["name"] for option in json.loads(printed(capsys, "text-set", "names", "--json"))["options"]]
    assert "entry" not in names and "level" in names


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("estimators", "estimator"),
        ("Estimator", "estimator"),
        ("losses", "loss"),
        ("schedule", "temperature schedule"),
        ("temperature_schedules", "temperature schedule"),
        ("network", "code network"),
        ("data", "data module"),
        ("data-sets", "data set"),
    ],
)
def test_a_kind_has_several_spellings(word: str, kind: str) -> None:
    assert CATALOGUE.find(word).name == kind


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["estimatr"], "unknown kind: 'estimatr'; did you mean 'estimator'?"),
        (["estimator", "reinforc"], "unknown estimator: 'reinforc'; did you mean 'reinforce'?"),
        (["optimizer", "adamw"], "unknown optimizer: 'adamw'; known: none"),
    ],
)
def test_unknown_kind_or_name(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_json_of_a_kind(capsys: pytest.CaptureFixture[str]) -> None:
    plain = json.loads(printed(capsys, "quantizers", "--json"))
    assert plain["kind"] == "quantizer"
    assert list(plain["entries"]) == REGISTRIES["QUANTIZERS"].names()
    assert all(plain["entries"].values())


def test_everything_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    text, plain = printed(capsys), json.loads(printed(capsys, "--json"))
    assert list(plain) == ["models", "estimators", "schedules", "data", "configs", "checkpoints"]
    assert plain["models"] == gumbelzoo.list_models()
    assert [release["name"] for release in plain["checkpoints"]] == gumbelzoo.list_pretrained()
    assert all(release["figures"] and release["metadata"] for release in plain["checkpoints"])
    assert all(name in text for names in list(plain.values())[:-1] for name in names)
    assert all(kind.replace(" ", "-") in text for kind in CATALOGUE.kinds)


def test_configurations_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with what it trains; one with its whole header and its file."""
    lines = printed(capsys, "configs").splitlines()
    assert [line.split()[0] for line in lines[:-1]] == config_names() and all(len(line.split()) > 3 for line in lines)
    assert not any("train.py" in line for line in lines)
    page = printed(capsys, "config", "catvae_digits")
    assert "\n    python train.py fit --config configs/catvae_digits.yaml\n" in page
    assert Path(page.split()[-1]).is_file()
    plain = json.loads(printed(capsys, "configs", "--json"))["entries"]
    one = json.loads(printed(capsys, "config", "catvae_digits", "--json"))
    assert list(plain) == config_names() and plain["catvae_digits"] in one["summary"].replace("\n", " ")
    assert main(["list", "configs", "catvae_digit"]) == 2
    assert "unknown configuration: 'catvae_digit'; did you mean 'catvae_digits'?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["configs"], ["estimator", "reinforce"], ["model", "vq_vae", "--json"]])
def test_list_imports_no_torch(arguments: list[str]) -> None:
    """So it answers at once: importing torch and Lightning takes seconds."""
    command = [sys.executable, "-X", "importtime", str(ROOT / "train.py"), "list", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "ast" in imported and not imported & {"torch", "lightning", "jsonargparse", "numpy"}


# -- the reader -------------------------------------------------------------------------------------------------------


def test_docstring_sections() -> None:
    text = "First.\n\nArgs:\n    a: one\n        line more.\n    b, c: both.\n\nRaises:\n    ValueError: never.\n"
    assert section(text, "Args") == {"a": "one line more.", "b": "both.", "c": "both."}
    assert section(text, "Attributes") == {}


def test_an_entry_without_a_docstring_is_a_name() -> None:
    lines = listing.table("shape", {"square": "", "ring": "A circle."}).splitlines()
    assert lines[:2] == ["square", "ring    A circle."]
