"""Rows of spelling to sound: those of the enciphered strings that can be afforded on 106,861 words."""

from __future__ import annotations

from gumbelzoo.benchmarks.attention import rows

CONFIG = "attention_cmudict"
SEEDS = rows.SEEDS
BATCH_SIZE, EPOCH, EPOCHS = 128, 835, 10  # optimizer steps in an epoch
STEPS = EPOCHS * EPOCH
LEARNING_RATE = 2e-3  # of the configuration; nothing is searched
# The most wanted first.
NAMES = ("marginal", "soft", "vimco_4", "reinforce_leave_one_out", "uniform")
ENTROPY = 0.1  # initial reward per nat of rows that are trained by a bound
ROWS = {name: rows.ROWS[name] for name in NAMES}


def options(name: str, seed: int) -> list[str]:
    """Return the options of ``fit`` for a row and a seed."""
    row = ROWS[name]
    return [
        f"--model.attention={row.attention}",
        f"--model.entropy={ENTROPY if row.entropies else 0.0}",
        f"--model.optimizer.learning_rate={LEARNING_RATE}",
        f"--data.batch_size={BATCH_SIZE}",
        f"--seed_everything={seed}",
        "--trainer.max_epochs=-1",  # the steps count
    ]
