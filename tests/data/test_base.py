"""What all data modules share: the interface that models read, the registry, one read for all stages."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import pytest
from beartype.door import is_bearable
from gumbelzoo.data import DATA, ClutterData, CodeData, FrequencyData, ImageData, PairData, SlateData, TextData
from gumbelzoo.data.base import InMemoryData
from gumbelzoo.data.images.splits import IMAGE_SETS, ImageSet, Splits
from gumbelzoo.interfaces import ImageSource, SlateSource, TextSource
from lightning.pytorch import LightningDataModule


def members(protocol: type) -> dict[str, Any]:
    """Public properties and methods of a protocol and the protocols it extends."""
    found: dict[str, Any] = {}
    for kind in reversed(protocol.__mro__):
        if getattr(kind, "_is_protocol", False):
            found |= {name: member for name, member in vars(kind).items() if not name.startswith("_")}
    return found


@pytest.mark.parametrize(
    ("protocol", "make"),
    [(ImageSource, ImageData), (TextSource, lambda: TextData("grammar")), (SlateSource, SlateData)],
    ids=["images", "text", "slates"],
)
def test_data_module_satisfies_interface(protocol, make):
    """Properties have the stated types; methods have the stated parameters and types."""
    data = make()
    assert {"name", "metadata"} < members(protocol).keys()
    for name, member in members(protocol).items():
        if isinstance(member, property):
            assert is_bearable(getattr(data, name), get_type_hints(member.fget)["return"]), name
        else:
            method = getattr(type(data), name)
            assert list(inspect.signature(method).parameters) == list(inspect.signature(member).parameters), name
            assert get_type_hints(method) == get_type_hints(member), name


def test_registry_names():
    assert {name: DATA[name] for name in DATA} == {
        "clutter": ClutterData,
        "codes": CodeData,
        "frequencies": FrequencyData,
        "images": ImageData,
        "pairs": PairData,
        "slates": SlateData,
        "text": TextData,
    }
    for name, kind in DATA._entries.items():
        assert kind.registry_name == name
        assert issubclass(kind, InMemoryData) and issubclass(kind, LightningDataModule)
    with pytest.raises(ValueError, match="unknown data module: 'image'; did you mean 'images'"):
        DATA["image"]


def test_data_is_read_once_when_needed(monkeypatch):
    reads = []

    def read(folders, published) -> Splits:
        reads.append(published)
        return digits.read(folders, published)

    digits = IMAGE_SETS["digits"]
    monkeypatch.setitem(IMAGE_SETS._entries, "digits", ImageSet(digits.shape, read))
    data = ImageData("digits", "none")
    assert data.shape == (1, 8, 8)
    assert reads == []
    data.prepare_data()
    for stage in ("fit", "fit", "validate", "test", None):
        data.setup(stage)
    assert reads == [False]


@pytest.mark.parametrize("make", [ImageData, lambda: TextData("grammar"), SlateData], ids=["images", "text", "slates"])
def test_metadata_is_plain_text(make):
    metadata = make().metadata()
    assert all(isinstance(text, str) for item in metadata.items() for text in item)
    assert list(metadata)[:3] == ["data set", "source", "split"]
    assert list(metadata)[-1] == "licence"


def test_defaults_of_the_base_class():
    """A subclass overrides ``splits``; batches are unchanged unless it overrides a transform too."""
    data = InMemoryData("none", 1, 1, None, 0)
    with pytest.raises(NotImplementedError):
        data.setup()
    batch = {}
    assert data.train_transform(batch, (0,)) is batch is data.eval_transform(batch, (0,))
