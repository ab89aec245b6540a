"""What the temperature does: draws of Gumbel-Softmax, and bias and noise of gradients. No training, half a minute.

``python benchmarks/estimators/temperature.py`` draws ``temperature.png``. The gradients are those of a nonlinear cost
of two latents with three categories, for eight random logits, so that enumeration gives the exact one. The metrics are
defined in ``gradient_quality.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from gumbelzoo.benchmarks.common.command import parse_nothing
from gumbelzoo.benchmarks.estimators.gradient_quality import gradient_draws, gradient_metrics
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.plots import BLACK, BLUE, COLOURS, GREEN, GREY, MARKERS, ORANGE, plot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

PROBABILITIES = (0.5, 0.3, 0.2)
SHOWN = (0.1, 0.5, 1.0, 5.0)  # temperatures of the draws
CATEGORY_COLOURS = (BLUE, ORANGE, GREEN)
BARS, POINTS, SEED = 6, 600, 2
TEMPERATURES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)
ESTIMATORS = ("gumbel_softmax", "straight_through_gumbel_softmax", "straight_through", "reinmax")
EXAMPLES, LATENTS, CATEGORIES, DRAWS = 8, 2, 3, 4000
CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.5, math.sqrt(0.75)))  # of the triangle in which draws are shown


def cost(rows: Tensor, z: Tensor) -> Tensor:
    """A nonlinear cost of latents ``... r n k``, another one for each example ``r``."""
    weight = torch.randn(EXAMPLES, LATENTS, CATEGORIES, generator=torch.Generator().manual_seed(1))
    return (z * weight[rows]).sum((-1, -2)).exp()


def measure(name: str, temperature: float, logits: Tensor, exact: Tensor, draws: int = DRAWS) -> tuple[float, float]:
    """Return net bias and standard deviation of an estimator's gradient, relative to the exact one."""
    torch.manual_seed(0)
    layer = RelaxedCategorical(name, temperature, (LATENTS, CATEGORIES))
    found = gradient_metrics(gradient_draws(layer, logits, cost, draws), exact, 1)
    return math.sqrt(max(found["net_square"], 0.0)), found["std"]


def draw_bars(axis: Axes, samples: Tensor, temperature: float) -> None:
    """Draw each sample ``s k`` as three bars."""
    for category, colour in enumerate(CATEGORY_COLOURS):
        places = [sample + 0.27 * (category - 1) for sample in range(len(samples))]
        axis.bar(places, samples[:, category].tolist(), 0.25, color=colour, label=f"category {category}")
    axis.set(title=f"temperature {temperature:g}", ylim=(0, 1.02), xticks=range(len(samples)))
    axis.set_xticklabels([str(sample + 1) for sample in range(len(samples))])
    axis.set_xlabel("draw")


def draw_simplex(axis: Axes, samples: Tensor) -> None:
    """Draw samples ``s 3`` in the triangle of all distributions over three categories, a category in each corner."""
    x, y = (samples @ torch.tensor(CORNERS)).T.tolist()
    outline = [*CORNERS, CORNERS[0]]
    axis.plot(*zip(*outline, strict=True), color=GREY, linewidth=1)
    axis.scatter(x, y, 7, color=BLACK, alpha=0.25, linewidths=0)
    for (across, up), colour, number in zip(CORNERS, CATEGORY_COLOURS, range(3), strict=True):
        axis.plot(across, up, "o", color=colour, markersize=9, zorder=1)
        axis.annotate(
            str(number), (across, up), (0, 10 if up else -18), textcoords="offset points", ha="center", color=colour
        )
    axis.set_aspect("equal")
    axis.set(xlim=(-0.1, 1.1), ylim=(-0.15, 1.0))
    axis.axis("off")


def draw_metric(axis: Axes, curves: dict[str, list[float]], temperatures: Sequence[float]) -> None:
    """Draw one metric against the temperature, a line for each estimator."""
    for (name, values), colour, marker in zip(curves.items(), COLOURS, MARKERS, strict=False):
        axis.plot(temperatures, values, color=colour, marker=marker, markersize=5, label=name)
    axis.set(xscale="log", xlabel="temperature", ylim=(0, None))
    axis.set_xticks((0.1, 0.3, 1.0, 3.0), ("0.1", "0.3", "1", "3"))
    axis.minorticks_off()


def picture(figure: Figure, temperatures: Sequence[float], draws: int) -> None:
    """Draw samples at four temperatures, and bias and noise of gradients over all of them."""
    rows = list(figure.subfigures(3, 1, height_ratios=(1.05, 0.85, 1.5), squeeze=False).flat)
    logits = torch.tensor(PROBABILITIES).log()
    bars, triangles = rows[0].subplots(1, len(SHOWN), sharey=True), rows[1].subplots(1, len(SHOWN))
    for temperature, upper, lower in zip(SHOWN, bars, triangles, strict=True):
        torch.manual_seed(SEED)  # the same noise at every temperature
        samples = RelaxedCategorical("gumbel_softmax", temperature)(logits.expand(POINTS, 1, -1))[:, 0]  # s k
        draw_bars(upper, samples[:BARS], temperature)
        draw_simplex(lower, samples)
    bars[0].set_ylabel("weight in the draw")
    shares = ", ".join(f"{probability:g}" for probability in PROBABILITIES)
    rows[0].suptitle(f"Gumbel-Softmax draws from three categories with probabilities {shares}: six draws, same noise")
    rows[0].legend(*bars[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    rows[1].suptitle(f"{POINTS} draws each: near the corners they are almost one-hot, in the middle almost uniform")

    logits = 1.5 * torch.randn(EXAMPLES, LATENTS, CATEGORIES, generator=torch.Generator().manual_seed(0))
    exact = gradient_draws(RelaxedCategorical("exact"), logits, cost, 1)[0]
    found = {name: [measure(name, tau, logits, exact, draws) for tau in temperatures] for name in ESTIMATORS}
    left, right = rows[2].subplots(1, 2)
    draw_metric(left, {name: [bias for bias, _ in values] for name, values in found.items()}, temperatures)
    draw_metric(right, {name: [std for _, std in values] for name, values in found.items()}, temperatures)
    left.set(title="bias of the gradient", ylabel="|mean - exact| / |exact|")
    right.set(title="noise of the gradient, one draw", ylabel="standard deviation / |exact|")
    rows[2].suptitle("Gradient of an expected cost of two latents: with Gumbel-Softmax, less noise is more bias")
    rows[2].legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)


def main(temperatures: Sequence[float] = TEMPERATURES, draws: int = DRAWS) -> None:
    """Draw the picture next to this script."""
    torch.set_num_threads(1)
    with plot(Path(__file__).with_suffix(".png"), 10, 12) as figure:
        picture(figure, temperatures, draws)


if __name__ == "__main__":
    parse_nothing(__doc__)
    main()
