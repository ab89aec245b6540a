"""Choices of places: what a policy sees of each of them."""

from __future__ import annotations

import pytest
import torch
from gumbelzoo.models import GlimpseClassifier
from gumbelzoo.models.glimpse.network import GlimpseNetwork
from gumbelzoo.models.glimpse.places import PLACES, SaliencyPlaces
from gumbelzoo.models.glimpse.windows import grid_centres


def make(grid: int = 8, window: int = 5) -> SaliencyPlaces:
    torch.manual_seed(0)
    centres = grid_centres(40, 40, window, grid)
    return PLACES.build("saliency", centres=centres, hidden=5, image_size=(40, 40), channels=1)


def test_keys_move_with_the_image() -> None:
    """What is moved by one row and two columns of the coarse view has the same keys there."""
    places, coarse = make(), torch.zeros(1, 1, 8, 8)
    coarse[..., 2:4, 2:4] = torch.rand(2, 2)
    keys, moved = (places.keys(view).view(8, 8, -1) for view in (coarse, coarse.roll((1, 2), (-2, -1))))
    torch.testing.assert_close(keys[1:6, 1:5], moved[2:7, 3:7])
    assert not torch.allclose(keys, moved)


@pytest.mark.parametrize("window", [5, 28])
def test_keys_are_read_at_the_centres(window: int) -> None:
    """On a ramp each key is the coordinate of its window's middle, however far that is from the edge."""
    places = make(grid=4, window=window)
    places.map = torch.nn.Identity()
    ramp = torch.stack(torch.meshgrid(*[5 * torch.arange(8) + 2.5] * 2, indexing="ij"))  # pixels of a coarse view
    torch.testing.assert_close(places.keys(ramp[None])[0], grid_centres(40, 40, window, 4))


def test_keys_are_in_the_order_of_the_places() -> None:
    """The place nearest to a bright spot has the key that is farthest from that of the dark."""
    network = GlimpseNetwork((1, 40, 40), 3, 8, 1, 8, 8, "saliency")
    dark, x = torch.zeros(1, 1, 40, 40), torch.zeros(1, 1, 40, 40)
    x[..., 5:10, 20:25] = 1  # row 1 and column 4 of the coarse view
    far = (network.start(x)[1].keys - network.start(dark)[1].keys).square().sum(-1)[0]
    assert int(far.argmax()) // 8 in (0, 1, 2) and int(far.argmax()) % 8 in (3, 4, 5)


def test_logits_depend_on_state_and_view() -> None:
    """Samples of the state share the keys of their image."""
    places, state = make(grid=3), torch.randn(4, 2, 5)
    keys = places.keys(torch.rand(2, 1, 6, 6))
    logits = places.logits(state, keys, 0, None)
    assert logits.shape == (4, 2, 9)
    torch.testing.assert_close(logits[1], places.logits(state[1], keys, 0, None))
    assert not torch.allclose(logits[:, 0], places.logits(state, keys.flip(0), 0, None)[:, 0])


def test_random_places_are_those_of_the_image() -> None:
    """They depend on no other image, differ between images and glimpses, and are uniform."""
    model = GlimpseClassifier((1, 12, 12), grid=5, window=4, glimpses=2, hidden=4, places="random").eval()
    x = torch.randint(2, (2000, 1, 12, 12), generator=torch.Generator().manual_seed(0)).float()
    paths = model.paths(x)
    assert torch.equal(torch.cat([model.paths(part) for part in x[:50].split(7)]), paths[:50])
    assert torch.equal(model.paths(x.flip(0)), paths.flip(0))
    counts = torch.zeros(25, 25).index_put_(tuple(paths.T), torch.ones(2000), accumulate=True)
    for observed, expected in ((counts, 3.2), (counts.sum(0), 80.0), (counts.sum(1), 80.0)):
        chi_square, freedom = float((observed - expected).square().sum() / expected), observed.numel() - 1
        assert abs(chi_square - freedom) < 4 * (2 * freedom) ** 0.5
