"""Settings of all tests: shapes and types are checked at run time, and torch uses one thread."""

from __future__ import annotations

from jaxtyping import install_import_hook

install_import_hook("gumbelzoo", "beartype.beartype")

import logging  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402
from gumbelzoo.registry import Registry  # noqa: E402

torch.set_num_threads(1)

REAL = os.environ.get("GUMBELZOO_DATA")

TINY = """\
model:
  class_path: categorical_vae
  init_args:
    image_shape: [1, 8, 8]
    latents: 4
    categories: 3
    encoder: {name: mlp, hidden: [16]}
    decoder: {name: mlp, hidden: [16]}
    temperature: {name: exponential, initial: 1.0, minimum: 0.5, rate: 0.01}
    optimizer: {schedule: cosine}
    bound_samples: 5
data:
  class_path: images
  init_args: {name: digits, binarization: dynamic}
trainer:
  accelerator: cpu
  max_epochs: 3
  log_every_n_steps: 5
"""


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random numbers in any order of the tests, and in any number of processes."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget modules that a test imported from its own folder, its parts, and its places to look for modules."""
    modules, places = set(sys.modules), list(sys.path)
    parts = {registry: set(registry) for registry in list(Registry.everyone)}
    place = str(tmp_path_factory.getbasetemp())
    yield
    sys.path[:] = places
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(place):
            del sys.modules[name]
    for registry, known in parts.items():
        for name in set(registry) - known:
            if registry[name].__module__.partition(".")[0] != "gumbelzoo":
                del registry._entries[name]
                registry.plugins.pop(name, None)


@pytest.fixture
def default_dtype() -> Iterator[Callable[[torch.dtype], None]]:
    """Set torch's default type, as Lightning does in a step whose weights have 16 or 64 bits; it is restored."""
    yield torch.set_default_dtype
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def tiny_config() -> str:
    """Configuration of a tiny model of digits: 13 batches an epoch, three epochs."""
    return TINY


@pytest.fixture
def real() -> Callable[[str], str]:
    """Find a file or folder of the real data and return their root; skip the test without it."""

    def find(name: str) -> str:
        if REAL is None or not (Path(REAL) / name).exists():
            pytest.skip(f"GUMBELZOO_DATA has no {name}")
        return REAL

    return find


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with ``tiny.yaml`` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["gumbelzoo"])
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


@pytest.fixture(autouse=True)
def _levels() -> object:
    """Restore the levels of Lightning's loggers, which the command line changes."""
    names = ("lightning.pytorch", "lightning.fabric")
    levels = [logging.getLogger(name).level for name in names]
    yield
    for name, level in zip(names, levels, strict=True):
        logging.getLogger(name).setLevel(level)
