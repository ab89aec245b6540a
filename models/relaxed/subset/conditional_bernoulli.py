"""Conditional Bernoulli: independent Bernoulli variables, given that exactly k of n are 1.

Chen & Liu 1997, "Statistical applications of the Poisson-binomial and conditional Bernoulli distributions":
p(z) = exp(sum_i z_i logits_i) / e_k for every z with k ones, where e_k is the elementary symmetric polynomial of the
odds w = exp(logits). A constant added to all logits changes nothing, and k = 1 is the categorical of the logits.

Everything follows from one table of log-polynomials of the first i odds, by the recursion

    e_j(w_1 .. w_i) = e_j(w_1 .. w_{i-1}) + w_i e_{j-1}(w_1 .. w_{i-1}),

which is one cumulative sum over the items for each j: O(n k) in time and memory. It is computed in log space and in
float64, since a sum of k logits of 1e4 has no decimals left in float32. Results are float32, or float64 for float64
logits. A logit of -inf masks an item. Axes: ``n`` items, ``k`` the number that is drawn, ``j`` from 0 to k.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_logits
from ..noise import gumbel_noise
from ..shapes import Float
from .checks import check_draw, check_items
from .scan import LOG_ZERO, log_cumsum_exp
from .top_k import k_hot


def log_partition(logits: Float[Tensor, "*b n"], k: int) -> Float[Tensor, "*b"]:
    """Compute log e_k, ``... n -> ...``; its gradient are the marginals, and its second one their covariance.

    Raises:
        ValueError: k outside [1, n], a row that allows fewer than k items, or a NaN.
    """
    check_items(logits, k)
    return _log_tables(_finite(logits), k)[..., k, -1].to(_result(logits))


def log_prob(logits: Float[Tensor, "... n"], z: Tensor, k: int) -> Float[Tensor, ...]:
    """Compute log p(z) in nats of k-hot draws, ``... n`` twice ``-> ...``; -inf for a masked item.

    Raises:
        ValueError: draws of another shape or that are not k-hot, and what ``log_partition`` refuses.
    """
    check_draw(z, logits, k)
    masked = logits.isneginf()
    score = (_finite(logits) * z).masked_fill(masked, 0.0).sum(-1)
    log_p = score - _log_tables(_checked(logits, k), k)[..., k, -1]
    return log_p.masked_fill(((z != 0) & masked).any(-1), -math.inf).to(_result(logits))


def marginals(logits: Float[Tensor, "*b n"], k: int) -> Float[Tensor, "*b n"]:
    """Compute P(z_i = 1), ``... n -> ... n``, which sum to k; with a gradient.

    P(z_i = 1) = w_i sum_j e_j(before i) e_{k-1-j}(after i) / e_k, from a table of each end.

    Raises:
        ValueError: what ``log_partition`` refuses.
    """
    return _marginals(_checked(logits, k), k)[0].to(_result(logits))


def kl(logits: Float[Tensor, "*b n"], prior_logits: Float[Tensor, "... n"] | None, k: int) -> Float[Tensor, "*b"]:
    """Compute KL(p || prior) in nats per row, ``... n -> ...``; the prior is uniform over all subsets by default.

    It is infinite where p may draw an item that the prior masks.

    Raises:
        ValueError: what ``log_partition`` refuses, of either.
    """
    masked, finite = logits.isneginf(), _checked(logits, k)
    log_prior: Tensor | float
    if prior_logits is None:
        prior, log_prior = torch.zeros_like(finite), math.log(math.comb(logits.shape[-1], k))
        forbidden = torch.zeros_like(masked)
    else:
        prior = _checked(prior_logits, k)
        log_prior = _log_tables(prior, k)[..., k, -1]
        forbidden = prior_logits.isneginf() & ~masked
    mean, log_e = _marginals(finite, k)
    difference = (finite - prior).masked_fill(masked | forbidden, 0.0)
    divergence = (mean * difference).sum(-1) - log_e + log_prior
    return divergence.masked_fill(forbidden.any(-1), math.inf).to(_result(logits))


@torch.no_grad()
def sample(
    logits: Float[Tensor, "*b n"],
    k: int,
    *,
    noise: Float[Tensor, "*b n"] | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "*b n"]:
    """Draw exact samples, ``... n -> ... n``, k-hot in the dtype of the logits.

    The last item of a draw is i with probability w_i e_{k-1}(before i) / e_k: the row k of the table is its cumulative
    sum. The others are a draw of k - 1 from the items before it. So k searches suffice. As the noise is float32, a
    search never finds the first items if their probability is less than 6e-8 in all.

    Args:
        logits: logits of the items, ``... n``.
        k: items in a draw.
        noise: standard Gumbel noise ``... n`` to use instead of drawing it; its first k numbers decide.
        generator: source of the noise.

    Raises:
        ValueError: what ``log_partition`` refuses.
    """
    table = _log_tables(_checked(logits, k), k)  # ... j i
    noise = gumbel_noise(logits, generator=generator) if noise is None else noise
    exponential = (-noise.double()).exp()  # -log of a uniform number, ... n
    end = torch.full((*logits.shape[:-1], 1), logits.shape[-1], device=logits.device)  # items that are left, ... 1
    chosen = []
    for j in range(k, 0, -1):
        row = table[..., j, :]
        target = row.gather(-1, end) - exponential[..., k - j, None]
        # A copy, since under vmap a row counts as contiguous, and the rows of a batch are not.
        end = torch.searchsorted(row[..., 1:].clone(memory_format=torch.contiguous_format), target)
        chosen.append(end)
    return k_hot(torch.cat(chosen, -1), logits.shape[-1], logits.dtype)


def _log_tables(finite: Tensor, k: int) -> Tensor:
    """Log-polynomials log e_j of the first i odds, ``... n -> ... k+1 n+1``, for j = 0 .. k and i = 0 .. n."""
    rows = [torch.zeros_like(finite[..., :1]).expand(*finite.shape[:-1], finite.shape[-1] + 1)]
    for _ in range(k):
        rows.append(F.pad(log_cumsum_exp(rows[-1][..., :-1] + finite), (1, 0), value=LOG_ZERO))
    return torch.stack(rows, -2)


def _marginals(finite: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Marginals ``... n`` and log e_k ``...``, float64."""
    before = _log_tables(finite, k)  # ... j i: of the first i items
    after = _log_tables(finite.flip(-1), k).flip(-1)  # of the items from i on
    others = (before[..., :k, :-1] + after[..., :k, 1:].flip(-2)).logsumexp(-2)  # ... n
    log_e = before[..., k, -1]
    return (finite + others - log_e[..., None]).exp(), log_e


def _checked(logits: Tensor, k: int) -> Tensor:
    check_items(logits, k)
    return _finite(logits)


def _finite(logits: Tensor) -> Tensor:
    """Logits in float64, those of masked items finite and without gradient."""
    return check_logits(logits).double().clamp(min=LOG_ZERO)


def _result(logits: Tensor) -> torch.dtype:
    return torch.promote_types(logits.dtype, torch.float32)
