"""The page as files in headless Chromium: equal to the library, and what each control changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.explore.temperature import relax
from gumbelzoo.models.relaxed.noise import gumbel_noise
from gumbelzoo.tests.explore.conftest import until
from gumbelzoo.tests.explore.static_pages import MODEL, NAMES, SEEN, WHOLE

pytestmark = pytest.mark.browser
FIRST_PICTURE = 3000  # milliseconds


def test_first_picture_comes_soon(loaded: Callable[..., Any]) -> None:
    """In the quickest of three visits, since other work on the machine does not count."""
    for name in NAMES[:2]:
        took = min(int(loaded(name).evaluate("document.body.dataset.picture")) for _ in range(3))
        print(f"{name}: first picture after {took} ms")
        assert took < FIRST_PICTURE


def test_draws_equal_the_layer(loaded: Callable[..., Any]) -> None:
    """Gumbel-Softmax and argmax of the same noise; JavaScript counts in double precision."""
    logits, noise = torch.randn(6), gumbel_noise((200, 6), generator=torch.Generator().manual_seed(1))
    call = "async ([logits, tau, noise]) => (await import('./relaxed.js')).draw(logits, tau, noise)"
    page = loaded()
    for tau in (0.1, 0.5, 1.0, 5.0):
        made, expected = page.evaluate(call, [logits.tolist(), tau, noise.tolist()]), relax(logits, tau, noise)
        torch.testing.assert_close(torch.tensor(made["soft"]), expected.soft, rtol=0, atol=2e-6)
        assert torch.tensor(made["hard"]).float().equal(expected.hard)
        torch.testing.assert_close(torch.tensor(made["probabilities"]), expected.probabilities)
        torch.testing.assert_close(torch.tensor(made["frequency"]), expected.frequency)


def test_noise_of_the_page_is_gumbel(loaded: Callable[..., Any]) -> None:
    """Mean 0.5772 and variance pi^2 / 6, within four standard errors; the same for the same seed."""
    call = "async (seed) => { const m = await import('./relaxed.js'); return m.gumbelNoise(m.uniform(seed), 5000, 4) }"
    page = loaded()
    noise = torch.tensor(page.evaluate(call, 3))
    assert noise.equal(torch.tensor(page.evaluate(call, 3))) and not noise.equal(torch.tensor(page.evaluate(call, 4)))
    assert abs(float(noise.mean()) - 0.5772) < 4 * 1.2825 / 20_000**0.5
    assert abs(float(noise.var()) - 1.6449) < 4 * (4.4 / 20_000) ** 0.5 * 1.6449


@pytest.mark.parametrize("name", NAMES)
def test_model_equals_the_library(name: str, loaded: Callable[..., Any]) -> None:
    """Images of codes to 1e-4, and codes of images, on inputs that the writer did not compare."""
    page, model = loaded(name), gumbelzoo.load(name)
    page.evaluate(MODEL)
    k, n = page.evaluate("[m.categories, m.latents]")
    generator = torch.Generator().manual_seed(7)
    codes = torch.randint(k, (5, n), generator=generator)
    images = model.decode(codes.unflatten(1, (*model.grid, 1)) if hasattr(model, "grid") else codes)
    made = torch.tensor(page.evaluate("(rows) => rows.map((codes) => [...m.decode(codes)])", codes.tolist()))
    print(f"{name}: largest difference {float((made - images.flatten(1)).abs().max()):.1e}")
    torch.testing.assert_close(made, images.flatten(1), rtol=0, atol=1e-4)
    # Levels a little off those of the codes' own images, which decide clearly.
    call = "(rows) => rows.map((image) => m.codes(m.scores(Float32Array.from(image))))"
    given = images.clamp(0, 1).round() if model.registry_name == "categorical_vae" else images.clamp(0, 1)
    assert page.evaluate(call, given.flatten(1).tolist()) == model.encode(given).flatten(1).tolist()
    path = "([a, b]) => m.between(...[a, b].map((image) => m.scores(Float32Array.from(image))), 5)"
    between = page.evaluate(path, given[:2].flatten(1).tolist())
    decoded = torch.tensor(page.evaluate("(rows) => rows.map((codes) => [...m.decode(codes)])", between))
    torch.testing.assert_close(decoded, model.interpolate(given[:1], given[1:2], 5)[0].flatten(1), rtol=0, atol=1e-4)


# -- controls ---------------------------------------------------------------------------------------------------------

DRAWINGS = ("soft-simplex", "hard-simplex", "soft-bars", "hard-bars", "histogram", "gradient", "errors", "verdict")
IMAGES = ("pad", "decoded", "codes", "row", "between", "samples")


def select(name: str, value: str) -> Callable[[Any], None]:
    return lambda page: page.select_option(f"#{name}", value)


def slide(name: str, keys: str) -> Callable[[Any], None]:
    """With the keyboard, as anyone can."""
    return lambda page: page.press(name if name[0] == "#" else f"#{name}", keys)


def press(selector: str) -> Callable[[Any], None]:
    return lambda page: page.click(selector)


CONTROLS: dict[str, tuple[Callable[[Any], None], set[str]]] = {
    "temperature": (slide("tau", "End"), {"soft-simplex", "soft-bars", "gradient", "errors", "verdict"}),
    "noise": (press("#redraw"), {"soft-simplex", "hard-simplex", "soft-bars", "hard-bars", "histogram"}),
    "number of draws": (select("draws", "2000"), {"soft-simplex", "hard-simplex", "histogram"}),
    "preset": (select("preset", "nearly sure"), set(DRAWINGS)),
    "estimator": (select("estimator", "rebar"), {"gradient", "errors", "verdict"}),
    "cost": (select("cost", "steep"), {"gradient", "errors", "verdict"}),
    "logit": (slide("#logits input >> nth=0", "End"), {*DRAWINGS} - {"gradient", "errors"}),
    "test image": (select("test", "3"), {"pad", "decoded", "codes", "row", "between"}),
    "clear": (press("#clear"), {"pad", "decoded", "codes", "row", "between"}),
    "latent": (press("#codes button >> nth=4"), {"codes", "row"}),
    "category": (press("#row button[aria-pressed=false] >> nth=0"), {"decoded", "codes", "row"}),
    "other image": (select("other", "5"), {"between"}),
    "sample again": (press("#again"), {"samples"}),
}


def test_controls_change_what_they_should(loaded: Callable[..., Any]) -> None:
    """And nothing else, one after the other on one page."""
    page = loaded()
    look = f"(names) => names.map({SEEN})"
    names = [*DRAWINGS, *IMAGES]
    until(page, WHOLE)
    seen = page.evaluate(look, names)
    for control, (action, expected) in CONTROLS.items():
        action(page)
        until(page, WHOLE)
        before, seen = seen, page.evaluate(look, names)
        changed = {name for name, one, other in zip(names, before, seen, strict=True) if one != other}
        assert changed == expected, control


def test_temperature_of_the_prior_changes_samples(loaded: Callable[..., Any]) -> None:
    """The prior of this release is uniform: the number changes, and the samples of the same seed do not."""
    page = loaded()
    before = page.evaluate(SEEN, "samples")
    page.focus("#prior-temperature")
    page.keyboard.press("Home")
    assert page.inner_text("#prior-temperature-value") == "0.1" and page.evaluate(SEEN, "samples") == before


def test_own_logits_have_no_table(loaded: Callable[..., Any]) -> None:
    page = loaded()
    slide("#logits input >> nth=1", "Home")(page)
    assert page.input_value("#preset") == "your own" and not page.is_visible("#gradient")
    assert "for the presets only" in page.inner_text("#verdict")
    page.select_option("#preset", "six categories")
    assert page.is_visible("#gradient") and not page.is_visible("#soft-simplex")
    assert page.locator("#logits input").count() == 6


def test_verdict_says_what_the_table_has(loaded: Callable[..., Any]) -> None:
    page = loaded()
    said = page.inner_text("#verdict")
    assert said.startswith("gumbel_softmax is biased. After 4096 draws its mean is ")
    page.select_option("#estimator", "reinforce")
    assert "reinforce is unbiased" in page.inner_text("#verdict") and "no temperature" in page.inner_text("#verdict")


def test_flipped_codes_come_back(loaded: Callable[..., Any]) -> None:
    page = loaded()
    before = page.evaluate(SEEN, "decoded")
    page.click("#codes button >> nth=2")
    page.click("#row button[aria-pressed=false] >> nth=3")
    assert page.evaluate(SEEN, "decoded") != before and page.inner_text("#changed") == "1 of 20 codes are yours."
    page.click("#reset")
    assert page.evaluate(SEEN, "decoded") == before and page.inner_text("#changed").startswith("All codes")


def test_drawing_by_pointer_and_by_keys(loaded: Callable[..., Any]) -> None:
    """Each gives an image with codes of its own."""
    page = loaded()
    page.click("#clear")
    empty = page.evaluate(SEEN, "pad")
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 80, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 180, steps=12)
    page.mouse.up()
    by_pointer = page.evaluate(SEEN, "pad"), page.inner_text("#codes")
    page.click("#clear")
    assert page.evaluate(SEEN, "pad") == empty
    page.focus("#pad")
    for _ in range(8):
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
    assert "row 23, column 15" in page.inner_text("#pad-help")
    by_keys = page.evaluate(SEEN, "pad"), page.inner_text("#codes")
    assert len({empty, by_pointer[0], by_keys[0]}) == 3 and by_pointer[1] != by_keys[1]
    assert page.input_value("#test") == ""


def test_tile_keeps_the_focus(loaded: Callable[..., Any]) -> None:
    """So that a keyboard goes on from the category that it chose."""
    page = loaded()
    page.focus("#row button >> nth=2")
    page.keyboard.press("Enter")
    pressed = "document.activeElement === document.querySelector('#row button[aria-pressed=true]')"
    assert page.evaluate(pressed) and page.evaluate("document.activeElement.textContent").startswith("2 ")


def test_row_of_a_grid_is_whole(loaded: Callable[..., Any]) -> None:
    """All codes of a position are decoded, in pauses; the pressed one is the decoded image."""
    page = loaded("vqvae-mnist-gumbel")
    page.click("#codes button >> nth=24")
    until(page, WHOLE)
    assert page.locator("#row button").count() == 128 and page.locator("#codes button").count() == 49
    of_tile = "document.querySelector('#row [aria-pressed=true] canvas').toDataURL()"
    assert page.evaluate(of_tile) == page.evaluate("document.getElementById('decoded').toDataURL()")
