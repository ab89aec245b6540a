"""Server of the live page: on this machine alone, without share links and telemetry.

Requests under another host name, as a page elsewhere could send them, are refused. A header tells the browser to load
nothing from elsewhere.
"""

from __future__ import annotations

import os
import socket
import webbrowser
from typing import Any

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
MAX_UPLOAD = "1mb"  # no control takes a file, but the server has a place for them
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; form-action 'self'"
)
INSTALL = "the live page needs Gradio: pip install 'gumbelzoo[explore]'"


def serve(target: str, port: int, open_browser: bool, root: str | None = None) -> None:
    """Show a model on a page of this machine until Ctrl-C, and print its address.

    Args:
        target: what ``load`` takes.
        port: of the page; 0 takes a free one.
        open_browser: open the page in a browser, too.
        root: folder of the data sets.

    Raises:
        ValueError: no such model, Gradio is not installed, or the port is in use.
    """
    with listen(port) as listener:
        app = application(target, root)
        address = f"http://{HOST}:{listener.getsockname()[1]}/"
        print(f"{address}  (Ctrl-C ends it)", flush=True)
        if open_browser:
            webbrowser.open(address)
        run(app, listener)


def application(target: str, root: str | None = None) -> LocalOnly:
    """Load a model and return the application of its page; arguments and errors are those of ``serve``."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when it is imported
    try:
        from .page import build_page
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise ValueError(INSTALL) from None
    from ...commands.files.source import resolve_source
    from .subject import Subject

    return mounted(build_page(Subject(target, resolve_source(target), root)))


def run(app: LocalOnly, listener: socket.socket) -> None:
    """Answer requests until Ctrl-C."""
    import uvicorn

    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        print()


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this machine; ValueError if the port is in use or may not be used."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise ValueError(f"port {port} cannot be used ({error.strerror}); give another one with --port") from None
    return listener


def mounted(page: Any) -> LocalOnly:
    """Return the application of a page, behind ``LocalOnly``."""
    import gradio as gr
    from fastapi import FastAPI

    from .page import STYLE

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        server_name=HOST,
        footer_links=[],
        run_history=False,
        max_file_size=MAX_UPLOAD,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        show_error=True,
        css=STYLE,
    )
    return LocalOnly(app)


class LocalOnly:
    """Application that answers requests to this machine only, and lets the browser load nothing from elsewhere.

    Args:
        app: ASGI application.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse a foreign host name with status 421, and add the header to all other answers."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").partition(":")[0]
        if host not in NAMES:
            await send({"type": "http.response.start", "status": 421, "headers": []})
            return await send({"type": "http.response.body", "body": b"This page is for this machine only.\n"})

        # On one machine it takes longer to compress an answer than to send it.
        scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}

        async def with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await self.app(scope, receive, with_policy)
