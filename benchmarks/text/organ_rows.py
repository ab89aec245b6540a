"""Rows of the ORGAN benchmark, and its sizes."""

from __future__ import annotations

from dataclasses import dataclass

CONFIG = "organ_qm9"
PRETRAINING, STEPS, BATCH = 1500, 1500, 128
STOPS = (200, 500, 1000, STEPS)  # steps of the objective after which the arms of the claim are measured
LONG = 5000  # steps of the configuration
SEEDS = (0, 1, 2)
SCORED = STEPS * BATCH  # molecules that an objective scores in training, and that the searches may score
SAMPLES = 12_000  # so that 10,000 are valid
MAXIMUM_LIKELIHOOD = "maximum_likelihood"
ARMS = ("weight_0", "weight_0.2")  # whose curves are compared
SEARCHES = ("best_of_n", "hill_climbing")


@dataclass(frozen=True)
class Row:
    """One trained row.

    Attributes:
        note: text of its last column.
        options: of ``fit``.
        steps: of the objective.
    """

    note: str
    options: tuple[str, ...] = ()
    steps: int = STEPS


LONGEST, LONGEST_CONTROL = "weight_0.05_long", "weight_0_long"
# Longer runs go on from shorter ones, so the rate must not fall; the configuration's schedule would.
RATE = "--model.optimizer={learning_rate: 3.0e-4, schedule: constant}"


def _weight(weight: float, note: str, *options: str) -> Row:
    return Row(note, (f"--model.objective.weight={weight:g}", RATE, *options))


_GUMBEL = (
    "{name: organ_gumbel, domain_reward: {name: log_p, most_atoms: 9, closed_shell: true}, weight: 0.2, "
    "copies: unique, memory: 10000, "
    "adversary: {discriminator: cnn, loss: standard, steps: 1, learning_rate: 1.0e-3}}"
)

# The most wanted first.
ROWS: dict[str, Row] = {
    MAXIMUM_LIKELIHOOD: Row("the start of the others", (RATE,), steps=0),
    LONGEST: Row(f"the configuration: {LONG:,} steps, a rate that falls from 0.001", steps=LONG),
    "weight_0": _weight(0.0, "control: logP alone, no discriminator"),
    "weight_0.2": _weight(0.2, ""),
    "weight_0.2_shuffled_discriminator": _weight(
        0.2, "control: D's score of another molecule", "--model.objective.adversary.reward=shuffled"
    ),
    "weight_0.2_batch": _weight(
        0.2,
        "as in the paper: copies in a batch share their reward",
        "--model.objective.memory=0",
        "--model.objective.copies=shared",
    ),
    "weight_0.2_gumbel": Row(
        "D's gradient through straight-through Gumbel-Softmax samples", (f"--model.objective={_GUMBEL}", RATE)
    ),
    "weight_1": _weight(1.0, "control: the discriminator alone, SeqGAN without roll-outs"),
    "weight_0.2_shuffled_domain": _weight(
        0.2, "control: logP of another molecule", "--model.objective.domain_control=shuffled"
    ),
    "weight_0.2_constant_domain": _weight(0.2, "control: logP 1 for all", "--model.objective.domain_control=constant"),
    LONGEST_CONTROL: Row("control: the configuration without a discriminator", ("--model.objective.weight=0",), LONG),
}
