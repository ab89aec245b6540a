"""Bias, noise and time of every gradient estimator, on the reconstruction cost of a trained categorical VAE.

``python benchmarks/estimators/estimators.py`` trains small VAEs on static MNIST, measures, and writes ``estimators.md``
and ``estimators.png``. Models and finished rows are kept under ``--out``, so an interrupted run resumes. Every
estimator is measured on a model that ``gumbel_softmax`` trained, some also on models that other estimators trained.
The metrics are defined in ``gradient_quality.py``.
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
`python benchmarks/estimators/estimators.py` writes this page. It trains categorical VAEs for {VAE_STEPS} steps on
static MNIST, and compares {DRAWS} draws of every estimator with the exact gradient on {IMAGES} test images. The first
tables have each estimator at the measured temperature with the best cosine of 100 evaluations, and are in the order of
that metric, which compares at equal cost. Parameters of an estimator (a baseline; a control variate's scale,
temperature and network) are trained for {LEARNING_STEPS} steps of {BATCH} training images on the frozen model, by the
model's optimizer. Time is that of a call on {BATCH} images, forward and backward, with the gradient for the decoder.

`concrete` has no row: it estimates a cost as `gumbel_softmax` does, and differs only in the KL, which is not measured
here. `vimco` is made for multi-sample bounds; on an expectation it is `reinforce` with `leave_one_out`. `disarm` is for
two categories, so it is in the second table only. A call draws one sample unless the row says otherwise. Averaging s
independent calls keeps the bias and the cosine at equal cost, and divides the std by sqrt(s)."""


PATHWISE = [
    *(Variant(name) for name in ("gumbel_softmax", "straight_through_gumbel_softmax", "straight_through", "reinmax")),
    *(Variant(name) for name in ("decoupled_straight_through_gumbel_softmax", "gapped_straight_through")),
    *(Variant("gumbel_rao", {"inner_samples": inner}) for inner in (1, 10, 100)),
]


def over_temperature(variants: Iterable[Variant], temperatures: Sequence[float]) -> Iterator[Variant]:
    """Yield every variant at every temperature."""
    return (replace(variant, temperature=tau) for variant in variants for tau in temperatures)


def unbiased_variants(k: int) -> Iterator[Variant]:
    """Yield unbiased estimators with the fewest samples; with more where they differ from independent calls."""
    pairs = k * (k - 1) // 2 + 1  # cost evaluations of arsm
    for baseline in ("none", "moving_average", "learned"):
        yield Variant("reinforce", {"baseline": baseline}).with_samples(1)
    leave_one_out = Variant("reinforce", {"baseline": "leave_one_out"})
    yield from (leave_one_out.with_samples(samples) for samples in (2, 4, pairs))
    yield from (Variant(name).with_samples(samples) for name in ("vimco", "unordered") for samples in (2, 4))
    yield from (Variant(name) for name in ("muprop", "arsm", "disarm", "exact"))
    yield from (Variant(name, {}, LEARNED) for name in ("rebar", "relax"))


def setups() -> dict[str, Setup]:
    """Return the set-ups by name; each model has 4096 latent configurations."""
    many, few = (0.1, 0.3, 0.5, 0.7, 1.0, 1.5), (0.5, 1.0, 1.5)
    relaxed, annealed = [*PATHWISE, Variant("rebar")], Variant("gumbel_softmax", {}, ANNEALED)
    leave_one_out = Variant("reinforce", {"baseline": "leave_one_out", "samples": 4})
    others = [*over_temperature(PATHWISE[:4], few), leave_one_out, Variant("muprop")]
    return {
        "8x4": Setup(4, 8, annealed, [*over_temperature(relaxed, many), *unbiased_variants(8)], True),
        "2x12": Setup(12, 2, annealed, [*over_temperature(PATHWISE, few), *unbiased_variants(2)], True),
        "8x4, trained by reinmax": Setup(4, 8, Variant("reinmax", {}, 1.3), others),
        "8x4, trained by reinforce": Setup(4, 8, leave_one_out, others),
    }


def main() -> None:
    """Measure what is missing, and write page and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/estimators"), help="folder of models and finished rows")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    data = ImageData("mnist", "static", batch_size=BATCH)
    descriptions, rows = {}, {}
    for name, setup in setups().items():
        bench = Bench(setup, data, out / name.replace(",", "").replace(" ", "_"))
        descriptions[name], rows[name] = bench.describe_model(), bench.rows()
    write(rows, descriptions, NOTES, Path(__file__))


if __name__ == "__main__":
    main()
