"""The page as files in headless Chromium: a phone, the dark, names of controls, damaged folders, a stranger's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.explore.static import writer
from gumbelzoo.tests.explore.conftest import served, until
from gumbelzoo.tests.explore.static_pages import MODEL, NAMES, READY, WHOLE, written

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("name", NAMES[:2])
def test_page_fits_a_phone(name: str, loaded: Callable[..., Any]) -> None:
    page = loaded(name, viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_page_follows_the_colour_scheme(loaded: Callable[..., Any]) -> None:
    """Text is readable on its ground: a contrast of 7 for text, 4.5 for notes (WCAG 2.2)."""
    grounds = []
    for scheme in ("light", "dark"):
        page = loaded(color_scheme=scheme)
        style = """(selector) => [[document.body, "backgroundColor"], [document.querySelector(selector), "color"]]
            .map(([element, property]) => getComputedStyle(element)[property])"""
        for selector, least in (("h1", 7), (".note", 4.5), ("nav a", 4.5)):
            ground, text = (luminance(colour) for colour in page.evaluate(style, selector))
            assert (max(ground, text) + 0.05) / (min(ground, text) + 0.05) >= least, (scheme, selector)
        grounds.append(ground)
    assert grounds[0] > 0.9 and grounds[1] < 0.1


def luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_every_control_has_a_name(loaded: Callable[..., Any]) -> None:
    """And is reached by the tab key."""
    page = loaded()
    nameless = """[...document.querySelectorAll("button, select, input, canvas[tabindex], svg")].filter((e) =>
        !(e.getAttribute("aria-label") || e.textContent.trim() && e.tagName === "BUTTON" || e.labels?.length))
        .map((e) => e.outerHTML)"""
    assert page.evaluate(nameless) == []
    assert page.evaluate("[...document.querySelectorAll('[tabindex]')].every((e) => e.tabIndex === 0)")


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("weights.bin", None, "The page could not start: weights.bin is not beside this page (404)"),
        ("table.json", None, "The page could not start: table.json is not beside this page (404)"),
        ("model.json", b"{", "The page could not start: "),
    ],
)
def test_damaged_folder_is_a_sentence(
    file: str, damage: bytes | None, message: str, tmp_path: Path, visit: Callable[..., Any]
) -> None:
    folder = written("vqvae-digits-ema", tmp_path / "page")
    (folder / file).unlink()
    if damage is not None:
        (folder / file).write_bytes(damage)
    with served(folder) as address:
        page = visit(address)
        page.allowed.append("404")
        page.wait_for_selector(".error")
        assert page.inner_text("#status").startswith(message)


def test_page_without_test_images(tmp_path: Path, visit: Callable[..., Any]) -> None:
    model = gumbelzoo.load("catvae-digits")
    for file, content in writer.page_files(model, "digits", {}, torch.zeros(0, 1, 8, 8), []).items():
        (tmp_path / file).write_bytes(content)
    with served(tmp_path) as address:
        page = visit(address)
        until(page, READY)
        assert page.is_disabled("#test") and page.is_disabled("#other")
        assert page.locator("#samples canvas").count() == 16


def test_hostile_name_stays_text(tmp_path: Path, visit: Callable[..., Any]) -> None:
    """A stranger's release is named as it is, and runs nothing."""
    name, images = "<img src=x onerror=alert(1)>", torch.zeros(0, 1, 8, 8)
    for file, content in writer.page_files(gumbelzoo.load("catvae-digits"), name, {}, images, []).items():
        (tmp_path / file).write_bytes(content)
    with served(tmp_path) as address:
        page = visit(address)
        until(page, READY)
        assert page.inner_text("#name") == name and page.locator("img").count() == 0


# The latent whose categories move the pixels of a test image most.
STRONGEST = """(image) => {
  const codes = m.codes(m.scores(m.testImages()[image]));
  const moved = (latent) => Array.from({ length: m.categories }, (_, category) => {
    const other = m.decode(codes.with(latent, category));
    return m.decode(codes).reduce((sum, value, i) => sum + Math.abs(value - other[i]), 0);
  }).reduce((sum, value) => sum + value);
  const all = codes.map((_, latent) => moved(latent));
  return all.indexOf(Math.max(...all));
}"""


def test_pictures_of_the_documentation(
    tmp_path: Path, visit: Callable[..., Any], real: Callable[[str], str], request: pytest.FixtureRequest
) -> None:
    """With ``--pictures``: docs/images/explore.png and explore-temperature.png, of a page with real test images."""
    if not request.config.getoption("--pictures"):
        pytest.skip("writes docs/images with --pictures only")
    writer.write_page("catvae-mnist", tmp_path / "page", real("mnist_static"))
    images = Path(gumbelzoo.__file__).parent / "docs/images"
    images.mkdir(exist_ok=True)
    with served(tmp_path / "page") as address:
        page = visit(address, viewport={"width": 960, "height": 800})
        until(page, READY)
        page.select_option("#test", "14")
        page.evaluate(MODEL)
        page.click(f"#codes button >> nth={page.evaluate(STRONGEST, 14)}")
        until(page, WHOLE)
        page.locator("#model").screenshot(path=images / "explore.png")
        page.select_option("#estimator", "straight_through_gumbel_softmax")
        page.locator("#temperature").screenshot(path=images / "explore-temperature.png")
