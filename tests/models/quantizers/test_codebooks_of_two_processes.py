"""Codebooks of two processes equal those of one process on their joined batches."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from gumbelzoo.models.quantizers import QUANTIZERS, CodebookUsage
from gumbelzoo.models.quantizers.codebook import Codebook
from gumbelzoo.registry import Spec
from torch import Tensor

SMALL: dict[str, Any] = {"codebook_size": 7, "kmeans_batches": 2, "dead_code_threshold": 0.2}
VECTOR: dict[str, Any] = {"name": "vector", **SMALL}
GUMBEL: dict[str, Any] = {"name": "gumbel", **SMALL}
FORMS: dict[str, Spec] = {
    "ema": VECTOR,
    "loss": {**VECTOR, "update": "loss", "cosine": True},
    "gumbel": GUMBEL,
    "gumbel, residual": {**GUMBEL, "codebooks": 2, "residual": True},
    "residual": {"name": "residual", "quantizer": VECTOR, "codebooks": 2},
}
WHOLE, FIRST, SECOND = slice(0, 12), slice(0, 5), slice(5, 12)
TIMEOUT = 250


def train(share: slice, seed: int) -> dict[str, dict[str, Tensor]]:
    """Two batches of k-means, then moving averages and a reset; the state at the end and the usage of all codes."""
    result = {}
    for name, spec in FORMS.items():
        torch.manual_seed(0)
        quantizer = QUANTIZERS.build(spec, dim=4, positions=3)
        usage = CodebookUsage(quantizer.codebooks, quantizer.codebook_size)
        for step in range(6):
            batch = torch.randn(12, 3, 4, generator=torch.Generator().manual_seed(step))[share]
            torch.manual_seed(step + seed)
            usage.update(quantizer(batch).codes)
            if step == 3:
                for codebook in quantizer.modules():
                    if isinstance(codebook, Codebook):
                        codebook.counts[2:5] = 0.0
        result[name] = {**quantizer.state_dict(), **usage.compute()}
    return result


def train_together(folder: Path, rank: int, share: slice, seed: int) -> dict[str, dict[str, Tensor]]:
    """``train`` as one of two processes."""
    wait = timedelta(seconds=TIMEOUT)
    dist.init_process_group("gloo", f"file://{folder}/store", timeout=wait, world_size=2, rank=rank)
    try:
        return train(share, seed)
    finally:
        dist.destroy_process_group()


def test_two_processes_have_the_codebook_of_one(tmp_path: Path) -> None:
    """Their batches differ in size, and so do their random numbers."""
    alone = train(WHOLE, seed=0)
    second = subprocess.Popen([sys.executable, __file__, str(tmp_path)], stderr=subprocess.PIPE, text=True)
    try:
        first = train_together(tmp_path, 0, FIRST, seed=0)
        _, errors = second.communicate(timeout=TIMEOUT)
    finally:
        second.kill()
    assert second.returncode == 0, errors
    other = torch.load(tmp_path / "second.pt", weights_only=True)
    for form, state in alone.items():
        for name, value in state.items():
            assert torch.equal(first[form][name], other[form][name]), (form, name)
            assert torch.allclose(first[form][name], value, rtol=1e-4, atol=1e-5), (form, name)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.save(train_together(Path(sys.argv[1]), 1, SECOND, seed=99), Path(sys.argv[1]) / "second.pt")
