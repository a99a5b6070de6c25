"""An S3-compatible server on loopback that fails on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BUCKET = "geofix"
_KEY = "testing"


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # as werkzeug calls it
        pass


class FailingStore:
    """Moto's S3, and a switch."""

    def __init__(self) -> None:
        self.fails = False
        """While this is set, every request is answered with 500."""
        self.failures = 0
        self._app: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]] = (
            DomainDispatcherApplication(create_backend_app)
        )
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Silent
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes Geofix use it."""
        return {
            "GEOFIX_OBJECT_STORE_URL": f"s3://{BUCKET}/site",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _KEY,
            "AWS_REGION": "us-east-1",
        }

    @contextmanager
    def running(self) -> Iterator[FailingStore]:
        """Serve until the end of the block."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            httpx.put(f"{self.url}/{BUCKET}").raise_for_status()
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if not self.fails:
            return self._app(environ, start)
        self.failures += 1
        start("500 Internal Server Error", [("Content-Type", "text/plain")])
        return [b"a fault, as asked for"]
