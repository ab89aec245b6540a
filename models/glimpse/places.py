"""Choices of the place that is looked at next, by name: two policies, and controls that ignore what was seen.

Axes: ``b`` batch, ``n`` places, ``h`` state, ``e`` key, ``c s s`` coarse view.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import Registry

Choose = Callable[[Tensor], Tensor]  # logits ``... n`` to codes ``...``
KEY = 16  # width e of a key; of 32, the keys took half of all operations
PRIME = 2**31 - 1  # of a hash; far above the places, and so small that no sum over pixels leaves int64


class Places(nn.Module):
    """Base class of choices, and the learned policy: logits from what was seen before.

    Args:
        centres: of the places in pixels, ``n 2`` (row, column).
        hidden: width h of a state.
        image_size: height and width of the image.
        channels: c of the image.
    """

    learns = True  # has parameters
    told = False  # needs to know where the object is

    def __init__(self, centres: Tensor, hidden: int, image_size: tuple[int, int], channels: int) -> None:
        super().__init__()
        if self.learns:
            self.network = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, len(centres)))

    def keys(self, coarse: Tensor) -> Tensor | None:
        """Return what the coarse view ``b c s s`` tells of each place, ``b n e``; None if it is not used."""
        return None

    def logits(self, state: Tensor, keys: Tensor | None, step: int, centre: Tensor | None) -> Tensor:
        """Return logits of the next place, ``... n``; -inf is no choice.

        Args:
            state: ``... h``.
            keys: of ``keys``.
            step: number of the glimpse, from 0 on.
            centre: middle of the object, ``b 2`` pixels, if the data tell it.
        """
        return self.network(state)

    def mode(self, most_probable: Choose, x: Tensor) -> Choose:
        """Return the choice of evaluation for images ``b c h w``, which is deterministic, given that of the layer."""
        return most_probable


PLACES: Registry[type[Places]] = Registry(
    "choice of places", context=("centres", "hidden", "image_size", "channels"), base=Places
)
PLACES.register("policy")(Places)


@PLACES.register("saliency")
class SaliencyPlaces(Places):
    """A policy that scores each place by the coarse view there, with the same weights everywhere.

    The logits of ``policy`` plus <query of the state, key of the place>. The keys are those of convolutions over the
    coarse view, so that what an object looks like is learned once, and not for every place. They are read at the
    centres of the places, bilinearly.
    """

    points: Tensor

    def __init__(self, centres: Tensor, hidden: int, image_size: tuple[int, int], channels: int) -> None:
        super().__init__(centres, hidden, image_size, channels)
        # Columns before rows, each from -1 to 1 between the edges of the image.
        points = (2 * centres / torch.tensor(image_size) - 1).flip(-1)
        self.register_buffer("points", points[None, None], persistent=False)
        self.map = nn.Sequential(
            nn.Conv2d(channels, KEY, 3, padding=1), nn.ReLU(), nn.Conv2d(KEY, KEY, 3, padding=1), nn.ReLU()
        )
        self.query = nn.Linear(hidden, KEY)

    def keys(self, coarse: Tensor) -> Tensor:
        """Return the keys of all places, ``b n e``."""
        points = self.points.expand(len(coarse), -1, -1, -1)
        return F.grid_sample(self.map(coarse), points, padding_mode="border", align_corners=False)[:, :, 0].mT

    def logits(self, state: Tensor, keys: Tensor | None, step: int, centre: Tensor | None) -> Tensor:
        """Return logits of the next place, ``... n``."""
        assert keys is not None
        dots = torch.einsum("bne,...be->...bn", keys, self.query(state))
        return super().logits(state, keys, step, centre) + dots / KEY**0.5


@PLACES.register("random")
class RandomPlaces(Places):
    """Uniform draws, a control. In evaluation they depend on the image alone: the same in each pass and any batch."""

    learns = False

    def __init__(self, centres: Tensor, hidden: int, image_size: tuple[int, int], channels: int) -> None:
        super().__init__(centres, hidden, image_size, channels)
        self.number = len(centres)

    def logits(self, state: Tensor, keys: Tensor | None, step: int, centre: Tensor | None) -> Tensor:
        """Return equal logits, ``... n``."""
        return state.new_zeros(*state.shape[:-1], self.number)

    def mode(self, most_probable: Choose, x: Tensor) -> Choose:
        """Return universal hashes of the images, one after the other, whatever the logits (Carter & Wegman 1979)."""
        generator = torch.Generator().manual_seed(0)
        levels = 1 + (255 * x.float().flatten(1)).round().long()  # b p

        def draw(logits: Tensor) -> Tensor:
            weights = torch.randint(PRIME, levels.shape[1:], generator=generator).to(levels.device)
            return (weights * levels).sum(1) % PRIME % self.number

        return draw


@PLACES.register("centre")
class CentrePlace(Places):
    """The place nearest to the middle of the image in every glimpse, a control."""

    learns = False
    certain: Tensor

    def __init__(self, centres: Tensor, hidden: int, image_size: tuple[int, int], channels: int) -> None:
        super().__init__(centres, hidden, image_size, channels)
        middle = torch.tensor(image_size)[None] / 2
        self.register_buffer("certain", only(nearest(centres, middle, 0), len(centres))[0], persistent=False)

    def logits(self, state: Tensor, keys: Tensor | None, step: int, centre: Tensor | None) -> Tensor:
        """Return 0 for that place, ``... n``."""
        return self.certain.to(state.dtype).expand(*state.shape[:-1], -1)


@PLACES.register("oracle")
class OraclePlaces(Places):
    """The places nearest to the object, one after the other, a control that is told where it is."""

    learns, told = False, True
    centres: Tensor

    def __init__(self, centres: Tensor, hidden: int, image_size: tuple[int, int], channels: int) -> None:
        super().__init__(centres, hidden, image_size, channels)
        self.register_buffer("centres", centres, persistent=False)

    def logits(self, state: Tensor, keys: Tensor | None, step: int, centre: Tensor | None) -> Tensor:
        """Return 0 for the place in the order of nearness, ``... n``.

        Raises:
            ValueError: data that do not tell where the object is.
        """
        if centre is None:
            raise ValueError("places 'oracle' must be told where the object is: use --data=clutter, or places 'policy'")
        certain = only(nearest(self.centres, centre, step % len(self.centres)), len(self.centres))  # b n
        return certain.to(state.dtype).expand(*state.shape[:-1], -1)


def nearest(centres: Tensor, point: Tensor, rank: int) -> Tensor:
    """Return the place ``n 2`` of a rank in nearness to each point ``b 2``, int64 ``b``; ties go to the first one."""
    distance = (centres - point[:, None]).square().sum(-1)  # b n
    return distance.sort(dim=-1, stable=True).indices[:, rank]


def only(codes: Tensor, n: int) -> Tensor:
    """Return logits with one possible place, ``b -> b n``."""
    return torch.zeros(len(codes), n, device=codes.device).masked_fill(
        torch.arange(n, device=codes.device) != codes[:, None], -torch.inf
    )
