"""Rows of the benchmark of Professor Forcing, and its sizes."""

from __future__ import annotations

from dataclasses import dataclass

CONFIG = "professor_forcing_shakespeare"
STEPS, LONGER = (
    1000,
    5.0,
)  # optimizer steps, and how many times as many teacher forcing has besides
SEEDS, TUNING_SEED = (0, 1, 2), 3
DROPOUTS = (0.0, 0.1, 0.2, 0.3)
TEACHER = "teacher_forcing"
LATE, ORDER = 96, 4  # first late place, and the n-grams that are compared from there on
WEIGHT = 0.3  # of the adversarial part, and width and learning rate of its discriminator
_ADVERSARY = "adversary: {width: 64, learning_rate: 1.0e-3}"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        objective: spec of the objective.
        note: text of its last column.
        control: True for controls.
        times: optimizer steps, as a multiple of ``STEPS``.
    """

    objective: str
    note: str = ""
    control: bool = False
    times: float = 1.0


def _forcing(note: str, control: bool = False, **options: str) -> Row:
    given = "".join(f", {name}: {value}" for name, value in options.items())
    return Row(f"{{name: professor_forcing, weight: {WEIGHT}, {_ADVERSARY}{given}}}", note, control)


# The most wanted first.
ROWS: dict[str, Row] = {
    TEACHER: Row("mle", "dropout selected for it", control=True),
    "detached": _forcing("the paper's gradient, through states alone"),
    "straight_through": _forcing(
        "through the sampled tokens as well", estimator="straight_through_gumbel_softmax", temperature="1.0"
    ),
    "detached_shuffled": _forcing("D's gradient is that of another sentence", control=True, shuffled="true"),
    "scheduled_sampling": Row("{name: scheduled_sampling, steps: 2000}", "half of the inputs at the end", control=True),
    "teacher_forcing_longer": Row(
        "mle", f"{LONGER:g} times the steps, in less time than the others", control=True, times=LONGER
    ),
    "reinforce": _forcing("states, and the reward log D for the tokens", estimator="reinforce"),
}
