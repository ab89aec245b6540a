"""Release folders and checkpoints in which any field is another value, and any byte another one."""

from __future__ import annotations

import copy
import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.pretrained.run import Run
from gumbelzoo.tests.pretrained.changes import MODELS, Bomb, header
from gumbelzoo.tests.properties.harness import check, command, contents, examples, refusal
from hypothesis import strategies as st

Place = tuple[str | int, ...]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9) | st.sampled_from([10**6, 10**7, 10**8, 10**30, -(10**30)]),
    st.sampled_from([0.0, -0.0, 0.5, 1e-300, 1e300, -1.0]),
    st.sampled_from(
        ["", "exact", "mlp", "adam", "cosine", "os.system", "../x", "\x1b[2J", "a\nb", "\u202e", "x" * 5000]
    ),
    st.text(max_size=8),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["name", "class_path", "hidden", "samples", "a"]) | st.text(max_size=4), inner, max_size=3
        )
        # Nested, 300 of 300 would take the type checker of these tests 20 seconds to print; a user waits 0.2.
        | st.tuples(inner, st.sampled_from([20, 100])).map(lambda parts: [parts[0]] * parts[1])
    ),
    max_leaves=6,
)
DELETE = object()


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Places of all fields in nested mappings and lists."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*place, key)
        yield from places(item, (*place, key))


