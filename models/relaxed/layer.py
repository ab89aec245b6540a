"""The one relaxed-sampling layer: noise, temperature and gradient estimators live behind it and nowhere else.

Axes: ``b`` batch, ``n`` latents, ``k`` categories, ``s`` samples.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...registry import unknown_arguments
from .densities import categorical_kl
from .estimator import (
    ESTIMATORS,
    Cost,
    Estimator,
    NoiseSource,
    bound_cost,
    draw_noise,
    evaluate,
    repeat_copies,
    repeat_samples,
)
from .sampling import align_temperature, categorical_sample, gumbel_max, mask_logits, mode, one_hot
from .schedules import SCHEDULES, make_schedule


class RelaxedCategorical(nn.Module):
    """Samples categories with a gradient.

    In training mode ``layer(logits)`` and ``layer.expectation(logits, cost)`` use the estimator at the current
    temperature. In eval mode nothing is relaxed: ``layer(logits)`` is the one-hot mode and ``layer.expectation`` the
    cost of exact draws. The temperature is a function of ``step``, a buffer that ``advance()`` counts up once per
    training batch, so that it survives a checkpoint and does not depend on epochs or on the number of optimizers.

    Args:
        estimator: a name of ``ESTIMATORS``.
        temperature: a number > 0, or a schedule ``{"name": "exponential", "initial": 1.0, ...}`` (see ``SCHEDULES``),
            or ``{"name": "learned", "initial": 1.0}`` for a trained temperature.
        estimator_options: arguments of the estimator, such as ``{"samples": 4}``.
        event_shape: shape ``n k`` of one example's logits, for the estimators that are built for one (those that hold a
            network, such as ``relax``); the others do not need it.

    Raises:
        ValueError: an unknown estimator, schedule or argument (the nearest known one is named), a temperature <= 0, a
            learned one for an estimator that gives it no gradient.
    """

    step: Tensor

    def __init__(
        self,
        estimator: str = "gumbel_softmax",
        temperature: float | Mapping[str, Any] = 1.0,
        estimator_options: Mapping[str, Any] | None = None,
        event_shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        options = dict(estimator_options or {})
        unknown_arguments(f"estimator '{estimator}'", ESTIMATORS[estimator], options)
        if "event_shape" in inspect.signature(ESTIMATORS[estimator]).parameters:
            options.setdefault("event_shape", event_shape)
        self.name = estimator
        self.estimator: Estimator = ESTIMATORS[estimator](**options)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

        spec: dict[str, Any] = (
            dict(temperature) if isinstance(temperature, Mapping) else {"name": "constant", "initial": temperature}
        )
        name = spec.pop("name", None)
        if name is None:
            raise ValueError("a temperature schedule needs a name, such as {name: exponential, initial: 1.0}")
        self.temperature_spec = {"name": name, **spec}
        self.log_temperature = None
        if name == "learned":
            if not self.estimator.learns_temperature:
                raise ValueError(
                    f"a temperature cannot be learned through estimator '{estimator}', which gives it no gradient; "
                    "use a number or another schedule"
                )
            unknown_arguments("a learned temperature", partial(SCHEDULES["constant"], self.step), spec)
            self.log_temperature = nn.Parameter(make_schedule("constant", spec)(self.step).log())
        else:
            self.schedule = make_schedule(name, spec)

    def forward(
        self,
        logits: Tensor,
        *,
        mask: Tensor | None = None,
        temperature: float | Tensor | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """A point on the simplex for each row of logits ``... k``, with the estimator's gradient; eval: the mode.

        Args:
            logits: unnormalised log-probabilities ``... k``, of any floating dtype.
            mask: which categories are allowed, boolean, broadcastable to ``... k``; a logit of -inf says the same.
            temperature: instead of the layer's own: a number, or a tensor that is a leading part of ``...`` (one
                temperature per example, or per latent), through which gradients flow.
            generator: the source of the noise, for a draw that can be repeated.
            noise: standard Gumbel noise ``... k`` to use instead of drawing it; ``d ... k`` for an estimator that needs
                ``layer.estimator.noise_draws`` = d > 1 of them.

        Raises:
            ValueError: the estimator has no pathwise gradient (use ``expectation``); temperature <= 0; a row whose
                categories are all masked; noise of another shape.
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
        """Estimate E[cost(z)] per example, with the estimator's gradient for logits and for what the cost depends on.

        Args:
            logits: ``b n k``, or any shape whose last axis is the categories.
            cost: maps z, of the logits' shape or with several samples ``s b n k``, to one value per example, ``b`` or
                ``s b``. Which axes make up one example is read off the shape that it returns.
            mask, temperature, generator: as for ``forward``.
            noise: as for ``forward``; with several samples it has their leading axis. In eval mode without d.

        Returns:
            ``b``. In eval mode the mean cost of exact one-hot draws, with no gradient for the logits.
        """
        logits = mask_logits(logits, mask)
        source = partial(draw_noise, noise=noise, generator=generator)
        if not self.training:
            return self._discrete_expectation(logits, cost, source)
        return self.estimator.expectation(logits, cost, self._temperature(temperature, logits), source)

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
        Salakhutdinov 2016, eq. 8). The score-function estimator made for it is ``vimco``; every other treats the m
        copies as latents of one expectation.

        Args:
            logits: ``b n k``.
            log_weight: maps z ``m b n k`` (behind m, several samples have their axis) to ``m b``.
            m: copies of z behind one bound.
            mask, temperature, generator: as for ``forward``.
            noise: ``b n m k``; with several samples it has their leading axis.

        Returns:
            ``b``. In eval mode from exact one-hot draws, with no gradient for the logits.
        """
        if m < 1:
            raise ValueError(f"a multi-sample bound needs m >= 1, got {m}")
        logits = mask_logits(logits, mask)
        source = partial(draw_noise, noise=noise, generator=generator)
        if not self.training:
            return -self._discrete_expectation(repeat_copies(logits, m), bound_cost(log_weight), source)
        tau = self._temperature(temperature, logits)
        return self.estimator.multi_sample_bound(logits, log_weight, m, tau, source)

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
        """KL(q || prior) per row in nats, ``... k -> ...``; the prior is uniform by default.

        A uniform prior is one over masked categories too. Analytic, but for the estimator ``concrete`` in training
        mode: the log-ratio of its densities at a sample.
        """
        logits = mask_logits(logits, mask)
        if not self.training:
            return categorical_kl(logits, prior_logits)
        source = partial(draw_noise, noise=noise, generator=generator)
        return self.estimator.kl(logits, prior_logits, self._temperature(temperature, logits), source)

    def sample(
        self,
        logits: Tensor,
        *,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """An exact draw of one category per row, ``... k -> ...`` (int64); with ``noise`` the Gumbel-max of it."""
        if noise is not None:
            return gumbel_max(mask_logits(logits, mask), noise=noise)
        return categorical_sample(mask_logits(logits, mask), generator=generator)

    def mode(self, logits: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """The most probable category of each row, ``... k -> ...`` (int64)."""
        return mode(mask_logits(logits, mask))

    def advance(self) -> None:
        """Count one training batch."""
        self.step += 1

    def current_temperature(self) -> Tensor:
        """The temperature at the current step, a float32 scalar; with a gradient if it is learned."""
        if self.log_temperature is not None:
            return self.log_temperature.exp()
        return self.schedule(self.step)

    def extra_repr(self) -> str:
        """The estimator and the temperature, as configured."""
        return f"'{self.name}', temperature={self.temperature_spec}"

    def _temperature(self, temperature: float | Tensor | None, logits: Tensor) -> Tensor | float:
        if temperature is None:
            return self.current_temperature()
        return align_temperature(temperature, logits)

    def _discrete_expectation(self, logits: Tensor, cost: Cost, source: NoiseSource) -> Tensor:
        samples = self.estimator.samples
        logits = repeat_samples(logits.detach(), samples)
        codes = gumbel_max(logits, noise=source(logits))
        value = evaluate(cost, one_hot(codes, logits.shape[-1], logits.dtype))
        return value.mean(0) if samples > 1 else value
