"""Rows of the leaderboard: what each of them trains, and the grids from which its options are selected."""

from __future__ import annotations

from dataclasses import dataclass

STEPS, TUNING_STEPS, SEVERAL_STEPS = 25_000, 2_000, 5_000
SEEDS = (0, 1, 2)
LEARNING_RATES = (1e-3, 2e-3)  # the temperature is selected at the first
TEMPERATURES = (0.5, 1.0, 1.5)
VAE = "catvae_mnist"
SEVERAL_ESTIMATORS = ("gumbel_softmax", "straight_through_gumbel_softmax", "vimco")
ANNEALED = "--model.temperature={name: exponential, initial: 1.0, minimum: 0.5, rate: 1.0e-4}"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        estimator: its name; empty for a row that is named like its estimator.
        options: further command-line options.
        temperatures: grid; empty for an estimator without a temperature, or with a given one.
        section: table of the row: ``one`` sample in the objective, or ``several``.
        note: text of the column ``note``.
        config: configuration that is trained.
        learning_rates: grid; empty if ``options`` gives the learning rate.
    """

    estimator: str = ""
    options: tuple[str, ...] = ()
    temperatures: tuple[float, ...] = ()
    section: str = "one"
    note: str = ""
    config: str = VAE
    learning_rates: tuple[float, ...] = LEARNING_RATES

    @property
    def has_temperature(self) -> bool:
        """True if the estimator's temperature is selected or given."""
        return bool(self.temperatures) or any(option.startswith("--model.temperature=") for option in self.options)

    def command_options(self, name: str) -> list[str]:
        """Return the options of ``fit`` for the row of this name, before anything is selected."""
        estimator = [f"--model.estimator={self.estimator or name}"] if self.config == VAE else []
        return [*estimator, *self.options]


def _several(estimator: str, m: int) -> Row:
    options = [f"--model.training_samples={m}", f"--trainer.max_steps={SEVERAL_STEPS}"]
    options.append("--model.optimizer.learning_rate=0.002")
    if estimator != "vimco":
        options.append("--model.temperature=0.5")
    elif m == 1:
        options.append("--model.estimator.samples=2")
    note = "2 samples, each the other's baseline" if estimator == "vimco" and m == 1 else ""
    return Row(estimator, tuple(options), section="several", learning_rates=(), note=note)


def _baseline(name: str) -> tuple[str, ...]:
    return "--model.estimator.samples=1", f"--model.estimator.baseline={name}"


ROWS: dict[str, Row] = {
    "gumbel_softmax": Row(temperatures=TEMPERATURES),
    "straight_through_gumbel_softmax": Row(temperatures=TEMPERATURES),
    "straight_through": Row(temperatures=TEMPERATURES),
    "gumbel_rao": Row(temperatures=TEMPERATURES, note="10 inner samples"),
    "reinmax": Row(temperatures=TEMPERATURES),
    "rebar": Row(temperatures=TEMPERATURES),
    "relax": Row(temperatures=TEMPERATURES),
    "reinforce_leave_one_out": Row("reinforce", note="4 samples"),
    "reinforce_learned": Row("reinforce", _baseline("learned")),
    "reinforce_moving_average": Row("reinforce", _baseline("moving_average")),
    "reinforce_none": Row("reinforce", _baseline("none")),
    "muprop": Row(),
    "gapped_straight_through": Row(temperatures=TEMPERATURES),
    "decoupled_straight_through_gumbel_softmax": Row(temperatures=TEMPERATURES, note="forward temperature 0.7"),
    "concrete": Row(temperatures=TEMPERATURES, note="prior temperature 0.4"),
    "unordered": Row(note="4 samples without replacement"),
    "arsm": Row(note="46 cost evaluations per step"),
    "gumbel_softmax_annealed": Row("gumbel_softmax", (ANNEALED,), note="1 to 0.5 over the first 7,000 steps"),
    "straight_through_gumbel_softmax_annealed": Row("straight_through_gumbel_softmax", (ANNEALED,)),
    "straight_through_annealed": Row("straight_through", (ANNEALED,)),
    "gaussian": Row(config="gaussian_vae_mnist", note="continuous reference, no estimator"),
    **{f"{name}_{m}": _several(name, m) for name in SEVERAL_ESTIMATORS for m in (1, 5, 50)},
}
