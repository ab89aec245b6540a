"""Shapes and types are checked in every test; one thread, so that timings and sums do not depend on the machine."""

from __future__ import annotations

from jaxtyping import install_import_hook

install_import_hook("gumbelzoo", "beartype.beartype")

import logging  # noqa: E402
import os  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)

REAL = os.environ.get("GUMBELZOO_DATA")

TINY = """\
model:
  class_path: CategoricalVAE
  init_args:
    image_shape: [1, 8, 8]
    latents: 4
    categories: 3
    hidden: [16]
    temperature: {name: exponential, initial: 1.0, minimum: 0.5, rate: 0.01}
    lr_schedule: cosine
    bound_samples: 5
data:
  class_path: ImageData
  init_args: {name: digits, binarization: dynamic}
trainer:
  accelerator: cpu
  max_epochs: 3
  log_every_n_steps: 5
"""


@pytest.fixture(scope="session")
def tiny_config() -> str:
    """Digits, 13 batches an epoch, three epochs."""
    return TINY


@pytest.fixture
def real() -> Callable[[str], str]:
    """Finds a file or folder of the real data and gives their root, or skips with the reason."""

    def find(name: str) -> str:
        if REAL is None or not (Path(REAL) / name).exists():
            pytest.skip(f"GUMBELZOO_DATA has no {name}")
        return REAL

    return find


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with ``tiny.yaml``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["gumbelzoo"])
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


@pytest.fixture(autouse=True)
def _levels() -> object:
    """The command line quiets Lightning's loggers; give them back."""
    names = ("lightning.pytorch", "lightning.fabric")
    levels = [logging.getLogger(name).level for name in names]
    yield
    for name, level in zip(names, levels, strict=True):
        logging.getLogger(name).setLevel(level)
