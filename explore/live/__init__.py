"""The live page: any model on this machine, in a browser. Gradio is imported when the page is opened."""

from __future__ import annotations

from .server import serve as serve
