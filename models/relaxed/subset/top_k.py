"""The k largest of n: as codes, as a k-hot vector, and relaxed.

Axes: ``n`` items, ``k`` the number that is chosen.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..checks import check_codes
from ..sampling import tempered_softmax
from ..shapes import Float, Int
from ..taken import exclude_taken


def top_k(keys: Float[Tensor, "*b n"], k: int) -> Int[Tensor, "*b k"]:
    """Return the indices of the k largest keys, ``... n -> ... k``, the largest first, and the first on ties."""
    return keys.detach().sort(dim=-1, descending=True, stable=True).indices[..., :k]


def k_hot(codes: Int[Tensor, "*b k"], n: int, dtype: torch.dtype = torch.float32) -> Float[Tensor, "*b n"]:
    """Encode sets of different codes as k-hot vectors, ``... k -> ... n``."""
    codes = check_codes(codes)
    return codes.new_zeros((*codes.shape[:-1], n), dtype=dtype).scatter(-1, codes, 1)


def relaxed_top_k(keys: Float[Tensor, "*b n"], k: int, temperature: float | Tensor) -> Float[Tensor, "*b n"]:
    """Relax the k-hot vector of the k largest keys, ``... n -> ... n``, with sum k.

    Xie & Ermon 2019 (arXiv:1901.10517), section 3.2, after Plötz & Roth 2018 (arXiv:1810.12575): the sum of
    a_j = softmax(keys_j / temperature), with keys_{j+1} = keys_j + log(1 - a_j). It is k-hot as temperature -> 0. At
    temperatures of about 1 and more an entry may exceed 1.

    Args:
        keys: perturbed logits ``... n``; -inf is never chosen.
        k: number of choices, at most the number of finite keys.
        temperature: a number > 0, or a tensor as ``align_temperature`` takes it.
    """
    choices: list[Tensor] = []
    for _ in range(k):
        choices.append(tempered_softmax(exclude_taken(keys, *choices), temperature))
    return torch.stack(choices).sum(0)
