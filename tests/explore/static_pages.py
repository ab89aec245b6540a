"""Pages of releases, and questions to a page, for the tests in headless Chromium."""

from __future__ import annotations

from pathlib import Path

import gumbelzoo
import torch
from gumbelzoo.explore.static import writer

NAMES = ("catvae-mnist", "vqvae-mnist-gumbel", "vqvae-digits-ema", "catvae-omniglot")
READY = "document.body.dataset.ready === 'true'"
MODEL = "async () => { window.m ??= await (await import('./model.js')).loadModel() }"
# What a visitor sees of an element: its text, its drawing, or the pixels of its images.
SEEN = """(id) => {
  const element = document.getElementById(id);
  const pixels = (canvas) => canvas.width + canvas.toDataURL();
  if (element instanceof HTMLCanvasElement) return pixels(element);
  return element.innerHTML + [...element.querySelectorAll("canvas")].map(pixels).join();
}"""
WHOLE = "!document.querySelector('[aria-busy=true]')"  # all images are decoded


def written(name: str, folder: Path) -> Path:
    """The page of a release; its own samples, as 8-bit images, stand for test images."""
    model = gumbelzoo.load(name)
    images = model.sample(6, generator=torch.Generator().manual_seed(0)).clamp(0, 1)
    images = images.round() if model.registry_name == "categorical_vae" else images
    folder.mkdir(parents=True)
    for file, content in writer.page_files(model, name, {}, images, [*range(6)]).items():
        (folder / file).write_bytes(content)
    return folder
