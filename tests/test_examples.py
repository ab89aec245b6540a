"""The examples in docstrings run as written."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import gumbelzoo
import pytest
import torch
from gumbelzoo.registry import Registry

FOLDERS = ("models", "data", "pretrained", "evaluation")
PACKAGES = [f"gumbelzoo.{folder}" for folder in FOLDERS]
MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
]
EXAMPLES = [
    test
    for name in ["gumbelzoo.registry", *MODULES]
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    if test.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda test: test.name.removeprefix("gumbelzoo."))
def test_docstring_example_runs(example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parts = {registry: set(registry) for registry in Registry.everyone}
    example.globs |= {"torch": torch, "gumbelzoo": gumbelzoo}
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(example)
    for registry, known in parts.items():
        for name in set(registry) - known:
            del registry._entries[name]  # a part of an example would be listed in other tests
    assert results.failed == 0


@pytest.mark.parametrize(
    "name",
    ["RelaxedCategorical", "CategoricalVAE", "VQVAE", "CodePrior", "TextGAN", "Classifier", "ImageData", "TextData"],
)
def test_main_class_has_an_example(name: str) -> None:
    assert any(example.name.endswith(f".{name}") for example in EXAMPLES)
