"""Page and picture of the benchmark of text VAEs, from its record."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gumbelzoo.benchmarks.common.pages import goal_mark, markdown_table, mean_and_error
from gumbelzoo.benchmarks.common.table import Record, budget, not_run, section_parts
from gumbelzoo.benchmarks.text.textvae_rows import (
    ADVERSARIAL,
    CATEGORICAL,
    CONTROL,
    FREE_BITS,
    GAUSSIAN,
    ROWS,
    SEEDS,
)
from gumbelzoo.plots import BLUE, GREEN, GREY, ORANGE, VERMILION, plot

MODEL = "language_model"
COLUMNS = {  # metric and decimals
    "bound": 2,
    "elbo": 2,
    "kl": 2,
    "mutual_information": 2,
    "shuffle_cost": 2,
    "active_latents": 0,
    "perplexity": 2,
    "critic_accuracy": 3,
    "validation_accuracy": 3,
    "files_accuracy": 3,
    "bleu_4": 3,
    "self_bleu_4": 3,
}
EXCESS, LEAST_KL, LEAST_SHUFFLE, LEAST_INFORMATION, NEAR, FOOLED = 0.5, 3.0, 2.0, 2.0, 1.0, 0.55
HEAD = f"""\
Image captions, 9,000 for training, 1,000 for validation and 10,000 for test, by the configuration `textvae_captions`:
an LSTM of 128 that is given z at every input, and a GRU encoder. 3 latents of 16 categories and {FREE_BITS:g} free bits
(in nats) where nothing else is said. The language model is the same LSTM without z, with its own dropout, weight decay
and number of epochs, selected before by validation NLL; `best.ckpt` is that of the validation ELBO, or NLL.

- All figures are in nats per test sentence with its EOS. `bound`: importance-weighted bound on -log p(x), 500 exact
  draws, on 1,000 test sentences that are always the same; lower is better. `above`: by how much it exceeds the NLL of
  the language model of the same seed on the same sentences.
- `elbo` and `kl` are of all 10,000 sentences, from exact draws. Nothing is relaxed at test.
- `mutual_information` of z and the sentence, among the 1,000: at most log 1000 = 6.91, and never negative.
- `shuffle_cost`: what -log p(x | z) loses if z is that of another sentence. A model that ignores z loses nothing.
- Only for the adversarial row, accuracies of fresh critics on codes that they have not seen; 0.5 is chance.
  `critic_accuracy`: codes of test captions from the prior. `validation_accuracy`: codes of validation captions, which
  are of the file of training, from the prior; they also select `best.ckpt`. `files_accuracy`: codes of test captions
  from those of training captions. The two files have other captions: codes that follow the prior on one do not on the
  other. The set-up of this row was selected by about 22 trials with seed 3, which is not reported; the other rows had
  none, and the minutes of these trials are not counted.
- Seeds {", ".join(map(str, SEEDS))}, mean and standard error. With 8 free bits the KL of categories is never
  paid: `categorical_8` is the autoencoder.
- `minutes` of one run on one thread, on the wall clock of a busy machine.

The same command resumes: `python benchmarks/text/textvae.py`."""
TITLES = {
    CATEGORICAL: "Categorical latents",
    GAUSSIAN: "Gaussian latents",
    ADVERSARIAL: "Matched by a critic",
    CONTROL: "Controls",
}
COLOURS = {CATEGORICAL: BLUE, GAUSSIAN: VERMILION, ADVERSARIAL: ORANGE, CONTROL: GREEN}


def page(record: Record) -> list[str]:
    """Return the parts of ``textvae.md``."""
    parts = ["# VAEs of captions", "![Bound and KL of all rows](textvae.png)", HEAD]
    if record:
        parts.append(budget(record))
    parts += section_parts(record, ROWS, TITLES, partial(rows_table, record=record))
    parts += ["## Goals", goals(record)]
    return [*parts, *not_run(record, ROWS)]


def values(entry: Mapping[str, Any], metric: str) -> dict[str, float]:
    """Return a metric of a row's runs by seed."""
    runs = entry.get("runs", {}).items()
    return {key: run["metrics"][f"test/{metric}"] for key, run in runs if f"test/{metric}" in run["metrics"]}


def above(entry: Mapping[str, Any], record: Record) -> list[float]:
    """Return by how much the bounds exceed the language model's NLL, of seeds that both have."""
    own, model = values(entry, "bound"), values(record.get(MODEL, {}), "bound")
    return [own[seed] - model[seed] for seed in own if seed in model]


