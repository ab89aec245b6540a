"""REBAR: REINFORCE with the relaxed cost as control variate, unbiased, its scale and temperature learned.

Tucker, Mnih, Maddison, Lawson & Sohl-Dickstein 2017 (arXiv:1703.07370), section 3, for k categories.

With z = log p + Gumbel noise, b = argmax z, z~ drawn from p(z | b) and a control variate c, the estimate is
``(cost(b) - c(z~)) d log p(b) + d c(z) - d c(z~)``. The noise behind z~ is coupled to that behind z so that z~ = z
(less variance, and one evaluation of c for two). What stays different is how they depend on log p:
d z / d log p = 1, and by the truncated Gumbel's quantile function d z~ / d log p = 1 - exp(z - max z). So the gradient
for log p of the last two terms is c'(z) exp(z - max z).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..estimator import (
    ESTIMATORS,
    Cost,
    Estimator,
    NoiseSource,
    attach_gradient,
    attach_learning,
    cost_slope,
    evaluate,
    expand_event,
    full_precision,
    lead,
    repeat_samples,
    sum_event,
)
from ..sampling import one_hot, tempered_softmax


@ESTIMATORS.register("rebar")
class Rebar(Estimator):
    """Unbiased at any temperature. The cost must take points inside the simplex too.

    The control variate is scale * cost(softmax(z / temperature)). The scale learns to minimise the variance of the
    gradient; so does the layer's temperature if it is ``{name: learned}``, and nothing else trains it. Least noise in
    benchmarks/estimators: temperature 0.7-1.5.

    Args:
        samples: draws of z per example.
        scale: of the control variate, at first.
    """

    unbiased = True
    pathwise = False

    def __init__(self, samples: int = 1, scale: float = 1.0) -> None:
        super().__init__(samples)
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def control_variate(
        self, z: Tensor, p: Tensor, cost: Cost, temperature: Tensor | float, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """c(z) ``s b`` and its gradient ``s b n k`` for z, in the graph of this estimator's parameters."""
        learned = isinstance(temperature, Tensor) and temperature.requires_grad and torch.is_grad_enabled()
        value, slope = cost_slope(lambda z: cost(tempered_softmax(z, temperature).to(dtype)), z, create_graph=learned)
        return self.scale * value, self.scale * slope

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, source: NoiseSource) -> Tensor:
        """Mean cost of the one-hot samples; the relaxed cost gives its own parameters no gradient."""
        if self.samples > 1:
            logits, temperature = repeat_samples(logits, self.samples), lead(temperature)  # s b n k
        log_p = full_precision(logits.detach()).log_softmax(-1)
        p = log_p.exp()
        z = log_p + source(logits)
        b = one_hot(z.argmax(-1), z.shape[-1], logits.dtype)
        value = evaluate(cost, b)  # s b

        gradient, loss = self.estimate(value.detach(), z, b, p, cost, temperature)
        value = attach_gradient(value, logits, gradient)
        own = [*self.parameters(), *(t for t in [temperature] if isinstance(t, Tensor) and t.requires_grad)]
        value = attach_learning(value, loss, own)
        return value.mean(0) if self.samples > 1 else value

    @torch.compiler.disable  # ``attach_learning`` needs a graph of its own
    def estimate(
        self, value: Tensor, z: Tensor, b: Tensor, p: Tensor, cost: Cost, temperature: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        """The logits' gradient ``s b n k``, detached, and its squared norm ``s b``, which the parameters minimise."""
        c, slope = self.control_variate(z, p, cost, temperature, b.dtype)
        residual = expand_event(full_precision(value) - c, like=z)
        direct = slope * (z - z.amax(-1, keepdim=True)).exp()
        gradient = residual * (b - p) + direct - p * direct.sum(-1, keepdim=True)
        return gradient.detach(), sum_event(gradient.square().sum(-1), like=value)

    def cost_evaluations(self, n: int, k: int) -> int:
        """One discrete, one relaxed per sample."""
        return 2 * self.samples
