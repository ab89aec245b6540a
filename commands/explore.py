"""Open a page that shows what a model does and what the temperature does, or write it as files.

Without --static the page is served on this machine alone, for any model; it needs the extra `explore`. With --static it
is a folder that any web server shows, and the model runs in the browser: categorical VAEs and VQ-VAEs.
"""

from __future__ import annotations

import argparse

from .files.outputs import path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument(
        "--port", type=int, default=7860, help="of the page on this machine, 0 for a free one (default: 7860)"
    )
    parser.add_argument("--no_browser", action="store_true", help="print the address, and open no browser")
    parser.add_argument(
        "--static", type=path, metavar="OUT", help="folder to write in the place of serving; it does not exist yet"
    )
    parser.add_argument("--root", help="folder of the data sets (default: GUMBELZOO_DATA, else the cache folder)")


def run(options: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C, or write it and print its folder.

    Raises:
        ValueError: no such model; a port that is none; the extra is not installed; a folder that exists; a model that
            does not run in a browser.
    """
    if options.static is not None:
        from ..explore.static import write_page

        return write_page(options.source, options.static, options.root)
    if not 0 <= options.port <= 65535:
        raise ValueError(f"--port must lie between 0 and 65535, got {options.port}")
    from ..explore.live import serve

    serve(options.source, options.port, not options.no_browser, options.root)
