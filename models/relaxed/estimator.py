"""Interface of all gradient estimators of E_{z ~ q}[cost(z)], and their registry.

Axes: ``b`` batch, ``n`` latents, ``k`` categories, ``s`` samples. An estimator is one class in one file, registered
with ``@ESTIMATORS.register("name")``. Its class attributes are facts that the tests check for every entry. An estimator
with parameters (a baseline, a control variate) trains them through ``with_learning``, in the model's optimizer step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from ...ranges import is_whole
from ...registry import Registry
from .densities import categorical_kl
from .noise import NoiseFn
from .surrogate import Cost, bound_cost, evaluate_pathwise, expand_temperature, repeat_copies, repeat_samples


class Estimator(nn.Module):
    """Base class of gradient estimators. Subclasses state the facts and write ``sample`` or ``expectation``.

    Pathwise estimators write ``sample``: the gradient flows through z. The others write ``expectation``.

    Args:
        samples: draws of z per example; with more than one, z has a leading axis ``s``, which the cost keeps.
        event_shape: shape ``n k`` of one example's logits, for estimators that are built for one shape.

    Raises:
        ValueError: fewer samples than ``minimum_samples``.
    """

    unbiased: ClassVar[bool]  # the expected gradient is the exact one
    pathwise: ClassVar[bool]  # ``layer(logits)`` works, not only ``layer.expectation``
    exact_value: ClassVar[bool] = True  # the value is unbiased, and so is the gradient for the cost's own parameters
    one_hot_forward: ClassVar[bool] = True  # every sample is exactly one-hot
    relaxed_cost: ClassVar[bool] = False  # the cost is evaluated inside the simplex too, beside the samples
    learns_temperature: ClassVar[bool] = True  # the temperature gets a gradient
    minimum_samples: ClassVar[int] = 1  # smallest number of samples
    categories: ClassVar[int | None] = None  # the only number of categories k that it takes; None: any

    noise_draws: int = 1  # Gumbel variables per category of one sample; several have a leading axis

    def __init__(self, samples: int = 1, event_shape: Sequence[int] | None = None) -> None:
        super().__init__()
        if not is_whole(samples) or samples < self.minimum_samples:
            raise ValueError(f"this estimator needs a whole number samples >= {self.minimum_samples}, got {samples!r}")
        self.samples = samples

    def sample(self, logits: Tensor, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Return a point of the simplex for each row of logits ``... k``, with a gradient; pathwise estimators only."""
        raise NotImplementedError

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Estimate E[cost(z)] per example, ``b``; this one is for pathwise estimators."""
        if self.samples == 1:
            return evaluate_pathwise(cost, self.sample(logits, temperature, noise_fn))
        repeated = repeat_samples(logits, self.samples)
        z = self.sample(repeated, expand_temperature(temperature), noise_fn)
        return evaluate_pathwise(cost, z).mean(0)

    def multi_sample_bound(
        self, logits: Tensor, log_weight: Cost, m: int, temperature: Tensor | float, noise_fn: NoiseFn
    ) -> Tensor:
        """Estimate E[log 1/m sum_i exp(log_weight(z_i))] per example, ``b``: the m copies are latents of one cost."""
        return -self.expectation(repeat_copies(logits, m), bound_cost(log_weight), temperature, noise_fn)

    def bound_samples(self, m: int) -> int:
        """Return the draws of the m copies in one ``multi_sample_bound``."""
        return self.samples

    def kl(self, logits: Tensor, prior_logits: Tensor | None, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Compute KL(q || prior) per row in nats, ``... k -> ...``; analytic, except for ``concrete``."""
        return categorical_kl(logits, prior_logits)

    def cost_evaluations(self, n: int, k: int) -> int:
        """Return the number of cost evaluations per example and step, for n latents of k categories."""
        return self.samples


ESTIMATORS: Registry[type[Estimator]] = Registry("estimator", context=("event_shape",), base=Estimator)
