"""Text GANs on the published oracle and their controls, all from one maximum-likelihood model.

    python benchmarks/text/oracle_gans.py --out runs/oracle_gans     # the same command resumes

It trains ``textgan_oracle_gumbel`` and ``textgan_oracle_seqgan`` with the learned, the shuffled and the constant
reward, seeds 0 to 2, and variations of the former with the first seed. Then it sweeps the sampling temperature, and
writes ``oracle_gans.md`` and ``oracle_gans.png``. A run is an ordinary run folder,
``<out>/<row>/seed<n>/<configuration>/1``.

The metric to compare is the distance below the starting model's curve at equal NLL_test. A model that was only
sharpened has moved along that curve, and is no farther below it than its control.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from gumbelzoo.benchmarks.common.pages import markdown_table, mean_and_error, write_page
from gumbelzoo.benchmarks.common.runs import environment, finish, fit_record, row_folder, test_metrics
from gumbelzoo.benchmarks.text.captions import sweep
from gumbelzoo.benchmarks.text.report import Row
from gumbelzoo.commands.files.source import build_data, resolve_source
from gumbelzoo.evaluation import draw_plane
from gumbelzoo.evaluation.published import ALPHAS, CURVES, Point
from torchmetrics.functional.classification import binary_auroc

START, SEEDS, SAMPLES, CLASSIFIED = "textgan-oracle-mle", (0, 1, 2), 10_000, 5_000
START_ALPHAS = sorted({*ALPHAS, 1.1, 1.2, 2.3, 2.7})  # dense near the trained GANs, up to their coldest samples
COLDER, SCORES = (1.3, 1.75), ("nll_oracle", "nll_test", "distinct")
GUMBEL, SEQGAN = "textgan_oracle_gumbel", "textgan_oracle_seqgan"
# Configuration and options of each row. A constant reward gives the Gumbel GAN no gradient: that control is the start.
ROWS: dict[str, tuple[str, list[str]]] = {
    "Gumbel GAN": (GUMBEL, []),
    "Gumbel GAN, shuffled reward": (GUMBEL, ["--model.objective.adversary.reward=shuffled"]),
    "SeqGAN": (SEQGAN, []),
    "SeqGAN, shuffled reward": (SEQGAN, ["--model.objective.adversary.reward=shuffled"]),
    "SeqGAN, constant reward": (SEQGAN, ["--model.objective.adversary.reward=constant"]),
}
TRIED: dict[str, tuple[str, list[str]]] = {
    "standard loss": (GUMBEL, ["--model.objective.adversary.loss=standard"]),
    "hinge loss": (GUMBEL, ["--model.objective.adversary.loss=hinge"]),
    "Wasserstein loss with penalty": (GUMBEL, ["--model.objective.adversary.loss=wasserstein"]),
    "temperature 1": (GUMBEL, ["--model.objective.temperature=1.0"]),
    "temperature 0.3": (GUMBEL, ["--model.objective.temperature=0.3"]),
    "soft samples, soft feedback": (
        GUMBEL,
        ["--model.objective.estimator=gumbel_softmax", "--model.objective.feedback=soft"],
    ),
    "soft samples, straight-through feedback": (GUMBEL, ["--model.objective.estimator=gumbel_softmax"]),
    "detached feedback": (GUMBEL, ["--model.objective.feedback=detached"]),
    "ReinMax": (GUMBEL, ["--model.objective.estimator=reinmax", "--model.objective.temperature=1.3"]),
    "Gumbel-Rao": (GUMBEL, ["--model.objective.estimator=gumbel_rao"]),
    "generator learning rate 3e-4": (GUMBEL, ["--model.optimizer.learning_rate=3.0e-4"]),
    "generator learning rate 1e-4, 1,000 steps": (
        GUMBEL,
        ["--model.optimizer.learning_rate=1.0e-4", "--trainer.max_steps=1000"],
    ),
    "5 discriminator steps": (GUMBEL, ["--model.objective.adversary.steps=5"]),
}
HEADER = [
    "generator",
    "alpha",
    "NLL_oracle",
    "NLL_test",
    "distinct",
    "below the start's curve",
    "discriminator AUROC",
    "seeds",
]
HEAD = f"""\
SeqGAN's published oracle, nats per token, {SAMPLES:,} samples at inverse temperatures alpha; mean and standard error
over seeds. All GANs start from `{START}`, the start. Below the start's curve: NLL_oracle of the start, sharpened to the
same NLL_test, minus that of the model. Sharpening takes no training; its curve is interpolated linearly between its
rows, and a cell is blank outside of it. Discriminator AUROC: area under the ROC curve of the run's discriminator for
held-out sentences against samples of the generator; chance is 0.5. `python benchmarks/text/oracle_gans.py` writes this
page."""

TRIED_HEAD = f"""\
Each row changes one or two things in the Gumbel GAN (relativistic loss, straight-through Gumbel-Softmax samples,
temperature 1 to 0.3, learning rates of 1e-3, 200 steps); seed {SEEDS[0]}, learned reward, alpha 1."""


def main() -> None:
    """Train what is not finished, and write page and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/oracle_gans"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options = parser.parse_args()
    out, seeds = options.out.resolve(), options.seeds
    sys.argv = sys.argv[:1]
    torch.set_num_threads(1)
    runs = {name: [trained(out, name, *row, seed) for seed in seeds] for name, row in ROWS.items()}
    tried = {name: [trained(out, name, *row, seeds[0])] for name, row in TRIED.items()}
    start = swept(START, out / "start.json", START_ALPHAS)
    curve = [point(row) for row in start]
    rows = [["start", f"{row['alpha']:g}", *(f"{row[key]:.3f}" for key in SCORES), "", "", ""] for row in start]
    curves = {"start, sharpened": curve}
    for name, found in runs.items():
        sweeps = [[at_one(run), *swept(str(run), run / "sweep.json", COLDER)] for run in found]
        by_alpha = list(zip(*sweeps, strict=True))
        # The discriminator is the same at every alpha: its AUROC is in the first row.
        rows += [cells(name, same, curve, [] if i else found) for i, same in enumerate(by_alpha)]
        curves[name] = [tuple(np.mean([point(row) for row in same], 0)) for same in by_alpha]
    machine = environment([fit_record(run) for found in runs.values() for run in found])
    parts = ["# Text GANs and their controls", HEAD, machine, markdown_table(HEADER, rows)]
    parts.append("![NLL_oracle against NLL_test](oracle_gans.png)")
    others = [cells(name, [at_one(run) for run in found], curve, found) for name, found in tried.items()]
    machine = environment([fit_record(run) for found in tried.values() for run in found])
    parts += ["## Variations", TRIED_HEAD, machine, markdown_table(HEADER, others)]
    write_page(__file__, parts)
    published = {name: line for name, line in CURVES.items() if name.startswith("MLE")}
    draw_plane(curves, Path(__file__).with_suffix(".png"), published, {})


