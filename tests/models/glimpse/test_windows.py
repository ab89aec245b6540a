"""Windows against crops in a loop: places, scales, edges, masks and frames."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from gumbelzoo.models.glimpse.network import GlimpseNetwork
from gumbelzoo.models.glimpse.views import DIM, path_view, seen_view
from gumbelzoo.models.glimpse.windows import (
    frames,
    grid_centres,
    pyramid,
    window_index,
    window_masks,
    windows,
    windows_at,
)

SHAPES = [(60, 60, 12, 9, 2), (7, 11, 4, 3, 3), (8, 8, 12, 3, 2), (9, 9, 3, 1, 1)]


@pytest.mark.parametrize(("height", "width", "side", "grid", "scales"), SHAPES)
def test_windows_equal_crops(height: int, width: int, side: int, grid: int, scales: int) -> None:
    """Each window is a crop of the padded image, averaged over squares of its scale."""
    x, centres = torch.rand(2, 3, height, width), grid_centres(height, width, side, grid)
    index = window_index(height, width, centres, side, scales)
    pixels = pyramid(x, side, scales)
    found = windows(pixels, index, scales)
    codes = torch.randint(grid**2, (4, 2))
    torch.testing.assert_close(windows_at(pixels, index, scales, codes), found[torch.arange(2), codes], rtol=0, atol=0)
    found = found.view(2, grid**2, scales, 3, side, side)
    for place, (row, column) in enumerate(centres.tolist()):
        for scale in range(scales):
            large = side * 2**scale
            padded = F.pad(x, [large] * 4)
            top, left = (int(torch.tensor(c - large / 2).floor()) + large for c in (row, column))
            crop = F.avg_pool2d(padded[:, :, top : top + large, left : left + large], 2**scale)
            torch.testing.assert_close(found[:, place, scale], crop)


def test_grid_covers_the_image() -> None:
    """9 x 9 windows of 12 x 12 at a distance of 6 see every pixel of 60 x 60, and the corners once."""
    centres = grid_centres(60, 60, 12, 9)
    number = window_masks(60, 60, centres, 12).sum(0)
    assert centres[1].tolist() == [6.0, 12.0] and int(number.min()) == 1 and int(number.max()) == 4


def test_masks_are_the_windows() -> None:
    """The pixels of a mask are those of the smallest scale."""
    centres = grid_centres(10, 8, 3, 3)
    masks = window_masks(10, 8, centres, 3)
    index = window_index(10, 8, centres, 3, 1)
    cut = windows(pyramid(masks[:, None].float(), 3, 1), index, 1)  # image n has a 1 in window n
    assert bool((cut[torch.arange(9), torch.arange(9)] == 1).all()) and bool((masks.sum((1, 2)) == 9).all())


def test_frame_is_the_border_of_a_window() -> None:
    masks = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    masks[..., 2:6, 3:7] = True
    border = frames(masks)[0, 0]
    assert int(border.sum()) == 12 and not bool(border[3:5, 4:6].any())
    x = torch.full((1, 1, 8, 8), 0.5)
    assert int((path_view(x, masks)[0, 0] != 0.5).sum()) == 12
    seen = seen_view(x, masks)
    assert bool((seen[0, :, 2:6, 3:7] == 0.5).all()) and float(seen[0, 0, 0, 0]) == pytest.approx(0.5 * DIM)


def test_start_sees_the_whole_image_coarsely() -> None:
    """One bright pixel anywhere changes the first state."""
    network = GlimpseNetwork((1, 20, 20), 3, 5, 1, 2, 8, "policy")
    dark = network.start(torch.zeros(1, 1, 20, 20))[0]
    for row, column in ((0, 0), (19, 19), (10, 3)):
        x = torch.zeros(1, 1, 20, 20)
        x[..., row, column] = 1
        assert not torch.equal(network.start(x)[0], dark)
