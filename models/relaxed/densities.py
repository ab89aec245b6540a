"""Log-probabilities in nats of categorical and Concrete distributions, for logits ``... k``; masked classes are -inf.

Everything is computed and returned in float32 at least: sums of half-precision log-probabilities are too inexact.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .checks import check_codes, check_finite, check_logits
from .shapes import Float, Int
from .softmax import log_softmax
from .surrogate import upcast
from .temperature import align_temperature


def log_prob(logits: Float[Tensor, "... k"], codes: Int[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Compute log p(codes) in nats for logits ``... k`` and codes ``...``, ``...``; -inf for a masked code.

    Raises:
        ValueError: codes that are not whole numbers.
    """
    codes, log_p = check_codes(codes), log_softmax(check_logits(logits))
    return log_p.expand(*codes.shape, -1).gather(-1, codes[..., None]).squeeze(-1)


def entropy(logits: Float[Tensor, "*b k"]) -> Float[Tensor, "*b"]:
    """Compute the entropy H(p) in nats, ``... k -> ...``."""
    log_p = log_softmax(check_logits(logits))
    return -(log_p.exp() * _zero_masked(log_p)).sum(-1)


def categorical_kl(
    logits: Float[Tensor, "*b k"], prior_logits: Float[Tensor, "... k"] | None = None
) -> Float[Tensor, "*b"]:
    """Compute KL(p || prior) in nats per row, ``... k -> ...``; the prior is uniform over all k classes by default.

    It is infinite where p does not mask a class that the prior masks.

    Args:
        logits: logits of p, ``... k``.
        prior_logits: logits of the prior, broadcastable to ``... k``.
    """
    log_p = log_softmax(check_logits(logits))
    if prior_logits is None:
        return (log_p.exp() * (_zero_masked(log_p) + math.log(logits.shape[-1]))).sum(-1)
    log_prior, masked = log_softmax(check_logits(prior_logits)), log_p.isneginf()
    forbidden = log_prior.isneginf() & ~masked  # infinite also where p underflows to 0
    ratio = (log_p - log_prior).masked_fill(masked | forbidden, 0.0)
    return (log_p.exp() * ratio).sum(-1).masked_fill(forbidden.any(-1), math.inf)


def log_marginal(logits: Float[Tensor, "... k"], log_likelihood: Float[Tensor, "... k"]) -> Float[Tensor, ...]:
    """Compute log p(x) = log sum_i q_i p(x | i) in nats per row, ``... k`` twice ``-> ...``, exact over one variable.

    Its gradient for the log-likelihoods are the responsibilities r_i = q_i p(x | i) / p(x), and for the logits r - q. A
    masked category gets no gradient, and its log-likelihood may be anything. A row that is impossible is -inf, without
    gradient.

    Args:
        logits: logits of q, ``... k``.
        log_likelihood: log p(x | i) in nats, broadcastable to ``... k``; -inf is impossible.

    Raises:
        ValueError: a row without an allowed class or with a NaN, likelihoods of another number of classes.
    """
    check_logits(logits), check_logits(log_likelihood, "log_likelihood")
    if log_likelihood.shape[-1] != logits.shape[-1]:
        raise ValueError(
            f"log_marginal needs one log-likelihood per class, got {tuple(log_likelihood.shape)} for logits of shape "
            f"{tuple(logits.shape)}"
        )
    log_q = log_softmax(logits)
    check_finite(log_q.detach().amax(-1), logits)
    masked = log_q.isneginf()
    joint = (_zero_masked(log_q) + log_likelihood.masked_fill(masked, 0.0)).masked_fill(masked, -math.inf)
    impossible = joint.isneginf().all(-1)  # the gradient of logsumexp would be NaN
    return joint.masked_fill(impossible[..., None], 0.0).logsumexp(-1).masked_fill(impossible, -math.inf)


def concrete_log_prob(
    log_y: Float[Tensor, "*b k"], logits: Float[Tensor, "... k"], temperature: float | Tensor
) -> Float[Tensor, "*b"]:
    """Compute the log-density of the Concrete (RelaxedOneHotCategorical) distribution at y = exp(log_y), ``...``.

    Maddison, Mnih & Teh 2017 (arXiv:1611.00712), section 3.2, in log space: finite also where y itself underflows. The
    density is over y; that over log_y (their ExpConcrete) is larger by ``log_y.sum(-1)``, which cancels in ratios.

    Args:
        log_y: logarithm of a point on the simplex, ``... k``; -inf at masked classes, which do not count.
        logits: unnormalised log-probabilities ``... k``.
        temperature: a number > 0, or a tensor as ``align_temperature`` takes it.

    Raises:
        ValueError: temperature <= 0.
    """
    temperature = torch.as_tensor(align_temperature(temperature, logits), device=logits.device)
    log_y, log_p = upcast(log_y), log_softmax(check_logits(logits))
    masked = log_p.isneginf()
    x = log_p - temperature * log_y.masked_fill(masked, 0.0)  # ... k
    k = (~masked).sum(-1, keepdim=True).to(x.dtype)
    constant = torch.lgamma(k) + (k - 1) * temperature.log()
    terms = (x - log_y - x.logsumexp(-1, keepdim=True)).masked_fill(masked, 0.0)
    return constant.squeeze(-1) + terms.sum(-1)


def _zero_masked(log_p: Tensor) -> Tensor:
    """log_p with 0 for -inf, for products with p: 0 log 0 = 0, and its gradient is not NaN."""
    return log_p.masked_fill(log_p.isneginf(), 0.0)
