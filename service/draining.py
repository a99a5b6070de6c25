"""Going down without failing anybody.

Told to end (SIGTERM), the service says so on ``/readyz`` and asks every client that it answers to
close its connection; it answers as ever meanwhile. Only then does it stop to listen, finishes what
it has begun, and ends. Closed at once, a connection on which a client is just sending its next
request would cost that request.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geofix.errors import Unavailable


def begin(app: FastAPI) -> None:
    """From now on ``app`` is not ready, and its connections are closed after each answer."""
    app.state.draining = True


def check(app: FastAPI) -> None:
    """Raise Unavailable while ``app`` is going down."""
    if getattr(app.state, "draining", False):
        raise Unavailable("The service is going down.", retry_after_s=1)


class Draining:
    """ASGI middleware that has connections closed while the service is going down."""

    def __init__(self, app: ASGIApp, service: FastAPI) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        draining = scope["type"] == "http" and getattr(self._service.state, "draining", False)
        await self._app(scope, receive, send_and_close if draining else send)


class Server(uvicorn.Server):
    """Uvicorn's server, which drains for a while when it is told to end by SIGTERM."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_s = drain_s
        self._draining = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain, then end; end at once when it is told so a second time, or by Ctrl-C."""
        if sig != signal.SIGTERM or self._draining:
            super().handle_exit(sig, frame)
            return
        self._draining = True
        begin(self._app)
        end = threading.Timer(self._drain_s, super().handle_exit, (sig, frame))
        end.daemon = True
        end.start()