def rows_table(rows: Record, record: Record) -> str:
    """Return a line for each row, the lowest bound first; metrics that no row has are left out."""
    columns = {name: digits for name, digits in COLUMNS.items() if any(values(entry, name) for entry in rows.values())}
    cells = []
    for name, entry in sorted(rows.items(), key=lambda row: statistics.mean(values(row[1], "bound").values())):
        found = [mean_and_error(list(values(entry, metric).values()), digits) for metric, digits in columns.items()]
        minutes = statistics.median(run["minutes"] for run in entry["runs"].values())
        excess = "" if name == MODEL else mean_and_error(above(entry, record), 2)
        cells.append([f"`{name}`", excess, *found, str(len(entry["runs"])), f"{minutes:.0f}", ROWS[name].note])
    return markdown_table(["row", "above", *columns, "seeds", "minutes", "note"], cells)


def goals(record: Record) -> str:
    """Return each goal with what was found."""
    if MODEL not in record:
        return "Not measured yet."
    lines = []
    names = [name for name in record if ROWS[name].section == CATEGORICAL and ROWS[name].free_bits == FREE_BITS]
    for name in names:
        excess = above(record[name], record)
        kl, cost, information = means(record[name], "kl", "shuffle_cost", "mutual_information")
        reached = bool(excess) and statistics.mean(excess) <= EXCESS and kl >= LEAST_KL and cost >= LEAST_SHUFFLE
        lines.append(
            f"- `{name}`: at most {EXCESS} above the language model, a KL of {LEAST_KL:g} or more, a shuffle cost of "
            f"{LEAST_SHUFFLE:g} or more: {mean_and_error(excess, 2)}, {kl:.2f}, {cost:.2f}. {goal_mark(reached)} With "
            f"mutual information of {LEAST_INFORMATION:g} or more besides: {information:.2f}. "
            f"{goal_mark(reached and information >= LEAST_INFORMATION)}"
        )
    if names and "gaussian" in record:
        best = min(names, key=lambda name: means(record[name], "bound")[0])
        difference = means(record[best], "bound")[0] - means(record["gaussian"], "bound")[0]
        lines.append(
            f"- Best categorical row within {NEAR:g} nat of `gaussian` at the same free bits: `{best}`, "
            f"{difference:+.2f}. {goal_mark(difference <= NEAR)}"
        )
    if "adversarial" in record:
        test, files, information, cost = means(
            record["adversarial"], "critic_accuracy", "files_accuracy", "mutual_information", "shuffle_cost"
        )
        validation = list(values(record["adversarial"], "validation_accuracy").values())
        reached = test <= FOOLED and information >= LEAST_INFORMATION and cost >= LEAST_SHUFFLE
        lines.append(
            f"- `adversarial`: a fresh critic's accuracy on test captions at most {FOOLED}, with mutual information of "
            f"{LEAST_INFORMATION:g} and a shuffle cost of {LEAST_SHUFFLE:g} or more: {test:.3f}, {information:.2f}, "
            f"{cost:.2f}. {goal_mark(reached)} On validation captions it is {mean_and_error(validation, 3)}, and "
            f"between the captions of the two files {files:.3f}."
        )
    return "\n".join(lines) or "Not measured yet."


def means(entry: Mapping[str, Any], *metrics: str) -> list[float]:
    """Return means over seeds."""
    return [statistics.mean(values(entry, metric).values()) for metric in metrics]


def draw(record: Record, path: Path) -> None:
    """Draw the bound against the KL of all rows and seeds that have both, and the language model's NLL as a line."""
    with plot(path, 9, 5.5) as figure:
        axes = figure.subplots()
        for section, colour in COLOURS.items():
            axes.plot([], [], "o", color=colour, label=section)
        for name, entry in record.items():
            bound, kl = values(entry, "bound"), values(entry, "kl")
            seeds = [seed for seed in bound if seed in kl]
            if not seeds or name == "autoencoder":  # whose KL is far outside
                continue
            x, y = [kl[seed] for seed in seeds], [bound[seed] for seed in seeds]
            axes.plot(x, y, "o", color=COLOURS[ROWS[name].section])
            axes.annotate(name, (x[0], y[0]), textcoords="offset points", xytext=(6, 4), fontsize=8)
        if model := values(record.get(MODEL, {}), "bound"):
            axes.axhline(statistics.mean(model.values()), color=GREY, linestyle="--", label="language model, exact")
        axes.set_xlabel("KL, nats per sentence")
        axes.set_ylabel("bound on -log p(x) of 500 samples,\nnats per sentence; lower is better")
        figure.legend(loc="outside lower center", ncols=5, fontsize=9)
