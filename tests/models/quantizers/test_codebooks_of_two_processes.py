"""Two processes hold the codebook that one process has on their joined batches (pitfall 21)."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from gumbelzoo.models.quantizers import QUANTIZERS, CodebookUse
from gumbelzoo.models.quantizers.codebook import Codebook
from torch import Tensor

SMALL = {"codebook_size": 7, "start_batches": 2, "revive": 0.2}
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "ema": ("vector", SMALL),
    "loss": ("vector", {**SMALL, "update": "loss", "cosine": True}),
    "gumbel": ("gumbel", SMALL),
    "gumbel, residual": ("gumbel", {**SMALL, "codebooks": 2, "residual": True}),
    "residual": ("residual", {"codebooks": 2, "quantizer_options": SMALL}),
}
WHOLE, FIRST, SECOND = slice(0, 12), slice(0, 5), slice(5, 12)
TIMEOUT = 250


def train(share: slice, seed: int) -> dict[str, dict[str, Tensor]]:
    """Two batches of k-means, then moving averages and a revival; the state at the end and the use of all codes."""
    result = {}
    for name, (kind, options) in FORMS.items():
        torch.manual_seed(0)
        quantizer = QUANTIZERS[kind](4, **options)
        use = CodebookUse(quantizer.codebooks, quantizer.codebook_size)
        for step in range(6):
            batch = torch.randn(12, 3, 4, generator=torch.Generator().manual_seed(step))[share]
            torch.manual_seed(step + seed)
            use.update(quantizer(batch).codes)
            if step == 3:
                for codebook in quantizer.modules():
                    if isinstance(codebook, Codebook):
                        codebook.counts[2:5] = 0.0
        result[name] = {**quantizer.state_dict(), **use.compute()}
    return result


def train_together(folder: Path, rank: int, share: slice, seed: int) -> dict[str, dict[str, Tensor]]:
    """The same as one of two processes."""
    wait = timedelta(seconds=TIMEOUT)
    dist.init_process_group("gloo", f"file://{folder}/store", timeout=wait, world_size=2, rank=rank)
    try:
        return train(share, seed)
    finally:
        dist.destroy_process_group()


def test_two_processes_have_the_codebook_of_one(tmp_path: Path) -> None:
    """Their batches differ in size, and their random numbers differ."""
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
