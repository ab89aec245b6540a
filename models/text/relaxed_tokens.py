"""Token sequences in either form, so that a network reads real text and a generator's relaxed samples alike.

Token ids are int64 ``b t``. Relaxed tokens are float ``b t v``, a point on the simplex per position. The functions here
give the same result for both where every relaxed token is one-hot. So does ``relaxed.select``, which embeds them. Axes:
``b`` batch, ``t`` time, ``v`` vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor


def eos_mass(x: Tensor, eos_id: int) -> Tensor:
    """Probability of EOS in each token: ids ``...`` or relaxed tokens ``... v`` ``-> ...``, in [0, 1]."""
    return x[..., eos_id] if x.is_floating_point() else (x == eos_id).float()


def token_mask(x: Tensor, eos_id: int | None) -> Tensor:
    """Weight of each position in its sentence: ids ``b t`` or relaxed tokens ``b t v`` ``-> b t``.

    For ids and one-hot tokens it is 1 up to and including the first EOS, and 0 after it. For relaxed tokens it is
    1 - eos_mass of the previous position, and 0 after a position whose EOS mass is 1. In a roll-out with soft feedback
    the EOS mass never falls, so the weight never grows. Where one-hots of relaxed tokens are fed back, the next token
    does not inherit the EOS mass, and the weight can grow again. Without EOS it is 1 everywhere.
    """
    if eos_id is None:
        return torch.ones(x.shape[:2], device=x.device)
    alive = 1 - eos_mass(x, eos_id)  # b t
    ended = torch.cat([torch.zeros_like(alive[:, :1]), alive[:, :-1] == 0], 1).cummax(1).values
    alive = alive * (1 - ended)
    return torch.cat([torch.ones_like(alive[:, :1]), alive[:, :-1]], 1)
