"""The live page in a browser: each control changes what it should, and the console has no error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
from gumbelzoo.tests.explore.live_page import (
    changes,
    choose,
    content,
    enter,
    number,
    opened,
    output,
    served,
    stroke,
    tab,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
Visit = Callable[..., Any]


NAMES = (
    "catvae-digits",
    "vqvae-digits-ema",
    "vqvae-mnist-labels",
    "textvae-captions",
    "slate-agent",
    "attention-cipher",
    "attention-scenes",
    "gates-frequencies",
    "glimpse-clutter",
)


@pytest.fixture(scope="module")
def pages(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Addresses of the pages by model; at the end the server may have connected to no other machine."""
    asked = tmp_path_factory.mktemp("asked") / "addresses"
    with served(NAMES, asked) as addresses:
        yield addresses
    assert not asked.exists(), asked.read_text()


@pytest.fixture
def image_page(pages: dict[str, str]) -> str:
    """Page of a categorical VAE of 8 x 8 digits, whose data come with scikit-learn."""
    return pages["catvae-digits"]


def test_image_and_its_codes(visit: Visit, image_page: str) -> None:
    """An image is sampled, taken or drawn, with mouse and keyboard; its codes are seen and changed."""
    page = opened(visit, image_page)
    output(page, "decoded")
    field = page.get_by_label("latent 3, a code from 0 to 7")
    changes(page, field.focus, "row")
    assert "Code number 3" in content(output(page, "row"))
    other = str((int(field.input_value()) + 1) % 8)
    changes(page, lambda: (field.fill(other), field.press("Tab")), "decoded")
    assert field.input_value() == other
    field.focus()
    changes(page, lambda: field.press("ArrowDown" if other == "7" else "ArrowUp"), "decoded")
    assert field.evaluate("field => document.activeElement === field")
    field.fill("99")
    field.press("Tab")
    page.get_by_role("alert").filter(has_text="a code must lie in [0, 8), got 99").wait_for()

    changes(page, page.get_by_role("button", name="Take a sample of the model").first.click, "image", "decoded")
    changes(page, page.get_by_role("button", name="Take this test image").first.click, "image", "decoded")
    changes(page, lambda: enter(page, "Test image, number", 5), "image", "decoded")
    canvas = page.get_by_label("Draw the image").first
    changes(page, lambda: stroke(page, canvas), "image", "decoded")
    changes(page, page.get_by_role("button", name="Clear").first.click, "image")
    canvas.focus()
    page.keyboard.press("Space")
    changes(page, lambda: page.keyboard.press("ArrowLeft"), "image")
    assert page.get_by_text("pen down").count() == 1


def test_table_path_and_samples_follow(visit: Visit, image_page: str) -> None:
    """The table follows the image, the path both of its ends, the samples their options."""
    page = opened(visit, image_page)
    tab(page, "Latent table")
    changes(page, page.get_by_role("button", name="Take a sample of the model").first.click, "table")
    tab(page, "Interpolation")
    changes(page, lambda: enter(page, "Steps", 3), "path")
    take = page.get_by_role("button", name="Take a sample of the model").last
    changes(page, take.click, "last-image", "path")
    tab(page, "Samples")
    for label, value in (("Seed", 3), ("Number of samples", 4)):
        changes(page, lambda label=label, value=value: enter(page, label, value), "samples")


def test_temperature_page_follows(visit: Visit, image_page: str) -> None:
    """Every slider moves the draws and the gradients, by the keyboard too; cost and estimator only the latter."""
    page = opened(visit, image_page)
    tab(page, "Temperature")
    output(page, "gradients")
    for label, value in (("Logit 2", 2.0), ("Temperature", 0.1), ("Seed", 4), ("Categories", 4), ("Logit 4", 1.5)):
        changes(page, lambda label=label, value=value: enter(page, label, value), "draws", "gradients")
    slider = page.get_by_label("range slider for Temperature", exact=True).locator("visible=true")
    changes(page, lambda: slider.press("ArrowRight"), "draws", "gradients")
    changes(page, lambda: choose(page, "Draws", "2048"), "draws", "gradients")
    drawn = content(output(page, "draws"))
    changes(page, lambda: choose(page, "Estimator", "reinmax"), "gradients")
    assert "mean of reinmax" in content(output(page, "gradients"))
    changes(page, lambda: choose(page, "Cost", "linear: x"), "gradients")
    assert content(output(page, "draws")) == drawn
    changes(page, lambda: enter(page, "Categories", 2), "draws", "gradients")
    number(page, "Logit 3").wait_for(state="detached")


