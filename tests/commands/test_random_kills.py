"""SIGKILL at random moments: a run that is killed and resumed again and again is the uninterrupted one.

A server process imports everything once, and forks for each ``fit``: a kill and a new start take a second.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import runpy
import shutil
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import gumbelzoo
import gumbelzoo.train
import pytest
import torch
from torch import Tensor

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["gumbelzoo.commands.training.trainer", "matplotlib.figure", "sklearn.datasets"])

WRITES = 7  # a process is killed before this many checkpoints
AFTER_WRITE, STARTING = 0.06, 1.0  # seconds, at most, from a checkpoint or from the start to the kill

DIGITS = {"class_path": "images", "init_args": {"name": "digits", "binarization": "dynamic", "eval_batch_size": 100}}
GRAMMAR = {"class_path": "text", "init_args": {"name": "grammar", "batch_size": 40, "eval_batch_size": 500}}
SLATES = {"class_path": "slates", "init_args": {"items": 5, "slots": 2, "batch_size": 40, "eval_batch_size": 500}}
DATA_OF = {"text_gan": GRAMMAR, "slate_agent": SLATES}  # those of images are digits
TRAINER = {
    "accelerator": "cpu",
    "max_steps": 63,  # a validation is the end
    "val_check_interval": 7,
    "limit_val_batches": 1,
    "log_every_n_steps": 2,
}
SHAPE = [1, 8, 8]
MLP = {"name": "mlp", "hidden": [8]}
CONV = {"name": "conv", "widths": [4]}
VECTOR = {"name": "vector", "codebook_size": 8}
GUMBEL = {"name": "gumbel", "codebook_size": 8, "temperature": {"name": "exponential", "rate": 0.01}}
ADVERSARY = {"discriminator": {"name": "cnn", "width": 4}}
PRETRAINED = {
    "generator": {"name": "lstm", "width": 4, "hidden": 6},
    "pretraining": {"steps": 24, "discriminator_steps": 5},
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "categorical_vae": ("categorical_vae", {"latents": 4, "categories": 3, "encoder": MLP, "decoder": MLP}),
    "relax": (
        "categorical_vae",
        {"latents": 4, "categories": 3, "encoder": MLP, "decoder": MLP, "estimator": "relax"},
    ),
    "vq_vae_ema": ("vq_vae", {"dim": 4, "encoder": CONV, "decoder": CONV, "quantizer": VECTOR}),
    "vq_vae_gumbel": ("vq_vae", {"dim": 4, "encoder": CONV, "decoder": CONV, "quantizer": GUMBEL}),
    "code_prior": ("code_prior", {"vqvae": "vqvae", "network": {"name": "pixelcnn", "width": 4, "depth": 1}}),
    "text_gan_gumbel": ("text_gan", {**PRETRAINED, "objective": {"name": "gumbel", "adversary": ADVERSARY}}),
    "text_gan_seqgan": (
        "text_gan",
        {**PRETRAINED, "objective": {"name": "seqgan", "rollouts": 1, "adversary": ADVERSARY}},
    ),
    "classifier": ("classifier", {"widths": [4], "features": 8}),
    "slate_agent": (
        "slate_agent",
        {"objective": {"name": "black_box", "critic": True, "hidden": 4}, "hidden": 4, "entropy": 0.1},
    ),
    "structured_prediction": ("structured_prediction", {"latents": 4, "categories": 3, "val_samples": 2}),
}


@pytest.fixture
def fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., BaseProcess]:
    """Start ``fit`` of ``tiny.yaml`` in a process of its own."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def start(root: str, *options: str) -> BaseProcess:
        arguments = ["fit", "--config", f"{tmp_path}/tiny.yaml", f"--trainer.default_root_dir={tmp_path / root}"]
        monkeypatch.setattr("sys.argv", ["gumbelzoo", *arguments, "--checkpoint_every=3", *options])
        process = SERVER.Process(
            target=runpy.run_path, args=(gumbelzoo.train.__file__,), kwargs={"run_name": "__main__"}
        )
        process.start()
        return process

    return start


def kill_after(process: BaseProcess, checkpoint: Path, writes: int, seconds: float) -> None:
    """Kill a process so many seconds after it has written a checkpoint so many times, if it has not ended before."""
    before, seen = stamp(checkpoint), 0
    while seen < writes and process.is_alive():
        if (now := stamp(checkpoint)) != before:
            before, seen = now, seen + 1
        time.sleep(0.0005)
    time.sleep(seconds)
    process.kill()


