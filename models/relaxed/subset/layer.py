"""Relaxed sampling of exactly k of n items: ``RelaxedSubset``, with the verbs of ``RelaxedCategorical``.

Axes: ``b`` batch, ``n`` items, ``k`` the number that is drawn, ``s`` samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from ....registry import Spec
from ..annealed import Annealed
from ..noise import draw_noise
from ..sampling import mask_logits
from ..schedules import SCHEDULES
from ..surrogate import Cost, cost_per_example, evaluate, repeat_samples
from .checks import check_items, check_k
from .estimator import SUBSET_ESTIMATORS, SubsetEstimator
from .laws import LAWS
from .top_k import k_hot, top_k


class RelaxedSubset(Annealed):
    """Draws of exactly k of n items, with a gradient: k-hot vectors, ``... n -> ... n``.

    The estimator fixes the law, ``layer.law``. ``simple``, ``reinforce`` and ``exact`` draw a conditional Bernoulli:
    independent Bernoulli variables with these log-odds, given that k are 1. ``relaxed_top_k`` and
    ``straight_through_top_k`` draw Plackett-Luce: k choices without replacement. Both are the categorical for k = 1.

    In training mode ``layer(logits)`` and ``layer.expectation(logits, cost)`` use the estimator. In eval mode nothing
    is relaxed: ``layer(logits)`` is the most probable set and ``layer.expectation`` the cost of exact draws.

    Args:
        k: items in a draw.
        estimator: name of a subset estimator, or ``{"name": "reinforce", "samples": 8}``.
        temperature: a number > 0, the name of a schedule, or ``{"name": "exponential", "initial": 1.0, ...}``;
            ``{"name": "learned", "initial": 1.0}`` trains it. Only relaxed top-k and its straight-through form use it.

    Raises:
        ValueError: k < 1, an unknown estimator, schedule or argument (the nearest known one is named), a temperature
            <= 0, a learned one for an estimator that gives it no gradient.

    Example:
        >>> import torch
        >>> from gumbelzoo.models.relaxed import RelaxedSubset
        >>> layer = RelaxedSubset(3)
        >>> logits = torch.randn(32, 10, requires_grad=True)  # b n
        >>> z = layer(logits)  # b n, three ones in each row
        >>> z[..., 0].sum().backward()  # the gradient of the marginals reaches the logits
        >>> inclusion = layer.marginals(logits)  # b n, sums to 3
    """

    parts: ClassVar[Mapping[str, Any]] = {"estimator": SUBSET_ESTIMATORS, "temperature": SCHEDULES}

    def __init__(self, k: int, estimator: Spec = "simple", temperature: float | Spec = 1.0) -> None:
        super().__init__(temperature)
        self.k = check_k(k)
        self.name, _ = SUBSET_ESTIMATORS.read(estimator)
        self.estimator: SubsetEstimator = SUBSET_ESTIMATORS.build(estimator, k=k)
        if self.log_temperature is not None and not self.estimator.learns_temperature:
            raise ValueError(
                f"a temperature cannot be learned through subset estimator '{self.name}', which gives it no gradient; "
                "use a number or another schedule"
            )

    @property
    def law(self) -> str:
        """Distribution of the draws, as the estimator fixes it: conditional_bernoulli or plackett_luce."""
        return self.estimator.law

    def forward(
        self,
        logits: Tensor,
        *,
        mask: Tensor | None = None,
        temperature: float | Tensor | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Return a draw per row of logits ``... n``, with a gradient; in eval mode the most probable set.

        Args:
            logits: log-odds (conditional Bernoulli) or unnormalised log-probabilities (Plackett-Luce), ``... n``.
            mask: True where an item is allowed, broadcastable to ``... n``; a logit of -inf masks too.
            temperature: replaces the layer's own: a number, or a tensor whose shape is a leading part of ``...``,
                with a gradient from estimators that can learn one.
            generator: source of the noise, for reproducible draws.
            noise: standard Gumbel noise ``... n`` to use instead of drawing it.

        Raises:
            ValueError: the estimator has no pathwise gradient (use ``expectation``), temperature <= 0, a row that
                allows fewer than k items, or noise of another shape.
        """
        logits = mask_logits(logits, mask)
        if not self.training:
            return self._mode(logits)
        if not self.estimator.pathwise:
            raise ValueError(
                f"subset estimator '{self.name}' has no pathwise gradient, so layer(logits) cannot use it; "
                "write the objective as layer.expectation(logits, cost), or use a pathwise estimator such as 'simple'"
            )
        tau = self._temperature(temperature, logits)
        return self.estimator.sample(logits, tau, partial(draw_noise, noise=noise, generator=generator))

    def expectation(
        self,
        logits: Tensor,
        cost: Cost,
        *,
        mask: Tensor | None = None,
        temperature: float | Tensor | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Estimate E[cost(z)] per example, with gradients for the logits and the cost's own parameters.

        Args:
            logits: ``b n``, or any shape whose last axis is the items.
            cost: maps z, of the logits' shape or with several samples ``s b n``, to one value per example, ``b`` or
                ``s b``. The shape of its value defines the axes of one example.
            mask, temperature, generator: as for ``forward``.
            noise: as for ``forward``, with a leading axis for several samples.

        Returns:
            The estimate ``b``. In eval mode it is the mean cost of exact draws, without a gradient for the logits.

        Raises:
            ValueError: a cost of another shape, temperature <= 0, a row that allows fewer than k items, or noise of
                another shape.
        """
        logits, cost = mask_logits(logits, mask), cost_per_example(cost, logits.ndim)
        noise_fn = partial(draw_noise, noise=noise, generator=generator)
        if self.training:
            return self.estimator.expectation(logits, cost, self._temperature(temperature, logits), noise_fn)
        samples = self.estimator.samples
        repeated = repeat_samples(logits.detach(), samples)
        value = evaluate(cost, LAWS[self.law].sample(repeated, self.k, noise_fn(repeated)))
        return value.mean(0) if samples > 1 else value

    def sample(
        self,
        logits: Tensor,
        *,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Draw exactly from the law, k-hot ``... n -> ... n`` in the dtype of the logits, without gradient."""
        logits = mask_logits(logits.detach(), mask)
        return LAWS[self.law].sample(logits, self.k, draw_noise(logits, noise=noise, generator=generator))

    def mode(self, logits: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Return the most probable set, k-hot ``... n -> ... n``: the k largest logits, the first on ties."""
        return self._mode(mask_logits(logits, mask))

    def log_prob(self, logits: Tensor, draw: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Compute log-probabilities of draws in nats, ``...``, with a gradient; -inf for a masked item.

        Args:
            logits: ``... n``.
            draw: k-hot ``... n`` under a conditional Bernoulli; under Plackett-Luce an ordered draw, codes ``... k``,
                such as those of ``plackett_luce.sample``.
            mask: as for ``forward``.

        Raises:
            ValueError: a draw of another form, a row that allows fewer than k items.
        """
        return LAWS[self.law].log_prob(mask_logits(logits, mask), draw, self.k)

    def kl(self, logits: Tensor, prior_logits: Tensor | None = None, *, mask: Tensor | None = None) -> Tensor:
        """Compute KL(q || prior) per row in nats, ``... n -> ...``, analytically; the prior is uniform by default.

        A uniform prior is over all sets of k items, those with masked items too.

        Raises:
            ValueError: a Plackett-Luce law, a row that allows fewer than k items.
        """
        return LAWS[self.law].kl(mask_logits(logits, mask), prior_logits, self.k)

    def marginals(self, logits: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Compute the probability that each item is drawn, ``... n -> ... n``, exactly and with a gradient; sum k.

        Raises:
            ValueError: a Plackett-Luce law, a row that allows fewer than k items.
        """
        return LAWS[self.law].marginals(mask_logits(logits, mask), self.k)

    def extra_repr(self) -> str:
        """The number of items drawn, estimator and temperature as configured."""
        return f"k={self.k}, '{self.name}', temperature={self.temperature_spec}"

    def _mode(self, logits: Tensor) -> Tensor:
        check_items(logits, self.k)
        return k_hot(top_k(logits, self.k), logits.shape[-1], logits.dtype)
