"""Quality of an estimator's gradient: bias, noise and time.

The metrics follow Liu et al. 2023 (ReinMax, arXiv:2304.08612). Draws g_i of the estimator's gradient are compared with
the exact gradient g of E[cost(z)] with respect to the logits, which is found by enumeration on the same images. All
images form one vector: |.| is a norm over images, latents and categories. With D draws and their mean g_mean:

- bias: |g_mean - g| / |g|, as in the paper. An unbiased estimator has about std / sqrt(D), the floor, instead of 0.
- net bias: sqrt(|g_mean - g|^2 - E|g_mean - E g_i|^2) / |g|. The subtracted term is the noise in g_mean, estimated from
  the draws, so there is no floor. A value that is not three standard errors above 0 is given as an upper limit.
- std: sqrt(E|g_i - g_mean|^2) / |g| of one call.
- cosine: between g_mean and g. Noise lowers it: an unbiased estimator has about 1 / sqrt(1 + floor^2).
- cosine of 100 evaluations: <E g_i, g> / (|g| sqrt(E|g_c|^2)), where g_c is the mean of c calls, and c calls evaluate
  the cost 100 times (c need not be whole). It combines bias, noise and cost, and ignores the length of the gradient,
  which a learning rate absorbs. An unbiased estimator has 1 / sqrt(1 + std^2 / c).
- log-variance: natural logarithm of the mean variance of a coordinate of one image's gradient, in nats.
- time: median processor time of a call, interleaved with calls of the other estimators.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

import torch
from einops import rearrange
from gumbelzoo.models.relaxed import RelaxedCategorical
from torch import Tensor

DECODED = 8192  # cost evaluations at a time, to bound memory
RowCost = Callable[[Tensor, Tensor], Tensor]  # indices ``r`` of images and z ``... r n k`` to costs ``... r``


def gradient_draws(layer: RelaxedCategorical, logits: Tensor, cost: RowCost, draws: int) -> Tensor:
    """Draw independent gradients of each image's expected cost with respect to its logits, ``b n k -> d b n k``."""
    rows = max(1, DECODED // layer.estimator.cost_evaluations(*logits.shape[1:]))
    gradients: list[Tensor] = []
    for index in torch.arange(len(logits)).repeat(draws).split(rows):
        leaf = logits[index].requires_grad_()
        gradients += torch.autograd.grad(layer.expectation(leaf, partial(cost, index)).sum(), leaf)
    return rearrange(torch.cat(gradients), "(d b) n k -> d b n k", d=draws)


def gradient_metrics(draws: Tensor, exact: Tensor, evaluations: int) -> dict[str, float]:
    """Return the metrics of this module by name, those of the net bias as its square and its standard error.

    Args:
        draws: gradients ``d ...``.
        exact: exact gradient ``...``.
        evaluations: cost evaluations of a call.
    """
    draws, exact = draws.flatten(1).double(), exact.flatten().double()
    d, mean, scale = len(draws), draws.mean(0), exact.square().sum()
    centred, error = draws - mean, mean - exact
    variance = centred.square().sum() / (d - 1)  # summed over the coordinates
    net_square = error.square().sum() - variance / d
    # Too large by a factor of at most sqrt(2), where the bias is small compared with the noise.
    net_error = 2 * ((centred @ error).square().sum() / (d - 1) / d).sqrt()
    projection = mean @ exact / scale
    second_moment = (mean.square().sum() - variance / d) / scale
    return {
        "bias": float(error.norm() / scale.sqrt()),
        "floor": float((variance / d / scale).sqrt()),
        "net_square": float(net_square / scale),
        "net_square_error": float(net_error / scale),
        "std": float((variance / scale).sqrt()),
        "cosine": float(torch.cosine_similarity(mean, exact, dim=0)),
        "cosine of 100 evaluations": float(projection / (second_moment + variance / scale * evaluations / 100).sqrt()),
        "log-variance": float((variance / exact.numel()).log()),
    }


def seconds_per_call(functions: Mapping[str, Callable[[], object]], turns: int, seconds: float) -> dict[str, float]:
    """Time functions in turns; return the median processor time of each.

    Args:
        functions: calls to time, by name.
        turns: most calls of each, after a warm-up call.
        seconds: a function that has used this time is not called again.
    """
    spent: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(turns + 1):
        for name, function in functions.items():
            if sum(spent[name]) < seconds:
                start = time.process_time()
                function()
                spent[name].append(time.process_time() - start)
            if turn == 0 and spent[name][0] < seconds:
                spent[name].clear()  # the warm-up call
    return {name: statistics.median(record) for name, record in spent.items()}
