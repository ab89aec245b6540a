"""Section of one relaxed choice: draws at a temperature, their argmax, and a gradient beside the exact one."""

from __future__ import annotations

import math
from typing import Any

import gradio as gr

from ..temperature import COSTS, FORMULAS, MAX_CATEGORIES, Draws, Gradients, draw, estimators, gradients
from . import html
from .events import Section, add_output, add_status, respond
from .subject import Subject

START = (1.0, 0.0, -1.0)  # logits to begin with; those of other categories are 0
LOGIT = 4.0  # of a slider
BARS = 2  # draws shown as bars
DRAWS = (2, 16, 128, 512, 2048, 8192)


def build(subject: Subject, page: gr.Blocks, image: gr.State) -> None:
    """Add sliders for the logits and the temperature, the draws, and the gradients."""
    with gr.Row():
        number = gr.Slider(2, MAX_CATEGORIES, 3, step=1, label="Categories")
        heat = gr.Slider(0.05, 5.0, 1.0, step=0.05, label="Temperature")
        draws = gr.Dropdown([*DRAWS], value=512, label="Draws")
        seed = gr.Slider(0, 999, 0, step=1, label="Seed")
    with gr.Row():
        logits = [
            gr.Slider(-LOGIT, LOGIT, value, step=0.1, label=f"Logit {index + 1}", visible=index < 3, min_width=140)
            for index, value in enumerate((*START, *[0.0] * (MAX_CATEGORIES - len(START))))
        ]
    with gr.Row():
        cost = gr.Dropdown([(f"{name}: {FORMULAS[name]}", name) for name in COSTS], value="quadratic", label="Cost")
        estimator = gr.Dropdown(estimators(3), value="gumbel_softmax", label="Estimator")

    def settings(k: float, tau: float, n: float, values: Any) -> dict[str, Any]:
        return {"logits": [float(v) for v in values[: int(k)]], "temperature": float(tau), "draws": int(n)}

    def show_draws(k: float, tau: float, n: float, start: float, *values: float) -> str:
        given = settings(k, tau, n, values)
        found = draw(seed=int(start), **given)
        return html.sentence(f"Temperature {given['temperature']:.3g}, {given['draws']:,} draws") + _draws(found)

    def show_gradients(name: str, rule: str, k: float, tau: float, n: float, start: float, *values: float) -> str:
        found = gradients(cost=name, estimator=rule, seed=int(start), **settings(k, tau, n, values))
        return _gradients(rule, found)

    def choose(k: float, rule: str) -> tuple[Any, ...]:
        known = estimators(int(k))
        shown = [gr.update(visible=index < int(k)) for index in range(MAX_CATEGORIES)]
        return gr.update(choices=known, value=rule if rule in known else known[0]), *shown

    with gr.Row(equal_height=False):
        with gr.Column(min_width=280):
            drawn = add_output("draws")
        with gr.Column(min_width=280):
            compared = add_output("gradients")
    status, told = add_status(), add_status()
    shared: list[Any] = [number, heat, draws, seed, *logits]
    changes = [control.change for control in shared]
    respond([number.change], choose, [number, estimator], [estimator, *logits], status)
    respond([page.load, *changes], show_draws, shared, [drawn], status)
    both = [page.load, cost.change, estimator.change, *changes]
    respond(both, show_gradients, [cost, estimator, *shared], [compared], told)


def _draws(found: Draws) -> str:
    """The simplex of three categories, the histogram, and the first draws as bars."""
    k = len(found.probabilities)
    names = [f"category {index + 1}" for index in range(k)]
    shares = {"softmax(logits)": found.probabilities.tolist(), "argmax of the draws": found.frequency.tolist()}
    columns = {}
    for index in range(min(BARS, len(found.soft))):
        columns[f"draw {index + 1}, relaxed"] = found.soft[index].tolist()
        columns[f"draw {index + 1}, straight-through"] = found.hard[index].tolist()
    pictures = html.simplex(found.soft[:500], found.hard) if k == 3 else ""
    return pictures + html.bars("Share of each category", names, shares) + html.bars("First draws", names, columns)


def _gradients(name: str, found: Gradients) -> str:
    """The gradients as bars, and the distance of the mean from the exact one as draws add up."""
    rows = [f"logit {index + 1}" for index in range(len(found.exact))]
    series = {"exact": found.exact.tolist(), f"mean of {name}": found.mean.tolist()}
    largest = max(1e-12, *(abs(value) for column in series.values() for value in column))
    noise = [found.spread / math.sqrt(count) for count in found.counts]
    facts = (
        f"Distance of the mean from the exact gradient: {found.bias:.3g}, with a standard error of "
        f"{found.standard_error:.2g}. Spread of one draw: {found.spread:.3g}. Cost evaluations of one draw: "
        f"{found.evaluations}."
    )
    drawing = html.curve(
        found.counts, found.error.tolist(), noise, "Distance from the exact gradient; dashed: what noise alone gives"
    )
    return html.bars("Gradient of the expected cost", rows, series, largest) + html.sentence(facts) + drawing


SECTION = Section("Temperature", lambda subject: True, build)