def test_page_fits_a_phone(visit: Visit, image_page: str) -> None:
    """Nothing is wider than the screen, and the page follows the dark setting of the system."""
    page = opened(visit, image_page, viewport={"width": 360, "height": 740}, color_scheme="dark")
    output(page, "decoded")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("body.dark").count() == 1
    tab(page, "Temperature")
    output(page, "gradients")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_grid_of_codes_and_codebook(visit: Visit, pages: dict[str, str]) -> None:
    """A VQ-VAE: codes over the image, tiles, and their use in test images."""
    page = opened(visit, pages["vqvae-digits-ema"])
    output(page, "decoded")
    field = page.get_by_label("row 1, column 2, a code from 0 to 63")
    other = str((int(field.input_value()) + 17) % 64)
    changes(page, lambda: (field.fill(other), field.press("Tab")), "decoded", "below")
    tab(page, "Codebook")
    count = page.get_by_role("button", name="Count the codes in test images")
    output(page, "tiles")
    changes(page, count.click, "tiles")
    assert "of 64 codes occur in 100 test images" in content(output(page, "counted"))


def test_prior_over_classes(visit: Visit, pages: dict[str, str]) -> None:
    """Samples at a temperature, by class, with top-k and top-p, where the model takes them."""
    page = opened(visit, pages["vqvae-mnist-labels"])
    tab(page, "Samples")
    output(page, "samples")
    changes(page, lambda: enter(page, "Number of samples", 2), "samples")
    changes(page, lambda: enter(page, "Temperature", 0.3), "samples")
    changes(page, lambda: choose(page, "Class", "7"), "samples")
    changes(page, lambda: enter(page, "Top-k", 2), "samples")
    changes(page, lambda: enter(page, "Top-p", 0.05), "samples")


def test_sentence_and_way(visit: Visit, pages: dict[str, str]) -> None:
    """A text VAE: prefix and alternatives of a sentence, and the sentences between two."""
    page = opened(visit, pages["textvae-captions"])
    prefix = page.get_by_label("Prefix", exact=False)
    output(page, "text")
    changes(page, lambda: prefix.fill("a man"), "text")
    assert content(output(page, "text")).count("a man")
    changes(page, lambda: enter(page, "Temperature", 0.2), "tokens")
    changes(page, lambda: enter(page, "Top-k", 3), "tokens")
    changes(page, lambda: enter(page, "Seed", 5), "tokens")
    page.get_by_role("button", name="at place 4").nth(1).click()
    page.wait_for_function("document.querySelector('textarea, input[type=text]').value !== 'a man'")
    prefix.fill("a zzyzx")
    page.get_by_role("alert").filter(has_text="'zzyzx' is not one of the 2442 tokens").wait_for()
    tab(page, "Between two sentences")
    output(page, "way")
    changes(page, lambda: page.get_by_label("First sentence").fill("a man is riding a bike ."), "way")
    changes(page, lambda: enter(page, "Steps", 3), "way")
    assert page.get_by_role("listitem").locator("visible=true").count() == 3


def test_slate_follows_a_chosen_item(visit: Visit, pages: dict[str, str]) -> None:
    page = opened(visit, pages["slate-agent"])
    output(page, "slate")
    changes(page, lambda: choose(page, "Item in slot 1", "4"), "slate")
    assert "Slot 1: item 4" in content(output(page, "slate"))
    changes(page, lambda: enter(page, "Training user that the agent has kept", 3), "slate")


def test_attention_follows_the_source(visit: Visit, pages: dict[str, str]) -> None:
    page = opened(visit, pages["attention-cipher"])
    output(page, "places")
    changes(page, lambda: page.get_by_label("Source", exact=True).fill("abc"), "written", "places")
    changes(page, lambda: enter(page, "Training source that the model has kept", 3), "places")


def test_attention_in_a_picture(visit: Visit, pages: dict[str, str]) -> None:
    """A caption, and the cells that its words are read from, follow the picture."""
    page = opened(visit, pages["attention-scenes"])
    output(page, "places")
    changes(page, lambda: enter(page, "Training source that the model has kept", 3), "written", "places")
    assert page.get_by_label("Source", exact=True).locator("visible=true").count() == 0


def test_gates_see_a_test_image(visit: Visit, pages: dict[str, str]) -> None:
    """Probabilities of the classes and the open gates follow the image."""
    page = opened(visit, pages["gates-frequencies"])
    output(page, "views")
    changes(page, lambda: enter(page, "Test image, number", 9), "classes", "views")
    assert "of 16 gates are open" in content(output(page, "views"))


def test_glimpses_follow_a_drawing(visit: Visit, pages: dict[str, str]) -> None:
    """Classes, and the windows that a model of glimpses sees, follow what is drawn, without its data."""
    page = opened(visit, pages["glimpse-clutter"])
    output(page, "views")
    canvas = page.get_by_label("Draw the image").first
    changes(page, lambda: stroke(page, canvas), "classes", "views")
    assert "the image, and what the model sees" in content(output(page, "views"))


def test_picture_of_the_documentation(visit: Visit, pages: dict[str, str], request: pytest.FixtureRequest) -> None:
    """With ``--pictures``: docs/images/explore-live.png, a sentence with its alternatives."""
    if not request.config.getoption("--pictures"):
        pytest.skip("writes docs/images with --pictures only")
    page = opened(visit, pages["textvae-captions"], viewport={"width": 960, "height": 1000})
    output(page, "text")
    changes(page, lambda: page.get_by_label("Prefix", exact=False).fill("a man"), "text")
    page.screenshot(path=Path(gumbelzoo.__file__).parent / "docs/images/explore-live.png")
