"""What answers at once: pages of help, lists, versions and misspelt names, without torch, Lightning or NumPy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gumbelzoo.commands.parsing.command_line import CommandLine
from gumbelzoo.commands.parsing.configuration import Configuration
from gumbelzoo.commands.parsing.options import Options
from gumbelzoo.commands.training.trainer import ZooCLI
from gumbelzoo.models import MODELS
from gumbelzoo.train import COMMANDS, main

FIT = ["fit", "--config", "catvae_digits"]
QUICK = [
    *([command, "--help"] for command in COMMANDS),
    *(["help", command] for command in COMMANDS),
    *([], ["--help"], ["--version"], ["help"], ["list"], ["list", "estimator"], ["list", "estimator", "reinforce"]),
    *(["list", "--json"], [*FIT, "--help"], ["test", "catvae-mnist", "--help"]),
    *(["fti"], ["sample"], ["sample", "catvae-mnist", "--sed=1"], ["list", "estimatr"], ["encode", "x", "--imges=a"]),
    *([*FIT, option] for option in ("--modl.x=1", "--model.latnts=3", "--trainer.max_epoch=3", "--wandbb=off")),
    *([*FIT, option] for option in ("--model.estimator=reinmx", "--model=categorical_va", "--data.nam=mnist")),
    *(["fit", "--config", "catvae_digit"], ["fit", "--config"], [*FIT, "--model.optimizer.warmp=3"]),
    *(["test", "catvae-mnist", "--data.rot=x"], ["validate", "catvae-mnist", "--trainer.device=2"]),
    *(["completion", "bash"], ["completion", "words", ""], ["completion", "words", *FIT, "--model.estimator="]),
]
HEAVY = ("torch", "lightning", "numpy", "jsonargparse", "PIL", "matplotlib", "sklearn", "wandb", "torchvision")
# Third-party packages of a sample beyond those of `import torch, lightning.pytorch`.
OF_A_SAMPLE = {"PIL", "einops", "gumbelzoo", "jaxtyping", "safetensors", "tqdm"}

IMPORTED = f"""
import json, sys
from gumbelzoo.train import main
found = []
for arguments in json.loads(sys.argv[1]):
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code
    found.append([arguments, code, sorted(set({HEAVY}) & sys.modules.keys())])
print(json.dumps(found), file=sys.stderr)
"""
OF_SAMPLE = """
import sys
import torch, lightning.pytorch
before = set(sys.modules)
from gumbelzoo.train import main
assert main(["sample", "catvae-digits", "-n", "4"]) == 0
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}), file=sys.stderr)
"""

# Ctrl-C while a command starts, and again while Python ends.
INTERRUPTED = """
import atexit, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in what runs in the background
from gumbelzoo import train
train._dispatch = lambda *_: signal.raise_signal(signal.SIGINT)
atexit.register(signal.raise_signal, signal.SIGINT)
sys.argv = ["gumbelzoo", "fit"]
sys.exit(train.main())
"""


def test_second_interruption_prints_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "gumbelzoo fit: interrupted\n")


def python(script: str, folder: Path, *arguments: str) -> str:
    """The last line on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=folder, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_answers_at_once_import_nothing_heavy(tmp_path: Path) -> None:
    for arguments, code, heavy in json.loads(python(IMPORTED, tmp_path, json.dumps(QUICK))):
        assert code in (0, 2) and heavy == [], arguments


def test_sample_imports_little_beyond_lightning(tmp_path: Path) -> None:
    packages = set(python(OF_SAMPLE, tmp_path).split()) - sys.stdlib_module_names
    assert packages <= OF_A_SAMPLE


# -- the table of options is the parser's -----------------------------------------------------------------------------


class _Stop(Exception):
    pass


@pytest.fixture(scope="module")
def parsers() -> dict[str, set[str]]:
    """Names that the parser of each command takes."""
    found: dict[str, set[str]] = {}

    class Parsers(ZooCLI):
        def parse_arguments(self, parser: Any, args: Any) -> None:
            for command in self.subcommands():
                actions = self._parser(command)._actions
                found[command] = {option.lstrip("-") for action in actions for option in action.option_strings}
            raise _Stop

    with pytest.raises(_Stop):
        Parsers(FIT)
    return found


@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_options_are_those_of_the_parser(command: str, parsers: dict[str, set[str]]) -> None:
    """One more of Lightning or of ours is found without a line here."""
    short = {name.removesuffix("+") for name in parsers[command]} - {"h", "c", "model.help", "data.help"}
    real = {name for name in short if not (name.startswith("trainer.") and name.endswith(".help"))}
    assert set(Options(CommandLine(command)).names()) | {"trainer"} == real
    line = CommandLine(command, typed=[(f"--{name}", None) for name in short])
    Options(line).check()


