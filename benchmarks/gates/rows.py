"""Rows of the gate benchmark: what each of them trains, and the grids of its search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from gumbelzoo.benchmarks.common.search import Choice
from gumbelzoo.data.frequencies.datamodule import FrequencyData
from gumbelzoo.data.frequencies.textures import BLOCK, CHANNELS, PLANTED, to_coefficients
from gumbelzoo.models.gates.dct import zigzag

CONFIG = "gates_frequencies"
STEPS, TUNING_STEPS = 900, 180
LEARNING_RATES = (4e-3, 8e-3, 16e-3)
TEMPERATURES = (0.5, 1.0)
TUNING_SEED = 9  # of no reported run, and the number of its set
SEEDS = (0, 1, 2)  # each with the set of that number
PENALTY = "{name: penalty, weight: 0.5}"
PENALISED, EXACTLY, DYNAMIC, CONTROL = "penalty", "exactly", "dynamic", "control"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        section: penalty, exactly, dynamic or control.
        gates: spec in the syntax of the command line, without a temperature; a control's is that of ``channels``.
        cost: spec of the cost.
        selector: spec of the selector.
        relaxed: has a temperature.
        channels: gives the open channels of a control for a set of frequencies and a seed.
        note: text of the column ``note``.
    """

    section: str
    gates: str = ""
    cost: str = PENALTY
    selector: str = "static"
    relaxed: bool = False
    channels: Callable[[FrequencyData, int], Sequence[int]] | None = None
    note: str = ""

    def options(self, choice: Choice, seed: int) -> list[str]:
        """Return the options of ``fit`` for a choice of the search."""
        gates, data = self.gates, FrequencyData(number=seed)
        if self.channels is not None:
            gates = f"{{name: fixed, open: {list(self.channels(data, seed))}}}"
        if choice.temperature is not None:
            gates = f"{gates.removesuffix('}')}, temperature: {choice.temperature}}}"
        return [
            f"--model.gates={gates}",
            f"--model.cost={self.cost}",
            f"--model.selector={self.selector}",
            f"--model.optimizer.learning_rate={choice.learning_rate}",
            f"--data.number={seed}",
            f"--seed_everything={seed}",
        ]

    @property
    def choices(self) -> list[Choice]:
        """Learning rates and temperatures of the search."""
        temperatures: Sequence[float | None] = TEMPERATURES if self.relaxed else (None,)
        return [Choice(rate, temperature) for rate in LEARNING_RATES for temperature in temperatures]


def planted(data: FrequencyData, seed: int) -> list[int]:
    """Channels that hold the class: the oracle."""
    return data.textures.planted.nonzero().flatten().tolist()


def top_variance(data: FrequencyData, seed: int) -> list[int]:
    """Channels of the largest variance."""
    return sorted(to_coefficients(data.splits.valid.rows["image"]).var((0, 2, 3)).topk(PLANTED).indices.tolist())


def at_random(data: FrequencyData, seed: int) -> list[int]:
    """Different channels for each seed."""
    return sorted(torch.randperm(CHANNELS, generator=torch.Generator().manual_seed(seed))[:PLANTED].tolist())


def _bernoulli(estimator: str, note: str = "", relaxed: bool = False, selector: str = "static") -> Row:
    section = PENALISED if selector == "static" else DYNAMIC
    return Row(section, f"{{name: bernoulli, estimator: {estimator}}}", PENALTY, selector, relaxed, None, note)


def _exactly(estimator: str, note: str = "", relaxed: bool = False, selector: str = "static") -> Row:
    gates = f"{{name: exactly_k, k: {PLANTED}, estimator: {estimator}}}"
    return Row(EXACTLY if selector == "static" else DYNAMIC, gates, "none", selector, relaxed, None, note)


def _control(channels: Callable[[FrequencyData, int], Sequence[int]], note: str = "") -> Row:
    return Row(CONTROL, cost="none", channels=channels, note=note)


REINFORCE = "{name: reinforce, samples: 4, baseline: leave_one_out}"
# In the order of their worth.
ROWS = {
    "disarm": _bernoulli("disarm", "2 draws"),
    "simple": _exactly("simple"),
    "oracle": _control(planted, "the planted channels"),
    "hard_concrete": Row(PENALISED, "{name: hard_concrete}", relaxed=True),
    "random": _control(at_random, "other channels for each seed"),
    "zigzag": _control(lambda data, seed: zigzag(BLOCK)[:PLANTED], "the lowest frequencies"),
    "top_variance": _control(top_variance),
    "all": _control(lambda data, seed: range(CHANNELS), "nothing is closed"),
    "dynamic_disarm": _bernoulli("disarm", "2 draws", selector="dynamic"),
    "scale_l1": Row(CONTROL, f"{{name: scale, k: {PLANTED}}}", note="dense scales under L1, the largest 4 kept"),
    "reinforce": _bernoulli(REINFORCE, "4 draws"),
    "straight_through_gumbel_softmax": _bernoulli("straight_through_gumbel_softmax", relaxed=True),
    "gumbel_softmax": _bernoulli("gumbel_softmax", relaxed=True),
    "reinmax": _bernoulli("reinmax", relaxed=True),
    "subset_reinforce": _exactly("reinforce", "4 draws"),
    "relaxed_top_k": _exactly("relaxed_top_k", relaxed=True),
    "straight_through_top_k": _exactly("straight_through_top_k", relaxed=True),
    "dynamic_simple": _exactly("simple", selector="dynamic"),
    "square": _control(lambda data, seed: (0, 1, BLOCK, BLOCK + 1), "the fixed square of 2 x 2"),
    "arsm": _bernoulli("arsm"),
    "rebar": _bernoulli("rebar", "2 evaluations"),
    "relax": _bernoulli("relax", "2 evaluations"),
    "dynamic_disarm_budget": Row(
        DYNAMIC,
        "{name: bernoulli, estimator: disarm}",
        f"{{name: budget, share: {PLANTED / CHANNELS}}}",
        "dynamic",
        note="2 draws; a budget of 4 channels in the place of the penalty",
    ),
}
