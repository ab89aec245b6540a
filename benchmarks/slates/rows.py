"""Rows of the slate benchmark: what each of them trains, and the grids of its search."""

from __future__ import annotations

from dataclasses import dataclass

from gumbelzoo.benchmarks.common.search import Choice

CONFIG = "slate_agent"
STEPS, TUNING_STEPS = 1500, 300
LEARNING_RATES = (2e-3, 4e-3, 8e-3)
TEMPERATURES = (0.5, 1.0)
TUNING_SEED = 9  # of no reported run
SEEDS, ENVIRONMENTS = (0, 1, 2), (1, 2, 3, 4)  # seeds in environment 0; further environments, with seed 0
# Too many slates to enumerate: some rows, one seed, and nothing selected anew.
LARGE, LARGE_ITEMS, LARGE_SLOTS, LARGE_USERS = "large", 1000, 10, 64
LARGE_ROWS = ("reinforce_leave_one_out", "gumbel_softmax", "straight_through_gumbel_softmax")
LEAVE_ONE_OUT = "{name: reinforce, samples: 4, baseline: leave_one_out}"
WHITE, BLACK, CONTROL, NO_ENTROPY = "white box", "black box", "control", "without a reward of entropy"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        section: white box, black box, control, or without a reward of entropy.
        estimator: spec in the syntax of the command line.
        options: further options of ``fit``.
        relaxed: has a temperature.
        everywhere: is trained in all environments; else in environment 0 only.
        note: text of the column ``note``.
    """

    section: str
    estimator: str
    options: tuple[str, ...] = ()
    relaxed: bool = False
    everywhere: bool = True
    note: str = ""

    def command_options(self) -> list[str]:
        """Return the options of ``fit`` before anything is selected."""
        return [f"--model.estimator={self.estimator}", *self.options]

    @property
    def choices(self) -> list[Choice]:
        """Learning rates and temperatures of the search."""
        temperatures = TEMPERATURES if self.relaxed else (None,)
        return [Choice(rate, temperature) for rate in LEARNING_RATES for temperature in temperatures]


def _reinforce(samples: int, baseline: str) -> str:
    return f"{{name: reinforce, samples: {samples}, baseline: {baseline}}}"


def _white(estimator: str, note: str = "") -> Row:
    return Row(WHITE, estimator, relaxed=True, note=note)


def _critic(estimator: str, relaxed: bool = True) -> Row:
    options = ("--model.objective={name: black_box, critic: true}",)
    return Row(BLACK, estimator, options, relaxed)


def _no_entropy(estimator: str, relaxed: bool = True) -> Row:
    # The reward of entropy was chosen with REINFORCE, so it is no help to the others by design.
    return Row(NO_ENTROPY, estimator, ("--model.entropy=0.0",), relaxed, everywhere=False)


# The most wanted first.
ROWS: dict[str, Row] = {
    "reinforce_leave_one_out": Row(WHITE, LEAVE_ONE_OUT, note="4 slates"),
    "straight_through_gumbel_softmax": _white("straight_through_gumbel_softmax"),
    "gumbel_softmax": _white("gumbel_softmax"),
    "reinmax": _white("reinmax"),
    "black_box_reinforce_leave_one_out": Row(
        BLACK, LEAVE_ONE_OUT, ("--model.objective=black_box",), note="4 slates, a draw of each"
    ),
    "exact": Row(WHITE, "exact", ("--data.batch_size=64",), everywhere=False, note="64 users a step, all slates"),
    "black_box_straight_through_gumbel_softmax": _critic("straight_through_gumbel_softmax"),
    "past_blanked": Row(CONTROL, LEAVE_ONE_OUT, ("--model.past=false",), note="the agent sees only its user"),
    "random_reward": Row(
        CONTROL,
        LEAVE_ONE_OUT,
        ("--model.objective={name: black_box, shuffled: true}",),
        note="purchases of another user's slate",
    ),
    "black_box_reinforce_critic": _critic(_reinforce(1, "none"), relaxed=False),
    "straight_through": _white("straight_through"),
    "reinforce_moving_average": Row(WHITE, _reinforce(1, "moving_average")),
    "reinforce_none": Row(WHITE, _reinforce(1, "none")),
    "black_box_reinmax": _critic("reinmax"),
    "reinforce_leave_one_out_no_entropy": _no_entropy(LEAVE_ONE_OUT, relaxed=False),
    "straight_through_gumbel_softmax_no_entropy": _no_entropy("straight_through_gumbel_softmax"),
    "gumbel_softmax_no_entropy": _no_entropy("gumbel_softmax"),
    "reinmax_no_entropy": _no_entropy("reinmax"),
    "black_box_gumbel_softmax": _critic("gumbel_softmax"),
    "gumbel_rao": _white("gumbel_rao", "10 inner samples"),
    "gapped_straight_through": _white("gapped_straight_through"),
    "decoupled_straight_through_gumbel_softmax": _white("decoupled_straight_through_gumbel_softmax"),
    "reinforce_learned": Row(WHITE, _reinforce(1, "learned")),
    "rebar": _white("rebar", "nested"),
    "relax": _white("relax", "nested"),
    "muprop": Row(WHITE, "muprop", note="nested"),
    "unordered": Row(WHITE, "{name: unordered, samples: 2}", note="nested: 2 x 2 x 2 slates"),
}
