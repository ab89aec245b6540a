"""How far an estimator's gradient is from the exact one, and what it costs: the functions under ``estimators.py``.

The metric is that of Liu et al. 2023 (ReinMax, arXiv:2304.08612): draws g_i of the estimator's gradient against the
exact gradient g of E[cost(z)] for the logits, by enumeration, on the same images. All images together are one vector,
so |.| is over images, latents and categories. With D draws:

- bias: |g_mean - g| / |g|, as in the paper. Of an unbiased estimator it is not 0 but about std / sqrt(D), the floor.
- net bias: sqrt(|g_mean - g|^2 - E|g_mean - E g_i|^2) / |g|, which has no floor: what is subtracted is the mean square
  of the noise in g_mean, estimated from the draws. The square has a standard error, so that none is told from little.
- std: sqrt(E|g_i - g_mean|^2) / |g|, of one call.
- cosine: between g_mean and g. Noise lowers it: an unbiased estimator has about 1 / sqrt(1 + floor^2).
- cosine of 100 evaluations: <E g_i, g> / (|g| sqrt(E|g_c|^2)), where g_c is the mean of as many calls, c, as make 100
  evaluations of the cost (c need not be whole). It weighs bias, noise and evaluations against each other, whatever the
  length of the gradient, which a learning rate absorbs; an unbiased estimator has 1 / sqrt(1 + std^2 / c).
- log-variance: natural logarithm of the mean variance of a coordinate of g_i, one image's gradient, in nats.
- time: processor time of a call, in turns with all others, the median.
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

DECODED = 8192  # cost evaluations at once: memory does not grow with the draws
RowCost = Callable[[Tensor, Tensor], Tensor]  # the rows r of a batch and z ``... r n k`` -> ``... r``


def gradient_draws(layer: RelaxedCategorical, logits: Tensor, cost: RowCost, draws: int) -> Tensor:
    """Independent gradients of every row's expectation for its logits, ``b n k -> d b n k``, in bounded memory."""
    rows = max(1, DECODED // layer.estimator.cost_evaluations(*logits.shape[1:]))
    gradients: list[Tensor] = []
    for index in torch.arange(len(logits)).repeat(draws).split(rows):
        leaf = logits[index].requires_grad_()
        gradients += torch.autograd.grad(layer.expectation(leaf, partial(cost, index)).sum(), leaf)
    return rearrange(torch.cat(gradients), "(d b) n k -> d b n k", d=draws)


def figures(draws: Tensor, exact: Tensor, evaluations: int) -> dict[str, float]:
    """The figures of the module, from draws ``d ...``, the exact gradient ``...`` and a call's cost evaluations."""
    draws, exact = draws.flatten(1).double(), exact.flatten().double()
    d, mean, scale = len(draws), draws.mean(0), exact.square().sum()
    centred, error = draws - mean, mean - exact
    variance = centred.square().sum() / (d - 1)  # summed over the coordinates
    net_square = error.square().sum() - variance / d
    # At most sqrt(2) too large, where the bias is small beside the noise.
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
    """Median processor time of each function, in turns; one that has used its ``seconds`` sits out the rest."""
    spent: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(turns + 1):
        for name, function in functions.items():
            if sum(spent[name]) < seconds:
                start = time.process_time()
                function()
                spent[name].append(time.process_time() - start)
            if turn == 0 and spent[name][0] < seconds:
                spent[name].clear()  # the first call is slower
    return {name: statistics.median(record) for name, record in spent.items()}
