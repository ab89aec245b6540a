"""Measurements of ``estimators.py``: a trained VAE, and every estimator's gradient of its reconstruction cost.

Axes: ``b`` images, ``n`` latents, ``k`` categories.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import torch
from gumbelzoo.benchmarks.estimators.gradient_quality import (
    DECODED,
    gradient_draws,
    gradient_metrics,
    seconds_per_call,
)
from gumbelzoo.benchmarks.estimators.report import Row, label
from gumbelzoo.data import ImageData
from gumbelzoo.models.base import OptimizerConfig
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical
from gumbelzoo.models.relaxed.densities import entropy
from gumbelzoo.models.vae.categorical import CategoricalVAE
from lightning import Trainer
from torch import Tensor

VAE_STEPS, LEARNING_STEPS = 5000, 1000
DRAWS, IMAGES, BATCH = 1024, 32, 100
TURNS, SECONDS = 21, 4.0  # most turns, and most seconds for one estimator
LEARNED = {"name": "learned", "initial": 0.5}


@dataclass(frozen=True)
class Variant:
    """An estimator to measure.

    Attributes:
        estimator: its name.
        options: its options.
        temperature: a number or a schedule; None for an estimator without one.
    """

    estimator: str
    options: dict[str, Any] = field(default_factory=dict)
    temperature: float | dict[str, Any] | None = None

    def layer(self, n: int, k: int) -> RelaxedCategorical:
        """Build the layer for n latents of k categories, in training mode."""
        return RelaxedCategorical(self.spec, self.temperature or 1.0, (n, k))

    @property
    def spec(self) -> dict[str, Any]:
        """Estimator and options, as a layer takes them."""
        return {"name": self.estimator, **self.options}

    def with_samples(self, samples: int) -> Variant:
        """Return the variant with another number of samples."""
        return replace(self, options={**self.options, "samples": samples})


@dataclass(frozen=True)
class Setup:
    """A model, and the estimators that are measured on it.

    Attributes:
        latents: number n of latents.
        categories: number k of categories.
        trainer: estimator that trains the model.
        variants: estimators that are measured.
        timed: measure their times as well.
    """

    latents: int
    categories: int
    trainer: Variant
    variants: Sequence[Variant]
    timed: bool = False


class Bench:
    """A trained VAE, and test images to measure estimators on.

    Args:
        setup: the model and the estimators.
        data: binary images.
        folder: keeps the weights and finished measurements.

    Attributes:
        x: test images ``b c h w``.
        logits: their posterior logits ``b n k``.
        exact: exact gradient for the first images, ``b n k``.
    """

    def __init__(self, setup: Setup, data: ImageData, folder: Path) -> None:
        self.setup, self.data, self.folder = setup, data, folder
        self.n, self.k = setup.latents, setup.categories
        self.states: dict[str, dict[str, Tensor]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        self.model = CategoricalVAE(
            latents=self.n,
            categories=self.k,
            estimator=setup.trainer.spec,
            temperature=setup.trainer.temperature or 1.0,
            optimizer=OptimizerConfig(schedule="cosine", warmup=100),
        )
        if not (weights := folder / "vae.pt").exists():
            extras = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
            quiet: Any = dict.fromkeys(extras, False)
            Trainer(accelerator="cpu", max_steps=VAE_STEPS, limit_val_batches=0, **quiet).fit(self.model, data)
            torch.save(self.model.state_dict(), weights)
        self.model.load_state_dict(torch.load(weights))
        self.model.eval().requires_grad_(False)
        self.x = next(iter(data.test_dataloader()))["image"]
        self.logits = self.model.posterior(self.x)
        self.exact = gradient_draws(Variant("exact").layer(self.n, self.k), self.logits[:IMAGES], self.cost, 1)[0]

    def cost(self, index: Tensor, z: Tensor) -> Tensor:
        """Return -log p(x | z) in nats for the images ``index``."""
        return self.model.reconstruction(self.x[index], z)

    def describe_model(self) -> str:
        """Return the model's ELBO, the entropy of its posterior and the norm of the exact gradient, as text."""
        torch.manual_seed(0)
        elbo = self.model.relaxed.expectation(self.logits, partial(self.model.reconstruction, self.x))
        elbo = (elbo + self.model.kl(self.logits).sum(-1)).mean()
        mean_entropy = entropy(self.logits[:IMAGES]).mean()
        return (
            f"negative ELBO {elbo:.1f} nats on {len(self.x)} test images; on the {IMAGES} images of the metrics, mean "
            f"posterior entropy of a latent {mean_entropy:.2f} nats, and |g| = {self.exact.norm():.1f}"
        )

    def trained_layer(self, variant: Variant) -> RelaxedCategorical:
        """Build the layer; its own parameters are trained on this cost as in a model's training, one sample a step."""
        layer, single = variant.layer(self.n, self.k), variant.with_samples(1)
        if not layer.estimator.state_dict():
            return layer
        if repr(single) not in self.states:
            torch.manual_seed(0)
            teacher = single.layer(self.n, self.k)
            # A group may be empty, as for a moving average, which is a buffer.
            groups = [{"params": list(teacher.parameters())}]
            optimizer = torch.optim.AdamW(groups, self.model.optimizer_config.learning_rate)
            batches = chain.from_iterable(repeat(self.data.train_dataloader()))
            for batch in islice(batches, LEARNING_STEPS):
                logits = self.model.posterior(batch["image"]).requires_grad_()
                optimizer.zero_grad()
                teacher.expectation(logits, partial(self.model.reconstruction, batch["image"])).mean().backward()
                optimizer.step()
            self.states[repr(single)] = teacher.state_dict()
        layer.load_state_dict(self.states[repr(single)])
        return layer

    def row(self, variant: Variant) -> Row:
        """Measure one variant; return its description and metrics."""
        layer = self.trained_layer(variant)
        torch.manual_seed(0)
        evaluations = layer.estimator.cost_evaluations(self.n, self.k)
        count = DRAWS if evaluations < self.k**self.n else 2  # enumeration has no noise
        draws = gradient_draws(layer, self.logits[:IMAGES], self.cost, count)
        return {
            "estimator": variant.estimator,
            "options": variant.options,
            "temperature": round(layer.current_temperature().item(), 4) if variant.temperature else None,
            "learned": layer.log_temperature is not None,
            "unbiased": layer.estimator.unbiased,
            "evaluations": evaluations,
            **gradient_metrics(draws, self.exact, evaluations),
        }

    def step(self, row: Row) -> Callable[[], None]:
        """Return a call to time: forward and backward. The time does not depend on the temperature."""
        layer = Variant(row["estimator"], row["options"], LEARNED if row["learned"] else 1.0).layer(self.n, self.k)
        parts = torch.arange(BATCH).split(max(1, DECODED // row["evaluations"]))

        def run() -> None:
            for index in parts:
                leaf = self.logits[index].requires_grad_()
                layer.expectation(leaf, partial(self.cost, index)).sum().backward()

        return run

    def rows(self) -> list[Row]:
        """Measure every variant, and time it if the setup says so."""
        fitting = {repr(v): v for v in self.setup.variants if ESTIMATORS[v.estimator].categories in (None, self.k)}
        rows = [self.remembered(key, partial(self.row, variant)) for key, variant in fitting.items()]
        if not self.setup.timed:
            return rows
        self.model.requires_grad_()
        steps = {label(row): self.step(row) for row in rows}
        seconds = self.remembered("seconds", partial(seconds_per_call, steps, TURNS, SECONDS))
        return [{**row, "seconds": seconds[label(row)]} for row in rows]

    def remembered(self, key: str, compute: Callable[[], Any]) -> Any:
        """Return a JSON value that is computed once, and kept in ``measurements.json``."""
        path = self.folder / "measurements.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        if key not in known:
            known[key] = compute()
            path.write_text(json.dumps(known, indent=1))
            print(key, known[key], flush=True)
        return known[key]
