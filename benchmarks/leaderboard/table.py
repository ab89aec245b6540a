"""What the leaderboard prints: the runs' test bounds, what a step costs, and how much each gradient varies.

Costs and variances are measured on one model, a release of ``gumbel_softmax``, whose weights every row gets (a row's
own learned control variate comes from its own run), with each row's chosen temperature.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from gumbelzoo.benchmarks.common.measure import in_turns, mean_and_error
from gumbelzoo.benchmarks.common.measure import table as markdown
from gumbelzoo.benchmarks.common.runs import fit_facts, test_metrics
from gumbelzoo.commands.source import build_data, resolve_source
from gumbelzoo.models import CategoricalVAE, ZooModel
from gumbelzoo.models.relaxed import ESTIMATORS
from torch import Tensor

# By row: ``choice`` of estimator, temperature and learning rate; ``seeds``, each a run's bound and ELBO beside what its
# fit.json says, but the command; ``cost``, once measured. Runs with an ``origin`` are older than the record, their
# folders gone: their figures are those that give the means and standard errors of all former pages.
Record = dict[str, dict[str, Any]]

DRAWS, ROUNDS, STEPS = 200, 15, 4  # of the gradient; turns of a few steps each
README_COLUMNS = ("row", "bound", "seeds", "ELBO", "step", "note", "published")
COLUMNS = ("row", "bound", "seeds", "ELBO", "unbiased", "temperature", "learning rate", "step", "log-variance", "note")
PUBLISHED = {  # Jang et al. 2017, table 1
    "gumbel_softmax": "101.5",
    "straight_through_gumbel_softmax": "107.8",
    "straight_through": "110.9",
    "straight_through_annealed": "107.8",
    "muprop": "107.0",
    "reinforce_learned": "110.6",
}
OTHERS = """\
| published, other set-ups, networks and optimizers | bound |
| --- | --- |
| Paulus et al. 2021, 80 x 8, m = 5000, batch 20 / 200: Gumbel-Softmax | 95.5 / 92.3 |
| Paulus et al. 2021: ST Gumbel-Softmax | 98.0 / 92.8 |
| Paulus et al. 2021: Gumbel-Rao, 100 samples | 96.8 / 92.2 |
| Paulus et al. 2021: ST / REINFORCE | 107.2 / 105.1 and 203.9 / 124.9 |"""


# -- costs ------------------------------------------------------------------------------------------------------------


def measure(runs: Mapping[str, Path], reference: str) -> dict[str, dict[str, float | None]]:
    """Step time relative to a reference, a release or a run, and the gradient's variance at its weights, by row."""
    torch.set_num_threads(1)
    source = resolve_source(reference)
    weights = {name: value.clone() for name, value in source.model.state_dict().items()}
    data = build_data(source.data)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    steps = {name: _steps(_model(run, weights), batch) for name, run in runs.items()}
    seconds = in_turns([_steps(source.model.train(), batch), *steps.values()], ROUNDS)
    base, *times = map(statistics.median, seconds)
    models = {name: _model(run, weights) for name, run in runs.items()}  # fresh ones: the steps have moved the others
    return {
        name: {"ratio": time / base, "log_variance": log_variance(models[name], batch["image"])}
        for name, time in zip(runs, times, strict=True)
    }


def _model(run: Path, weights: dict[str, Tensor]) -> ZooModel:
    """A run's model in training mode, with its own estimator and the given networks."""
    model = resolve_source(str(run)).model
    if isinstance(model, CategoricalVAE):
        own = {name: value for name, value in model.state_dict().items() if name.startswith("relaxed.")}
        model.load_state_dict({**weights, **own}, strict=False)
    return model.train()


def _steps(model: ZooModel, batch: dict[str, Tensor]) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0, fused=True)

    def steps() -> None:
        for _ in range(STEPS):
            loss = model.training_metrics(batch)["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return steps


def log_variance(model: ZooModel, x: Tensor) -> float | None:
    """Logarithm of the variance of the loss's gradient for a logit of q(z | x), averaged over logits and images."""
    if not isinstance(model, CategoricalVAE):
        return None
    posterior = model.posterior(x).detach()
    total, squares = torch.zeros_like(posterior), torch.zeros_like(posterior)
    for _ in range(DRAWS):
        logits = posterior.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(len(x) * model.objective(x, logits)["loss"], logits)
        total += gradient
        squares += gradient.square()
    variance = (squares / DRAWS - (total / DRAWS).square()) * DRAWS / (DRAWS - 1)
    return math.log(variance.mean().item())


# -- the record and its tables ----------------------------------------------------------------------------------------


def collect(record: Record, name: str, runs: Mapping[int, Path]) -> None:
    """Put a row's tested runs, by seed, into the record.

    A seed that is there already stays as it is, so that running it again until it pleases is of no use; runs of another
    choice than the recorded begin the row anew.
    """
    for seed, run in runs.items():
        arguments = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["model"]["init_args"]
        estimator = arguments.get("estimator")
        choice = {
            "estimator": estimator["name"] if isinstance(estimator, dict) else estimator,
            "temperature": arguments.get("temperature"),
            "learning_rate": arguments["optimizer"]["learning_rate"],
        }
        if name not in record or record[name]["choice"] != choice:
            record[name] = {"choice": choice, "seeds": {}}
        metrics = {key: test_metrics(run)[f"test/{key}"] for key in ("bound", "elbo")}
        facts = {key: value for key, value in fit_facts(run).items() if key != "command"}  # with paths of a machine
        record[name]["seeds"].setdefault(str(seed), {**metrics, **facts})


def table(rows: Record, notes: Mapping[str, str], tempered: Collection[str], columns: Sequence[str] = COLUMNS) -> str:
    """Markdown, the best bound first; ``tempered`` are the names of the rows with a temperature."""
    lines = []
    figures = {
        name: {key: [run[key] for run in entry["seeds"].values()] for key in ("bound", "elbo")}
        for name, entry in rows.items()
    }
    for name in sorted(rows, key=lambda row: statistics.mean(figures[row]["bound"])):
        choice, cost = rows[name]["choice"], rows[name].get("cost")
        estimator, log_variance = choice["estimator"], cost["log_variance"] if cost else None
        cells = {
            "row": f"`{name}`",
            "bound": f"**{mean_and_error(figures[name]['bound'], 2)}**",
            "seeds": str(len(rows[name]["seeds"])),
            "ELBO": f"{statistics.mean(figures[name]['elbo']):.2f}",
            "unbiased": {True: "yes", False: "no", None: ""}[ESTIMATORS[estimator].unbiased if estimator else None],
            "temperature": _temperature(choice["temperature"]) if name in tempered else "",
            "learning rate": f"{choice['learning_rate']:g}",
            "step": f"{cost['ratio']:.2f}" if cost else "",
            "log-variance": "" if log_variance is None else f"{log_variance:.2f}",
            "published": PUBLISHED.get(name, ""),
            "note": notes[name],
        }
        lines.append([cells[column] for column in columns])
    return markdown(columns, lines)


def _temperature(given: Any) -> str:
    return f"{given['initial']:g} to {given['minimum']:g}" if isinstance(given, dict) else f"{given:g}"
