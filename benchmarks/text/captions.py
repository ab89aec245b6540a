"""Temperature sweep of trained text models: a table, and for an oracle the plane that text GANs are compared in.

    python benchmarks/text/captions.py runs/textgan_oracle_mle/1 runs/textgan_oracle_gumbel/1 [--out FOLDER/NAME]

Every model is sampled at the inverse temperatures ``--alphas``. A row has the data set's metrics of these samples, and
``nll_test``, the model's nats per token on the test text at the same temperature. For an oracle these are the axes of
``evaluation/plane.py``, for text BLEU and Self-BLEU, for the grammar the shares of valid and distinct strings. The last
rows have the same metrics for reference samples of the data set. ``--reverse 300`` adds the reverse NLL: a model like
the first one trains for 300 steps on the samples of each row, and its NLL is measured on the test text.

It writes OUT.md, which also shows samples, OUT.json and, for an oracle, OUT.png. All models must be of one data set.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gumbelzoo.benchmarks.common.runs import fit_record
from gumbelzoo.benchmarks.text.report import Row, at_equal_variety, origin, sweep_table
from gumbelzoo.commands.files.source import build_data, resolve_source
from gumbelzoo.commands.parsing.errors import exit_code, explain
from gumbelzoo.evaluation import draw_plane
from gumbelzoo.evaluation.published import ALPHAS, CURVES, REFERENCE_POINTS, Point
from gumbelzoo.models.text.base import TextModel
from gumbelzoo.models.text.reverse_nll import reverse_nll
from torch import Tensor

PUBLISHED = "oracle_published"  # the data set of the published curves
SHOWN = 20  # samples of each model on the page
Draw = Callable[[int], Tensor]  # n -> n t


def main(arguments: Sequence[str] | None = None) -> None:
    """Sweep, print and write; a mistake of the user is one line and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="run folders, .ckpt files or releases of text models")
    parser.add_argument("--alphas", type=float, nargs="+", default=list(ALPHAS), help="inverse temperatures")
    parser.add_argument("-n", type=int, default=10_000, help="samples at each (default: 10000)")
    parser.add_argument("--reverse", type=int, default=0, metavar="STEPS", help="training steps of the reverse NLL")
    parser.add_argument("--root", help="folder of the data sets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("text_sweep"), help="files to write, without an ending")
    options = parser.parse_args(arguments)
    try:
        if min(options.alphas) <= 0 or options.n < 1 or options.reverse < 0:
            raise ValueError("--alphas must be > 0, -n >= 1 and --reverse >= 0")
        models, data = load_all(options.runs, options.root)
    except (ValueError, FileNotFoundError) as error:
        parser.exit(exit_code(error), f"{parser.prog}: {explain(error)}\n")
    rows = []
    reverse = partial(reverse_metrics, models[0], data, options.reverse, options.seed)
    for name, model in zip(options.runs, models, strict=True):
        rows += sweep(name, model, data, options.alphas, options.n, options.seed, reverse)
    for name, real in data.reference_samples(options.n, seeded(options.seed)).items():
        rows.append({"model": name, **data.score(real), **reverse(resampled(real, options.seed))})
    samples = {
        name: model.sample(SHOWN, generator=seeded(options.seed))
        for name, model in zip(options.runs, models, strict=True)
    }
    print(write(options.out, rows, data.metadata(), samples, options.n))


def write(out: Path, rows: Sequence[Row], metadata: Mapping[str, str], samples: Mapping[str, list[str]], n: int) -> str:
    """Write OUT.md, OUT.json and, for an oracle, OUT.png; return the page without the samples.

    Args:
        out: files to write, without an ending.
        rows: of the sweep.
        metadata: of the data.
        samples: sentences of each model.
        n: samples per row.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    fits = {name: fit for name in samples if (fit := fit_record(Path(name)))}
    commands = {name: fit["command"] for name, fit in fits.items()}
    origins = {**metadata, **{name: origin(fit) for name, fit in fits.items()}}
    listed = [f"- {name}: {text}" for name, text in origins.items()]
    title = f"# Temperature sweep on {metadata['data set']}\n\n{n:,} samples at each alpha = 1 / temperature."
    parts = [part for part in (title, sweep_table(rows), at_equal_variety(rows, commands), "\n".join(listed)) if part]
    written = [
        f"{len(lines)} samples of {name} at alpha 1, not selected:\n\n" + "\n".join(f"    {line}" for line in lines)
        for name, lines in samples.items()
    ]
    out.with_suffix(".md").write_text("\n\n".join([*parts, *written]) + "\n", encoding="utf-8")
    out.with_suffix(".json").write_text(json.dumps({"metadata": metadata, "rows": rows}, indent=1) + "\n")
    if "nll_oracle" in rows[0]:
        plot(rows, metadata["data set"], out.with_suffix(".png"))
    return "\n\n".join(parts)


def load_all(names: Sequence[str], root: str | None) -> tuple[list[TextModel], Any]:
    """Load the models, and the data that all of them were trained on.

    Raises:
        ValueError: a model that is not a text model, or that was trained on other data than the first.
        FileNotFoundError: the data are missing.
    """
    models: list[TextModel] = []
    data: Any = None
    for name in names:
        source = resolve_source(name)
        if not isinstance(source.model, TextModel):
            raise ValueError(f"{name} is a {source.model.registry_name}; sweep text models")
        own: Any = build_data(source.data, root=root)
        source.model.check_data(own.vocabulary, own.max_length)
        data = data or own
        if found := differences(own, data):
            raise ValueError(f"{name} was not trained on the data of {names[0]}: {'; '.join(found)}; sweep them apart")
        models.append(source.model)
    return models, data


def differences(own: Any, data: Any) -> list[str]:
    """List the differences of two data modules in name, metadata, vocabulary and sentences; empty if they are equal."""
    if own.name != data.name:
        return [f"{own.name}, not {data.name}"]
    expected = data.metadata()
    found = [f"{key} {value}, not {expected[key]}" for key, value in own.metadata().items() if value != expected[key]]
    texts = ([part.tokens for part in (x.splits.train, x.splits.valid, x.splits.test)] for x in (own, data))
    same = own.vocabulary == data.vocabulary and all(map(torch.equal, *texts))
    return found or ([] if same else ["other sentences or another vocabulary of the same sizes"])


def sweep(
    name: str,
    model: Any,
    data: Any,
    alphas: Sequence[float],
    n: int,
    seed: int,
    more_metrics: Callable[[Draw], Row] = lambda draw: {},
) -> list[Row]:
    """Measure a model at each inverse temperature, with the same noise for all; one row each.

    Args:
        name: of the model, for the table.
        model: a text model.
        data: its data module.
        alphas: inverse temperatures.
        n: samples per row.
        seed: of the noise.
        more_metrics: gives further metrics of the function that draws the samples.
    """
    rows = []
    for alpha in alphas:
        samples = model.sample_tokens(n, temperature=1 / alpha, generator=seeded(seed))
        metrics = {"nll_test": nll_test(model, data, 1 / alpha), **data.score(samples)}
        draw = partial(model.sample_tokens, temperature=1 / alpha, generator=seeded(seed))
        rows.append({"model": name, "alpha": alpha, **metrics, **more_metrics(draw)})
        print(*(f"{key} {value:.4g}" if isinstance(value, float) else value for key, value in rows[-1].items()))
    return rows


def seeded(seed: int) -> torch.Generator:
    """Return a generator with this seed."""
    return torch.Generator().manual_seed(seed)


def reverse_metrics(like: TextModel, data: Any, steps: int, seed: int, draw: Draw) -> Row:
    """Return the reverse NLL of the samples that ``draw`` gives; nothing for 0 steps.

    Args:
        like: its generator and learning rate are those of the model that trains on the samples.
        data: has the test text.
        steps: optimizer steps.
        seed: of the initial weights.
        draw: draws samples.
    """
    if not steps:
        return {}
    torch.manual_seed(seed)
    tokens, lengths = data.test_sequences()
    rate = like.likelihood_learning_rate
    return {
        "reverse_nll": reverse_nll(like.make_generator, draw, tokens, lengths, data.vocabulary.lengths, steps, rate)
    }


def resampled(real: Tensor, seed: int) -> Draw:
    """Return a function that draws from ``real`` sentences ``b t``, with replacement."""
    noise = seeded(seed)
    return lambda n: real[torch.randint(len(real), (n,), generator=noise)]


@torch.no_grad()
def nll_test(model: Any, data: Any, temperature: float) -> float:
    """Return nats per token on the test text."""
    total = tokens = 0.0
    for batch in data.test_dataloader():
        total -= float(model.generator.log_prob(batch["tokens"], batch["length"], temperature).sum())
        tokens += float(batch["length"].sum())
    return total / tokens


def plot(rows: Sequence[Row], data: str, path: Path) -> Path:
    """Draw the plane, with published curves if the data set is that of the publication."""
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
