"""Binarization rules: dtypes, randomness, idempotence."""

import pytest
import torch
from gumbelzoo.data.images.binarization import BINARIZATIONS, fixed_draw, fresh_draw


@pytest.mark.parametrize("name", BINARIZATIONS.names())
def test_rule_gives_float_images_from_levels(name):
    rule = BINARIZATIONS[name]
    levels = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8)
    assert rule.description
    for stored in (rule.train(levels, 0), rule.evaluation(levels, 1)):
        assert stored.dtype == torch.uint8
        image = rule.transform({"image": stored}, (0, 0, 0, 0))["image"]
        assert image.dtype == torch.float32
        assert (image.min(), image.max()) == (0, 1)
        assert name == "none" or image.unique().tolist() == [0, 1]


def test_fresh_draw_depends_on_the_key_alone():
    """On every entry of the key, and not on torch's generator."""
    batch = {"image": torch.full((4, 1, 8, 8), 90, dtype=torch.uint8), "label": torch.arange(4)}
    keys = [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
    images = [fresh_draw(batch, key)["image"] for key in keys]
    torch.manual_seed(5)
    assert torch.equal(images[0], fresh_draw(batch, keys[0])["image"])
    assert len({image.numpy().tobytes() for image in images}) == len(keys)
    assert images[0].dtype == torch.float32
    assert batch["image"].eq(90).all()


def test_fixed_draw_is_idempotent():
    levels = torch.randint(0, 256, (10, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    once = fixed_draw(levels, 0)
    assert once.unique().tolist() == [0, 255]
    assert torch.equal(fixed_draw(once, 1), once)
    assert not torch.equal(fixed_draw(levels, 1), once)
