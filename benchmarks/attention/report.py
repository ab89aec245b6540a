"""Page and picture of the attention benchmark, from its record."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from gumbelzoo.benchmarks.attention.rows import (
    BATCH_SIZE,
    BOUND,
    CONTROL,
    ENTROPIES,
    ENTROPY,
    LEARNING_RATES,
    LIKELIHOOD,
    ROWS,
    SAMPLES,
    SEEDS,
    STEPS,
    TEMPERATURES,
    TUNING_SEED,
    TUNING_STEPS,
)
from gumbelzoo.benchmarks.common.cosines import PART_STEPS, cosine_table
from gumbelzoo.benchmarks.common.pages import goal_mark, markdown_table, mean_and_error
from gumbelzoo.benchmarks.common.table import Record, at_edge, budget, not_run, section_parts
from gumbelzoo.data import PairData
from gumbelzoo.plots import BLUE, GREEN, GREY, ORANGE, VERMILION, plot

NLL, ERROR = "test/nll", "test/alignment_error"
# Metrics of soft runs that are controls: the same trained network, used as a hard one.
OF_SOFT = {"soft, argmax at test": "test/argmax_nll", "soft, marginal at test": "test/marginal_nll"}
TITLES = {
    LIKELIHOOD: "Trained by its own likelihood",
    BOUND: "Trained by the bound of one sample",
    SAMPLES: "Trained by the bound of m samples",
    CONTROL: "Controls",
}
HEAD = f"""\
Strings of 4 to 9 letters are enciphered by a hidden permutation of the places and a hidden alphabet; one letter in ten
is replaced by a random one (`data/pairs/cipher.py`). So the place that each step must look at is known, and so is the
entropy of the targets. The encoder mixes no places. {STEPS} steps of {BATCH_SIZE} pairs, AdamW with a cosine schedule,
a network of width 64 with the same number of parameters in every row.

- `NLL`: test NLL in nats per target token, EOS included, by the exact likelihood of the row's own model: soft attention
  by log p(y | mean of the values), all others by the exact marginal over places, however they were trained. Mean and
  standard error over seeds {", ".join(map(str, SEEDS))}. `perplexity` is its exponential.
- `of marginal`: perplexity in percent of that of `marginal` with the same seed.
- `alignment error`: share of target letters whose most probable place is not the right one, in percent.
- `learning rate` and `temperature` are selected from {LEARNING_RATES} and {TEMPERATURES} by the validation NLL after
  {TUNING_STEPS} steps, of 500 pairs, with seed {TUNING_SEED}, which is not reported.
- Rows that are trained by a bound have a reward for the entropy of each choice, which falls to 0 from `entropy`
  per nat. It is selected from {ENTROPIES} after {STEPS} steps, like the others, which were selected before it with a
  reward of {ENTROPY:g}. Without it even the bound without noise commits to wrong places early: see `exact_no_entropy`.
- `minutes` of one run on one thread, on the wall clock of a busy machine, on which some runs were paused for minutes.
- `concrete` draws as `gumbel_softmax` does, and differs only in a KL that is not used here. `disarm` is for two
  categories.

The same command resumes: `python benchmarks/attention/attention.py`."""
COSINES = (
    "Cosine with the exact gradient of the bound of one sample, without entropy, for the weights of the query, which "
    "only the choice trains, for 32 pairs: of one draw, and of the mean of 20 draws, which is nearer to 1 for a "
    "gradient with less bias or noise. Columns are the steps of the runs of `exact` whose last networks are compared; "
    "0 is an untrained one. Baselines and control variates are trained before, by "
    f"{PART_STEPS} draws with the rest fixed."
)


def page(record: Record) -> list[str]:
    """Return the parts of ``attention.md``."""
    parts = ["# Attention with known alignments", "![NLL and alignment error of all rows](attention.png)", HEAD]
    if record:
        parts.append(f"{budget(record)} {at_edge(record, LEARNING_RATES, ENTROPIES)}")
    known = [[name, f"{value:.4f}", f"{math.exp(value):.3f}"] for name, value in trivial().items()]
    parts += ["## Without a model", markdown_table(["", "NLL", "perplexity"], known)]
    parts += section_parts(record, ROWS, TITLES, partial(rows_table, record=record))
    parts += ["## Goals", goals(record), "## Gradients against `exact`", cosine_table(record, COSINES)]
    return [*parts, *not_run(record, ROWS)]


def trivial() -> dict[str, float]:
    """Return NLLs that need no model, nats per target token of the test set."""
    data = PairData("cipher")
    counts = [torch.zeros(len(data.target_vocabulary)) for _ in range(2)]
    for count, pairs in zip(counts, (data.splits.train, data.splits.test), strict=True):
        steps = torch.arange(pairs.target.shape[1]) < pairs.target_length[:, None]
        count += pairs.target[steps].bincount(minlength=len(count))
    log_p = (counts[0] / counts[0].sum()).log()
    unigram = -float((counts[1] * log_p).sum() / counts[1].sum())
    assert data.entropy is not None
    return {"entropy of the data, the optimum": data.entropy, "frequencies of the training tokens": unigram}


def seeds_of(entry: Mapping[str, Any], metric: str) -> dict[str, float]:
    """Return a metric of a row's runs by seed."""
    return {key: run["metrics"][metric] for key, run in entry.get("runs", {}).items()}


