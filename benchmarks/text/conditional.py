"""Molecules of an asked-for third of logP: how many are valid, in that third, different and new, by temperature.

    python benchmarks/text/conditional.py            # the release, two minutes; extras chem and bpe
    python benchmarks/text/conditional.py runs/textvae_smiles/1

The page is written beside this script for the release only.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from gumbelzoo.benchmarks.common.pages import markdown_table, write_page
from gumbelzoo.commands.files.source import build_data, resolve_source
from gumbelzoo.evaluation.molecules import canonical

RELEASE = "textvae-smiles-conditional"
TEMPERATURES = (1.0, 0.8, 0.6, 0.4, 0.3)
NUMBER = 1000  # samples of each class
GOAL, GOAL_VALID = 0.85, 0.90
HEADER = ["temperature", "valid", "in the third", "low", "middle", "high", "in the next third", "unique", "new"]
HEAD = f"""\
The release `{RELEASE}` writes molecules of ZINC of which the third of logP is given: {NUMBER:,} of each third at each
temperature, one seed for each third (0, 1, 2), judged by rdkit. All columns but `valid` are shares of valid samples.

- `in the third`: logP is in the third that was asked for; `low`, `middle`, `high`: by that third. Chance is 0.33.
- `in the next third`: a control, the same samples judged as if the next third (of `high`, `low`) had been asked for.
- `unique`: different molecules among those of one third. `new`: share of these in no training molecule, by canonical
  form.

Goal: {GOAL:.2f} in the third that was asked for, at {GOAL_VALID:.2f} valid.
`python benchmarks/text/conditional.py` writes this page."""


@torch.no_grad()
def measure(model: Any, data: Any, known: set[str | None], temperature: float) -> list[float]:
    """Return the figures of a row."""
    parts: list[list[float]] = []
    for label in range(model.classes):
        generator = torch.Generator().manual_seed(label)
        options = {"temperature": temperature, "banned": data.vocabulary.unk, "generator": generator}
        tokens = model.sample_tokens(NUMBER, label=label, **options)
        molecules = [canonical(data.vocabulary.decode(row)) for row in tokens]
        valid = [molecule for molecule in molecules if molecule is not None]
        judged = [
            float(data.label_metrics(tokens, torch.full((NUMBER,), asked))["conditional_accuracy"])
            for asked in (label, (label + 1) % model.classes)
        ]
        different = set(valid)
        new = len(different - known) / max(1, len(different))
        parts.append([len(valid) / NUMBER, *judged, len(different) / max(1, len(valid)), new])
    valid_share, right, other, unique, new = torch.tensor(parts).mean(0).tolist()
    return [valid_share, right, *(part[1] for part in parts), other, unique, new]


def goal(rows: dict[float, list[float]]) -> str:
    """Return at which temperatures the goal is reached."""
    reached = [f"{name:g}" for name, row in rows.items() if row[0] >= GOAL_VALID and row[1] >= GOAL]
    if not reached:
        return "The goal is **not reached** at any of these temperatures."
    unique = min(rows[float(name)][6] for name in reached)
    return (
        f"At temperature 1 it is {rows[1.0][1]:.2f} at {rows[1.0][0]:.2f} valid. Of {len(rows)} "
        f"temperatures the goal is reached at {' and '.join(reached)}, where {unique:.0%} of the molecules are "
        "different. These samples pick the temperature too."
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default=RELEASE, help=f"release or run folder (default: {RELEASE})")
    options = parser.parse_args()
    source = resolve_source(options.source)
    data: Any = build_data(source.data)
    data.prepare_data()
    data.setup("fit")
    known = {canonical(data.vocabulary.decode(row)) for row in data.splits.train.tokens}
    rows = {value: measure(source.model, data, known, value) for value in TEMPERATURES}
    table = markdown_table(HEADER, [[f"{name:g}", *(f"{x:.3f}" for x in row)] for name, row in rows.items()])
    if options.source == RELEASE:
        write_page(__file__, ["# Molecules of an asked-for logP", HEAD, table, goal(rows)])
    else:
        print(table)


if __name__ == "__main__":
    main()
