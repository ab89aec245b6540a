"""Rows of the glimpse benchmark: what each of them trains, and the grids of its search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gumbelzoo.benchmarks.common.search import Choice

STEPS, TWO_STEPS = 3000, 1500  # the latter of two glimpses and their control
LONG_STEPS = 12_000  # of the rows that the goals are about, once more
TUNING = 5  # a search's runs have so many times fewer steps
LEARNING_RATES = (1e-3, 2e-3, 4e-3)  # 8e-3 may be ahead after a fifth of the steps, and ends behind
TEMPERATURES = (0.5, 1.0)
TUNING_SEED = 9  # of no reported run
SEEDS = (0, 1, 2)
# Initial rewards of a choice per nat of its entropy, where a policy learns: of their search, and before.
ENTROPIES, ENTROPY = (0.0, 0.02), 0.02
SIX, TWO, WARP, CNN, CONTROL = "six glimpses", "two glimpses", "spatial transformer", "whole image", "control"
LENGTHS = {SIX: (6, STEPS), TWO: (2, TWO_STEPS)}  # glimpses, and steps of a run


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        section: six glimpses, two glimpses, spatial transformer, whole image or control.
        config: configuration.
        given: further options of ``fit``.
        relaxed: has a temperature.
        limited: has at most the operations of six glimpses.
        steps: of a run.
        note: text of the column ``note``.
        like: row whose choice it has; without one it has a search of its own.
        chooses: a policy learns the places, with a reward of entropy.
    """

    section: str
    config: str
    given: tuple[str, ...]
    relaxed: bool = False
    limited: bool = True
    steps: int = STEPS
    note: str = ""
    like: str = ""
    chooses: bool = False

    def options(self, rate: float, temperature: float | None = None, entropy: float | None = None) -> list[str]:
        """Return the options of ``fit`` for a choice of the search."""
        tau = [] if temperature is None else [f"--model.temperature={temperature}"]
        reward = [f"--model.entropy={ENTROPY if entropy is None else entropy}"] if self.chooses else []
        return [*self.given, *tau, *reward, f"--model.optimizer.learning_rate={rate}"]

    @property
    def choices(self) -> list[Choice]:
        """Learning rates and temperatures of the search."""
        temperatures: Sequence[float | None] = TEMPERATURES if self.relaxed else (None,)
        return [Choice(rate, temperature) for rate in LEARNING_RATES for temperature in temperatures]

    @property
    def entropies(self) -> Sequence[float]:
        """Rewards of entropy of the second search, of a row that has a search of its own."""
        return ENTROPIES if self.chooses and not self.like else ()


def _glimpses(section: str, estimator: str, note: str = "", relaxed: bool = False) -> Row:
    number, steps = LENGTHS[section]
    given = (f"--model.glimpses={number}", f"--model.estimator={estimator}")
    return Row(section, "glimpse_clutter", given, relaxed, steps=steps, note=note, chooses=True)


def _soft(section: str) -> Row:
    number, steps = LENGTHS[section]
    given = (f"--model.glimpses={number}", "--model.soft=true")
    return Row(
        section, "glimpse_clutter", given, steps=steps, note="the mean of all windows: differentiable", chooses=True
    )


def _control(places: str, note: str, glimpses: int = 6, *given: str) -> Row:
    options = (f"--model.glimpses={glimpses}", f"--model.places={places}", *given)
    return Row(CONTROL, "glimpse_clutter", options, steps=TWO_STEPS if glimpses == 2 else STEPS, note=note)


def _transformer(name: str, localizer: str, note: str) -> Row:
    given = (f"--model.transform={name}", f"--model.localizer={{name: {localizer}, widths: [16, 24]}}")
    return Row(WARP, "glimpse_transformer", given, note=note)


def _cnn(widths: str, features: int, limited: bool = True, note: str = "") -> Row:
    given = (f"--model.widths={widths}", f"--model.features={features}")
    return Row(CNN, "glimpse_cnn", given, limited=limited, note=note or f"channels {widths}, {features} features")


def _reinforce(samples: int, baseline: str) -> str:
    return f"{{name: reinforce, samples: {samples}, baseline: {baseline}}}"


REGRESSION, SOFT_ARGMAX = "all numbers by regression, the paper's", "its shift is a mean over places"
TWO_PATHS = _reinforce(2, "leave_one_out")
# The most wanted first.
ROWS: dict[str, Row] = {
    "reinforce_leave_one_out_6": _glimpses(SIX, TWO_PATHS, "2 paths"),
    "straight_through_gumbel_softmax_6": _glimpses(SIX, "straight_through_gumbel_softmax", relaxed=True),
    "gumbel_softmax_6": _glimpses(SIX, "gumbel_softmax", relaxed=True),
    "soft_6": _soft(SIX),
    "transformer_affine": _transformer("affine", "regression", REGRESSION),
    "transformer_attention_soft_argmax": _transformer("attention", "soft_argmax", SOFT_ARGMAX),
    "cnn_12_24_32": _cnn("[12,24,32]", 64),
    "random_6": _control("random", "places are drawn"),
    "coarse": _control("policy", "the coarse view alone", glimpses=0),
    "oracle_6": _control("oracle", "the places nearest to the digit, told"),
    "policy_6": replace(
        _control(
            "policy",
            "places from the state alone, `reinforce_leave_one_out_6` otherwise",
            6,
            f"--model.estimator={TWO_PATHS}",
        ),
        chooses=True,
    ),
    "centre_6": _control("centre", "the middle of the image"),
    "transformer_attention": _transformer("attention", "regression", REGRESSION),
    "transformer_affine_soft_argmax": _transformer("affine", "soft_argmax", SOFT_ARGMAX),
    "cnn_8_16_32_64": _cnn("[8,16,32,64]", 64),
    "cnn_16_24_32_64": _cnn("[16,24,32,64]", 64),
    "cnn_unlimited": _cnn("[32,64,128,128]", 128, limited=False, note="no limit on operations"),
    "reinforce_leave_one_out": _glimpses(TWO, _reinforce(4, "leave_one_out"), "4 paths"),
    "soft": _soft(TWO),
    "random_2": _control("random", "places are drawn, two glimpses", glimpses=2),
    **{
        name: _glimpses(TWO, name, relaxed=True)
        for name in (
            "straight_through_gumbel_softmax",
            "gumbel_softmax",
            "reinmax",
            "straight_through",
            "gapped_straight_through",
            "decoupled_straight_through_gumbel_softmax",
            "gumbel_rao",
        )
    },
    "reinforce_moving_average": _glimpses(TWO, _reinforce(1, "moving_average")),
    "reinforce_learned": _glimpses(TWO, _reinforce(1, "learned")),
    "reinforce_none": _glimpses(TWO, _reinforce(1, "none")),
    "unordered": _glimpses(TWO, "{name: unordered, samples: 2}", "nested: 2 x 2 paths"),
    "muprop": _glimpses(TWO, "muprop", "nested"),
    "rebar": _glimpses(TWO, "rebar", "nested", relaxed=True),
    "relax": _glimpses(TWO, "relax", "nested", relaxed=True),
}
LONGER = (
    "reinforce_leave_one_out_6",
    "transformer_attention_soft_argmax",
    "random_6",
    "cnn_12_24_32",
    "cnn_8_16_32_64",
    "cnn_16_24_32_64",
)
ROWS |= {f"{name}_long": replace(ROWS[name], steps=LONG_STEPS, like=name) for name in LONGER}