CHOSEN = [
    *([f"--model={model}", "--data=images"] for model in MODELS),
    ["--config", "textgan_oracle_seqgan"],
    ["--config", "catvae_digits", "--model.estimator=reinforce", "--model.temperature=0.5"],
    ["--model=vq_vae", "--data=images", "--model.quantizer={name: product, quantizer: fsq, codebooks: 2}"],
    ["--model=vq_vae", "--data=images", "--model.quantizer.name=residual"],
]


@pytest.mark.parametrize("tokens", CHOSEN, ids=" ".join)
def test_options_of_model_and_data(tokens: list[str]) -> None:
    """Those of the chosen parts as well; what the parser accepts is never refused."""
    known = Configuration.read(["fit", *tokens]).known
    options = Options(CommandLine.read("fit", tokens))
    names = [name for name in options.names() if name.startswith(("model.", "data."))]
    assert sorted(names) == sorted(known)
    options.check()


@pytest.mark.parametrize(
    "tokens",
    [
        ["--model=my.Model", "--model.anything=1", "--data.whatever=2"],  # a class of the user's
        ["--model.latents=3"],  # nothing names the model: the parser says so
        ["--config", "catvae_digits", "--trainer.callbacks=EarlyStopping", "--trainer.callbacks.monitor=val/elbo"],
        ["--config", "catvae_digits", "--trainer.callbacks+=EarlyStopping", "--trainer.logger.name", "x"],
        ["--config", "catvae_digits", "--model.temperature=0.5", "--model.estimator", "exact"],
        ["--config", "catvae_digits", "--model.init_args.latents=3", "--model.help"],
        ["-ccatvae_digits", "--data.root", "--odd", "--print_config", "--seed_everything=1"],
        ["--model=categorical_vae", "--data={class_path: images, init_args: {name: digits}}", "--data.name=mnist"],
    ],
)
def test_uncertain_names_are_left_to_the_parser(tokens: list[str]) -> None:
    Options(CommandLine.read("fit", tokens)).check()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "--model.estimator.sampels=3",
            "unknown key 'model.estimator.sampels'; did you mean 'model.estimator.samples'",
        ),
        ("--learning_rate=1", "unknown option '--learning_rate'; did you mean '--model.optimizer.learning_rate'"),
        ("--data.shuffle=1", "unknown option '--data.shuffle'"),
        ("--model.estimator.baseline=leave_one", "model.estimator.baseline: unknown baseline: 'leave_one'; did you"),
        ("--model=CategoricalVAE", "unknown model: 'CategoricalVAE'; did you mean 'categorical_vae'"),
    ],
)
def test_misspelt_name_is_told(option: str, message: str) -> None:
    line = CommandLine.read("fit", [*FIT[1:], "--model.estimator=reinforce", option])
    with pytest.raises(ValueError, match=r"\w") as error:
        Options(line).check()
    assert message in str(error.value)


def test_test_knows_the_options_of_its_source(workspace: Path) -> None:
    """Of a release and of a run; of several only what is true of all."""
    run = workspace / "runs/tiny/1"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text((workspace / "tiny.yaml").read_text())
    for source in ("catvae-digits", str(run)):
        names = set(Options(CommandLine.read("test", [source])).names())
        assert {"model.bound_samples", "data.root"} <= names and "model.encoder" not in names
    assert CommandLine.read("test", ["catvae-digits", "vqvae-digits-ema"]).classes == {}
    assert CommandLine.read("validate", ["no-such-release"]).classes == {}


# -- versions, help, module -------------------------------------------------------------------------------------------


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["gumbelzoo", "torch", "lightning", "Python"]
    assert main(["version"]) == 2
    assert "did you mean '--version'?" in capsys.readouterr().err


def test_help_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == main(["--help"]) == 0
    first, second = capsys.readouterr().out.split("usage: ")[1:]
    assert first == second
    assert main(["help", "fit", "--config", "vqvae_digits_ema"]) == 0
    page = capsys.readouterr().out
    assert "--model.quantizer" in page and "--trainer.default_root_dir: Optional[_PATH] = 'runs'" in page
    assert main(["help", "smple"]) == 2
    assert "did you mean 'sample'?" in capsys.readouterr().err


def test_package_runs_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "gumbelzoo", "fti"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gumbelzoo fti: unknown command: 'fti'; did you mean 'fit'?")


def test_star_import_gives_the_public_names(tmp_path: Path) -> None:
    check = "import gumbelzoo, sys\nfrom gumbelzoo import *\n"
    check += "print(set(gumbelzoo.__all__) - set(globals()), file=sys.stderr)"
    assert python(check, tmp_path) == "set()"
