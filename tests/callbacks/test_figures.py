"""Pictures and plots of a run: images keep their pixels, labels are in margins, plots say what they show."""

from __future__ import annotations

import re
from pathlib import Path

import gumbelzoo
import pytest
import torch
from einops import repeat
from gumbelzoo.callbacks.curves import save_codebook_usage, save_curves
from gumbelzoo.callbacks.grids import BACKGROUND, GAP, HEIGHT, MARK, SIDE, WIDTH, View, grid
from gumbelzoo.callbacks.pictures import completion_grid, path_grid, reconstruction_grid, sample_grid, table_grid
from gumbelzoo.callbacks.quantities import name_of
from gumbelzoo.plots import plot
from PIL import Image
from torch import Tensor


def images(number: int, side: int = 8, channels: int = 1) -> Tensor:
    return torch.rand(number, channels, side, side, generator=torch.Generator().manual_seed(0))


def found(picture: Tensor, image: Tensor, scale: int) -> int:
    """Number of places at which an enlarged image is, pixel by pixel."""
    enlarged = repeat(image, "c h w -> (three c) (h y) (w x)", three=3 // len(image), y=scale, x=scale)
    corners = (picture == enlarged[:, :1, :1]).all(0).nonzero().tolist()
    h, w = enlarged.shape[1:]
    return sum(torch.equal(picture[:, y : y + h, x : x + w], enlarged) for y, x in corners)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1, 3])
def test_labels_leave_every_pixel_alone(channels: int, scale: int) -> None:
    x, y = images(5, channels=channels), 1 - images(5, channels=channels)
    view = View(scale, columns=3)
    picture = reconstruction_grid(x, y, view, classes=[3, 1, 4, 1, 5])
    assert all(found(picture, image, scale) == 1 for image in (*x, *y))
    path = path_grid(x[:2], torch.stack([y[:3], y[2:]]), x[2:4], view, classes=[0, 1, 2, 3])
    assert [found(path, image, scale) for image in (*x[:4], *y)] == [1] * 4 + [1, 1, 2, 1, 1]
    halves = completion_grid(x[:2], y[None, :2], y[None, 2:4], view)
    assert all(found(halves, image, scale) == 1 for image in (*x[:2], *y[:4]))
    table = table_grid(y[:4].reshape(2, 2, channels, 8, 8), torch.tensor([1, 0]), x[0], x[1], view)
    assert all(found(table, image, scale) == 1 for image in y[:4])
    assert all(found(table, image, 2 * scale) == 1 for image in x[:2])


def test_scale_and_columns_of_a_grid() -> None:
    sizes = {
        View(): (3 * (SIDE + GAP) + GAP, 3 * (SIDE + GAP) + GAP),
        View(scale=2): (3 * 20 + GAP, 3 * 20 + GAP),
        View(scale=1, columns=9): (12 + GAP, 9 * 12 + GAP),
        View(scale=1, columns=50): (12 + GAP, 9 * 12 + GAP),
        View(scale=1, columns=2): (5 * 12 + GAP, 2 * 12 + GAP),
    }
    assert {view: tuple(sample_grid(images(9), view).shape[1:]) for view in sizes} == sizes
    assert sample_grid(images(4, side=200)).shape == (3, 2 * 204 + GAP, 2 * 204 + GAP)


@pytest.mark.parametrize("number", [1, 64, 400])
def test_default_picture_suits_a_page(number: int) -> None:
    """Images are enlarged as far as the picture stays on a page."""
    _, high, wide = sample_grid(images(number)).shape
    assert SIDE <= wide <= WIDTH + GAP and high <= HEIGHT + GAP
    assert number < 60 or wide > 800


def test_picture_without_labels_is_the_images() -> None:
    x = images(4)
    bare = sample_grid(x, View(2, labels=False), "4 samples, seed 0")
    labelled = sample_grid(x, View(2), "4 samples, seed 0")
    assert bare.shape == (3, 2 * 20 + GAP, 2 * 20 + GAP)
    assert torch.equal(bare, sample_grid(x, View(2)))
    assert torch.equal(labelled[:, -bare.shape[1] :, : bare.shape[2]], bare)
    assert labelled[:, : -bare.shape[1]].min() < 0.2 < BACKGROUND


