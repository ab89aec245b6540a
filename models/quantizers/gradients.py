"""Gradients through the nearest code: the value is the code's vector, the gradient goes to the input.

Straight-through: Bengio, Leonard & Courville 2013 (arXiv:1308.3432). Rotation trick: Fifty et al. 2024
(arXiv:2410.06424), section 4.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..relaxed.shapes import Float

Gradient = Callable[[Tensor, Tensor], Tensor]
ZERO = 1e-6  # relative length of a difference that is only rounding


def straight_through(inputs: Float[Tensor, "*b d"], codes: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
    """Return the exact value of ``codes`` with the identity as the gradient for ``inputs``."""
    return codes.detach() + (inputs - inputs.detach())


def rotation(inputs: Float[Tensor, "*b d"], codes: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
    """Return the exact value of ``codes`` with the gradient of the rotation and scaling from input z to code e.

    With unit vectors u of z, v of e and h of u + v it is |e| / |z| (I - 2 h h' + 2 v u'), taken as constant. Where
    |z| < 1e-6 |e| (a zero residual after an exact match) the rotation is undefined; use straight-through there.
    """
    fixed, codes = inputs.detach(), codes.detach()
    u, v = F.normalize(fixed, dim=-1), F.normalize(codes, dim=-1)
    h = F.normalize(u + v, dim=-1)
    length, target = fixed.norm(dim=-1, keepdim=True), codes.norm(dim=-1, keepdim=True)
    rotated = inputs - 2 * (inputs * h).sum(-1, keepdim=True) * h + 2 * (inputs * u).sum(-1, keepdim=True) * v
    rotated = torch.where(length > ZERO * target, target / length.clamp(min=1e-12) * rotated, inputs)
    return codes + (rotated - rotated.detach())


GRADIENTS: dict[str, Gradient] = {"straight_through": straight_through, "rotation": rotation}
