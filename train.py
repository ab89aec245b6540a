"""The command line of gumbelzoo: ``python train.py COMMAND`` in a checkout, ``gumbelzoo COMMAND`` once installed."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from pathlib import Path
from typing import NoReturn

COMMANDS = {
    "fit": "train a model: --config configs/catvae_digits.yaml",
    "validate": "metrics on the validation set",
    "test": "metrics on the test set, of a run or a released model",
    "sample": "draw samples: images into a picture, or lines of text",
    "reconstruct": "pairs of test image and reconstruction, into a picture",
    "encode": "codes of images, into an .npz file",
    "decode": "images of codes",
    "interpolate": "images between test images, decoded from a path between their codes",
    "export": "write a release folder from a tested run",
    "list": "models, parts, data sets, configurations, released checkpoints and their metrics",
}
LIGHTNING = ("fit", "validate", "test")
HELP = """usage: {program} COMMAND [options]

{commands}

`{program} COMMAND --help` lists the options; --debug shows the traceback of an error.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        from gumbelzoo.commands.errors import explain

        options = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
        raise ValueError(explain(argparse.ArgumentError(None, message), options))


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 (failed), 2 (called wrongly), 130 (Ctrl-C) or 143 (SIGTERM)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a character that the console cannot show must not end the command
    if not arguments or arguments[0] in ("-h", "--help"):
        commands = "\n".join(f"  {name:12s} {line}" for name, line in COMMANDS.items())
        print(HELP.format(program=_program(), commands=commands), end="")
        return 0 if arguments else 2
    try:
        _dispatch(arguments[0], arguments[1:])
        sys.stdout.flush()
    except KeyboardInterrupt as error:
        return _interrupted(arguments, error)
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            return _interrupted(arguments, error)
        if type(error) is not SystemExit:  # Lightning's own, when the process is asked to end
            return _interrupted(arguments, error, "terminated", 143)
        return error.code if isinstance(error.code, int) else 0
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        if isinstance(error, ModuleNotFoundError) and error.name == "gumbelzoo":
            print("gumbelzoo is not installed for this Python; `make install`, then .venv/bin/python", file=sys.stderr)
            return 1
        from gumbelzoo.commands.errors import exit_code, explain
        from gumbelzoo.pretrained.untrusted import printable

        lines = f"{_program()} {arguments[0]}: {explain(error)}".splitlines()
        print(*map(printable, lines), sep="\n", file=sys.stderr)
        return exit_code(error)
    return 0


def _dispatch(command: str, rest: list[str]) -> None:
    if command not in COMMANDS:
        from gumbelzoo.registry import unknown_name

        raise ValueError(unknown_name("command", command, COMMANDS))
    if command == "test" and rest and not rest[0].startswith("-"):
        from gumbelzoo.commands.test import test_source

        test_source(rest[0], rest[1:])
    elif command in LIGHTNING:
        from gumbelzoo.commands.trainer import ZooCLI

        ZooCLI([command, *rest])
    else:
        module = importlib.import_module(f"gumbelzoo.commands.{command}")
        parser = _Parser(prog=f"{_program()} {command}", description=module.__doc__, allow_abbrev=False)
        module.add_arguments(parser)
        module.run(parser.parse_args(rest))


def _interrupted(arguments: list[str], error: BaseException, how: str = "interrupted", code: int = 130) -> int:
    """Say what happened, and how to go on if the command left a note of it."""
    said = "; ".join([how, *getattr(error, "__notes__", [])])
    print(f"{_program()} {arguments[0]}: {said}", file=sys.stderr)
    return code


def _program() -> str:
    return "python train.py" if Path(sys.argv[0]).name == "train.py" else "gumbelzoo"


if __name__ == "__main__":
    sys.exit(main())
