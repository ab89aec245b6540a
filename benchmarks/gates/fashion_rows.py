"""Rows of the benchmark of frequencies of Fashion-MNIST: what each of them trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from gumbelzoo.data import ImageData
from gumbelzoo.models.gates.dct import block_dct, zigzag

CONFIG = "gates_fashion_mnist"
SEEDS = (0, 1, 2)
STEPS = 2500
BLOCK, CHANNELS, K = 4, 16, 4
VALIDATION = 2000  # images that subsets are evaluated on
LEARNED, CONTROL, SUBSETS = "learned", "control", "subsets"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        section: learned, control or subsets.
        gates: spec in the syntax of the command line; a control's may be that of ``channels``.
        cost: spec of the cost.
        k: channels of evaluation.
        channels: gives the open channels of a control for a seed.
        note: text of the column ``note``.
    """

    section: str
    gates: str = ""
    cost: str = "none"
    k: int = K
    channels: Callable[[int], Sequence[int]] | None = None
    note: str = ""

    def options(self, seed: int) -> list[str]:
        """Return the options of ``fit``."""
        gates = self.gates if self.channels is None else f"{{name: fixed, open: {list(self.channels(seed))}}}"
        return [
            f"--model.gates={gates}",
            f"--model.cost={self.cost}",
            f"--seed_everything={seed}",
            f"--data.seed={seed}",
        ]


def validation() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the validation images that subsets are evaluated on, ``b 1 28 28`` in [0, 1], and their labels."""
    split = ImageData("fashion_mnist", binarization="none").splits.valid
    return split.images[:VALIDATION].float() / 255, split.labels[:VALIDATION]


def top_variance(seed: int) -> list[int]:
    """Channels of the largest variance."""
    images, _ = validation()
    with torch.no_grad():
        return sorted(block_dct(1, BLOCK)(images).var((0, 2, 3)).topk(K).indices.tolist())


def at_random(seed: int) -> list[int]:
    """Different channels for each seed."""
    return sorted(torch.randperm(CHANNELS, generator=torch.Generator().manual_seed(seed))[:K].tolist())


def _exactly(k: int, estimator: str = "simple") -> Row:
    return Row(LEARNED, f"{{name: exactly_k, k: {k}, estimator: {estimator}}}", k=k)


# In the order of their worth.
ROWS = {
    "subsets": Row(SUBSETS, f"{{name: random_k, k: {K}}}", note="the network that all subsets are evaluated on"),
    "simple_4": _exactly(4),
    "all": Row(CONTROL, "{name: fixed}", k=CHANNELS, note="nothing is closed"),
    "zigzag": Row(CONTROL, channels=lambda seed: sorted(zigzag(BLOCK)[:K]), note="the lowest frequencies"),
    "random": Row(CONTROL, channels=at_random, note="other channels for each seed"),
    "top_variance": Row(CONTROL, channels=top_variance),
    "square": Row(CONTROL, channels=lambda seed: (0, 1, BLOCK, BLOCK + 1), note="the fixed square of 2 x 2"),
    "scale_l1": Row(
        CONTROL, f"{{name: scale, k: {K}}}", "{name: penalty, weight: 0.5}", note="scales under L1, the largest 4 kept"
    ),
    "simple_6": _exactly(6),
    "simple_8": _exactly(8),
    "simple_2": _exactly(2),
    "relaxed_top_4": _exactly(4, "relaxed_top_k"),
    "reinforce_4": _exactly(4, "reinforce"),
}