def stamp(path: Path) -> tuple[int, int] | None:
    try:
        return path.stat().st_ino, path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def write_config(folder: Path, family: str, trainer: dict[str, Any]) -> None:
    """Write ``tiny.yaml``, and the VQ-VAE of a prior."""
    name, arguments = MODELS[family]
    arguments = dict(arguments)
    if name == "code_prior":
        torch.manual_seed(0)
        vqvae = gumbelzoo.create_model("vq_vae", image_shape=SHAPE, **MODELS["vq_vae_ema"][1])
        arguments["vqvae"] = str(gumbelzoo.save_pretrained(vqvae, folder / "vqvae"))
    elif name not in DATA_OF:
        arguments["image_shape"] = SHAPE
    arguments["optimizer"] = {"schedule": "cosine"}
    content = {
        "model": {"class_path": name, "init_args": arguments},
        "data": DATA_OF.get(name, DIGITS),
        "trainer": {**TRAINER, **trainer},
    }
    (folder / "tiny.yaml").write_text(json.dumps(content))  # JSON is YAML


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Places where two checkpoints differ, less what is a run's own: clocks, folders, how often it has validated."""
    own = ("/callbacks/Timer", "/loops/fit_loop/epoch_loop.val_loop")
    if place.startswith(own) or place.endswith(("_path", "/dirpath", "/best_k_models")):
        return []
    if type(one) is not type(other):
        return [f"{place}: {type(one).__name__}, not {type(other).__name__}"]
    if isinstance(one, Tensor):
        return [] if torch.equal(one, other) else [place]
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return [f"{place}: {sorted(map(str, one.keys() ^ other.keys()))}"]
        return [found for key in one for found in differences(one[key], other[key], f"{place}/{key}")]
    if isinstance(one, (list, tuple)) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for number, pair in pairs for found in differences(*pair, f"{place}/{number}")]
    return [] if one == other else [f"{place}: {str(one)[:60]}, not {str(other)[:60]}"]


def assert_same_run(folder: Path, root: str, moments: str) -> None:
    whole, killed = folder / "whole/tiny/1", folder / root / "tiny/1"
    assert [path.name for path in killed.parent.iterdir()] == ["1"], moments
    assert (killed / "metrics.csv").read_text() == (whole / "metrics.csv").read_text(), moments
    for name in ("last", "best"):
        one, other = (run / f"checkpoints/{name}.ckpt" for run in (whole, killed))
        assert one.exists() == other.exists(), moments
        if one.exists():
            contents = [torch.load(path, weights_only=True) for path in (one, other)]
            assert differences(*contents) == [], f"{name}.ckpt; {moments}"
    files = [{path.relative_to(run) for path in run.rglob("*") if path.is_file()} for run in (whole, killed)]
    assert files[0] == files[1], moments
    for picture in killed.glob("figures/*.png"):
        assert picture.read_bytes().endswith(b"IEND\xaeB`\x82"), f"{picture.name}; {moments}"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("family", "trainer", "kills"),
    [
        ("text_gan_gumbel", {"max_steps": 28}, 3),
        *(pytest.param(family, {}, 14, marks=pytest.mark.slow) for family in MODELS),
    ],
)
def test_killed_run_is_the_uninterrupted(
    family: str, trainer: dict[str, Any], kills: int, tmp_path: Path, fit: Callable[..., BaseProcess]
) -> None:
    """Weights, optimizers, schedules, random state, best.ckpt and metrics.csv, after kills at any moment."""
    write_config(tmp_path, family, trainer)
    whole = fit("whole")
    whole.join()
    assert whole.exitcode == 0

    draw, done, run = random.Random(family), 0, 0
    while done < kills:
        run += 1
        options: tuple[str, ...] = ()
        moments: list[str] = []
        last = tmp_path / f"run{run}/tiny/1/checkpoints/last.ckpt"
        while True:
            process = fit(f"run{run}", *options)
            if done < kills:
                writes = draw.randrange(WRITES)
                seconds = draw.uniform(0, AFTER_WRITE if writes else STARTING)
                moments.append(f"{writes} checkpoints and {seconds:.4f} s")
                kill_after(process, last, writes, seconds)
            process.join()
            if process.exitcode != -signal.SIGKILL:
                break
            done += 1
            if last.exists():
                options = ("--ckpt_path=last",)
            else:
                shutil.rmtree(tmp_path / f"run{run}", ignore_errors=True)
        described = f"{family}, run {run}, killed after {'; '.join(moments)}"
        assert process.exitcode == 0, described
        assert_same_run(tmp_path, f"run{run}", described)
