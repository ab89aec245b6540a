"""Unordered set estimator: samples without replacement, with a built-in baseline.

Kool, van Hoof & Welling 2020 (arXiv:2002.06043). All latents are sampled jointly by stochastic beam search (Kool, van
Hoof & Welling 2019, arXiv:1903.06059, algorithm 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..checks import check_finite
from ..estimator import ESTIMATORS, Estimator
from ..noise import NoiseFn
from ..sampling import one_hot
from ..softmax import log_softmax
from ..surrogate import Cost, check_event, check_event_shape, evaluate, expand_event, with_gradient


@ESTIMATORS.register("unordered")
class Unordered(Estimator):
    """Unbiased, and exact with as many samples as configurations. No configuration is evaluated twice.

    Args:
        samples: number of different z per example, 2 to 10.
        event_shape: shape ``n k`` of one example's logits.

    Raises:
        ValueError: no event shape, or more samples than 10 or than configurations.
    """

    unbiased = True
    pathwise = False
    learns_temperature = False
    minimum_samples = 2

    def __init__(self, samples: int = 4, event_shape: Sequence[int] | None = None) -> None:
        super().__init__(samples, event_shape)
        self.event_shape = check_event_shape("unordered", event_shape)
        configurations = self.event_shape[-1] ** min(10, self.event_shape[:-1].numel())  # 10 suffice
        if samples > min(10, configurations):
            raise ValueError(
                f"estimator 'unordered' takes at most 10 different samples and at most as many as there are "
                f"configurations ({configurations}), got samples={samples}"
            )

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Return the importance-weighted cost of the samples, ``b``."""
        rank, latents = len(self.event_shape), self.event_shape[:-1].numel()
        if logits.shape[-rank:] != self.event_shape:
            raise ValueError(
                f"estimator 'unordered' was built for event_shape={tuple(self.event_shape)}, got logits of shape "
                f"{tuple(logits.shape)}"
            )
        batch, k = logits.shape[:-rank], logits.shape[-1]
        log_p = log_softmax(logits.detach()).reshape(*batch, latents, k)  # b n k
        check_finite(log_p.amax(-1), logits)
        noise = noise_fn(logits.expand(self.samples, *logits.shape)).reshape(self.samples, *log_p.shape)  # s b n k
        codes, log_joint = beam_search(log_p, noise)  # s b n, s b
        z = one_hot(codes, k, logits.dtype)  # s b n k
        value = evaluate(cost, z.reshape(self.samples, *logits.shape))  # s b
        check_event(self.event_shape, logits, value[0])
        # A masked configuration may have any cost, infinite too, and 0 * inf is NaN.
        value = value.masked_fill(log_joint.isneginf(), 0.0)

        observed = value.detach().double()
        weights, baseline_weights = set_weights(log_joint.double())  # s b, s t b
        baseline = (baseline_weights * observed).sum(1)
        score = z - log_p.exp()
        gradient = (expand_event(weights * (observed - baseline), like=score) * score).sum(0)
        estimate = (weights * value).sum(0).to(value.dtype)
        return with_gradient(estimate, logits, gradient.reshape(logits.shape).to(log_p.dtype))


def beam_search(log_p: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return the s configurations with the largest Gumbel-perturbed log-probabilities, and their log-probabilities.

    Args:
        log_p: normalised log-probabilities ``... n k``.
        noise: standard Gumbel noise ``s ... n k``.

    Returns:
        Codes ``s ... n`` and log p ``s ...``, -inf where fewer than s configurations are allowed.
    """
    s, n, k = noise.shape[0], *log_p.shape[-2:]
    log_joint = log_p.new_full((*log_p.shape[:-2], s), -torch.inf)  # ... s, beams last
    log_joint[..., 0] = 0.0
    perturbed = log_joint.clone()  # the root's maximum may be any number
    codes = torch.zeros(*log_joint.shape, n, dtype=torch.int64, device=log_p.device)
    for i in range(n):
        children = log_joint[..., None] + log_p[..., None, i, :]  # ... s k
        scores = children + noise[..., i, :].movedim(0, -2)
        scores = truncated_gumbel(scores, perturbed[..., None]).masked_fill(children.isneginf(), -torch.inf)
        perturbed, index = scores.flatten(-2).topk(s, -1)  # ... s
        log_joint = children.flatten(-2).gather(-1, index)
        codes = codes.gather(-2, (index // k)[..., None].expand_as(codes))
        codes[..., i] = index % k
    return codes.movedim(-2, 0), log_joint.movedim(-1, 0)


def truncated_gumbel(scores: Tensor, maximum: Tensor) -> Tensor:
    """Shift Gumbel variables ``... k``, keeping their order, so that the largest is ``maximum``, ``... 1``."""
    v = maximum - scores + torch.log1p(-(scores - scores.amax(-1, keepdim=True)).exp())
    return maximum - v.clamp(min=0.0) - torch.log1p((-v.abs()).exp())


def set_weights(log_p: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights of the samples p(s) R(S, s), ``s ...``, and of their baselines p(t) R(S, s, t), ``s t ...``.

    R is a ratio of probabilities to draw the set S. Let T(A) be the probability that draws without replacement that
    began with the samples A complete S. Then T(A) = sum_{a in S - A} p(a) / (1 - p(A)) T(A + a), and the ratios are
    R(S, s) = T({s}) / T({}) and R(S, s, t) = T({s, t}) / T({s}).

    Args:
        log_p: log-probabilities of s different samples, ``s ...``, float64.
    """
    log_p = log_p.clamp(min=-1e4)  # masked configurations have -inf
    s = len(log_p)
    completes = [torch.zeros_like(log_p[0])] * 2**s  # log T, by the bits of A
    for drawn in reversed(range(2**s - 1)):
        missing = [a for a in range(s) if not drawn >> a & 1]
        taken = sum((log_p[a].exp() for a in range(s) if drawn >> a & 1), torch.zeros_like(log_p[0]))
        # 1 - p(A) is at least the probability of S - A, also where it rounds to 0.
        left = torch.maximum((1 - taken).clamp(min=0).log(), log_p[missing].logsumexp(0))
        each = [log_p[a] - left + completes[drawn | 1 << a] for a in missing]
        completes[drawn] = torch.stack(each).logsumexp(0)
    single = torch.stack([completes[1 << a] for a in range(s)])
    pair = torch.stack([torch.stack([completes[1 << a | 1 << c] for c in range(s)]) for a in range(s)])
    return (log_p + single - completes[0]).exp(), (log_p + pair - single[:, None]).exp()
