"""Every request is counted, timed and logged, whatever becomes of it."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geofix.observability import requests

log = logging.getLogger("geofix.service")

_CLIENT_GONE = 499


class Metering:
    """ASGI middleware around all but the request's id: knows requests by their route alone.

    Neither paths nor queries are counted or logged: people put keys and names into them.
    """

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
            route = template(scope)
            requests.answered(route, scope["method"], status, seconds)
            told = {"route": route, "status": status, "seconds": round(seconds, 6)}
            log.info("request", extra=told)


def template(scope: Scope) -> str:
    """The path of the route that was chosen, its parameters unfilled; empty for none."""
    return getattr(scope.get("route"), "path", "")
