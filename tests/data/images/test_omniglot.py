"""Omniglot: downscaling, and its two file formats."""

import io
import zipfile

import numpy as np
import pytest
import torch
import torchvision.datasets
from gumbelzoo.data.images import omniglot
from PIL import Image

RNG = np.random.default_rng(0)


def test_area_weights_preserve_ink():
    weights = omniglot.area_weights(105, 28)
    assert torch.allclose(weights.sum(1), torch.ones(28))
    assert torch.allclose(weights.sum(0), torch.full((105,), 28 / 105))
    assert torch.equal(omniglot.area_weights(6, 3), torch.eye(3).repeat_interleave(2, 1) / 2)


def test_packed_file_and_archive_agree(tmp_path, monkeypatch, put, read_set, sizes):
    ink = {"images_background": RNG.random((20, 105, 105)) < 0.1, "images_evaluation": RNG.random((6, 105, 105)) < 0.1}
    checksums = {}
    for half, images in ink.items():
        labels = np.arange(len(images)) // 2
        packed = np.packbits(images.reshape(len(images), -1), axis=1)
        (tmp_path / "packed/omniglot").mkdir(parents=True, exist_ok=True)
        np.savez(tmp_path / f"packed/omniglot/{half}_105.npz", images_packed=packed, char_index=labels)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            for i, image in enumerate(images):
                png = io.BytesIO()
                Image.fromarray(~image).save(png, "png")
                file.writestr(f"{half}/Alphabet/character{labels[i]:02}/{i:04}.png", png.getvalue())
        checksums[half] = put(tmp_path / f"archive/omniglot-py/{half}.zip", archive.getvalue())
    monkeypatch.setattr(torchvision.datasets.Omniglot, "zips_md5", checksums)
    packed, archive = read_set("omniglot", tmp_path / "packed"), read_set("omniglot", tmp_path / "archive")
    assert sizes(packed) == sizes(archive) == (18, 2, 6)
    for name in ("train", "valid", "test"):
        assert torch.equal(getattr(packed, name).images, getattr(archive, name).images)
        assert torch.equal(getattr(packed, name).labels, getattr(archive, name).labels)
    assert packed.test.labels.tolist() == [10, 10, 11, 11, 12, 12]
    assert packed.test.images.float().mean() / 255 == pytest.approx(ink["images_evaluation"].mean(), abs=1e-3)


def test_malformed_omniglot_archive_raises(tmp_path, monkeypatch, put, read_set):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/b/c.png", b"no picture")
    for content in (archive.getvalue(), b"no archive"):
        path = tmp_path / "omniglot-py/images_background.zip"
        monkeypatch.setitem(torchvision.datasets.Omniglot.zips_md5, "images_background", put(path, content))
        with pytest.raises(ValueError, match="delete it") as error:
            read_set("omniglot", tmp_path)
        assert str(path) in str(error.value)


@pytest.mark.real_data
def test_real_omniglot(real, read_set, sizes):
    splits = read_set("omniglot", real("omniglot/images_background_105.npz"))
    assert sizes(splits) == (17_352, 1_928, 13_180)
    assert len(torch.cat([splits.train.labels, splits.valid.labels]).unique()) == 964
    assert (splits.test.labels.min(), splits.test.labels.max()) == (964, 964 + 658)
