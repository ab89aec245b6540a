"""How a gradient passes the nearest code: the value is the code's vector, the gradient goes to the row.

Straight-through: Bengio, Leonard & Courville 2013 (arXiv:1308.3432). Rotation trick: Fifty et al. 2024
(arXiv:2410.06424), section 4.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..relaxed.shapes import Float

NOTHING = 1e-6  # of a length: what rounding leaves of a difference


def straight_through(rows: Float[Tensor, "n d"], codes: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The value of ``codes``, exactly; the identity as the gradient for ``rows``."""
    return codes.detach() + (rows - rows.detach())


def rotation(rows: Float[Tensor, "n d"], codes: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The value of ``codes``, exactly; the gradient for ``rows`` of the rotation and scaling that takes row to code.

    With unit vectors u of the row, v of the code and h of u + v it is |code| / |row| (I - 2 h h' + 2 v u'), taken as
    constant. A row that is nothing beside its code (a rest, where a codebook before has the very vector) has no
    direction, and passes straight through.
    """
    fixed, codes = rows.detach(), codes.detach()
    u, v = F.normalize(fixed, dim=-1), F.normalize(codes, dim=-1)
    h = F.normalize(u + v, dim=-1)
    length, target = fixed.norm(dim=-1, keepdim=True), codes.norm(dim=-1, keepdim=True)
    rotated = rows - 2 * (rows * h).sum(-1, keepdim=True) * h + 2 * (rows * u).sum(-1, keepdim=True) * v
    rotated = torch.where(length > NOTHING * target, target / length.clamp(min=1e-12) * rotated, rows)
    return codes + (rotated - rotated.detach())


GRADIENTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"straight_through": straight_through, "rotation": rotation}