def test_code_of_the_image_is_framed() -> None:
    """A frame lies around the images of its categories, and around no other."""
    codes = torch.tensor([2, 0])
    picture = table_grid(torch.zeros(2, 3, 1, 8, 8), codes, torch.zeros(1, 8, 8), torch.zeros(1, 8, 8), View(1))
    framed = (picture == torch.tensor(MARK)[:, None, None]).all(0)
    assert framed.sum() == 2 * ((8 + 2 * GAP) ** 2 - 64)


def test_long_label_is_small_or_left_out() -> None:
    """It does not reach into another column."""
    heads = [(1, "a label that is far too long"), (1, "b")]
    both, second = (grid(images(2), 2, View(3), heads=[(1, text), heads[1]]) for text in (heads[0][1], ""))
    assert torch.equal(both, second)


# -- plots ------------------------------------------------------------------------------------------------------------


LOG = """epoch,step,train/elbo,train/temperature,val/elbo,val/usage
0,9,200.0,0.5,,
0,10,,,180.0,0.5
1,19,150.0,0.5,,
1,20,,,140.0,0.75
"""


def drawn(picture: Path) -> list[str]:
    """Texts of an SVG file, which matplotlib writes as comments beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", picture.read_text())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "metrics.csv").write_text(LOG)
    return tmp_path / "metrics.csv"


def test_curves_say_what_they_show(log: Path, tmp_path: Path) -> None:
    """The ELBO is named as the negative one, with its unit; a constant temperature has no panel."""
    save_curves(log, tmp_path / "curves.svg")
    texts = drawn(tmp_path / "curves.svg")
    for text in ("negative ELBO", "nats", "codes in use", "share", "training batches", "training", "validation"):
        assert text in texts, text
    assert "temperature" not in texts and "elbo" not in texts
    assert name_of("val/elbo") == "val/negative ELBO" and name_of("train/kl") == "train/kl"


def test_many_curves_fit_a_page(tmp_path: Path) -> None:
    names = [f"train/m{number}" for number in range(10)]
    rows = [f"{step},{','.join(str(step * number + 1) for number in range(1, 11))}" for step in (1, 2)]
    (tmp_path / "metrics.csv").write_text("\n".join([f"step,{','.join(names)}", *rows]))
    save_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert 800 <= picture.width <= 2000 and picture.height <= 2200


def test_no_curves_of_constant_metrics(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,train/temperature\n1,0.5\n2,0.5\n")
    save_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_plots_repeat_without_dates_and_places(ending: str, log: Path, tmp_path: Path) -> None:
    contents = []
    for number in range(2):
        save_curves(log, tmp_path / f"{number}.{ending}")
        contents.append((tmp_path / f"{number}.{ending}").read_bytes())
    assert contents[0] == contents[1]
    for text in (b"Date", b"Software", str(tmp_path).encode()):
        assert text not in contents[0]


def test_plot_ignores_settings_of_the_reader(tmp_path: Path) -> None:
    """And leaves them as they were."""
    import matplotlib

    contents = []
    for size in (10, 30):
        with matplotlib.rc_context({"font.size": size, "axes.facecolor": "black"}):
            with plot(tmp_path / "plot.png", 3, 2) as figure:
                figure.subplots().set_title("title")
            assert matplotlib.rcParams["font.size"] == size
        contents.append((tmp_path / "plot.png").read_bytes())
    assert contents[0] == contents[1]


def test_all_plots_have_one_style() -> None:
    """Figures are made and saved in ``plots.py`` alone."""
    root = Path(gumbelzoo.__file__).parent
    folders = ("benchmarks", "callbacks", "commands", "data", "evaluation", "models", "pretrained")
    files = [path for folder in folders for path in (root / folder).rglob("*.py")]
    makes = re.compile(r"savefig\(|pyplot|Figure\(")
    assert [path.name for path in files if makes.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("codebooks", [1, 2])
def test_codebook_usage_is_counted(codebooks: int, tmp_path: Path) -> None:
    counts = torch.tensor([[2, 0, 0, 1, 0], [1, 1, 0, 0, 1]])[:codebooks]
    save_codebook_usage(counts, tmp_path / "codes.svg")
    texts = " ".join(drawn(tmp_path / "codes.svg"))
    assert "2 of 5" in texts and "share of all codes (%)" in texts
    assert ("codebook 1, 3 of 5 codes in use" in texts) == (codebooks == 2)
