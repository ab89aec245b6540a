"""Temperature, top-k and nucleus (top-p) truncation of categorical distributions, as a pure function of logits.

Top-k: Fan, Lewis & Dauphin 2018 (arXiv:1805.04833), section 5. Nucleus (top-p): Holtzman et al. 2020
(arXiv:1904.09751), eq. 2 and 3.
"""

from __future__ import annotations

import math
from numbers import Integral

from torch import Tensor

from ...ranges import check_temperature
from .surrogate import upcast


def truncate(logits: Tensor, top_k: int | None = None, top_p: float | None = None, temperature: float = 1.0) -> Tensor:
    """Divide logits by the temperature and mask classes by -inf, ``... k -> ... k``; the result is float32 at least.

    Args:
        logits: unnormalised log-probabilities ``... k``.
        top_k: number of most probable classes to keep; ties with the last of them are kept too.
        top_p: probability of the classes to keep, the smallest set of most probable ones that reaches it. It is
            measured after ``top_k``.
        temperature: divides the logits first; lower is more typical.

    Raises:
        ValueError: errors of ``check_temperature``; top_k < 1, top_p outside (0, 1].
    """
    check_temperature(temperature)
    if top_k is not None and (not isinstance(top_k, Integral) or top_k < 1):
        raise ValueError(f"top_k must be a whole number >= 1, got {top_k}; leave it out to keep all")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be in (0, 1], got {top_p}; leave it out to keep all")
    logits = upcast(logits) / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        last = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < last, -math.inf)
    if top_p is not None:
        ordered, classes = logits.sort(dim=-1, descending=True, stable=True)
        p = ordered.double().softmax(-1)
        left_out = p.cumsum(-1) - p >= top_p  # the more probable classes reach top_p already
        logits = logits.masked_fill(left_out.scatter(-1, classes, left_out), -math.inf)
    return logits
