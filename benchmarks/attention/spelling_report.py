"""Page and picture of spelling to sound, from its record."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gumbelzoo.benchmarks.attention.report import NLL, OF_SOFT, relative, seeds_of, verdict
from gumbelzoo.benchmarks.attention.spelling_rows import BATCH_SIZE, ENTROPY, EPOCHS, LEARNING_RATE, ROWS, SEEDS
from gumbelzoo.benchmarks.common.pages import goal_mark, markdown_table, mean_and_error
from gumbelzoo.benchmarks.common.table import Record, budget, not_run
from gumbelzoo.plots import BLUE, plot

WORDS, PHONES = "test/sequence_error", "test/token_error"
GOAL = 34.0  # wrong words of soft attention, percent
FEWER = 0.3  # of the marginal, points
HEAD = f"""\
Words of the CMU Pronouncing Dictionary and their phones, without stress, split once, by word
(`data/pairs/cmudict.py`). A bidirectional LSTM reads the letters, an LSTM of 128 writes the phones. {EPOCHS} epochs of
106,861 words in batches of {BATCH_SIZE}, AdamW with a cosine schedule and a learning rate of {LEARNING_RATE:g}, as many
parameters in every row. Nothing was searched but the reward of entropy, by trials whose minutes are not counted. That
`vimco_4` is a row was decided in trials of three epochs with seed 0.

- `words wrong`, `phones wrong`: of the test set, against the nearest of several pronunciations, the most probable phone
  at each step, in percent; mean and standard error over the seeds ({", ".join(map(str, SEEDS))}).
- `perplexity`: per phone, end included, by the exact likelihood of the row's own model: soft attention by
  log p(y | mean of the values), the others by the exact marginal over letters. `of marginal`: in percent of that of
  `marginal` with the same seed.
- Rows that are trained by a bound have a reward for the entropy of each choice, which falls to 0 from {ENTROPY:g}
  per nat. It was selected for `reinforce_leave_one_out` by the validation NLL of two epochs with seed 9, which is not
  reported: 0.2852 from 0.1, 0.3005 from 0.3 and 0.5035 from 1. `vimco_4` has the same without a search of its own.
- Of 15 runs 13 are older than a mend by which baselines do not see padding, and were not run again.
- `minutes` of one run on one thread, on the wall clock of a busy machine.
- Published, on other splits: 33.9% of words wrong for a weighted transducer and 30.2% for a transformer of 3 x 256
  (cmusphinx/g2p-seq2seq), about 34% for a small LSTM with attention.

The same command resumes: `python benchmarks/attention/spelling.py`."""


def page(record: Record) -> list[str]:
    """Return the parts of ``spelling.md``."""
    parts = ["# Spelling to sound", "![Wrong words and perplexity of all rows](spelling.png)", HEAD]
    if record:
        parts += [budget(record), _rows(record)]
    return [*parts, "## Goals", goals(record), *not_run(record, ROWS)]


def percent(entry: Mapping[str, Any], metric: str) -> list[float]:
    """Return a metric of a row's runs in percent."""
    return [100 * value for value in seeds_of(entry, metric).values()]


def _rows(record: Record) -> str:
    lines = []
    for name, entry in record.items():
        nll = list(seeds_of(entry, NLL).values())
        lines.append(
            [
                f"`{name}`",
                mean_and_error(percent(entry, WORDS), 2),
                mean_and_error(percent(entry, PHONES), 2),
                mean_and_error(list(map(math.exp, nll)), 4),
                mean_and_error(relative(entry, record), 2),
                str(len(nll)),
                f"{statistics.median(run['minutes'] for run in entry['runs'].values()):.0f}",
                ROWS[name].note,
            ]
        )
    for title, metric in OF_SOFT.items() if "soft" in record else ():
        soft = record["soft"]
        perplexity = mean_and_error(list(map(math.exp, seeds_of(soft, metric).values())), 4)
        of_marginal = mean_and_error(relative(soft, record, metric), 2)
        lines.append([title, "", "", perplexity, of_marginal, str(len(soft["runs"])), "", "the runs of `soft`"])
    header = ["row", "words wrong", "phones wrong", "perplexity", "of marginal", "seeds", "minutes", "note"]
    return markdown_table(header, lines)


def goals(record: Record) -> str:
    """Return each goal with what was found; a difference within two standard errors is a tie."""
    if not {"marginal", "soft"} <= record.keys():
        return "Not measured yet."
    soft, marginal = record["soft"], record["marginal"]
    wrong = statistics.mean(percent(soft, WORDS))
    lines = [f"- `soft`, at most {GOAL:g}% of words wrong: {wrong:.2f}%. {goal_mark(wrong <= GOAL)}"]
    own, other = seeds_of(soft, WORDS), seeds_of(marginal, WORDS)
    fewer = [100 * (own[seed] - other[seed]) for seed in own if seed in other]
    mark = verdict(fewer) if statistics.mean(fewer) >= FEWER else goal_mark(False)
    lines.append(
        f"- `marginal` has {FEWER:g} points of wrong words fewer than `soft`: {mean_and_error(fewer, 2)}. {mark}"
    )
    excess = [value - 100 for value in relative(soft, record)]
    lines.append(
        f"- `marginal` at most `soft` in perplexity: soft is {mean_and_error(excess, 2)}% above. {verdict(excess)}"
    )
    samplers = [name for name in record if ROWS[name].entropies]
    above = {name: [value - 100 for value in relative(record[name], record)] for name in samplers}
    if above:
        best = min(above, key=lambda name: statistics.mean(above[name]))
        mark = goal_mark(statistics.mean(above[best]) <= 2)
        lines.append(
            f"- Best sampler within 2% of `marginal`: `{best}`, {mean_and_error(above[best], 2)}% above. {mark}"
        )
    return "\n".join(lines)


def draw(record: Record, path: Path) -> None:
    """Draw wrong words and perplexity of all rows and seeds."""
    names = list(record)[::-1]
    with plot(path, 9, 1.6 + 0.35 * len(names)) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        for height, name in enumerate(names):
            words, nll = percent(record[name], WORDS), seeds_of(record[name], NLL).values()
            left.plot(words, [height] * len(words), "o", color=BLUE)
            right.plot(list(map(math.exp, nll)), [height] * len(words), "o", color=BLUE)
        left.set_yticks(range(len(names)), names, fontsize=9)
        left.set_xlabel("words wrong, percent; lower is better")
        right.set_xlabel("test perplexity per phone; lower is better")
