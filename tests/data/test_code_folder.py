"""A folder of codes: its arrays and tokens, and headers and files that are not what ``encode`` writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gumbelzoo.data.codes import CodeData, CodeFolder
from gumbelzoo.data.codes.header import CodeHeader, SplitFacts, code_dtype
from gumbelzoo.data.codes.writer import CodeWriter, Part

RANDOM = np.random.default_rng(0)
CODES = RANDOM.integers(0, 300, (25, 2, 3, 2))
LABELS = RANDOM.integers(0, 4, 25)
MODEL = {"name": "tiny", "class": "vq_vae", "image_shape": [1, 8, 8], "sha256": 64 * "a"}


def written(place: Path, codes: np.ndarray = CODES, size: int | None = 300, splits: Sequence[str] = ("train",)) -> Path:
    """A folder in shards of 10 images."""
    floating = codes.dtype.kind == "f"
    header = CodeHeader(codes.shape[1:], size, code_dtype(size, floating), 10, MODEL, {"class": "images"})
    writer = CodeWriter(place, header)
    for split in splits:
        writer.begin(split, SplitFacts(len(codes), True, 64 * "b"))
        parts = (Part(codes[first : first + 5], LABELS[first : first + 5]) for first in range(0, len(codes), 5))
        for _ in range(0, len(codes), 10):
            writer.write(split, parts)
    return place


def test_rows_are_those_of_one_array(tmp_path: Path) -> None:
    folder = CodeFolder(written(tmp_path / "codes"))
    codes, labels = folder.codes("train"), folder.labels("train")
    assert labels is not None and [len(shard) for shard in codes.shards] == [10, 10, 5]
    assert codes.dtype == np.uint16 and codes.shape == CODES.shape
    rows = np.array([24, 0, 9, 10, 10, -1])
    for index in (slice(None), slice(8, 22, 3), slice(-3, None), 12, -25, rows):
        assert np.array_equal(codes[index], CODES[index])
        assert np.array_equal(labels[index], LABELS[index])
    assert torch.equal(codes.index_select(0, torch.tensor([24, 3])), torch.from_numpy(CODES[[24, 3]]))
    for index in (25, -26, np.array([3, 25])):
        with pytest.raises(IndexError, match="25 rows"):
            codes[index]


def test_tokens_are_views_of_the_files(tmp_path: Path) -> None:
    folder = CodeFolder(written(tmp_path / "codes"))
    shards, views = folder.codes("train").shards, folder.tokens("train")
    assert all(isinstance(view, np.memmap) and view.base is not None for view in views)
    assert [view.shape for view in views] == [(120,), (120,), (60,)]
    assert np.array_equal(np.concatenate(views), CODES.reshape(-1))
    first = tmp_path / "codes/train-00000.npy"
    offset = first.stat().st_size - shards[0].nbytes
    assert np.array_equal(np.memmap(first, np.uint16, "r", offset), CODES[:10].reshape(-1))


@pytest.mark.parametrize(("size", "dtype"), [(300, np.uint16), (1 << 15, np.uint16), (1 + (1 << 15), np.uint32)])
def test_written_tokens_tell_codebooks_apart(size: int, dtype: type, tmp_path: Path) -> None:
    folder = CodeFolder(written(tmp_path / "codes", size=size))
    assert folder.write_tokens("train", tmp_path / "train.bin") == 2 * size
    tokens = np.memmap(tmp_path / "train.bin", dtype, "r").reshape(CODES.shape)
    assert np.array_equal(tokens, CODES + np.array([0, size]))


def test_tokens_are_not_written_over_codes(tmp_path: Path) -> None:
    folder = CodeFolder(written(tmp_path / "codes"))
    with pytest.raises(ValueError, match="not overwritten"):
        folder.write_tokens("train", tmp_path / "codes/train-00000.npy")
    assert np.array_equal(folder.codes("train")[:], CODES)


def test_types_suit_the_codebook() -> None:
    sizes = (2, 256, 257, 1 << 16, (1 << 16) + 1, 1 << 32, (1 << 32) + 1, None)
    expected = ["uint8", "uint8", "uint16", "uint16", "uint32", "uint32", "int64", "int64"]
    assert [code_dtype(size) for size in sizes] == expected


def test_continuous_latents_are_no_tokens(tmp_path: Path) -> None:
    latents = RANDOM.normal(size=(25, 3)).astype(np.float32)
    folder = CodeFolder(written(tmp_path / "codes", latents, None))
    assert np.array_equal(folder.codes("train")[:], latents)
    for tokens in (lambda: folder.tokens("train"), lambda: folder.write_tokens("train", tmp_path / "train.bin")):
        with pytest.raises(ValueError, match=r"continuous latents|no codes that fit"):
            tokens()


def test_unfinished_split_is_not_read(tmp_path: Path) -> None:
    header = json.loads((written(tmp_path / "codes") / "codes.json").read_text())
    header["splits"]["train"]["shards"].pop()
    (tmp_path / "codes/codes.json").write_text(json.dumps(header))
    folder = CodeFolder(tmp_path / "codes")
    assert folder.splits == []
    with pytest.raises(ValueError, match="20 of the 25 images of 'train'; run the same"):
        folder.codes("train")


def test_batches_are_codes_and_labels(tmp_path: Path) -> None:
    written(tmp_path / "codes", splits=("train", "valid", "test"))
    data = CodeData(str(tmp_path / "codes"), batch_size=7, eval_batch_size=20)
    (first, *_), held_out = list(data.train_dataloader()), list(data.val_dataloader())
    assert first["codes"].shape == (7, 2, 3, 2) and first["codes"].dtype == first["label"].dtype == torch.int64
    assert torch.equal(torch.cat([batch["codes"] for batch in held_out]), torch.from_numpy(CODES))
    assert data.classes == 4 and data.code_shape == (2, 3, 2) and data.metadata()["data set"] == "codes of images"
    with pytest.raises(ValueError, match="needs a path"):
        CodeData().setup("fit")


DAMAGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another format": lambda header: header.update(format=2),
    "a format that is true": lambda header: header.update(format=True),
    "an unknown field": lambda header: header.update(path="/etc"),
    "no shape": lambda header: header.pop("shape"),
    "an empty shape": lambda header: header.update(shape=[]),
    "a shape beyond memory": lambda header: header.update(shape=[1 << 23, 1 << 23]),
    "a shape of fractions": lambda header: header.update(shape=[2.0, 3, 2]),
    "objects": lambda header: header.update(dtype="O"),
    "a type that does not suit": lambda header: header.update(dtype="uint8"),
    "a codebook of no codes": lambda header: header.update(codebook_size=0),
    "shards of no images": lambda header: header.update(shard_images=0),
    "no model": lambda header: header.update(model=None),
    "a model without an image": lambda header: header["model"].update(image_shape=[1, 8]),
    "no checksum of the weights": lambda header: header["model"].pop("sha256"),
    "an unknown split": lambda header: header["splits"].update({"../x": header["splits"]["train"]}),
    "a split of less": lambda header: header["splits"]["train"].update(images=20),
    "a split of fractions": lambda header: header["splits"]["train"]["shards"][0].update(images=10.0),
    "labels without checksums": lambda header: header["splits"]["train"]["shards"][2].pop("labels"),
    "a name of a file": lambda header: header["splits"]["train"]["shards"][0].update(file="x.npy"),
    "shards that are no list": lambda header: header["splits"]["train"].update(shards={}),
}


def test_damaged_header_is_one_line(tmp_path: Path) -> None:
    place = written(tmp_path / "codes") / "codes.json"
    whole = place.read_text()
    for name, damage in DAMAGED.items():
        header = json.loads(whole)
        damage(header)
        place.write_text(json.dumps(header))
        with pytest.raises(ValueError, match=r"codes\.json: ") as caught:
            CodeFolder(tmp_path / "codes")
        assert "\n" not in str(caught.value), name
    for text in (whole.replace('"format": 1', '"format": NaN'), f"[{whole}]", whole[:-9], '{"format": 1, "format": 1}'):
        place.write_text(text)
        with pytest.raises(ValueError, match=r"codes\.json: "):
            CodeFolder(tmp_path / "codes")


def test_foreign_file_is_refused(tmp_path: Path) -> None:
    place = written(tmp_path / "codes") / "train-00001.npy"
    whole = place.read_bytes()
    np.save(tmp_path / "outside.npy", CODES[10:20].astype(np.uint16))
    arrays = [CODES[10:20], CODES[10:19].astype(np.uint16), np.array([{}], dtype=object), np.zeros((10, 12), np.uint16)]
    for array in arrays:
        np.save(place, array)
        with pytest.raises(ValueError, match=r"train-00001\.npy: .*; encode the images again"):
            CodeFolder(tmp_path / "codes").codes("train")
    for content in (whole[:-1], b"", b"\x80\x04N."):
        place.write_bytes(content)
        with pytest.raises(ValueError, match=r"train-00001\.npy: "):
            CodeFolder(tmp_path / "codes").codes("train")
    place.unlink()
    place.symlink_to(tmp_path / "outside.npy")
    with pytest.raises(ValueError, match="leads out of the folder"):
        CodeFolder(tmp_path / "codes").codes("train")
    place.unlink()
    np.save(place, np.full((10, 2, 3, 2), 300, np.uint16))  # an index beyond the codebook
    codes = CodeFolder(tmp_path / "codes").codes("train")
    assert np.array_equal(codes[:10], CODES[:10])
    with pytest.raises(ValueError, match=r"outside \[0, 300\)"):
        codes[5:15]