def changed(content: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """The content with another value at a place, or without it."""
    content = copy.deepcopy(content)
    *way, last = place
    holder: Any = content
    for key in way:
        holder = holder[key]
    if value is DELETE:
        del holder[last]
    else:
        holder[last] = value
    return content


def uses(folder: Path) -> None:
    """Load a release, and do with it what its model can."""
    model = gumbelzoo.load(folder)
    if hasattr(model, "image_shape") and hasattr(model, "reconstruct"):
        model.reconstruct(torch.zeros(1, *model.image_shape))
    if hasattr(model, "sample"):
        model.sample(1)


@pytest.mark.parametrize("kind", MODELS)
@examples(5, 400)
def test_changed_config_is_loaded_or_refused(
    examples: int, kind: str, releases: dict[str, Path], tmp_path: Path
) -> None:
    """A field of config.json has another value; what is loaded works."""
    folder = Path(shutil.copytree(releases[kind], tmp_path / "release"))
    path = folder / "config.json"
    content = json.loads(path.read_text())
    everywhere = [*places(content), ("a",), ("arguments", "a"), ("data", "a"), ("test", "a")]

    def holds(given: tuple[Place, Any]) -> None:
        path.write_text(json.dumps(changed(content, *given)))
        before = contents(tmp_path)
        refusal(lambda: uses(folder), names="release")
        assert contents(tmp_path) == before

    missing = st.sampled_from(list(places(content))).map(lambda place: (place, DELETE))
    check(examples, holds, st.tuples(st.sampled_from(everywhere), VALUES) | missing)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
@examples(12, 1000)
def test_damaged_file_is_loaded_or_refused(examples: int, file: str, releases: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(releases["vae"], tmp_path / "release"))
    path = folder / file
    whole = path.read_bytes()

    def holds(given: tuple[list[tuple[int, int]], int, bytes]) -> None:
        flips, length, tail = given
        data = bytearray(whole)
        for place, value in flips:
            data[place % len(data)] ^= value
        path.write_bytes(bytes(data[: len(data) - length]) + tail)
        refusal(lambda: uses(folder), names="release")

    flips = st.lists(st.tuples(st.integers(0, 1200), st.integers(1, 255)), max_size=3)
    check(
        examples,
        holds,
        st.tuples(flips, st.sampled_from([0, 0, 0, 1, 7, 100, 10**9]), st.sampled_from([b"", b"", b"\0", b"{}"])),
    )


@examples(15, 1000)
def test_changed_header_is_loaded_or_refused(examples: int, releases: dict[str, Path], tmp_path: Path) -> None:
    """A field of the header of model.safetensors has another value."""
    folder = Path(shutil.copytree(releases["vae"], tmp_path / "release"))
    whole = (folder / "model.safetensors").read_bytes()
    start = 8 + struct.unpack("<Q", whole[:8])[0]
    content = json.loads(whole[8:start])

    def holds(given: tuple[Place, Any]) -> None:
        header(changed(content, *given), whole[start:])(folder)
        refusal(lambda: uses(folder), names="release")

    found = list(places(content))
    sizes = st.integers(-1, 40) | st.sampled_from([1 << 31, 1 << 62, 1 << 64, 10**30])
    values = sizes | VALUES | st.sampled_from(["F16", "BF16", "F64", "I64", "U8", "F8_E4M3", "F31", "BOOL"])
    missing = st.sampled_from(found).map(lambda place: (place, DELETE))
    check(examples, holds, st.tuples(st.sampled_from([*found, ("a",), ("__metadata__",)]), values) | missing)


ODD = st.one_of(
    VALUES,
    st.sampled_from(
        [torch.zeros(0), torch.zeros(3, dtype=torch.complex64), torch.tensor(float("nan")), torch.ones(2, 2)]
    ),
    st.sampled_from([torch.zeros(1).to_sparse(), torch.zeros(2, device="meta"), torch.float64, torch.Size([3])]),
    st.sampled_from([b"bytes", (1, 2), {1, 2}, 1j, {3: 4}, {None: 1}, Bomb(), torch.nn.Parameter(torch.zeros(3))]),
)


@examples(12, 1000)
def test_changed_checkpoint_is_loaded_or_refused(examples: int, releases: dict[str, Path], workspace: Path) -> None:
    """A field of a checkpoint's dictionary has another value. No pickle is run."""
    model = gumbelzoo.load(releases["vae"])
    progress = {"fit_loop": {"epoch_loop.batch_progress": {"total": {"ready": 3}}}}
    content = {"state_dict": dict(model.state_dict()), "loops": progress, "global_step": 3}
    content |= {"hyper_parameters": model.config(), "epoch": 0, "pytorch-lightning_version": "2.6.6"}
    run = workspace / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text("model: {class_path: categorical_vae}\ndata: {class_path: images}\n")
    checkpoint = run / "checkpoints/best.ckpt"

    def holds(given: tuple[Place, Any]) -> None:
        torch.save(changed(content, *given), checkpoint)
        refusal(lambda: uses(run), names="best.ckpt")
        refusal(lambda: Run(run).batches)
        assert set(contents(workspace)) == {*before, "run/checkpoints/best.ckpt"}

    before = contents(workspace)
    found = list(places(content))
    missing = st.sampled_from(found).map(lambda place: (place, DELETE))
    check(
        examples,
        holds,
        st.tuples(st.sampled_from([*found, ("a",), ("state_dict", "a")]), ODD) | missing,
        [(("loops",), torch.zeros(0))],
    )


@examples(6, 300)
def test_changed_run_is_tested_or_refused(examples: int, releases: dict[str, Path], workspace: Path) -> None:
    """A field of its config.yaml, test.json or fit.json has another value: `export` and `sample` work or refuse."""
    model = gumbelzoo.load(releases["vae"])
    progress = {"fit_loop": {"epoch_loop.batch_progress": {"total": {"ready": 3}}}}
    content = {
        "state_dict": model.state_dict(),
        "loops": progress,
        "global_step": 3,
        "hyper_parameters": model.config(),
    }
    run = workspace / "run"
    (run / "checkpoints").mkdir(parents=True)
    torch.save(content, run / "checkpoints/best.ckpt")
    environment = {"versions": {"torch": "2"}, "commit": "abc", "hardware": "x"}
    measured = {"metrics": {"test/elbo": 1.0}, "data": {"data set": "digits"}, "checkpoint": "best.ckpt", **environment}
    timed = {"command": "gumbelzoo fit", "seed": 0, "batches": 3, "minutes": 0.1}
    files: dict[str, dict[str, Any]] = {
        "config.yaml": {
            "seed_everything": 0,
            "model": {"class_path": "categorical_vae", "init_args": {}},
            "data": {"class_path": "images", "init_args": {"name": "digits", "binarization": "none", "batch_size": 9}},
        },
        "test.json": {**measured, **timed},
        "fit.json": {**environment, **timed},
    }

    def holds(given: tuple[tuple[str, Place], Any]) -> None:
        (changed_file, place), value = given
        for file, whole in files.items():
            (run / file).write_text(json.dumps(changed(whole, place, value) if file == changed_file else whole))
        before = contents(workspace)
        said = command(["export", "run", "released"])
        after = contents(workspace)
        shutil.rmtree(workspace / "released", ignore_errors=True)
        assert after == before if said else (workspace / "released" / "x").parent.name == "released"
        command(["sample", "run", "-n", "1", "--out", "samples.png"])
        (workspace / "samples.png").unlink(missing_ok=True)
        assert contents(workspace) == before

    found = [(file, place) for file, whole in files.items() for place in places(whole)]
    missing = st.sampled_from(found).map(lambda place: (place, DELETE))
    kept = [
        (("test.json", ("metrics",)), DELETE),
        (("fit.json", ("command",)), "'"),
        (("test.json", ("batches",)), "3"),
    ]
    kept += [(("config.yaml", ("data", "init_args", "name")), None)]
    check(examples, holds, st.tuples(st.sampled_from(found), VALUES) | missing, kept)
