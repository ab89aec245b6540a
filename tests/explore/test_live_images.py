"""Hand work on image models: drawings, codes changed one at a time, codebooks, samples."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gumbelzoo.explore import codes, images
from gumbelzoo.models import VQVAE, CategoricalVAE, Classifier
from gumbelzoo.models.vqvae.prior import CodePrior

SHAPE = (1, 8, 8)
CONV = {"name": "conv", "widths": [4]}


@pytest.fixture
def vae() -> CategoricalVAE:
    """Four latents of three categories."""
    return CategoricalVAE(SHAPE, latents=4, categories=3, encoder="mlp", decoder="mlp").eval()


@pytest.fixture
def vqvae() -> VQVAE:
    """A grid of 4 x 4 positions with two codebooks of five codes each."""
    quantizer = {"name": "product", "codebooks": 2, "quantizer": {"name": "vector", "codebook_size": 5}}
    return VQVAE(SHAPE, 4, CONV, CONV, quantizer=quantizer).eval()


@pytest.mark.parametrize("c", [1, 3])
def test_drawing_is_read(c: int) -> None:
    """Two hexadecimal digits for each pixel, row by row, the same in all channels; of binary data rounded."""
    levels = ["00", "80", "ff", "33", "00", "00"]
    image = images.drawn_image("".join(levels), (c, 2, 3))
    assert image.shape == (1, c, 2, 3)
    assert image[0, -1].flatten().mul(255).round().tolist() == [int(level, 16) for level in levels]
    assert images.drawn_image("".join(levels), (c, 2, 3), binary=True)[0, 0].flatten().tolist() == [0, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("levels", ["", "00" * 5, "00" * 7, "0x" * 6, "zz" * 6, "\u0661" * 12, " " * 12])
def test_other_drawing_raises(levels: str) -> None:
    with pytest.raises(ValueError, match="a drawing must have 2 x 3 pixels of two hexadecimal digits"):
        images.drawn_image(levels, (1, 2, 3))


def test_large_image_is_not_drawn() -> None:
    with pytest.raises(ValueError, match="65 x 65 pixels are too large to draw"):
        images.drawn_image("00" * 65 * 65, (1, 65, 65))


def test_one_code_is_changed() -> None:
    """Counted along all axes; the given codes stay."""
    given = torch.arange(12).reshape(1, 2, 3, 2) % 5
    after = codes.changed(given, 7, 4, 5)
    assert (after != given).flatten().nonzero().flatten().tolist() == [7] and after.flatten()[7] == 4


@pytest.mark.parametrize(("index", "code"), [(-1, 0), (12, 0), (0, -1), (0, 5)])
def test_code_out_of_range_raises(index: int, code: int) -> None:
    with pytest.raises(ValueError, match=r"go from 0 to 11|must lie in \[0, 5\)"):
        codes.changed(torch.zeros(1, 2, 3, 2, dtype=torch.int64), index, code, 5)


def test_row_is_that_of_the_table(vae: CategoricalVAE) -> None:
    """Each row of the latent table, which the model computes otherwise."""
    given = torch.tensor([[2, 0, 1, 1]])
    table = vae.latent_table(given[0])
    for latent in range(4):
        torch.testing.assert_close(codes.row_images(vae, given, latent), table[latent])
    assert codes.row_picture(vae, given, 2).shape[0] == codes.table_picture(vae, given, torch.zeros(1, *SHAPE)).shape[0]


def test_row_of_a_grid(vqvae: VQVAE) -> None:
    """One codebook at one position of a grid."""
    given = torch.randint(5, (1, 4, 4, 2))
    row = codes.row_images(vqvae, given, 2 * (4 * 1 + 2) + 1)
    for code in range(5):
        expected = given.clone()
        expected[0, 1, 2, 1] = code
        torch.testing.assert_close(row[code], vqvae.decode(expected)[0])


def test_tiles_are_the_middle_of_images(vqvae: VQVAE) -> None:
    """Other codebooks have their most frequent code; the most frequent codes come first."""
    counts = torch.tensor([[0, 0, 9, 1, 0], [3, 0, 1, 8, 2]])
    tiles, shown = codes.tile_images(vqvae, 1, counts)
    assert shown == [3, 0, 4, 2, 1] and tiles.shape == (5, 1, 2, 2)
    grid = torch.tensor([2, 4]).expand(1, 4, 4, 2)
    torch.testing.assert_close(tiles[2], vqvae.decode(grid)[0, :, 4:6, 4:6])
    with pytest.raises(ValueError, match="there is no codebook 2"):
        codes.tile_images(vqvae, 2, counts)


def test_codes_are_counted(vqvae: VQVAE) -> None:
    """As often as they are in the codes, and the model's own count stays."""
    x = torch.rand(6, *SHAPE)
    counts = codes.code_use(vqvae, x)
    found = vqvae.encode(x)
    assert counts.tolist() == [[int((found[..., q] == k).sum()) for k in range(5)] for q in range(2)]
    assert not vqvae.codebook_usage.counts.any()
    assert codes.tiles_picture(vqvae, 0, counts).shape == codes.tiles_picture(vqvae, 0).shape


def test_too_large_pictures_raise(vae: CategoricalVAE, monkeypatch: pytest.MonkeyPatch) -> None:
    given = torch.zeros(1, 4, dtype=torch.int64)
    monkeypatch.setattr(codes, "MAX_TABLE", 11)
    with pytest.raises(ValueError, match="the table would have 12 images"):
        codes.table_picture(vae, given, torch.zeros(1, *SHAPE))
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    for draw in (lambda: codes.row_images(vae, given, 0), lambda: images.sample_picture(vae, 2, 0, 1.0)):
        with pytest.raises(ValueError, match="images of 8 x 8 pixels are too large a picture"):
            draw()
    with pytest.raises(ValueError, match="number of samples must lie between 1 and 64, got 65"):
        images.sample_picture(vae, 65, 0, 1.0)
    with pytest.raises(ValueError, match="number of steps must lie between 2 and 16, got 1"):
        images.path_picture(vae, torch.zeros(1, *SHAPE), torch.zeros(1, *SHAPE), 1)


def test_samples_depend_on_what_is_asked(vqvae: VQVAE) -> None:
    """The same seed gives the same picture; a seed, a temperature and a class give another one."""
    prior = CodePrior(vqvae, network={"name": "transformer", "width": 8, "depth": 1}, classes=3).eval()
    with torch.no_grad():
        for parameter in prior.network.parameters():
            parameter.normal_()

    def draw(seed: int = 0, temperature: float = 1.0, **options: Any) -> torch.Tensor:
        return images.sample_picture(prior, 4, seed, temperature, **options)

    first = draw(label=1, top_k=None)
    assert first.equal(draw(label=1))
    for other in (draw(1, label=1), draw(temperature=0.05, label=1), draw(label=2), draw(label=1, top_k=1)):
        assert not first.equal(other)


def test_kinds_of_models_are_told(vae: CategoricalVAE, vqvae: VQVAE) -> None:
    """By what they have: codes that can be changed, images of their own."""
    classifier = Classifier(SHAPE, classes=3, widths=(4,), features=4)
    assert [codes.code_count(model) for model in (vae, vqvae, classifier)] == [3, 5, None]
    assert [bool(images.own_images(model)) for model in (vae, vqvae, classifier)] == [True, True, False]
    assert images.first_image(classifier).equal(torch.zeros(1, *SHAPE))
    assert not images.first_image(vae, 0).equal(images.first_image(vae, 1))
    assert images.image_shape(torch.nn.Linear(1, 1)) is None
