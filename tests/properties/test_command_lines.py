"""Command lines: every option of every command with any value, any path and any name."""

from __future__ import annotations

import argparse
import importlib
import shutil
from pathlib import Path

import pytest
from gumbelzoo.commands.files.source import resolve_source
from gumbelzoo.commands.parsing.configuration import Configuration
from gumbelzoo.tests.properties.harness import check, command, contents, examples, refusal
from gumbelzoo.train import COMMANDS, LIGHTNING
from hypothesis import strategies as st

OWN = [name for name in COMMANDS if name not in (*LIGHTNING, "help")]
NUMBERS = st.one_of(
    st.sampled_from(
        ["0", "-0", "-1", "1", "2", "3", "1e3", "nan", "inf", "-inf", "1e400", "1e-400", "0.5", "1_0", " 1"]
    ),
    st.sampled_from(["1" + "0" * 30, "-1" + "0" * 30, "9" * 5000, str(1 << 63), str(1 << 64), "\u0663", "1.", "0x10"]),
    st.integers(-9, 9).map(str),
)
PATHS = st.sampled_from(
    [
        "",
        ".",
        "..",
        "/",
        "~",
        "~nobody/x",
        "a\0b",
        "x" * 300,
        "x" * 5000,
        "a\nb.png",
        "\x1b[2J.png",
        "\u202e.png",
        "-x.png",
        "no/such/x.png",
        "x.doc",
        "x.npz",
        "x.png",
        "X.JPG",
        ".png",
        "vae",
        "vae/config.json",
        "pipe.npz",
        "images.npz",
        "link.png",
        "loop.png",
        "folder",
        "folder/a.png",
        "/dev/null",
        "/dev/zero",
        "/dev/stdin",
        "/proc/self/mem",
        "x.gif",
        "vae/model.safetensors",
        "x.ckpt",
        "user/name",
        "user/name@v1",
        "a/b/c",
        "@",
        "catvae-digit",
        "\ud800",
        "\udcff.png",
    ]
)
TEXTS = st.text(max_size=10) | st.sampled_from(
    ["", "a", "<unk>", "\x1b]0;t\x07", "{", "[", "{a: 1}", "--", "-", "=", "*"]
)
VALUES = NUMBERS | PATHS | TEXTS


def options(name: str) -> tuple[list[str], int]:
    """Names of a command's options, and the number of its other arguments."""
    parser = argparse.ArgumentParser()
    importlib.import_module(f"gumbelzoo.commands.{name}").add_arguments(parser)
    named = [action.option_strings[-1] for action in parser._actions if action.option_strings]
    return named, sum(not action.option_strings for action in parser._actions)


@pytest.fixture
def place(workspace: Path, releases: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a release, pictures, arrays, a pipe and links."""
    import os

    import numpy as np
    from PIL import Image

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HOME", str(workspace))
    # `explore` takes its port and loads the model, and there it ends: a server ends with Ctrl-C only.
    monkeypatch.setattr("gumbelzoo.explore.live.server.application", lambda target, root: resolve_source(target))
    monkeypatch.setattr("gumbelzoo.explore.live.server.run", lambda model, listener: None)
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    for kind in ("vae", "text", "prior"):
        shutil.copytree(releases[kind], workspace / kind)
    (workspace / "folder").mkdir()
    Image.new("L", (8, 8), 200).save(workspace / "folder/a.png")
    np.savez(workspace / "images.npz", images=np.zeros((3, 1, 8, 8), np.float32), codes=np.zeros((3, 3), np.int64))
    os.mkfifo(workspace / "pipe.npz")
    (workspace / "link.png").symlink_to("folder/a.png")
    (workspace / "loop.png").symlink_to("loop.png")
    return workspace


@pytest.mark.parametrize("name", OWN)
@examples(6, 400)
def test_command_line_is_run_or_refused(examples: int, name: str, place: Path) -> None:
    """What is refused leaves every file as it was; what is written is not among the inputs."""
    named, positional = options(name)
    before = contents(place)

    def holds(given: tuple[list[str], list[tuple[str, str, bool]]]) -> None:
        arguments, chosen = given
        for option, value, joined in chosen:
            arguments = [*arguments, f"{option}={value}"] if joined else [*arguments, option, value]
        said = command([name, *arguments])
        after = contents(place)
        made = set(after) - set(before)
        assert not said or "left out" in said or not made, (said, made)
        for file in made:
            shutil.rmtree(place / file) if (place / file).is_dir() else (place / file).unlink(missing_ok=True)
        kept = {file: content for file, content in after.items() if file in before}
        for file in before:
            if kept.get(file) != before[file]:
                assert any(value == file for _, value, _ in chosen), file

    sources = st.sampled_from(["vae", "vae", "vae", "text", "prior", "./vae"]) | VALUES
    chosen = st.lists(st.tuples(st.sampled_from([*named, "--x", "--out"]), VALUES, st.booleans()), max_size=4)
    others = st.lists(VALUES | st.just("images.npz"), min_size=max(positional - 1, 0), max_size=positional)
    lines = st.tuples(st.tuples(sources, others).map(lambda parts: [parts[0], *parts[1]]), chosen)
    failed = (["vae"], [("-n", "--", True)]) if "-n" in named else ([], [])
    check(examples, holds, lines, [failed])


@examples(15, 1000)
def test_anything_typed_is_refused(examples: int, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(workspace)

    def holds(arguments: list[str]) -> None:
        if arguments[:1] and arguments[0] in COMMANDS:
            return
        command(arguments)
        assert contents(workspace) == before

    check(examples, holds, st.lists(VALUES, min_size=1, max_size=3))


@pytest.mark.parametrize("name", ["fit", "test"])
@examples(12, 1000)
def test_options_of_training_are_read_or_refused(examples: int, name: str, workspace: Path) -> None:
    def holds(given: list[tuple[str, str, bool]]) -> None:
        arguments = [name, "--config", "tiny.yaml"]
        for option, value, joined in given:
            arguments += [f"{option}={value}"] if joined else [option, value]
        found: list[Configuration] = []
        refusal(lambda: found.append(Configuration.read(arguments)))

    keys = st.sampled_from(
        ["model", "data", "trainer", "latents", "init_args", "class_path", "name", "help", "", "optimizer"]
    )
    keys = keys | st.sampled_from(
        ["estimator", "samples", "temperature", "image_shape", "image_shape+", "\x1b", "a b", "--"]
    )
    names = st.lists(keys, min_size=1, max_size=4).map(lambda parts: f"--{'.'.join(parts)}")
    names = names | st.sampled_from(["-c", "--config", "--model.estimator", "--data.name", "--ckpt_path", "--wandb"])
    check(
        examples,
        holds,
        st.lists(st.tuples(names, VALUES | st.sampled_from(["vq_vae", "exact"]), st.booleans()), max_size=4),
    )
