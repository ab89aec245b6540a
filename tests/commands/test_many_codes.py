"""Codes of 100,000 images: memory stays flat, a killed command goes on, and decoded they are reconstructions."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import gumbelzoo
import numpy as np
import pytest
import torch
from gumbelzoo.data import CodeFolder
from gumbelzoo.train import main

IMAGES, FEW, ROWS = 100_000, 1_000, 5_000
ENCODE = ["encode", "runs/vq_vae_images/many", "--device", "cpu"]


def begin(split: str, out: str) -> subprocess.Popen[bytes]:
    """Start to encode a split, as a user does."""
    return subprocess.Popen([sys.executable, "-m", "gumbelzoo", *ENCODE, "--split", split, "--out", out])


def peak(split: str, out: str) -> float:
    """Most anonymous memory of a process that encodes a split, in megabytes."""
    process, found = begin(split, out), [0]
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        found += [int(line.split()[1]) for line in status if line.startswith("RssAnon")]
        time.sleep(0.01)
    assert process.returncode == 0
    return max(found) / 1000


def write_images() -> np.ndarray:
    """Arrays of a user's: training images of 40 MB, which are 160 MB as floats, and small other splits."""
    Path("many").mkdir()
    images = np.lib.format.open_memmap("many/x_train.npy", "w+", np.uint8, (IMAGES, 20, 20))
    random = np.random.default_rng(0)
    for first in range(0, IMAGES, ROWS):
        images[first : first + ROWS] = np.kron(random.integers(0, 256, (ROWS, 4, 4)), np.ones((5, 5)))
    for split, rows in (("train", IMAGES), ("valid", FEW), ("test", FEW)):
        np.save(f"many/y_{split}.npy", np.arange(rows) % 10)
        if split != "train":
            np.save(f"many/x_{split}.npy", images[:rows])
    images.flush()
    return np.load("many/x_train.npy", mmap_mode="r")


def shards(folder: str) -> int:
    """Number of shards that are done."""
    header = Path(folder, "codes.json")
    return len(json.loads(header.read_text())["splits"].get("train", {}).get("shards", [])) if header.exists() else 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is told by Linux")
def test_codes_of_many_images(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = write_images()
    networks = [
        "--model.image_shape=[1,20,20]",
        "--model.encoder.widths=[4,4]",
        "--model.decoder.widths=[4,4]",
        "--model.dim=4",
    ]
    data = ["--data=images", "--data.name=arrays", "--data.path=many", "--trainer.limit_val_batches=0"]
    options = [*networks, *data, "--trainer.max_steps=20", "--trainer.accelerator=cpu", "--name=many"]
    assert main(["fit", "--model=vq_vae", "--model.quantizer.name=vector", *options]) == 0
    few, many = peak("valid", "few"), peak("train", "whole")
    assert many < few + 50

    killed = begin("train", "broken")
    while shards("broken") < 3:
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    done = shards("broken")
    assert 3 <= done < 10
    assert main([*ENCODE, "--split", "train", "--out", "broken"]) == 0
    whole, broken = ({path.name: path.read_bytes() for path in Path(name).iterdir()} for name in ("whole", "broken"))
    assert whole == broken and len(whole) == 21

    model, folder = gumbelzoo.load("runs/vq_vae_images/many"), CodeFolder("broken")
    codes, labels = folder.codes("train"), folder.labels("train")
    assert codes.shape == (IMAGES, 5, 5, 1) and np.array_equal(labels[:], np.arange(IMAGES) % 10)
    for first in range(0, IMAGES, ROWS):
        pixels = torch.from_numpy(images[first : first + ROWS].astype(np.float32) / 255)[:, None]
        decoded = model.decode(torch.from_numpy(codes[first : first + ROWS].astype(np.int64)))
        torch.testing.assert_close(decoded, model.reconstruct(pixels))
    assert main(["decode", "runs/vq_vae_images/many", "broken", "-n", "3000", "--out", "decoded.npz"]) == 0
    pixels = torch.from_numpy(images[:3000].astype(np.float32) / 255)[:, None]
    torch.testing.assert_close(torch.from_numpy(np.load("decoded.npz")["images"]), model.reconstruct(pixels))
    with capsys.disabled():
        print(f"\n{FEW:,} images take {few:.0f} MB, {IMAGES:,} take {many:.0f} MB; killed after {done} shards of 10")
