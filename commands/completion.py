"""Print a script that completes commands, options, releases, runs, configurations and parts by the tab key.

bash 4 or newer:  source <(gumbelzoo completion bash)      in ~/.bashrc
zsh:              source <(gumbelzoo completion zsh)       in ~/.zshrc, after compinit
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterable, Sequence
from importlib import import_module

from .documentation.catalogue import PACKAGE, Catalogue
from .documentation.layout import word as as_word
from .parsing.command_line import CommandLine
from .parsing.configs import CONFIG_KINDS, config_names
from .parsing.options import Options
from .parsing.plugins import add_plugins
from .parsing.usage import USAGE
from .run_folders.names import ROOT

# In both shells `gumbelzoo completion words` is given the words up to the cursor, the last one perhaps empty. It prints
# what that word may become; for nothing the shell offers files.
SCRIPTS = {
    "bash": """\
_gumbelzoo() {
    local line=${COMP_LINE:0:COMP_POINT} kept="" index
    local -a words
    read -a words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local word=${words[-1]}
    [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && kept=${word%"${word##*=}"}  # readline replaces what follows the =
    mapfile -t COMPREPLY < <("$1" completion words "${words[@]:1}" 2>/dev/null)
    for index in "${!COMPREPLY[@]}"; do
        printf -v "COMPREPLY[index]" %q "${COMPREPLY[index]#"$kept"}"
    done
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
}
complete -o default -F _gumbelzoo gumbelzoo
""",
    "zsh": """\
#compdef gumbelzoo
_gumbelzoo() {
    local -a found
    found=(${(f)"$("${words[1]}" completion words "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    (( $#found )) || { _files; return }
    compadd -S '' -- ${(M)found:#*=}
    compadd -- ${found:#*=}
}
compdef _gumbelzoo gumbelzoo
""",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shell", choices=[*SCRIPTS, "words"], help="words: what the last of some words may become")
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> None:
    """Print the script, or what the last word may become, one a line."""
    if options.shell in SCRIPTS:
        print(SCRIPTS[options.shell], end="")
    else:
        print(*(f"{word}\n" for word in complete(options.words or [""], options.commands)), sep="", end="")


def complete(words: Sequence[str], commands: Iterable[str]) -> list[str]:
    """Return what the last word may become, sorted.

    Args:
        words: all after the program.
        commands: names of all commands.
    """
    command, *before = words[:-1] or [""]
    if not command:
        found: Iterable[str] = [*commands, "--help", "--version"]
    elif command == "help":
        found = commands
    elif command in USAGE:
        found = _of_lightning(command, before, words[-1])
    elif command in commands:
        found = _of_parser(command, before, words[-1])
    else:
        found = []
    return sorted({word for word in found if word.startswith(words[-1])})


def _of_lightning(command: str, before: Sequence[str], word: str) -> Iterable[str]:
    """Words of fit, validate and test."""
    try:
        options = Options(CommandLine.read(command, before))
    except (OSError, ValueError):  # a configuration or a plugin that is not there
        options = Options(CommandLine(command))
    option, equals, _ = word.partition("=")
    if equals:
        return [f"{option}={value}" for value in _values(options, option)]
    if before and before[-1].startswith("--") and "=" not in before[-1] and (found := _values(options, before[-1])):
        return found
    if word.startswith("-"):
        return [f"--{name}" if name in ("help", "print_config") else f"--{name}=" for name in options.names()]
    return _sources() if command != "fit" and len(options.line.sources) == len(before) else []


def _values(options: Options, option: str) -> list[str]:
    """Values of an option of fit, validate and test, as far as they have names."""
    name = option.removeprefix("--")
    path = tuple(name.split("."))
    if name in ("config", "ckpt_path"):
        return config_names() if name == "config" else ["best", "last"]
    if name in ("model", "data"):
        return list(options.classes(name).entries)
    try:
        section = {"trainer": options.trainer}.get(path[0], options.general)
        plain = {item.name: item for item in section}.get(path[-1])
        found, kind = options.option(path) if path[0] in ("model", "data") else (plain, None)
    except LookupError:
        return []
    if path[0] == "data" and kind is None:  # arguments of data that are names in a registry
        sets = f"{options.line.classes.get('data', '').upper().removesuffix('S')}_SETS"
        kinds = options.catalogue.registries
        kind = kinds.get(sets if path[-1] == "name" else f"{path[-1].upper()}S")
    if kind or not found:
        return list(kind.entries) if kind else []
    literals = re.findall(r"Literal\[(.*?)\]", found.type)
    names = [str(value) for text in literals for value in ast.literal_eval(f"[{text}]")]
    return names + ["false", "true"] * bool(re.search(r"\bbool\b", found.type))


def _of_parser(command: str, before: Sequence[str], word: str) -> Iterable[str]:
    """Words of a command with an ordinary parser."""
    parser = argparse.ArgumentParser()
    import_module(f"..{command}", __name__).add_arguments(parser)
    add_plugins(parser, command)
    actions = {option: action for action in parser._actions for option in action.option_strings}
    places = [action for action in parser._actions if not action.option_strings]
    given: list[str] = []
    waiting: argparse.Action | None = None  # option whose value comes next
    for token in before:
        if waiting:
            waiting = None
        elif token.startswith("-"):
            action = actions.get(token)
            waiting = action if action and action.nargs != 0 else None
        else:
            given.append(token)
    if waiting is None and word.startswith("-"):
        return actions
    if waiting is None and places:
        last = places[-1] if places[-1].nargs in ("*", "+") else None
        waiting = places[len(given)] if len(given) < len(places) else last
    return _values_of(waiting, given) if waiting else []


def _values_of(action: argparse.Action, given: Sequence[str]) -> Iterable[str]:
    """Values of an argument, by its choices or its name; ``given`` are the positional ones before it."""
    if action.choices:
        return map(str, action.choices)
    if action.dest in ("source", "sources"):
        return _sources()
    if action.dest in ("run", "runs"):
        return _runs()
    if action.dest == "config":
        return config_names()
    if action.dest == "kind":
        return [*(as_word(kind) for kind in Catalogue().kinds), "config", "runs"]
    if action.dest == "name" and given:
        if given[0] in CONFIG_KINDS:
            return config_names()
        try:
            return filter(None, Catalogue().find(given[0]).entries)
        except ValueError:
            return []
    return []


def _sources() -> list[str]:
    return [*(path.parent.name for path in (PACKAGE / "checkpoints").glob("*/config.json")), *_runs()]


def _runs() -> list[str]:
    return [str(path.parent) for path in ROOT.glob("*/*/config.yaml")]
