"""The Gumbel GAN on arithmetic strings: estimators, feedback of samples to the generator, and packed discriminators.

    python benchmarks/text/grammar.py --out runs/grammar     # the same command resumes
    python benchmarks/text/grammar.py --only soft ReinMax    # trains these rows only

It trains what is not finished, and writes ``grammar.md`` with all rows that are. Each row is an ordinary run folder,
``<out>/<row>/textgan_grammar/1``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from gumbelzoo.benchmarks.common.pages import markdown_table, write_page
from gumbelzoo.benchmarks.common.runs import environment, finish, fit_record, row_folder, test_metrics
from gumbelzoo.data import TextData
from gumbelzoo.data.text.grammar import language

CONFIG, SAMPLES = "textgan_grammar", 10_000
TRUTH = "the grammar itself"

# Options of each row in addition to the configuration; all but the first have a third of its steps.
STEPS = 2000
SHORT = [f"--trainer.max_steps={STEPS}"]
ROWS: dict[str, list[str]] = {
    "straight-through, 6,000 steps": [],
    "straight-through": SHORT,
    "soft": [*SHORT, "--model.objective.estimator=gumbel_softmax"],
    "soft, one-hot feedback": [
        *SHORT,
        "--model.objective.estimator=gumbel_softmax",
        "--model.objective.feedback=straight_through",
    ],
    "ReinMax": [*SHORT, "--model.objective.estimator=reinmax"],
    "straight-through, no packs": [*SHORT, "--model.objective.adversary.discriminator.pack=1"],
    "straight-through, convolutions": [*SHORT, "--model.objective.adversary.discriminator=cnn"],
    "maximum likelihood": [*SHORT, "--model.objective=mle", "--model.optimizer.learning_rate=2e-3"],
}
HEADER = [
    "generator",
    "valid",
    "distinct valid strings",
    "share of the grammar's",
    "total variation",
    "NLL, nats/token",
]
HEAD = f"""\
Arithmetic strings of up to 12 characters, {len(language()):,} in all, by an LSTM of 32 (`configs/{CONFIG}.yaml`, seed
0, {STEPS:,} steps unless the row says otherwise). Only the row of that name uses maximum likelihood. {SAMPLES:,}
samples of each model, compared with {SAMPLES:,} fresh draws of the grammar. Valid: share of samples that parse. Total
variation: half the sum of |frequency - probability| over all strings. NLL: of the test strings, which an adversarial
objective does not optimize. `python benchmarks/text/grammar.py` writes this page."""


def main() -> None:
    """Train what is not finished, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/grammar"))
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    sys.argv = sys.argv[:1]
    torch.set_num_threads(1)
    folders = {name: row_folder(out, name) for name in ROWS}
    for name in arguments.only:
        print(name, test_metrics(finish(folders[name], CONFIG, ROWS[name], test=True)), flush=True)
    runs = {name: folder / CONFIG / "1" for name, folder in folders.items()}
    runs = {name: run for name, run in runs.items() if (run / "test.json").is_file()}
    data = TextData("grammar")
    data.prepare_data()
    data.setup("test")
    truth = data.score(data.reference_samples(SAMPLES, torch.Generator().manual_seed(0))["grammar"])
    rows = [cells(name, test_metrics(run), truth["distinct_valid"]) for name, run in runs.items()]
    rows.append(cells(TRUTH, {f"test/{name}": value for name, value in truth.items()}, truth["distinct_valid"]))
    machine = environment([fit_record(run) for run in runs.values()])
    parts = ["# A Gumbel GAN on a grammar", HEAD, machine, markdown_table(HEADER, rows)]
    if missing := [name for name in ROWS if name not in runs]:
        parts.append(f"Not run yet: {'; '.join(missing)}.")
    write_page(__file__, parts)


def cells(name: str, metrics: dict[str, float], distinct: float) -> list[str]:
    """Return a row of the table.

    Args:
        name: of the row.
        metrics: test metrics.
        distinct: number of different strings among as many draws of the grammar.
    """
    return [
        name,
        f"{100 * metrics['test/valid']:.1f}%",
        f"{metrics['test/distinct_valid']:.0f}",
        f"{100 * metrics['test/distinct_valid'] / distinct:.0f}%",
        f"{metrics['test/total_variation']:.3f}",
        f"{metrics['test/nll']:.3f}" if "test/nll" in metrics else "",
    ]


if __name__ == "__main__":
    main()
