"""Every request is counted and timed, whatever becomes of it."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geofix.observability import requests

_CLIENT_GONE = 499


class Metering:
    """ASGI middleware, outermost: counts requests by the template of their route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = _CLIENT_GONE
        started = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        requests.IN_FLIGHT.inc()
        try:
            await self._app(scope, receive, watched)
        finally:
            requests.IN_FLIGHT.dec()
            seconds = time.perf_counter() - started
            requests.answered(_template(scope), scope["method"], status, seconds)


def _template(scope: Scope) -> str:
    """The path of the route that was chosen, its parameters unfilled; empty for none."""
    return getattr(scope.get("route"), "path", "")
