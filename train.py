"""The command line of gumbelzoo: ``python train.py COMMAND`` in a checkout, ``gumbelzoo COMMAND`` once installed."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

COMMANDS = {
    "fit": "train a model: --config configs/catvae_digits.yaml",
    "validate": "metrics on the validation set",
    "test": "metrics on the test set, of a run or a released model",
    "sample": "draw samples: images into a picture, or lines of text",
    "reconstruct": "pairs of test image and reconstruction, into a picture",
    "encode": "codes of images, into an .npz file, or of a whole data set into a folder",
    "decode": "images of codes",
    "interpolate": "images or sentences between two of the test set, decoded from a path of codes",
    "explore": "a page of a model and of the temperature, on this machine or as files",
    "export": "write a release folder from a tested run",
    "sweep": "train a run for each combination of some options, and compare them",
    "compare": "differing options and metrics of runs, in a table and a plot",
    "list": "models, parts, data sets, configurations, released checkpoints and their metrics; list runs",
    "completion": "a script that completes commands, options and names in bash or zsh",
    "help": "this page, or that of a command: help fit",
}
LIGHTNING = ("fit", "validate", "test")
HELP = """usage: {program} COMMAND [options]

{commands}

`{program} COMMAND --help` lists the options; --version prints versions; --debug shows the traceback of an error.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        from gumbelzoo.commands.parsing.errors import explain

        options = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
        raise ValueError(explain(argparse.ArgumentError(None, message), options))


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 (failed), 2 (called wrongly), 130 (Ctrl-C) or 143 (SIGTERM)."""
    is_program = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a character that the console cannot show must not end the command
    if arguments[:1] == ["help"]:
        arguments = [*(argument for argument in arguments if argument != "help"), "--help"]
    if not arguments or arguments[0] in ("-h", "--help"):
        commands = "\n".join(f"  {name:12s} {line}" for name, line in COMMANDS.items())
        print(HELP.format(program=_program(), commands=commands), end="")
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(*_versions(), sep="\n")
        return 0
    try:
        _dispatch(arguments[0], arguments[1:])
        sys.stdout.flush()
    except (KeyboardInterrupt, SystemExit) as error:
        if is_program:  # another Ctrl-C, while Python ends, would print a traceback
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return _stopped(arguments, error)
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        if isinstance(error, ModuleNotFoundError) and error.name == "gumbelzoo":
            print("gumbelzoo is not installed for this Python; `make install`, then .venv/bin/python", file=sys.stderr)
            return 1
        from gumbelzoo.commands.parsing.errors import exit_code, explain
        from gumbelzoo.pretrained.untrusted import printable

        print(printable(f"{_program()} {arguments[0][:40]}: {explain(error)}"), file=sys.stderr)
        return exit_code(error)
    return 0


def _dispatch(command: str, rest: list[str]) -> None:
    if command not in COMMANDS:
        from gumbelzoo.registry import unknown_name

        raise ValueError(unknown_name("command", command, [*COMMANDS, "--version"]))
    typed = any(argument.startswith("-") for argument in rest)
    if command in LIGHTNING and typed and not _needs_lightning(command, rest):
        return
    if command in ("test", "validate") and not rest:
        raise ValueError(f"give what to {command}: a run or a release, as in `{command} RUN`; `list runs` names runs")
    if command in ("test", "validate") and rest and not rest[0].startswith("-"):
        from gumbelzoo.commands.test import measure_sources

        measure_sources(command, rest)
    elif command in LIGHTNING:
        from gumbelzoo.commands.training.first_process import watch_first_process

        watch_first_process()  # before the imports that take seconds
        from gumbelzoo.commands.training.trainer import ZooCLI

        ZooCLI([command, *rest])
    else:
        from gumbelzoo.commands.parsing import plugins

        module = importlib.import_module(f"gumbelzoo.commands.{command}")
        parser = _Parser(prog=f"{_program()} {command}", description=module.__doc__, allow_abbrev=False)
        module.add_arguments(parser)
        plugins.add_plugins(parser, command)
        parser.set_defaults(commands=tuple(COMMANDS))  # for `completion`
        if any(token == "--" or token.endswith("=--") for token in rest):  # argparse would drop it, and give a list
            parser.error("'--' is not used here; leave it out")
        options, others = parser.parse_known_args(rest)
        plugins.import_given(options, command)
        if command == "sweep":
            options.fit = others
        elif others:
            parser.error(f"unrecognized arguments: {' '.join(others)}")
        module.run(options)


def _needs_lightning(command: str, rest: list[str]) -> bool:
    """Print the page of options if it is asked for, and return False; a misspelt name is told before the import."""
    from gumbelzoo.commands.parsing.command_line import CommandLine
    from gumbelzoo.commands.parsing.options import Options

    line = CommandLine.read(command, rest)
    options = Options(line)
    if line.asks_for_help:
        from gumbelzoo.commands.parsing.usage import page

        print(page(options))
        return False
    options.check()
    return True


def _versions() -> list[str]:
    """Versions of Python, of this package and of what its results depend on, as installed."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    lines = []
    for name in ("gumbelzoo", "torch", "lightning"):
        try:
            lines.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            lines.append(f"{name} is not installed")
    return [*lines, f"Python {platform.python_version()}"]


def _stopped(arguments: list[str], error: KeyboardInterrupt | SystemExit) -> int:
    """Return the exit code of a command that was interrupted, or that ended by itself."""
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
        return _interrupted(arguments, error)
    # Lightning's own ends a run that was stopped by a signal; its code is 0 where another process says so.
    if type(error) is not SystemExit and error.code != 0:
        return _interrupted(arguments, error, 143 if error.code is None else int(error.code))
    if isinstance(error.code, str):
        print(error.code, file=sys.stderr)
    return error.code if isinstance(error.code, int) else int(error.code is not None)


def _interrupted(arguments: list[str], error: BaseException, code: int = 130) -> int:
    """Say what happened, and how to go on if the command left a note of it."""
    said = "; ".join(["interrupted" if code == 130 else "terminated", *getattr(error, "__notes__", [])])
    if os.environ.get("LOCAL_RANK", "0") == "0":  # of several processes, the first one says it
        print(f"{_program()} {arguments[0]}: {said}", file=sys.stderr)
    return code


def _program() -> str:
    return "python train.py" if Path(sys.argv[0]).name == "train.py" else "gumbelzoo"


if __name__ == "__main__":
    sys.exit(main())
