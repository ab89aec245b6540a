"""The temperature sweep of trained text models: the table, and on an oracle the picture, that a text GAN is judged by.

    python benchmarks/text/captions.py runs/textgan_oracle_mle/1 runs/textgan_oracle_gumbel/1 [--out FOLDER/NAME]

Every run is sampled at the inverse temperatures ``--alphas``. Each row has what the data set says of these samples, and
``nll_test``, the model's own nats per token on the test text at the same temperature. On an oracle that is the plane of
``evaluation/plane.py``; on text BLEU against Self-BLEU; on the grammar the shares of what it can write. What the data
compare a model with (the truth, real text, fresh draws) stands below. ``--reverse 300`` adds the reverse NLL
(``models/reverse_nll.py``): that of a model like the first run's, with its learning rate, after 300 steps on the
sentences of each row. It writes OUT.md, with samples to read, OUT.json and, on an oracle, OUT.png; all runs must be of
one data set.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gumbelzoo.benchmarks.common.runs import fit_facts
from gumbelzoo.benchmarks.text.report import Row, at_equal_variety, origin, sweep_table
from gumbelzoo.commands.errors import exit_code, explain
from gumbelzoo.commands.source import build_data, resolve_source
from gumbelzoo.evaluation import draw_plane
from gumbelzoo.evaluation.published import ALPHAS, CURVES, REFERENCE_POINTS, Point
from gumbelzoo.models.text.base import TextModel
from gumbelzoo.models.text.reverse_nll import reverse_nll
from torch import Tensor

PUBLISHED = "oracle_published"  # the only data that published curves are of
SHOWN = 20
Draw = Callable[[int], Tensor]  # n -> n t


def main(arguments: Sequence[str] | None = None) -> None:
    """Sweep, print, write; a mistake is one line and the exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="run folders, .ckpt files or releases of text models")
    parser.add_argument("--alphas", type=float, nargs="+", default=list(ALPHAS), help="inverse temperatures")
    parser.add_argument("-n", type=int, default=10_000, help="samples at each (default: 10000)")
    parser.add_argument("--reverse", type=int, default=0, metavar="STEPS", help="training steps behind the reverse NLL")
    parser.add_argument("--root", help="folder of the data sets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("text_sweep"), help="files to write, without an ending")
    options = parser.parse_args(arguments)
    try:
        if min(options.alphas) <= 0 or options.n < 1 or options.reverse < 0:
            raise ValueError("--alphas must be > 0, -n >= 1 and --reverse >= 0")
        models, data = open_all(options.runs, options.root)
    except (ValueError, FileNotFoundError) as error:
        parser.exit(exit_code(error), f"{parser.prog}: {explain(error)}\n")
    rows = []
    learnt = partial(reverse, models[0], data, options.reverse, options.seed)
    for name, model in zip(options.runs, models, strict=True):
        rows += sweep(name, model, data, options.alphas, options.n, options.seed, learnt)
    for name, real in data.splits.reference_samples(options.n, seeded(options.seed)).items():
        rows.append({"model": name, **data.score(real), **learnt(again(real, options.seed))})
    samples = {
        name: model.sample(SHOWN, generator=seeded(options.seed))
        for name, model in zip(options.runs, models, strict=True)
    }
    print(write(options.out, rows, data.metadata(), samples, options.n))


def write(out: Path, rows: Sequence[Row], facts: Mapping[str, str], samples: Mapping[str, list[str]], n: int) -> str:
    """OUT.md, OUT.json and, on an oracle, OUT.png; what stands in the first, but for the samples to read."""
    out.parent.mkdir(parents=True, exist_ok=True)
    fits = {name: fit for name in samples if (fit := fit_facts(Path(name)))}
    commands = {name: fit["command"] for name, fit in fits.items()}
    told = {**facts, **{name: origin(fit) for name, fit in fits.items()}}
    listed = [f"- {name}: {text}" for name, text in told.items()]
    title = f"# Temperature sweep on {facts['data set']}\n\n{n:,} samples at each alpha = 1 / temperature."
    parts = [part for part in (title, sweep_table(rows), at_equal_variety(rows, commands), "\n".join(listed)) if part]
    written = [
        f"{len(lines)} samples of {name} at alpha 1, not chosen:\n\n" + "\n".join(f"    {line}" for line in lines)
        for name, lines in samples.items()
    ]
    out.with_suffix(".md").write_text("\n\n".join([*parts, *written]) + "\n", encoding="utf-8")
    out.with_suffix(".json").write_text(json.dumps({"facts": facts, "rows": rows}, indent=1) + "\n")
    if "nll_oracle" in rows[0]:
        picture(rows, facts["data set"], out.with_suffix(".png"))
    return "\n\n".join(parts)


def open_all(names: Sequence[str], root: str | None) -> tuple[list[TextModel], Any]:
    """The models, and the data that they were all trained on.

    Raises:
        ValueError: no model of text, data that are not what a model was trained on, or not those of the first.
        FileNotFoundError: data that are nowhere.
    """
    models: list[TextModel] = []
    data: Any = None
    for name in names:
        source = resolve_source(name)
        if not isinstance(source.model, TextModel):
            raise ValueError(f"{name} is a {source.model.registry_name}; sweep models of text")
        own: Any = build_data(source.data, root=root)
        source.model.check_data(own.vocabulary, own.max_length)
        data = data or own
        if others := differences(own, data):
            raise ValueError(f"{name} was not trained on the data of {names[0]}: {'; '.join(others)}; sweep them apart")
        models.append(source.model)
    return models, data


def differences(own: Any, data: Any) -> list[str]:
    """What is said of two data sets that differ; that the text does, where nothing that is said of it is different."""
    if own.name != data.name:
        return [f"{own.name}, not {data.name}"]
    said = data.metadata()
    others = [f"{key} {value}, not {said[key]}" for key, value in own.metadata().items() if value != said[key]]
    texts = ([part.tokens for part in (x.splits.train, x.splits.valid, x.splits.test)] for x in (own, data))
    same = own.vocabulary == data.vocabulary and all(map(torch.equal, *texts))
    return others or ([] if same else ["other sentences or another vocabulary of the same sizes"])


def sweep(
    name: str,
    model: Any,
    data: Any,
    alphas: Sequence[float],
    n: int,
    seed: int,
    learnt: Callable[[Draw], Row] = lambda draw: {},
) -> list[Row]:
    """One row for each inverse temperature; the same noise for all. ``learnt``: figures of what draws the sentences."""
    rows = []
    for alpha in alphas:
        samples = model.sample_tokens(n, temperature=1 / alpha, generator=seeded(seed))
        figures = {"nll_test": held_out(model, data, 1 / alpha), **data.score(samples)}
        draw = partial(model.sample_tokens, temperature=1 / alpha, generator=seeded(seed))
        rows.append({"model": name, "alpha": alpha, **figures, **learnt(draw)})
        print(*(f"{key} {value:.4g}" if isinstance(value, float) else value for key, value in rows[-1].items()))
    return rows


def seeded(seed: int) -> torch.Generator:
    """A source of noise."""
    return torch.Generator().manual_seed(seed)


def reverse(like: TextModel, data: Any, steps: int, seed: int, draw: Draw) -> Row:
    """The reverse NLL of what ``draw`` gives, by a small model like another with its learning rate; no steps: none."""
    if not steps:
        return {}
    torch.manual_seed(seed)
    tokens, lengths = data.test_sequences()
    rate = like.likelihood_learning_rate
    nll = reverse_nll(like.make_generator, draw, tokens, lengths, data.vocabulary.lengths, steps, rate)
    return {"reverse_nll": nll}


def again(real: Tensor, seed: int) -> Draw:
    """Draws from ``real`` sentences ``b t``."""
    noise = seeded(seed)
    return lambda n: real[torch.randint(len(real), (n,), generator=noise)]


@torch.no_grad()
def held_out(model: Any, data: Any, temperature: float) -> float:
    """Nats per token on the test text."""
    total = tokens = 0.0
    for batch in data.test_dataloader():
        total -= float(model.generator.log_prob(batch["tokens"], batch["length"], temperature).sum())
        tokens += float(batch["length"].sum())
    return total / tokens


def picture(rows: Sequence[Row], data: str, path: Path) -> Path:
    """The plane, with what was published where it is of the same oracle."""
    curves: dict[str, list[Point]] = {}
    for row in rows:
        if "alpha" in row:
            curves.setdefault(row["model"], []).append((row["nll_oracle"], row["nll_test"]))
    if data == PUBLISHED:
        return draw_plane(curves, path, CURVES, REFERENCE_POINTS)
    levels = {row["model"]: (row["nll_oracle"], None) for row in rows if "alpha" not in row}
    return draw_plane(curves, path, {}, levels)


if __name__ == "__main__":
    main()
