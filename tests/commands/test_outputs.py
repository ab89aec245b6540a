"""Files that commands write: whole or not at all, never over an input, of the kind that their ending names."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gumbelzoo
import numpy as np
import pytest
import torch
from gumbelzoo.train import main
from PIL import Image

WRITERS: dict[str, list[str]] = {
    "encode": ["encode", "vae", "--images", "images.npz", "--out", "out.npz"],
    "decode": ["decode", "vae", "codes.npz", "--out", "out.npz"],
    "decode to a picture": ["decode", "vae", "codes.npz", "--out", "out.png"],
    "interpolate": ["interpolate", "vae", "--images", "images.npz", "--out", "out.png"],
    "reconstruct": ["reconstruct", "vae", "--out", "out.png"],
    "sample": ["sample", "vae", "--out", "out.png"],
    "sample text": ["sample", "text", "--out", "out.txt", "-n", "500"],
}


@pytest.fixture
def inputs(vae: Path, text_gan: Path) -> Path:
    """Images and codes for the commands, in the working folder."""
    images = np.random.default_rng(0).random((40, 1, 8, 8), dtype=np.float32)
    np.savez("images.npz", images=images)
    np.savez("codes.npz", codes=np.random.default_rng(0).integers(0, 4, (400, 3)))
    Path("pictures").mkdir()
    for number, image in enumerate(images[:3, 0]):
        Image.fromarray((255 * image).astype(np.uint8)).save(f"pictures/{number}.png")
    return Path.cwd()


def entries(folder: str = ".") -> list[str]:
    """Sorted names of the files in a folder."""
    return sorted(path.name for path in Path(folder).iterdir())


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Writing fails at the end of so many bytes of a file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("command", WRITERS)
def test_full_disk_leaves_what_was_there(command: str, inputs: Path, capfd: Any) -> None:
    out = Path(WRITERS[command][-1] if "-n" not in WRITERS[command] else "out.txt")
    out.write_bytes(b"what was there")
    before = entries()
    with full_disk(100):
        assert main(WRITERS[command]) == 1
    error = capfd.readouterr().err
    assert f"{out} is not written: " in error and error.count("\n") == 1
    assert out.read_bytes() == b"what was there"
    assert entries() == before


def test_full_disk_leaves_no_folder(inputs: Path, capfd: Any) -> None:
    """Nor a release, nor a page; the error names it."""
    model, before = gumbelzoo.load("vae"), entries()
    with full_disk(100):
        assert main(["explore", "vae", "--static", "out"]) == 1
        with pytest.raises(OSError, match=r"^release is not written: File too large$"):
            gumbelzoo.save_pretrained(model, "release")
    assert "out is not written: File too large\n" in capfd.readouterr().err
    assert entries() == before


KILLED = """
import os, signal
from gumbelzoo.train import main
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
main(ARGUMENTS)
"""


@pytest.mark.parametrize("command", ["encode", "sample text"])
def test_kill_leaves_what_was_there(command: str, inputs: Path) -> None:
    """Killed when all bytes are written, and before they take the place of what was there."""
    out = Path(WRITERS[command][-1] if "-n" not in WRITERS[command] else "out.txt")
    out.write_bytes(b"what was there")
    script = KILLED.replace("ARGUMENTS", repr(WRITERS[command]))
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    assert out.read_bytes() == b"what was there"


@pytest.mark.parametrize("command", WRITERS)
def test_output_replaces_a_file_and_keeps_a_link(command: str, inputs: Path) -> None:
    out = Path(WRITERS[command][-1] if "-n" not in WRITERS[command] else "out.txt")
    Path("deep").mkdir()
    out.symlink_to(Path("deep") / out.name)
    Path("deep", out.name).write_bytes(b"before")
    Path("deep", out.name).chmod(0o640)
    assert main(WRITERS[command]) == 0
    assert out.is_symlink()
    assert out.read_bytes() != b"before"
    assert Path("deep", out.name).stat().st_mode & 0o777 == 0o640


def hard_link(path: Path) -> str:
    os.link(path, f"hard{path.suffix}")
    return f"hard{path.suffix}"


def soft_link(path: Path) -> str:
    Path(f"soft{path.suffix}").symlink_to(path)
    return f"soft{path.suffix}"


NAMES: dict[str, Callable[[Path], str]] = {
    "itself": str,
    "relative": lambda path: f"./deep/../{path}",
    "absolute": lambda path: str(path.resolve()),
    "home": lambda path: f"~/{path}",
    "hard link": hard_link,
    "soft link": soft_link,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("arguments", "source"),
    [
        (["encode", "vae", "--images", "images.npz"], "images.npz"),
        (["decode", "vae", "codes.npz"], "codes.npz"),
        (["interpolate", "vae", "--images", "pictures"], "pictures/1.png"),
    ],
)
def test_input_is_not_overwritten(
    arguments: list[str], source: str, name: str, inputs: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("HOME", str(inputs))
    Path("deep").mkdir()
    before = Path(source).read_bytes()
    assert main([*arguments, "--out", NAMES[name](Path(source))]) == 2
    error = capfd.readouterr().err
    assert f"the input '{source}', which is not overwritten" in error and error.count("\n") == 1
    assert Path(source).read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "name", "next_name"),
    [
        (["sample", "vae", "-n", "1"], "samples.png", "samples-2.png"),
        (["encode", "vae", "-n", "1"], "codes.npz", "codes-2.npz"),
    ],
)
def test_default_name_that_is_taken_gets_a_number(
    arguments: list[str], name: str, next_name: str, vae: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path(name).write_text("of the user")
    assert main(arguments) == 0
    assert capfd.readouterr().out.split()[0] == next_name
    assert Path(name).read_text() == "of the user" and Path(next_name).is_file()


def test_corpus_is_not_overwritten(workspace: Path, capfd: Any) -> None:
    """The text that a run was trained on is an input of its samples."""
    Path("plain.txt").write_text("\n".join(f"{a} {b}" for a in "abcdefgh" for b in "abcdefgh"))
    model = "{class_path: text_gan, init_args: {generator: {name: lstm, width: 4, hidden: 4}, test_samples: 20}}"
    data = "{class_path: text, init_args: {name: text, path: plain.txt, batch_size: 8}}"
    Path("text.yaml").write_text(f"model: {model}\ndata: {data}\ntrainer: {{max_steps: 1, accelerator: cpu}}\n")
    assert main(["fit", "--config", "text.yaml"]) == 0, capfd.readouterr().err
    before = Path("plain.txt").read_bytes()
    capfd.readouterr()
    assert main(["sample", "runs/text/1", "--out", "plain.txt"]) == 2
    assert f"the input '{workspace / 'plain.txt'}'" in capfd.readouterr().err
    assert Path("plain.txt").read_bytes() == before


MISTAKES = {
    "text into a picture": (["sample", "text", "--out", "s.png"], "text is written to a text file, not to 's.png'"),
    "images into a text": (["sample", "vae", "--out", "s.txt"], "'s.txt' names no picture format"),
    "arrays into a picture": (["encode", "vae", "--out", "s.png"], "written to an .npz file, not to 's.png'"),
    "a picture into a page": (["reconstruct", "vae", "--out", "s.eps"], "'s.eps' names no picture format"),
    "a folder": (["encode", "vae", "--out", "folder.npz"], "'folder.npz' is a folder"),
    "a device": (["sample", "vae", "--out", "device.png"], "'device.png' is no regular file"),
    "a pipe": (["sample", "text", "--out", "pipe"], "'pipe' is no regular file"),
    "an unknown home": (["sample", "vae", "--out", "~no-such-user/s.png"], "'~no-such-user/s.png' is no path"),
    "a long name": (["sample", "vae", "--out", "s" * 5000], "is no path: File name too long"),
    "too large a picture": (["sample", "vae", "-n", "1000000"], "1000000 images of 8 x 8 pixels are too large a"),
    "many samples": (["sample", "text", "-n", str(10**30)], "-n must be >= 1 and <= 10^9, got a number of many digits"),
    "many steps": (["interpolate", "vae", "--steps", str(10**9)], "images of 8 x 8 pixels are too large a picture"),
    "many images": (["encode", "vae", "-n", str(10**30)], "-n must be >= 1 and <= 10^9"),
    "a long source": (["sample", "x" * 100_000], "is no path: File name too long"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_one_line(mistake: str, inputs: Path, capfd: Any) -> None:
    Path("folder.npz").mkdir()
    Path("device.png").symlink_to("/dev/null")
    os.mkfifo("pipe")
    before = entries()
    arguments, expected = MISTAKES[mistake]
    assert main(arguments) == 2
    error = capfd.readouterr().err
    assert expected in error and error.count("\n") == 1
    assert entries() == before


def test_home_folder_is_expanded(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In sources, images, codes and outputs alike."""
    monkeypatch.setenv("HOME", str(inputs))
    assert main(["encode", "~/vae", "--images", "~/images.npz", "--out", "~/new/c.npz"]) == 0
    assert main(["encode", "~/vae", "--images", "~/pictures", "--out", "~/new/p.npz"]) == 0
    assert main(["decode", "~/vae", "~/new/c.npz", "--out", "~/new/d.png"]) == 0
    assert main(["interpolate", "~/vae", "--images", "~/images.npz", "--out", "~/new/i.png"]) == 0
    assert main(["sample", "~/text", "--out", "~/new/s.txt"]) == 0
    Path("tiny.yaml").rename("new/own.yaml")
    assert main(["fit", "--config", "~/new/own.yaml", "--trainer.max_steps=1"]) == 0
    assert main(["validate", "--config", "~/new/own.yaml", "--ckpt_path", "~/runs/own/1/checkpoints/last.ckpt"]) == 0
    Path("new/own.yaml").unlink()
    assert entries("new") == ["c.npz", "d.png", "i.png", "p.npz", "s.txt"]
    assert not Path("~").exists()


