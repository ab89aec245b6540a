"""Networks that find a transform, by name: the paper's regression, and one whose shift is a mean over places.

Both find zeros before training, which is the identity. Axes: ``b`` images, ``c h w`` one image, ``n`` numbers of the
transform.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...ranges import check_most, check_sizes
from ...registry import Registry
from ..networks.strided import Shape, dense, strided_convolutions
from ..relaxed import select
from ..relaxed.sampling import tempered_softmax
from ..relaxed.surrogate import upcast
from .base import MAX_HIDDEN, MAX_SIDE
from .transforms import Transform

M = TypeVar("M", bound=nn.Module)


class Localizer(nn.Module):
    """Base class, and the localization network of Jaderberg et al. 2015, section 3.1: a regression of all numbers.

    Args:
        image_shape: ``c h w``.
        transform: whose numbers are found.
        widths: channels of each convolution of stride 2.
        hidden: width before the last layer.
        coarse: factor by which images are averaged down before.

    Raises:
        ValueError: a size out of range.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        transform: Transform,
        widths: Sequence[int] = (8, 16),
        hidden: int = 64,
        coarse: int = 2,
    ) -> None:
        super().__init__()
        check_sizes(widths=widths, hidden=hidden, coarse=coarse)
        check_most(MAX_HIDDEN, widths=widths, hidden=hidden)
        check_most(MAX_SIDE, coarse=coarse)
        self.coarse = coarse
        channels, height, width = image_shape
        self.features, shape = strided_convolutions((channels, -(-height // coarse), -(-width // coarse)), widths)
        self.build(shape, hidden, transform)

    def build(self, shape: Shape, hidden: int, transform: Transform) -> None:
        """Build what follows features of a shape ``e y x``."""
        self.regression = dense(math.prod(shape), hidden, transform.numbers)
        start_at_zero(self.regression[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return the numbers of the transform, ``b c h w -> b n``; 0 is the identity."""
        return self.numbers(self.features(F.avg_pool2d(x, self.coarse, ceil_mode=True, count_include_pad=False)))

    def numbers(self, features: Tensor) -> Tensor:
        """Return the numbers of the transform for features, ``b e y x -> b n``."""
        return self.regression(features)


LOCALIZERS: Registry[type[Localizer]] = Registry("localizer", context=("image_shape", "transform"), base=Localizer)
LOCALIZERS.register("regression")(Localizer)


@LOCALIZERS.register("soft_argmax")
class SoftArgmaxLocalizer(Localizer):
    """The same regression, and a shift to the mean place under a softmax of a score for each place.

    The scores have the same weights everywhere, so that what an object looks like is learned once, and not for every
    place. The mean is the soft argmax of Finn et al. 2016 (arXiv:1509.06113).
    """

    shifts: Tensor

    def build(self, shape: Shape, hidden: int, transform: Transform) -> None:
        """Build the regression, and the scores of places."""
        super().build(shape, hidden, transform)
        self.register_buffer("shifts", torch.tensor(transform.shifts), persistent=False)
        # A bias would move no place: a softmax is the same with it.
        self.score = start_at_zero(nn.Conv2d(shape[0], 1, kernel_size=3, padding=1, bias=False))

    def numbers(self, features: Tensor) -> Tensor:
        """Return the numbers of the transform for features, ``b e y x -> b n``."""
        shift = soft_argmax(self.score(features)[:, 0])
        return super().numbers(features).to(shift.dtype).index_add(-1, self.shifts, shift)


def soft_argmax(scores: Tensor) -> Tensor:
    """Return the mean (x, y) in [-1, 1] under the softmax of scores, ``b y x -> b 2``; the image ends at -1 and 1.

    It is at least float32, in mixed precision too.
    """
    scores = upcast(scores)
    rows, columns = (
        (2 * torch.arange(side, device=scores.device, dtype=scores.dtype) + 1) / side - 1 for side in scores.shape[1:]
    )
    places = torch.cartesian_prod(rows, columns).flip(-1)  # (y x) 2
    with torch.autocast(scores.device.type, enabled=False):
        return select(tempered_softmax(scores.flatten(1), 1.0), places)


def start_at_zero(layer: M) -> M:
    """Set weight and bias of a layer to 0, and return it."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