def relative(entry: Mapping[str, Any], record: Record, metric: str = NLL) -> list[float]:
    """Return the perplexities in percent of those of ``marginal``, of seeds that both have."""
    own, marginal = seeds_of(entry, metric), seeds_of(record.get("marginal", {}), NLL)
    return [100 * math.exp(own[seed] - marginal[seed]) for seed in own if seed in marginal]


def rows_table(rows: Record, record: Record, shares: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return a line for each row, the best first; the controls have two of ``soft`` besides.

    Args:
        rows: of a section.
        record: of all rows.
        shares: titles of further columns, and their metrics, which are shown in percent.
    """
    lines: list[tuple[str, str, str]] = [(name, name, NLL) for name in rows]
    if CONTROL in {ROWS[name].section for name in rows} and "soft" in record:
        lines += [(title, "soft", metric) for title, metric in OF_SOFT.items()]
    cells = []
    for title, name, metric in sorted(lines, key=lambda line: _mean(record[line[1]], line[2])):
        entry, choice = record[name], record[name]["choice"]
        nll, errors = list(seeds_of(entry, metric).values()), list(seeds_of(entry, ERROR).values())
        looks = ROWS[name].attention not in ("uniform", "fixed")
        cells.append(
            [
                f"`{title}`" if title == name else title,
                mean_and_error(nll, 4),
                str(len(nll)),
                f"{statistics.mean(map(math.exp, nll)):.3f}",
                mean_and_error(relative(entry, record, metric), 1),
                mean_and_error([100 * error for error in errors], 2) if looks else "",
                *(_share(entry, share) if title == name else "" for share in shares.values()),
                f"{choice['learning_rate']:g}",
                *(f"{choice[option]:g}" if option in choice else "" for option in ("temperature", "entropy")),
                f"{statistics.median(run['minutes'] for run in entry['runs'].values()):.1f}",
                ROWS[name].note if title == name else "the runs of `soft`",
            ]
        )
    header = ["row", "NLL", "seeds", "perplexity", "of marginal", "alignment error", *shares]
    return markdown_table([*header, "learning rate", "temperature", "entropy", "minutes", "note"], cells)


def _share(entry: Mapping[str, Any], metric: str) -> str:
    return mean_and_error([100 * value for value in seeds_of(entry, metric).values()], 2)


def goals(record: Record) -> str:
    """Return each goal with what was found; a difference within two standard errors is a tie."""
    if not {"marginal", "soft"} <= record.keys():
        return "Not measured yet."
    excess = [value - 100 for value in relative(record["soft"], record)]
    lines = [
        f"- `marginal` at most `soft` in perplexity: soft is {mean_and_error(excess, 2)}% above. {verdict(excess)}"
    ]
    for name in ("marginal", "exact"):
        if name in record:
            error = 100 * _mean(record[name], ERROR)
            lines.append(f"- `{name}`, alignment error below 1%: {error:.2f}%. {goal_mark(error < 1)}")
    samplers = [name for name in record if ROWS[name].section in (BOUND, SAMPLES) and name != "exact"]
    if samplers:
        best = min(samplers, key=lambda name: _mean(record[name], NLL))
        excess = [value - 100 for value in relative(record[best], record)]
        above, found = mean_and_error(excess, 2), goal_mark(statistics.mean(excess) <= 2)
        lines.append(f"- Best sampler within 2% of `marginal`: `{best}`, {above}% above. {found}")
    return "\n".join(lines)


def verdict(differences: Sequence[float]) -> str:
    """Return whether paired differences of a row and a better one are above 0 by more than two standard errors."""
    if len(differences) < 2:
        return "One seed decides nothing."
    mean, error = statistics.mean(differences), statistics.stdev(differences) / len(differences) ** 0.5
    return "A tie." if abs(mean) <= 2 * error else goal_mark(mean > 0)


def _mean(entry: Mapping[str, Any], metric: str) -> float:
    return statistics.mean(seeds_of(entry, metric).values())


def draw(record: Record, path: Path, known: Mapping[str, float] | None = None) -> None:
    """Draw NLL and alignment error of all rows and seeds, with NLLs that need no model; None takes ``trivial``."""
    colours = {LIKELIHOOD: BLUE, BOUND: VERMILION, SAMPLES: ORANGE, CONTROL: GREEN}
    names = sorted(record, key=lambda name: -_mean(record[name], NLL))
    with plot(path, 11, 2.2 + 0.28 * len(names)) as figure:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        for height, name in enumerate(names):
            colour = colours[ROWS[name].section]
            nll = list(seeds_of(record[name], NLL).values())
            left.plot(nll, [height] * len(nll), "o", color=colour)
            if ROWS[name].attention not in ("uniform", "fixed"):
                errors = [100 * error for error in seeds_of(record[name], ERROR).values()]
                right.plot(errors, [height] * len(errors), "o", color=colour)
        for section, colour in colours.items():
            left.plot([], [], "o", color=colour, label=TITLES[section].lower())
        for (name, value), style in zip((known or trivial()).items(), ("--", ":"), strict=True):
            left.axvline(value, color=GREY, linestyle=style, label=name)
        left.set_yticks(range(len(names)), names, fontsize=9)
        left.set_xlabel("test NLL of the own exact likelihood,\nnats per target token; lower is better")
        right.set_xlabel("alignment error, percent")
        right.set_xlim(left=-2)
        figure.legend(loc="outside lower center", ncols=2, fontsize=9)