def test_samples_of_a_seed_do_not_depend_on_parts(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gumbelzoo.commands import sample

    assert main(["sample", "text", "-n", "1200", "--out", "a.txt"]) == 0
    monkeypatch.setattr(sample, "PART", 1000)
    assert main(["sample", "text", "-n", "1200", "--out", "b.txt"]) == 0
    lines = Path("a.txt").read_text().splitlines()
    assert len(lines) == 1200 and lines == Path("b.txt").read_text().splitlines()


def test_samples_are_written_as_they_are_drawn(inputs: Path) -> None:
    """So a number beyond patience begins at once, in little memory."""
    command = [sys.executable, "-m", "gumbelzoo.train", "sample", "text", "-n", str(10**9)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})
    timer = threading.Timer(60, process.kill)
    timer.start()
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2000)]
    process.kill()
    process.communicate()
    timer.cancel()
    assert all(line.endswith(b"\n") for line in lines)


def test_decoding_is_bounded(inputs: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.setattr("gumbelzoo.commands.files.arrays.MAX_VALUES", 64 * 100)
    assert main(["decode", "vae", "codes.npz", "--out", "out.npz"]) == 2
    assert "codes.npz has codes of 400 images; at most 100 are decoded" in capfd.readouterr().err
    assert main(["decode", "vae", "codes.npz", "--out", "out.npz", "-n", "100"]) == 0
    assert torch.from_numpy(np.load("out.npz")["images"]).shape == (100, 1, 8, 8)
