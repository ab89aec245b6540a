"""Licences of data sets."""

from gumbelzoo.data.images.splits import IMAGE_SETS
from gumbelzoo.data.licences import LICENCES, licence_of
from gumbelzoo.data.pairs.splits import PAIR_SETS
from gumbelzoo.data.text.splits import TEXT_SETS


def test_every_data_set_has_a_licence():
    """Only a user's own file has none."""
    assert LICENCES.keys() == {*IMAGE_SETS.names(), *TEXT_SETS.names(), *PAIR_SETS.names(), "frequencies", "slates"} - {
        "text"
    }
    assert licence_of("text") == "unknown"
