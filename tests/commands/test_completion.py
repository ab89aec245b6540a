"""Completion by the tab key: what a word may become, and the scripts in their shells."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gumbelzoo.commands.completion import SCRIPTS, complete
from gumbelzoo.pretrained.api import list_pretrained
from gumbelzoo.train import COMMANDS, main

CATVAE = ["fit", "--config", "catvae_mnist"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["samp"], ["sample"]),
        (["--v"], ["--version"]),
        (["help", "rec"], ["reconstruct"]),
        (["nosuch", ""], []),
        (["sample", "catvae-m"], ["catvae-mnist"]),
        (["sample", "catvae-mnist", "--to"], ["--top_k", "--top_p"]),
        (["sample", "--out", ""], []),  # the shell offers files
        (["sample", "-n", "3", "runs/"], ["runs/tiny/1"]),
        (["test", "runs/"], ["runs/tiny/1"]),
        (["test", "runs/tiny/1", "--wandb="], ["--wandb=off", "--wandb=offline", "--wandb=online"]),
        (["fit", "catvae"], []),
        (["fit", "--config=vqvae_digits"], ["--config=vqvae_digits_ema", "--config=vqvae_digits_gumbel"]),
        (["fit", "--config", "nosuch", "--see"], ["--seed_everything="]),
        (["list", "con"], ["config"]),
        (["list", "configs", "catvae_d"], ["catvae_digits"]),
        ([*CATVAE, "--pr"], ["--print_config"]),
        ([*CATVAE, "--model.estimator=rei"], ["--model.estimator=reinforce", "--model.estimator=reinmax"]),
        ([*CATVAE, "--model.estimator", "rein"], ["reinforce", "reinmax"]),
        ([*CATVAE, "--model.estimator=reinforce", "--model.estimator.s"], ["--model.estimator.samples="]),
        ([*CATVAE, "--model.estimator=exact", "--model.estimator.s"], []),
        ([*CATVAE, "--data.name=fash"], ["--data.name=fashion_mnist"]),
        ([*CATVAE, "--data.binarization=dy"], ["--data.binarization=dynamic"]),
        ([*CATVAE, "--trainer.inference_mode="], ["--trainer.inference_mode=false", "--trainer.inference_mode=true"]),
        ([*CATVAE, "--ckpt_path=l"], ["--ckpt_path=last"]),
        (["fit", "--model=vq"], ["--model=vq_vae"]),
        (["list", "quant"], ["quantizer"]),
        (["list", "quantizer", "f"], ["fsq"]),
        (["list", "nosuch", ""], []),
        (["completion", "z"], ["zsh"]),
    ],
)
def test_word_is_completed(words: list[str], expected: list[str], workspace: Path) -> None:
    run = workspace / "runs/tiny/1"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("")
    assert complete(words, COMMANDS) == expected


def test_all_sources_and_commands_are_offered(workspace: Path) -> None:
    assert complete([""], COMMANDS) == sorted([*COMMANDS, "--help", "--version"])
    assert complete(["encode", ""], COMMANDS) == list_pretrained()


BASH = """
source <("$0" -m gumbelzoo completion bash)
gumbelzoo() { "$PYTHON" -m gumbelzoo "$@"; }
complete -p gumbelzoo
for line in "$@"; do
    COMP_LINE=$line COMP_POINT=${#line}; COMPREPLY=()
    _gumbelzoo gumbelzoo
    printf '%s|' "${COMPREPLY[@]}"; echo
done
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    """Behind an equals sign bash replaces the value alone, and a blank is escaped."""
    run = tmp_path / "runs/tiny/my run"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("")
    lines = ["gumbelzoo samp", "gumbelzoo fit --config=catvae_dig", "gumbelzoo test runs/tiny/my", "gumbelzoo nosuch "]
    environment = {**os.environ, "PYTHON": sys.executable}
    command = ["bash", "--norc", "-c", BASH, sys.executable, *lines]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    registered, *completed = done.stdout.splitlines()
    assert registered.endswith("-F _gumbelzoo gumbelzoo")
    assert completed == ["sample|", "catvae_digits|", r"runs/tiny/my\ run|", "|"]


def test_zsh_completes_by_the_tab_key(tmp_path: Path) -> None:
    """In an interactive shell on a terminal, the only way to see what its line editor makes of a completion."""
    if not shutil.which("zsh"):
        pytest.skip("needs zsh")
    run = tmp_path / "runs/tiny/my run"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("")
    process, terminal = pty.fork()
    if not process:  # the child
        os.chdir(tmp_path)
        os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb", "PS1": "$ "})
    try:
        type_and_wait(terminal, "autoload -U compinit; compinit -u; PS1='rea''dy> '\n", "ready> ")
        type_and_wait(terminal, f"gumbelzoo() {{ '{sys.executable}' -m gumbelzoo \"$@\" }}\n", "ready> ")
        type_and_wait(terminal, "source <(gumbelzoo completion zsh); PS1='se''t> '\n", "set> ")
        for typed, completed in (
            ("gumbelzoo samp", "gumbelzoo sample "),
            ("gumbelzoo fit --config=catvae_dig", "gumbelzoo fit --config=catvae_digits "),
            ("gumbelzoo test runs/tiny/my", "gumbelzoo test runs/tiny/my\\ run "),
        ):
            type_and_wait(terminal, f"{typed}\t", completed)
            type_and_wait(terminal, "\x15", "")  # clear the line
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)


def type_and_wait(terminal: int, keys: str, expected: str, seconds: float = 60.0) -> None:
    """Type into a terminal, and read on until the expected text has been seen."""
    os.write(terminal, keys.encode())
    seen, end = "", time.monotonic() + seconds
    while expected not in seen:
        assert time.monotonic() < end, f"expected {expected!r}, saw {seen!r}"
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 1 << 12).decode(errors="replace")


@pytest.mark.parametrize("shell", SCRIPTS)
def test_script_is_one_of_its_shell(shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["completion", shell]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    assert subprocess.run([shell, "-n", str(tmp_path / "script")], capture_output=True).stderr == b""
