"""The Gumbel GAN on arithmetic strings: what it is fed of its samples, which estimator, and what packs are worth.

    python benchmarks/text/grammar.py --out runs/grammar     # goes on where it stopped
    python benchmarks/text/grammar.py --only soft ReinMax    # trains these rows only

trains what is not finished, prints a table of all rows that are, and writes ``grammar.md``. Each row
is an ordinary run folder of ``textgan_grammar``, ``<out>/<row>/textgan_grammar/1``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from gumbelzoo.benchmarks.common.measure import table, write_page
from gumbelzoo.benchmarks.common.runs import environment, finish, fit_facts, row_folder, test_metrics
from gumbelzoo.data import TextData
from gumbelzoo.data.text.grammar import language

CONFIG, SAMPLES = "textgan_grammar", 10_000
TRUTH = "the grammar itself"

# row: options beside the configuration's; all but the first take a third of its steps
STEPS = 2000
SHORT = [f"--trainer.max_steps={STEPS}"]
ROWS: dict[str, list[str]] = {
    "straight-through, 6,000 steps": [],
    "straight-through": SHORT,
    "soft": [*SHORT, "--model.objective.estimator=gumbel_softmax"],
    "soft, one-hot feedback": [*SHORT, "--model.objective.estimator=gumbel_softmax", "--model.objective.feedback=straight_through"],
    "ReinMax": [*SHORT, "--model.objective.estimator=reinmax"],
    "straight-through, no packs": [*SHORT, "--model.objective.adversary.discriminator.pack=1"],
    "straight-through, convolutions": [*SHORT, "--model.objective.adversary.discriminator=cnn"],
    "maximum likelihood": [*SHORT, "--model.objective=mle", "--model.optimizer.learning_rate=2e-3"],
}
HEADER = ["generator", "valid", "distinct valid strings", "of the grammar's own", "total variation", "NLL, nats/token"]
HEAD = f"""\
Arithmetic strings of up to 12 characters, {len(language()):,} in all, by an LSTM of 32 (`configs/{CONFIG}.yaml`,
seed 0; {STEPS:,} steps where nothing else stands), without any maximum likelihood but for the row of that name.
{SAMPLES:,} samples of each, beside {SAMPLES:,} fresh draws of the grammar. Valid: the share that parses. Total
variation: half the sum of |frequency - probability| over all strings. NLL: of the test strings, which an adversarial
objective never sees. By `python benchmarks/text/grammar.py`."""


def main() -> None:
    """Train what is not finished, print and write the table."""
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
    own = data.score(data.reference_samples(SAMPLES, torch.Generator().manual_seed(0))["grammar"])
    rows = [cells(name, test_metrics(run), own["distinct_valid"]) for name, run in runs.items()]
    rows.append(cells(TRUTH, {f"test/{name}": figure for name, figure in own.items()}, own["distinct_valid"]))
    made = environment([fit_facts(run) for run in runs.values()])
    parts = ["# A Gumbel GAN on a grammar", HEAD, made, table(HEADER, rows)]
    if missing := [name for name in ROWS if name not in runs]:
        parts.append(f"Not run yet: {'; '.join(missing)}.")
    write_page(__file__, parts)


def cells(name: str, figures: dict[str, float], own: float) -> list[str]:
    """A row of the table; ``own``: different strings among as many draws of the grammar."""
    return [
        name,
        f"{100 * figures['test/valid']:.1f}%",
        f"{figures['test/distinct_valid']:.0f}",
        f"{100 * figures['test/distinct_valid'] / own:.0f}%",
        f"{figures['test/total_variation']:.3f}",
        f"{figures['test/nll']:.3f}" if "test/nll" in figures else "",
    ]


if __name__ == "__main__":
    main()
