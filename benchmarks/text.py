"""The temperature sweep of trained text models: the table, and on an oracle the picture, that a text GAN is judged by.

    python benchmarks/text.py runs/textgan_oracle_mle/1 runs/textgan_oracle_gumbel/1 [--out benchmarks/text_oracle]

Every run is sampled at the inverse temperatures ``--alphas``. Each row has what the data set says of these samples, and
``nll_test``, the model's own nats per token on the test text at the same temperature. On an oracle that is the plane of
``evaluation/plane.py``; on text BLEU against Self-BLEU; on the grammar the shares of what it can write. What the data
compare a model with (the truth, real text, fresh draws) stands below. It writes OUT.md, with samples to read, OUT.json
and, on an oracle, OUT.png; all runs must be of one data set.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from gumbelzoo.commands.source import build_data, open_source
from gumbelzoo.evaluation import draw_plane
from gumbelzoo.evaluation.published import ALPHAS, ANCHORS, CURVES, Point

PUBLISHED = "oracle_published"  # the only data that published curves are of
SHOWN = 20
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Sweep, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="run folders, .ckpt files or releases of text models")
    parser.add_argument("--alphas", type=float, nargs="+", default=list(ALPHAS), help="inverse temperatures")
    parser.add_argument("-n", type=int, default=10_000, help="samples at each (default: 10000)")
    parser.add_argument("--root", help="folder of the data sets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("text_sweep"), help="files to write, without an ending")
    options = parser.parse_args(arguments)
    rows, data, written = [], None, []
    for name in options.runs:
        source = open_source(name)
        own = build_data(source.data, root=options.root)
        if data is not None and own.name != data.name:
            raise ValueError(f"{name} was trained on {own.name}, {options.runs[0]} on {data.name}; sweep them apart")
        data = data or own
        rows += sweep(name, source.model, data, options.alphas, options.n, options.seed)
        lines = source.model.sample(SHOWN, generator=torch.Generator().manual_seed(options.seed))
        written.append(f"{SHOWN} samples of {name} at alpha 1, not chosen:\n\n" + "\n".join(f"    {x}" for x in lines))
    anchors = data.anchors(options.n, torch.Generator().manual_seed(options.seed))  # type: ignore[union-attr]
    rows += [{"model": name, **figures} for name, figures in anchors.items()]
    facts = data.facts()  # type: ignore[union-attr]
    text = "\n".join(table(rows))
    print(text)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    listed = "\n".join(f"- {key}: {value}" for key, value in facts.items())
    title = f"# Temperature sweep on {facts['data set']}\n\n{options.n:,} samples at each alpha = 1 / temperature."
    parts = [title, text, listed, *written]
    options.out.with_suffix(".md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    options.out.with_suffix(".json").write_text(json.dumps({"facts": facts, "rows": rows}, indent=1) + "\n")
    if "nll_oracle" in rows[0]:
        print(picture(rows, facts["data set"], options.out.with_suffix(".png")))


def sweep(name: str, model: Any, data: Any, alphas: Sequence[float], n: int, seed: int) -> list[Row]:
    """One row for each inverse temperature; the same noise for all."""
    rows = []
    for alpha in alphas:
        samples = model.sample_tokens(n, temperature=1 / alpha, generator=torch.Generator().manual_seed(seed))
        figures = {"nll_test": held_out(model, data, 1 / alpha), **data.score(samples)}
        rows.append({"model": name, "alpha": alpha, **figures})
        print(*(f"{key} {value:.4g}" if isinstance(value, float) else value for key, value in rows[-1].items()))
    return rows


@torch.no_grad()
def held_out(model: Any, data: Any, temperature: float) -> float:
    """Nats per token on the test text."""
    total = tokens = 0.0
    for batch in data.test_dataloader():
        total -= float(model.generator.log_prob(batch["tokens"], batch["length"], temperature).sum())
        tokens += float(batch["length"].sum())
    return total / tokens


def table(rows: Sequence[Row]) -> list[str]:
    """Markdown; blank where a row has no such figure."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name, "")) for name in names] for row in rows]
    return [f"| {' | '.join(line)} |" for line in [names, ["---"] * len(names), *cells]]


def picture(rows: Sequence[Row], data: str, path: Path) -> Path:
    """The plane, with what was published where it is of the same oracle."""
    curves: dict[str, list[Point]] = {}
    for row in rows:
        if "alpha" in row:
            curves.setdefault(row["model"], []).append((row["nll_oracle"], row["nll_test"]))
    if data == PUBLISHED:
        return draw_plane(curves, path, CURVES, ANCHORS)
    levels = {row["model"]: (row["nll_oracle"], None) for row in rows if "alpha" not in row}
    return draw_plane(curves, path, {}, levels)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
