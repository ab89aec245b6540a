"""Gumbel noise given the sample: its distribution conditional on the argmax.

Maddison, Tarlow & Minka 2014, "A* Sampling" (the top-down construction); Tucker et al. 2017 (arXiv:1703.07370);
Paulus, Maddison & Krause 2021 (arXiv:2010.04838), section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..softmax import log_softmax


def conditional_noise(logits: Tensor, codes: Tensor, noise: Tensor) -> Tensor:
    """Transform independent Gumbel noise so that the argmax of logits + noise is ``codes``; no gradient.

    The largest perturbed log-probability is a Gumbel variable, independent of the argmax. The others are Gumbel
    variables truncated at it. Computed in log space, for logits of any size.

    Args:
        logits: ``... k``; -inf for masked classes, whose noise stays as it is.
        codes: ``...``, allowed classes.
        noise: standard Gumbel noise, ``... k`` or with more leading axes.
    """
    log_p = log_softmax(logits.detach())
    masked = log_p.isneginf()
    log_p = log_p.masked_fill(masked, 0.0)
    index = codes[..., None].expand(*noise.shape[:-1], 1)
    top = noise.gather(-1, index)  # ... 1
    truncated = -torch.logaddexp(-(log_p + noise), -top)
    perturbed = torch.where(torch.arange(noise.shape[-1], device=noise.device) == index, top, truncated)
    return torch.where(masked, noise, perturbed - log_p)
