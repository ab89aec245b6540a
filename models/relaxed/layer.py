"""Relaxed-sampling layer: the only interface to noise, temperature and gradient estimators.

Axes: ``b`` batch, ``n`` latents, ``k`` categories, ``s`` samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...registry import Spec
from .annealed import Annealed
from .densities import categorical_kl, log_marginal
from .estimator import ESTIMATORS, Estimator
from .noise import NoiseFn, draw_noise
from .sampling import categorical_sample, gumbel_max, mask_logits, mode, one_hot
from .schedules import SCHEDULES
from .surrogate import Cost, bound_cost, cost_per_example, evaluate, repeat_copies, repeat_samples


class RelaxedCategorical(Annealed):
    """Samples of categories with a gradient.

    In training mode ``layer(logits)`` and ``layer.expectation(logits, cost)`` use the estimator at the current
    temperature. In eval mode nothing is relaxed: ``layer(logits)`` is the one-hot mode and ``layer.expectation`` the
    cost of exact draws. The temperature is a function of ``step``, a buffer that ``advance()`` increments once per
    optimizer step. It is part of checkpoints, and depends neither on epochs nor on the number of optimizers.

    Args:
        estimator: name of a gradient estimator, or ``{"name": "reinforce", "samples": 8}``.
        temperature: a number > 0, the name of a schedule, or ``{"name": "exponential", "initial": 1.0, ...}``;
            ``{"name": "learned", "initial": 1.0}`` trains it.
        event_shape: shape ``n k`` of one example's logits (``n m k`` for a multi-sample bound), for the estimators that
            are built for one shape: ``relax``, ``unordered``, and ``reinforce`` with a learned baseline.

    Raises:
        ValueError: an unknown estimator, schedule or argument (the nearest known one is named), a temperature <= 0, a
            learned one for an estimator that gives it no gradient.

    Example:
        >>> import torch
        >>> from gumbelzoo.models.relaxed import RelaxedCategorical
        >>> layer = RelaxedCategorical("straight_through_gumbel_softmax", temperature=0.5)
        >>> logits = torch.randn(32, 20, 10, requires_grad=True)  # b n k
        >>> z = layer(logits)  # b n k, exactly one-hot
        >>> z[..., 0].sum().backward()  # a gradient reaches the logits all the same
        >>> layer.advance()  # once per optimizer step
    """

    parts: ClassVar[Mapping[str, Any]] = {"estimator": ESTIMATORS, "temperature": SCHEDULES}

    def __init__(
        self,
        estimator: Spec = "gumbel_softmax",
        temperature: float | Spec = 1.0,
        event_shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__(temperature)
        self.name, _ = ESTIMATORS.read(estimator)
        self.estimator: Estimator = ESTIMATORS.build(estimator, event_shape=event_shape)
        if self.log_temperature is not None and not self.estimator.learns_temperature:
            raise ValueError(
                f"a temperature cannot be learned through estimator '{self.name}', which gives it no gradient; "
                "use a number or another schedule"
            )

    @property
    def one_hot_samples(self) -> bool:
        """True where every z, a cost's too, is exactly one-hot, so that ``select`` may gather."""
        return not self.training or (self.estimator.one_hot_forward and not self.estimator.relaxed_cost)

    def forward(
        self,
        logits: Tensor,
        *,
        mask: Tensor | None = None,
        temperature: float | Tensor | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Return a point of the simplex per row of logits ``... k``, with a gradient; in eval mode the one-hot mode.

        Args:
            logits: unnormalised log-probabilities ``... k``, of any floating dtype.
            mask: True where a category is allowed, broadcastable to ``... k``; a logit of -inf masks too.
            temperature: replaces the layer's own: a number, or a tensor whose shape is a leading part of ``...`` (one
                temperature per example, or per latent), with a gradient from estimators that can learn one.
            generator: source of the noise, for reproducible draws.
            noise: standard Gumbel noise ``... k`` to use instead of drawing it; ``d ... k`` for an estimator with
                ``layer.estimator.noise_draws`` = d > 1.

        Raises:
            ValueError: the estimator has no pathwise gradient (use ``expectation``), temperature <= 0, a row whose
                categories are all masked, or noise of another shape.
        """
        logits = mask_logits(logits, mask)
        if not self.training:
            return one_hot(mode(logits), logits.shape[-1], logits.dtype)
        if not self.estimator.pathwise:
            raise ValueError(
                f"estimator '{self.name}' has no pathwise gradient, so layer(logits) cannot use it; "
                "write the objective as layer.expectation(logits, cost), or use a pathwise estimator "
                "such as 'straight_through_gumbel_softmax'"
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

        Decisions in a row nest: the cost of the first contains the expectation of the second. Unbiased estimators stay
        unbiased, and ``exact`` enumerates whole trajectories. The cost evaluations of all steps multiply; those of
        ``trajectory_surrogate`` do not.

        Args:
            logits: ``b n k``, or any shape whose last axis is the categories.
            cost: maps z, of the logits' shape or with several samples ``s b n k``, to one value per example, ``b`` or
                ``s b``. The shape of its value defines the axes of one example.
            mask, temperature, generator: as for ``forward``.
            noise: as for ``forward``, with a leading axis for several samples, and in eval mode without d.

        Returns:
            The estimate ``b``. In eval mode it is the mean cost of exact one-hot draws, without a gradient for the
            logits.

        Raises:
            ValueError: a cost of another shape, temperature <= 0, a row whose categories are all masked, or noise of
                another shape.

        Example:
            >>> from gumbelzoo.models.relaxed import exclude_taken, select
            >>> exact, first = RelaxedCategorical("exact"), torch.randn(8, 3)  # b k
            >>> scores, price = torch.randn(3, 3), torch.randn(3, 3)  # of the first choice, and of the second
            >>> def cost(z1):  # ... k -> ...
            ...     second = exclude_taken(select(z1, scores), z1)  # logits ... k; no category twice
            ...     return exact.expectation(second, lambda z2: (z2 * select(z1, price)).sum(-1))
            >>> value = exact.expectation(first, cost)  # b
        """
        logits, cost = mask_logits(logits, mask), cost_per_example(cost, logits.ndim)
        noise_fn = partial(draw_noise, noise=noise, generator=generator)
        if not self.training:
            return self._discrete_expectation(logits, cost, noise_fn, self.estimator.samples)
        return self.estimator.expectation(logits, cost, self._temperature(temperature, logits), noise_fn)

    def multi_sample_bound(
        self,
        logits: Tensor,
        log_weight: Cost,
        m: int,
        *,
        mask: Tensor | None = None,
        temperature: float | Tensor | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Estimate E[log 1/m sum_i exp(log_weight(z_i))] per example in nats, to be maximised, with its gradient.

        With log_weight(z) = log p(x, z) - log q(z | x) it is the importance-weighted bound on log p(x) (Burda, Grosse &
        Salakhutdinov 2016, arXiv:1509.00519, eq. 8). ``vimco`` is the score-function estimator for it; all others treat
        the m copies as latents of one expectation.

        Args:
            logits: ``b n k``.
            log_weight: maps z ``m b n k`` to ``m b``; with several samples ``m s b n k`` to ``m s b``.
            m: number of copies of z in one bound.
            mask, temperature, generator: as for ``forward``.
            noise: ``b n m k``, with a leading axis for several samples; ``vimco`` draws one for m > 1.

        Returns:
            The estimate ``b``. In eval mode it comes from exact one-hot draws, without a gradient for the logits.

        Raises:
            ValueError: m < 1, and what ``expectation`` refuses.
        """
        if m < 1:
            raise ValueError(f"a multi-sample bound needs m >= 1, got {m}")
        logits, log_weight = mask_logits(logits, mask), cost_per_example(log_weight, logits.ndim)
        noise_fn = partial(draw_noise, noise=noise, generator=generator)
        if not self.training:
            samples = self.estimator.bound_samples(m)
            return -self._discrete_expectation(repeat_copies(logits, m), bound_cost(log_weight), noise_fn, samples)
        tau = self._temperature(temperature, logits)
        return self.estimator.multi_sample_bound(logits, log_weight, m, tau, noise_fn)

    def log_marginal(self, logits: Tensor, log_likelihood: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Compute log sum_i q_i exp(log_likelihood_i), exactly and per row, ``... k`` twice ``-> ...`` nats.

        It is the objective of a model that is evaluated for every category, and does not depend on the estimator:
        log_marginal >= multi_sample_bound >= expectation of the log-likelihood. Gradients, errors and dtype as in
        ``densities.log_marginal``.

        Args:
            logits: logits of q, ``... k``.
            log_likelihood: log p(x | z = i) in nats, broadcastable to ``... k``.
            mask: as for ``forward``.
        """
        return log_marginal(mask_logits(logits, mask), log_likelihood)

    def kl(
        self,
        logits: Tensor,
        prior_logits: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        temperature: float | Tensor | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Compute KL(q || prior) per row in nats, ``... k -> ...``; the prior is uniform by default.

        A uniform prior includes masked categories. The KL is analytic, except for the estimator ``concrete`` in
        training mode, which uses the log-ratio of its densities at a sample.
        """
        logits = mask_logits(logits, mask)
        if not self.training:
            return categorical_kl(logits, prior_logits)
        noise_fn = partial(draw_noise, noise=noise, generator=generator)
        return self.estimator.kl(logits, prior_logits, self._temperature(temperature, logits), noise_fn)

    def sample(
        self,
        logits: Tensor,
        *,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Draw one category per row exactly, ``... k -> ...`` (int64); with ``noise`` it is the Gumbel-max of it."""
        logits = mask_logits(logits, mask)
        if noise is None:
            return categorical_sample(logits, generator=generator)
        return gumbel_max(logits, noise=draw_noise(logits, noise=noise))

    def mode(self, logits: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Return the most probable category of each row, ``... k -> ...`` (int64)."""
        return mode(mask_logits(logits, mask))

    def extra_repr(self) -> str:
        """Estimator and temperature as configured."""
        return f"'{self.name}', temperature={self.temperature_spec}"

    def _discrete_expectation(self, logits: Tensor, cost: Cost, noise_fn: NoiseFn, samples: int) -> Tensor:
        logits = repeat_samples(logits.detach(), samples)
        codes = gumbel_max(logits, noise=noise_fn(logits))
        value = evaluate(cost, one_hot(codes, logits.shape[-1], logits.dtype))
        return value.mean(0) if samples > 1 else value
