"""The encoder of cells: each is seen alone, and a blank one is its place."""

from __future__ import annotations

import pytest
import torch
from gumbelzoo.interfaces import Cells
from gumbelzoo.models.attention.cells import CellEncoder
from torch import Tensor

CELLS = Cells(2, 3, 6, 5)


@pytest.fixture
def source() -> Tensor:
    """Two pictures; the cells 1 and 4, and the end, are blank."""
    drawn = torch.randint(256, (2, *CELLS.shape), dtype=torch.uint8)
    drawn[:, [1, 4, 6]] = 0
    return drawn


def build() -> CellEncoder:
    return CellEncoder(CELLS, CELLS.shape[0], 8, channels=2)


def values_of(encoder: CellEncoder, source: Tensor) -> Tensor:
    return encoder(source, CELLS.lengths(source))


def test_cells_are_seen_one_by_one(source: Tensor) -> None:
    """The values are those of each cell alone, blank or not, in the order of the places; so are the gradients."""
    encoder = build()
    every = encoder.network(source.flatten(0, 1)[:, None] / 255).unflatten(0, source.shape[:2])
    expected, found = every + encoder.places.weight, values_of(encoder, source)
    torch.testing.assert_close(found, expected)
    weight = torch.randn(found.shape)
    pair = [torch.autograd.grad((values * weight).sum(), list(encoder.parameters())) for values in (found, expected)]
    for left, right in zip(*pair, strict=True):
        torch.testing.assert_close(left, right)


def test_a_cell_moves_its_value_only(source: Tensor) -> None:
    encoder, changed = build(), source.clone()
    changed[0, 1] = source[0, 0]  # it was blank
    changed[1, 3] = 0
    moved = (values_of(encoder, source) != values_of(encoder, changed)).any(-1)
    assert moved.nonzero().tolist() == [[0, 1], [1, 3]]


def test_blank_pictures_have_places_only() -> None:
    encoder = build()
    values = values_of(encoder, torch.zeros(2, *CELLS.shape, dtype=torch.uint8))
    assert torch.equal(values, encoder.places.weight.expand_as(values))
    values.sum().backward()
    assert (encoder.places.weight.grad == 2).all()


def test_no_channels_raise() -> None:
    with pytest.raises(ValueError, match="channels must be a whole number >= 1"):
        CellEncoder(CELLS, 7, 8, channels=0)
