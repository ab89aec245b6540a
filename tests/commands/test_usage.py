"""``--help``: examples first, and the options of what is configured."""

from __future__ import annotations

import re
import shlex

import pytest
from gumbelzoo.commands.parsing.configuration import Configuration
from gumbelzoo.commands.parsing.usage import USAGE
from gumbelzoo.commands.training.trainer import ZooCLI
from gumbelzoo.train import main

EXAMPLES = re.findall(r"^  gumbelzoo (fit .*?)(?:   .*)?$", USAGE["fit"], re.MULTILINE)


def test_every_command_has_its_usage() -> None:
    assert set(USAGE) == set(ZooCLI.subcommands())


def test_help_starts_with_examples(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--help"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert len(EXAMPLES) >= 10 and all(example in "\n".join(lines[: len(EXAMPLES) + 3]) for example in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_is_a_configuration(example: str) -> None:
    sections = Configuration.read(shlex.split(example)).sections
    assert set(sections) == {"model", "data"}


def test_help_is_of_the_configured_model(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", "vqvae_digits_ema", "--model.help"]) == 0
    assert "--model.quantizer" in capfd.readouterr().out
    assert main(["fit", "--config", "vqvae_digits_ema", "--data.help"]) == 0
    assert "--data.binarization" in capfd.readouterr().out
    assert main(["fit", "--model.help"]) == 2
    assert "--model.help needs a class" in capfd.readouterr().err
