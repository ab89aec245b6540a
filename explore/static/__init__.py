"""The page as files: plain HTML and JavaScript, a table of gradients, and a model that runs in the browser."""

from .writer import write_page

__all__ = ["write_page"]
