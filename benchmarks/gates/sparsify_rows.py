"""Rows of the sparsification benchmark: what each of them trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from gumbelzoo.data import ImageData
from gumbelzoo.models.gates import SparseClassifier
from torch import Tensor

SEEDS = (0, 1, 2)
GATES, CONTROL, CONVOLUTIONAL = "gates", "control", "convolutional"
STEPS = {"mlp": 5000, "lenet5": 1500}
MEASURED = 2000  # validation images that magnitudes are measured on

Chosen = Callable[[Sequence[int], SparseClassifier, int], list[int]]  # units, trained dense network, seed


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        section: gates, control or convolutional.
        gates: spec in the syntax of the command line; a pruned control's is that of ``chosen``.
        draw: example or batch.
        network: mlp or lenet5.
        config: configuration.
        like: row whose number of units at each place a pruned control has.
        chosen: gives the open units of such a control.
        retrained: starts from the dense network.
        price, weight: of the penalty on open gates.
        times: optimizer steps, as a multiple of those of the network.
        note: text of the column ``note``.
    """

    section: str
    gates: str = "{name: fixed}"
    draw: str = "batch"
    network: str = "mlp"
    config: str = "sparse_mnist"
    like: str = ""
    chosen: Chosen | None = None
    retrained: bool = False
    price: str = "units"
    weight: float = 1.0
    times: int = 1
    note: str = ""

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.times * STEPS[self.network]

    def options(self, seed: int, gates: str = "") -> list[str]:
        """Return the options of ``fit``; ``gates`` replaces the row's own."""
        if self.config != "sparse_mnist":
            return [f"--seed_everything={seed}", f"--data.seed={seed}"]
        cost = "none" if "fixed" in (gates or self.gates) else f"{{name: penalty, weight: {self.weight}}}"
        return [
            f"--model.network={self.network}",
            f"--model.gates={gates or self.gates}",
            f"--model.draw={self.draw}",
            f"--model.cost={cost}",
            f"--model.price={self.price}",
            f"--seed_everything={seed}",
            f"--data.seed={seed}",
        ]


def places(sizes: Sequence[int], scores: Tensor, units: Sequence[int]) -> list[int]:
    """Return the units of the largest scores, as many as ``units`` of each place; scores are ``n``."""
    found, first = list[int](), 0
    for size, number, part in zip(sizes, units, scores.split(list(sizes)), strict=True):
        found += sorted((first + part.topk(number).indices).tolist())
        first += size
    return found


def at_random(units: Sequence[int], dense: SparseClassifier, seed: int) -> list[int]:
    """Choose units at random."""
    sizes = dense.network.sizes
    return places(sizes, torch.rand(sum(sizes), generator=torch.Generator().manual_seed(seed)), units)


def by_magnitude(units: Sequence[int], dense: SparseClassifier, seed: int) -> list[int]:
    """Choose the units that pass on the most in the dense network."""
    images = ImageData("mnist", binarization="none").splits.valid.images[:MEASURED].float() / 255
    return places(dense.network.sizes, dense.network.magnitudes(images), units)


def _bernoulli(estimator: str, draw: str, network: str = "mlp", note: str = "") -> Row:
    gates = f"{{name: bernoulli, estimator: {estimator}, temperature: 0.6667}}"
    return Row(GATES if network == "mlp" else CONVOLUTIONAL, gates, draw, network, note=note)


REINFORCE = "{name: reinforce, samples: 4, baseline: leave_one_out}"
HARD = "{name: hard_concrete}"
LAYERS = "hard_concrete_layers"  # the row of the goal
AS_MANY = "as many units at each place as `hard_concrete`"
# In the order of their worth.
ROWS = {
    "hard_concrete": Row(GATES, HARD),
    "dense": Row(CONTROL, note="nothing is closed"),
    "magnitude": Row(
        CONTROL, like="hard_concrete", chosen=by_magnitude, retrained=True, note=f"{AS_MANY}; `dense`, trained again"
    ),
    "random": Row(CONTROL, like="hard_concrete", chosen=at_random, note=f"{AS_MANY}, from the first step"),
    LAYERS: Row(
        GATES,
        HARD,
        "example",
        price="layers",
        weight=1.4,
        times=2,
        note="each layer has the same price in all, penalty 1.4; twice the steps",
    ),
    "magnitude_layers": Row(
        CONTROL, like=LAYERS, chosen=by_magnitude, retrained=True, note=f"as many as `{LAYERS}`; `dense`, trained again"
    ),
    "gumbel_softmax": _bernoulli("gumbel_softmax", "batch"),
    "disarm": _bernoulli("disarm", "example", note="2 evaluations"),
    "straight_through_gumbel_softmax": _bernoulli("straight_through_gumbel_softmax", "batch"),
    "sparse_variational_dropout": Row(CONTROL, config="sparse_vd_mnist", note="Gaussian noise on weights"),
    "reinmax": _bernoulli("reinmax", "batch"),
    "lenet5_hard_concrete": Row(CONVOLUTIONAL, HARD, network="lenet5"),
    "straight_through": _bernoulli("straight_through", "batch"),
    "hard_concrete_example": Row(GATES, HARD, "example", note="a draw for each image"),
    "lenet5_dense": Row(CONVOLUTIONAL, network="lenet5", note="nothing is closed"),
    "lenet5_gumbel_softmax": _bernoulli("gumbel_softmax", "batch", "lenet5"),
    "lenet5_disarm": _bernoulli("disarm", "example", "lenet5", "2 evaluations"),
    "arsm": _bernoulli("arsm", "example"),
    "reinforce": _bernoulli(REINFORCE, "example", note="4 draws"),
    "rebar": _bernoulli("rebar", "example", note="2 evaluations"),
    "relax": _bernoulli("relax", "example", note="2 evaluations"),
}
