"""Rows of the attention benchmark: what each of them trains, and the grids of its search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gumbelzoo.benchmarks.common.search import Choice

CONFIG = "attention_cipher"
STEPS, TUNING_STEPS = 400, 80
BATCH_SIZE = 64
LEARNING_RATES = (6e-3, 1.2e-2, 2.4e-2)
TEMPERATURES = (0.5, 1.0)
TUNING_SEED = 9  # of no reported run
SEEDS = (0, 1, 2)
# Initial rewards of a choice per nat of its entropy, of rows that are trained by a bound: of their search, and before.
ENTROPIES, ENTROPY = (0.1, 0.3, 1.0), 1.0
LIKELIHOOD, BOUND, SAMPLES, CONTROL = "likelihood", "bound", "samples", "control"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        section: likelihood, bound, samples or control.
        attention: name or spec in the syntax of the command line, without a temperature.
        relaxed: has a temperature.
        entropy: initial reward per nat, before it is searched.
        note: text of the column ``note``.
        rates: learning rates of the search.
    """

    section: str
    attention: str
    relaxed: bool = False
    entropy: float = 0.0
    note: str = ""
    rates: Sequence[float] = LEARNING_RATES

    def options(self, rate: float, temperature: float | None, entropy: float | None = None) -> list[str]:
        """Return the options of ``fit`` for a choice of the search."""
        entropy = self.entropy if entropy is None else entropy
        attention = self.attention
        if temperature is not None:
            attention = f"{attention.removesuffix('}')}, temperature: {temperature}}}"
        return [
            f"--model.attention={attention}",
            f"--model.entropy={entropy}",
            f"--model.optimizer.learning_rate={rate}",
            f"--data.batch_size={BATCH_SIZE}",
            "--trainer.limit_val_batches=1",  # 500 pairs
        ]

    @property
    def entropies(self) -> Sequence[float]:
        """Rewards of entropy of the second search, of a bound."""
        return ENTROPIES if self.section in (BOUND, SAMPLES) else ()

    @property
    def choices(self) -> list[Choice]:
        """Learning rates and temperatures of the search."""
        temperatures: Sequence[float | None] = TEMPERATURES if self.relaxed else (None,)
        return [Choice(rate, temperature) for rate in self.rates for temperature in temperatures]


def _bound(estimator: str, note: str = "", relaxed: bool = False) -> Row:
    return Row(BOUND, f"{{name: bound, estimator: {estimator}}}", relaxed, ENTROPY, note)


def _relaxed(estimator: str, note: str = "") -> Row:
    return _bound(estimator, note, relaxed=True)


def _reinforce(samples: int, baseline: str, note: str = "") -> Row:
    return _bound(f"{{name: reinforce, samples: {samples}, baseline: {baseline}}}", note)


def _samples(m: int, estimator: str, note: str = "", relaxed: bool = False) -> Row:
    return Row(SAMPLES, f"{{name: multi_sample, m: {m}, estimator: {estimator}}}", relaxed, ENTROPY, note)


# The most wanted first.
ROWS: dict[str, Row] = {
    "marginal": Row(LIKELIHOOD, "marginal", note="all places, no sample"),
    "soft": Row(LIKELIHOOD, "soft", note="another model: the mean of all places"),
    "exact": _bound("exact", "the bound without noise"),
    "reinforce_leave_one_out": _reinforce(4, "leave_one_out", "4 samples"),
    "straight_through_gumbel_softmax": _relaxed("straight_through_gumbel_softmax"),
    "gumbel_softmax": _relaxed("gumbel_softmax"),
    "reinmax": _relaxed("reinmax"),
    "vimco_4": _samples(4, "vimco", "m = 4"),
    "uniform": Row(CONTROL, "uniform", note="the mean of all places, equally"),
    "fixed": Row(CONTROL, "fixed", note="places drawn once and for all"),
    "exact_no_entropy": Row(CONTROL, "{name: bound, estimator: exact}", note="`exact` without the reward of entropy"),
    "reinforce_moving_average": _reinforce(1, "moving_average"),
    "reinforce_none": _reinforce(1, "none"),
    "straight_through": _relaxed("straight_through"),
    "reinforce_learned": _reinforce(1, "learned"),
    "unordered": _bound("{name: unordered, samples: 4}", "4 different places"),
    "gumbel_rao": _relaxed("gumbel_rao", "10 inner samples"),
    "gapped_straight_through": _relaxed("gapped_straight_through"),
    "decoupled_straight_through_gumbel_softmax": _relaxed("decoupled_straight_through_gumbel_softmax"),
    "rebar": _relaxed("rebar"),
    "relax": _relaxed("relax"),
    "muprop": _bound("muprop"),
    "arsm": _bound("arsm", "46 evaluations"),
}
