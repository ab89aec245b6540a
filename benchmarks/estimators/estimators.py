"""How biased, how noisy and how expensive each gradient estimator is, on the cost of a trained categorical VAE.

``python benchmarks/estimators/estimators.py`` trains its own small VAEs on MNIST (static), measures, and writes
``estimators.md`` and ``.png``. Models and finished rows lie under ``--out``: a run that was stopped goes on.
Every estimator is measured on a model that ``gumbel_softmax`` trained; a few also on models that others trained.
The figures are defined in ``gradient_quality.py``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from gumbelzoo.benchmarks.estimators.bench import (
    BATCH,
    DRAWS,
    IMAGES,
    LEARNED,
    LEARNING_STEPS,
    VAE_STEPS,
    Bench,
    Setup,
    Variant,
)
from gumbelzoo.benchmarks.estimators.report import write
from gumbelzoo.data import ImageData

ANNEALED = {"name": "exponential", "initial": 1.0, "minimum": 0.5, "rate": 3e-4}
NOTES = f"""\
Written by `python benchmarks/estimators/estimators.py`: {DRAWS} draws of every estimator against the exact gradient
on {IMAGES} test images, on categorical VAEs that it trained for {VAE_STEPS} steps on static MNIST. Estimators with a
temperature stand in the first tables at the one, of those measured, with the best cosine of 100 evaluations. The
tables are in the order of that figure, which compares at equal cost. What an estimator learns (a baseline; a control
variate's scale, temperature and network) was trained for {LEARNING_STEPS} steps of {BATCH} training images on the
frozen model, by the model's optimizer. Time is that of a call on {BATCH} images, forward and backward, with the
gradient for the decoder.

`concrete` has no row: its estimate of a cost is that of `gumbel_softmax`, and the KL in which it differs is no part of
this metric. `vimco` is made for multi-sample bounds; on an expectation it is `reinforce` with `leave_one_out`. `disarm`
is for two categories, so it is in the second table only. A call takes one sample unless the row says otherwise: several
independent ones have the same bias, a std divided by the root of their number, and the same cosine at equal cost."""


PATHWISE = [
    *(Variant(name) for name in ("gumbel_softmax", "straight_through_gumbel_softmax", "straight_through", "reinmax")),
    *(Variant(name) for name in ("decoupled_straight_through_gumbel_softmax", "gapped_straight_through")),
    *(Variant("gumbel_rao", {"inner_samples": inner}) for inner in (1, 10, 100)),
]


def over_temperature(variants: Iterable[Variant], temperatures: Sequence[float]) -> Iterator[Variant]:
    """Each of them at each temperature."""
    return (replace(variant, temperature=tau) for variant in variants for tau in temperatures)


def unbiased_variants(k: int) -> Iterator[Variant]:
    """With one sample, or the fewest possible; with several where they are more than so many independent calls."""
    pairs = k * (k - 1) // 2 + 1  # cost evaluations of arsm
    for baseline in ("none", "moving_average", "learned"):
        yield Variant("reinforce", {"baseline": baseline}).with_samples(1)
    leave_one_out = Variant("reinforce", {"baseline": "leave_one_out"})
    yield from (leave_one_out.with_samples(samples) for samples in (2, 4, pairs))
    yield from (Variant(name).with_samples(samples) for name in ("vimco", "unordered") for samples in (2, 4))
    yield from (Variant(name) for name in ("muprop", "arsm", "disarm", "exact"))
    yield from (Variant(name, {}, LEARNED) for name in ("rebar", "relax"))


def setups() -> dict[str, Setup]:
    """Each has 4096 configurations."""
    all_of_them, few = (0.1, 0.3, 0.5, 0.7, 1.0, 1.5), (0.5, 1.0, 1.5)
    relaxed, annealed = [*PATHWISE, Variant("rebar")], Variant("gumbel_softmax", {}, ANNEALED)
    leave_one_out = Variant("reinforce", {"baseline": "leave_one_out", "samples": 4})
    others = [*over_temperature(PATHWISE[:4], few), leave_one_out, Variant("muprop")]
    return {
        "8x4": Setup(4, 8, annealed, [*over_temperature(relaxed, all_of_them), *unbiased_variants(8)], True),
        "2x12": Setup(12, 2, annealed, [*over_temperature(PATHWISE, few), *unbiased_variants(2)], True),
        "8x4, trained by reinmax": Setup(4, 8, Variant("reinmax", {}, 1.3), others),
        "8x4, trained by reinforce": Setup(4, 8, leave_one_out, others),
    }


def main() -> None:
    """Measure what is not measured yet, write the tables and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/estimators"), help="models and finished rows")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    data = ImageData("mnist", "static", batch_size=BATCH)
    facts, rows = {}, {}
    for name, setup in setups().items():
        bench = Bench(setup, data, out / name.replace(",", "").replace(" ", "_"))
        facts[name], rows[name] = bench.facts(), bench.rows()
    write(rows, facts, NOTES, Path(__file__))


if __name__ == "__main__":
    main()
