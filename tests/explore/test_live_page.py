"""The live page without a browser: its sections, its HTML, its answers, and who may ask."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gumbelzoo.explore.live import html, serve
from gumbelzoo.explore.live.answers import answer, whole
from gumbelzoo.explore.live.server import LocalOnly, listen
from PIL import Image

FOREIGN = "<script>alert(1)</script>\"'&\u202e\x1b${1}{{2}}"


def test_foreign_text_is_escaped() -> None:
    """A vocabulary of a stranger adds no tag, no attribute and no control character."""
    for piece in (html.text(FOREIGN), html.sentence(FOREIGN), html.bars(FOREIGN, [FOREIGN], {FOREIGN: [0.5]})):
        assert not re.search("<script|\u202e|\x1b", piece)
    assert '"' not in html.text(FOREIGN) and "'" not in html.text(FOREIGN)


def test_picture_is_in_the_page() -> None:
    """As a PNG with the same levels."""
    levels = torch.arange(12).reshape(1, 3, 4) * 20
    (data,) = re.findall('src="data:image/png;base64,([^"]+)"', html.picture(levels / 255, "a picture"))
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert found.shape == (3, 4, 3) and found[..., 1].tolist() == levels[0].tolist()


def test_bars_are_as_long_as_their_numbers() -> None:
    """From the left; beside negative numbers from the middle."""
    ends = re.compile(r"transparent ([\d.]+)%,#\w+ 0 ([\d.]+)%")
    plain = html.bars("title", ["a", "b"], {"x": [0.25, 1.0]})
    assert [tuple(map(float, found)) for found in ends.findall(plain)] == [(0, 25), (0, 100)]
    signed = html.bars("title", ["a", "b"], {"x": [-0.5, 1.0]}, largest=2.0)
    assert [tuple(map(float, found)) for found in ends.findall(signed)] == [(37.5, 50), (50, 75)]


def test_draws_lie_inside_the_triangle() -> None:
    """A corner is a one-hot point; a ring is as large as its share."""
    found = html.simplex(torch.eye(3), torch.tensor([[1.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0]]))
    points = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="2.5"', found)]
    (corners,) = re.findall('polygon points="([^"]+)"', found)
    assert points == [tuple(map(float, corner.split(","))) for corner in corners.split()]
    rings = [float(r) for r in re.findall(r'r="([\d.]+)" fill="none"', found)]
    assert len(rings) == 2 and rings[0] > rings[1]


def ask(host: str) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers of the answer to a request under a host name."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": [(b"host", host.encode())]}
    asyncio.run(LocalOnly(app)(scope, None, send))
    return sent[0]["status"], dict(sent[0]["headers"])


def test_only_this_machine_is_answered() -> None:
    """A page elsewhere whose name leads here is refused, and the browser may load nothing from elsewhere."""
    for host in ("127.0.0.1:7860", "localhost:7860", "localhost"):
        status, headers = ask(host)
        assert status == 200 and headers[b"x"] == b"y"
        assert b"default-src 'self'" in headers[b"content-security-policy"]
        assert b"http" not in headers[b"content-security-policy"]
    for host in ("evil.example:7860", "127.0.0.1.evil.example", "0.0.0.0:7860", ""):
        assert ask(host)[0] == 421


def test_port_in_use_is_a_sentence() -> None:
    with listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        port = listener.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} cannot be used .* another one with --port"):
            listen(port)


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    for name in [name for name in sys.modules if name.startswith("gumbelzoo.explore.live.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ValueError, match=r"the live page needs Gradio: pip install 'gumbelzoo\[explore\]'"):
        serve("catvae-digits", 0, False)


def test_error_is_a_sentence() -> None:
    """It changes nothing else; a result empties the place of errors."""

    def fail(value: int) -> int:
        raise ValueError(f"{value} is <too> large\nand more")

    alert = '<p role="alert" class="gz-alert">3 is &lt;too&gt; large</p>'
    assert answer(fail, (3,), ["same", "same"]) == ("same", "same", alert)
    assert answer(lambda value: (value, 2), (1,), ["same", "same"]) == (1, 2, "")
    for value in (1.0, None, "1", True):
        with pytest.raises(ValueError, match="a code must be a whole number"):
            whole(value, "a code")


@pytest.mark.slow
def test_sections_are_those_the_model_can_do() -> None:
    """Nothing else is shown, and each page is built without reading data, in a process of its own."""
    pytest.importorskip("gradio")
    script = Path(__file__).with_name("live_models.py")
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found == {
        "attention": ["Attention"],
        "attention_of_cells": ["Attention"],
        "categorical": ["Codes", "Latent table", "Interpolation", "Samples"],
        "classifier": ["What it sees"],
        "code_prior": ["Codes", "Codebook", "Interpolation", "Samples"],
        "gates": ["What it sees"],
        "gaussian": ["Interpolation", "Samples"],
        "glimpse": ["What it sees"],
        "slate": ["Slate"],
        "structured": ["Completions"],
        "text_gan": ["Sentence"],
        "text_vae": ["Sentence", "Between two sentences"],
        "vqvae": ["Codes", "Codebook", "Interpolation", "Samples"],
    }


def test_classes_are_offered_by_name() -> None:
    """By the names that a model has kept, else by number, and no more of them than a list can show."""
    from gumbelzoo.explore.live.samples import ANY, MAX_CLASSES, class_choices, read_sampling

    assert class_choices(SimpleNamespace(classes=2, class_names=("low", "high"))) == [("low", 0), ("high", 1)]
    assert class_choices(SimpleNamespace(classes=2)) == [("0", 0), ("1", 1)]
    assert len(class_choices(SimpleNamespace(classes=10**6))) == MAX_CLASSES
    names = ("seed", "temperature", "label")
    assert read_sampling(names, (1, 1.0, ANY))["label"] is None and read_sampling(names, (1, 1.0, 0))["label"] == 0
