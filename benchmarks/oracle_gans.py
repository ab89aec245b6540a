"""Do text GANs on the published oracle do anything? Each beside its controls, from one maximum-likelihood start.

    python benchmarks/oracle_gans.py --out runs/oracle_gans     # goes on where it stopped

trains ``textgan_oracle_gumbel`` and ``textgan_oracle_seqgan`` with the learned, the shuffled and the constant reward,
seeds 0 to 2, tests them at temperature 1, sweeps the temperature of the start, and writes
``benchmarks/oracle_gans.md`` and ``.png``. A run is an ordinary run folder, ``<out>/<row>/seed<n>/<configuration>/1``.

The figure to look at is the height above or below the start's own curve at equal NLL_test: a model that only became
colder has moved along that curve, and is as far below it as its control.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from gumbelzoo.benchmarks.measure import table
from gumbelzoo.benchmarks.runs import circumstances, finish, test_metrics
from gumbelzoo.benchmarks.text import Row, sweep
from gumbelzoo.commands.source import build_data, open_source
from gumbelzoo.evaluation import draw_plane
from gumbelzoo.evaluation.published import ALPHAS, CURVES, Point
from torchmetrics.functional.classification import binary_auroc

START, SEEDS, SAMPLES, JUDGED = "textgan-oracle-mle", (0, 1, 2), 10_000, 5_000
# row: configuration, options. A constant reward gives the Gumbel GAN no gradient: that control is the start itself.
ROWS: dict[str, tuple[str, list[str]]] = {
    "Gumbel GAN": ("textgan_oracle_gumbel", []),
    "Gumbel GAN, shuffled reward": ("textgan_oracle_gumbel", ["--model.reward=shuffled"]),
    "SeqGAN": ("textgan_oracle_seqgan", []),
    "SeqGAN, shuffled reward": ("textgan_oracle_seqgan", ["--model.reward=shuffled"]),
    "SeqGAN, constant reward": ("textgan_oracle_seqgan", ["--model.reward=constant"]),
}
HEADER = ["generator", "NLL_oracle", "NLL_test", "distinct", "below the start's curve", "told apart", "seeds"]
HEAD = f"""\
SeqGAN's published oracle, nats per token, {SAMPLES:,} samples; the start is `{START}`, at inverse temperatures alpha.
GANs go on from it and are sampled at alpha 1; mean and standard error over seeds. Below the start's curve: how much
lower NLL_oracle is than that of the start, sharpened to the same NLL_test, which takes no training at all; a blank is
left of the curve. Told apart: the area under the ROC curve of the run's discriminator between held-out sentences and
the generator's, 0.5 if it knows nothing of use. By `python benchmarks/oracle_gans.py`."""


def main() -> None:
    """Train what is not finished, print and write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/oracle_gans"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options = parser.parse_args()
    out = options.out.resolve()
    sys.argv = sys.argv[:1]
    torch.set_num_threads(1)
    runs: dict[str, list[Path]] = {name: [] for name in ROWS}
    for seed in options.seeds:
        for name, (config, more) in ROWS.items():
            folder = out / name.replace(", ", "_").replace(" ", "_") / f"seed{seed}"
            runs[name].append(finish(folder, config, [f"--seed_everything={seed}", *more], test=True))
            print(name, seed, test_metrics(runs[name][-1]), flush=True)
    swept = swept_start(out / "start.json")
    curve = [(row["nll_oracle"], row["nll_test"]) for row in swept]
    rows = [
        [
            f"start, alpha {row['alpha']}",
            *(f"{row[key]:.3f}" for key in ("nll_oracle", "nll_test", "distinct")),
            "",
            "",
            "",
        ]
        for row in swept
    ]
    points = {name: [plane_point(run) for run in found] for name, found in runs.items()}
    for name, found in runs.items():
        heights = [below(point, curve) for point in points[name]]
        figures = [[oracle for oracle, _ in points[name]], [test for _, test in points[name]]]
        figures += [[test_metrics(run)["test/distinct"] for run in found], [h for h in heights if h is not None]]
        figures.append([area for run in found if (area := told_apart(run)) is not None])
        rows.append([name, *map(mean_and_error, figures), str(len(found))])
    parts = ["# Text GANs and their controls", HEAD, circumstances([run for found in runs.values() for run in found])]
    text = "\n\n".join([*parts, table(HEADER, rows), "![The plane](oracle_gans.png)"]) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
    published = {name: line for name, line in CURVES.items() if name.startswith("MLE")}
    draw_plane({"start, sharpened": curve}, Path(__file__).with_suffix(".png"), published, {}, points)


def swept_start(kept: Path) -> list[Row]:
    """The temperature sweep of the start, made once."""
    if not kept.is_file():
        source = open_source(START)
        rows = sweep(START, source.model, build_data(source.data), ALPHAS, SAMPLES, 0)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def plane_point(run: Path) -> Point:
    """(NLL_oracle, NLL_test) of a tested run."""
    figures = test_metrics(run)
    return figures["test/nll_oracle"], figures["test/nll"]


@torch.no_grad()
def told_apart(run: Path) -> float | None:
    """How well a run's discriminator ranks held-out sentences above samples; None if it has none that learned."""
    source = open_source(str(run))
    model = source.model
    if not model.objective.discriminator_parameters():
        return None
    data = build_data(source.data)
    data.setup("test")
    real = data.splits.test.tokens[:JUDGED]  # type: ignore[attr-defined]
    fake = model.sample_tokens(JUDGED, generator=torch.Generator().manual_seed(0))
    scores = model.objective.discriminator(torch.cat([real, fake]))
    return float(binary_auroc(scores.sigmoid(), torch.arange(len(scores)) < len(real)))


def below(point: Point, curve: Sequence[Point]) -> float | None:
    """How much lower than the curve a point is, at its NLL_test; None to the left of the curve, where it has none."""
    oracle, test = point
    # The branch of colder and colder samples; hotter ones come back with a higher NLL_test, and are worse in both.
    first = min(range(len(curve)), key=lambda i: curve[i][1])
    across, up = [t for _, t in curve[first:]], [o for o, _ in curve[first:]]
    return float(np.interp(test, across, up)) - oracle if across[0] <= test <= across[-1] else None


def mean_and_error(figures: Sequence[float]) -> str:
    """Mean and standard error, as far as there are any."""
    if not figures:
        return ""
    error = f" ± {statistics.stdev(figures) / len(figures) ** 0.5:.3f}" if len(figures) > 1 else ""
    return f"{statistics.mean(figures):.3f}{error}"


if __name__ == "__main__":
    main()