def trained(out: Path, name: str, config: str, options: Sequence[str], seed: int) -> Path:
    """Train and test a row with a seed, or finish it; return the run folder."""
    run = finish(row_folder(out, name) / f"seed{seed}", config, [f"--seed_everything={seed}", *options], test=True)
    print(name, seed, test_metrics(run), flush=True)
    return run


def at_one(run: Path) -> Row:
    """Return the row of a sweep at alpha 1, from the test metrics."""
    found = test_metrics(run)
    oracle, test, distinct = (found[f"test/{name}"] for name in ("nll_oracle", "nll", "distinct"))
    return {"alpha": 1.0, "nll_oracle": oracle, "nll_test": test, "distinct": distinct}


def swept(name: str, kept: Path, alphas: Sequence[float]) -> list[Row]:
    """Return the temperature sweep of a release or run, which is computed once and kept in a file."""
    if not kept.is_file():
        source = resolve_source(name)
        rows = sweep(name, source.model, build_data(source.data), alphas, SAMPLES, 0)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def cells(name: str, seeds: Sequence[Row], curve: Sequence[Point], runs: Sequence[Path]) -> list[str]:
    """Return a row of the table.

    Args:
        name: of the row.
        seeds: rows of all seeds' sweeps at one alpha.
        curve: of the start.
        runs: those whose discriminators are measured.
    """
    distances = [distance for row in seeds if (distance := below(point(row), curve)) is not None]
    areas = [area for run in runs if (area := discriminator_auroc(run)) is not None]
    columns = [*([row[key] for row in seeds] for key in SCORES), distances, areas]
    return [name, f"{seeds[0]['alpha']:g}", *(mean_and_error(values, 3) for values in columns), str(len(seeds))]


def point(row: Row) -> Point:
    """Return (NLL_oracle, NLL_test)."""
    return row["nll_oracle"], row["nll_test"]


@torch.no_grad()
def discriminator_auroc(run: Path) -> float | None:
    """Return the AUROC of a run's discriminator for held-out sentences against samples; None if none was trained."""
    source = resolve_source(str(run))
    model = source.model
    if not model.objective.discriminator_parameters():
        return None
    data = build_data(source.data)
    data.setup("test")
    real = data.splits.test.tokens[:CLASSIFIED]  # type: ignore[attr-defined]
    fake = model.sample_tokens(CLASSIFIED, generator=torch.Generator().manual_seed(0))
    scores = model.objective.discriminator(torch.cat([real, fake]))
    # Ranks, since binary_auroc applies a sigmoid to scores outside [0, 1]. It may round to 1: a relativistic loss does
    # not fix the level of the scores.
    ranks = scores.unique(return_inverse=True)[1]
    return float(binary_auroc(ranks.double() / len(scores), torch.arange(len(scores)) < len(real)))


def below(point: Point, curve: Sequence[Point]) -> float | None:
    """Return the distance in NLL_oracle from a point up to the curve, at its NLL_test; None outside of the curve."""
    oracle, test = point
    # Only the branch of sharpened models, from the lowest NLL_test on: hotter ones are worse in both.
    first = min(range(len(curve)), key=lambda i: curve[i][1])
    across, up = [t for _, t in curve[first:]], [o for o, _ in curve[first:]]
    return float(np.interp(test, across, up)) - oracle if across[0] <= test <= across[-1] else None


if __name__ == "__main__":
    main()
