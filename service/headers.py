"""Headers that every response carries, whatever made it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import cast

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_KEY = "geofix.headers"
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_BY_DEFAULT = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Where the response does not say otherwise itself."""


def tell(scope: MutableMapping[str, object], headers: Mapping[str, str]) -> None:
    """Add headers to the response to the request of this ASGI scope."""
    cast("dict[str, str]", scope.setdefault(_KEY, {})).update(headers)


class ResponseHeaders:
    """ASGI middleware that adds what was told, and what keeps a browser from guessing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _BY_DEFAULT.items():
                    headers.setdefault(name, value)
                headers.update(_ALWAYS)
                headers.update(cast("dict[str, str]", scope.get(_KEY, {})))
            await send(message)

        await self._app(scope, receive, send_with_headers)
