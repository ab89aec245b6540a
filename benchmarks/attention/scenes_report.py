"""Page and picture of the captions of scenes, from their record."""

from __future__ import annotations

import math
from pathlib import Path

from gumbelzoo.benchmarks.attention import report
from gumbelzoo.benchmarks.attention.report import TITLES, goals, rows_table
from gumbelzoo.benchmarks.attention.rows import (
    BATCH_SIZE,
    ENTROPIES,
    ENTROPY,
    SEEDS,
    TEMPERATURES,
    TUNING_SEED,
)
from gumbelzoo.benchmarks.attention.scenes_rows import LEARNING_RATES, ROWS, STEPS, TUNING_STEPS
from gumbelzoo.benchmarks.common.pages import markdown_table
from gumbelzoo.benchmarks.common.table import Record, at_edge, budget, not_run, section_parts
from gumbelzoo.data import PairData
from gumbelzoo.data.pairs.scenes import CLASSES, MOST, PER_DIGIT

PICTURED = {  # rows with a picture of where the network of the first seed looks
    "marginal": "scenes_marginal.png",
    "soft": "scenes_soft.png",
    "vimco_4": "scenes_vimco.png",
    "reinforce_leave_one_out": "scenes_reinforce.png",
}
CAPTIONS = {"wrong captions": "test/sequence_error"}
HEAD = f"""\
One to three MNIST digits lie on a grid of 6 x 6 cells; the caption names them from left to right, such as "3 left of 7"
(`data/pairs/scenes.py`). It follows from the scene, so the optimum is 0 nats for a reader of all digits. The encoder
mixes no cells, so the only way to a digit is to look at its cell, one of 37 places with the end. Test digits are in no
training scene. {STEPS:,} steps of {BATCH_SIZE} scenes, AdamW with a cosine schedule, a network of width 64 with as many
parameters in every row.

- `NLL`: test NLL in nats per word, end included, by the exact likelihood of the row's own model: soft attention by
  log p(y | mean of the values), all others by the exact marginal over cells, however they were trained. Mean and
  standard error over the seeds ({", ".join(map(str, SEEDS))}). `perplexity` is its exponential.
- `of marginal`: perplexity in percent of that of `marginal` with the same seed.
- `alignment error`: share of digits whose most probable cell is not the right one, in percent. `wrong captions`: share
  of scenes with any other word in the caption that the model writes, the most probable word at each step, in percent.
- `learning rate` and `temperature` are selected from {LEARNING_RATES} and {TEMPERATURES} by the validation NLL after
  {TUNING_STEPS} steps, of 500 scenes, with seed {TUNING_SEED}, which is not reported.
- Rows that are trained by a bound have a reward for the entropy of each choice, which falls to 0 from `entropy`
  per nat. It is selected from {ENTROPIES} after {STEPS:,} steps, like the others, which were selected before it with a
  reward of {ENTROPY:g}.
- `minutes` of one run on one thread, on the wall clock of a busy machine.
- All runs are older than a mend by which baselines do not see padding, and were not run again.

The same command resumes: `python benchmarks/attention/scenes.py`."""


def page(record: Record) -> list[str]:
    """Return the parts of ``scenes.md``."""
    parts = ["# Captions of scenes of digits", "![NLL and alignment error of all rows](scenes.png)", HEAD]
    if record:
        parts.append(f"{budget(record)} {at_edge(record, LEARNING_RATES, ENTROPIES)}")
    known = [[name, f"{value:.4f}", f"{math.exp(value):.3f}"] for name, value in trivial().items()]
    parts += ["## Without a model", markdown_table(["", "NLL", "perplexity"], known)]
    sections = {row.section for row in ROWS.values()}
    titles = {section: title for section, title in TITLES.items() if section in sections}
    parts += section_parts(record, ROWS, titles, lambda rows: rows_table(rows, record, CAPTIONS))
    parts += ["## Goals", goals(record), "## Where they look"]
    found = [f"`{name}`:\n\n![{name}]({picture})" for name, picture in PICTURED.items() if name in record]
    parts += found or ["Not run yet."]
    return [*parts, *not_run(record, ROWS)]


def trivial() -> dict[str, float]:
    """Return NLLs that need no model, nats per word of the test set: of a perfect reader, and of a blind one."""
    data = PairData("scenes")
    assert data.entropy is not None
    numbers = (data.splits.test.target_length + 1) // PER_DIGIT  # of digits in each scene
    blind = [math.log(MOST) + sum(math.log(CLASSES - i) for i in range(number)) for number in numbers.tolist()]
    words = int(data.splits.test.target_length.sum())
    return {"all digits read, the optimum": data.entropy, "no look at the scene, at best": sum(blind) / words}


def draw(record: Record, path: Path) -> None:
    """Draw NLL and alignment error of all rows and seeds, with the NLLs that need no model."""
    report.draw(record, path, trivial())
