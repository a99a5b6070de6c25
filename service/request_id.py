"""Every request gets an id: returned in X-Request-ID and named in problems and logs."""

from __future__ import annotations

import uuid
from collections.abc import MutableMapping
from typing import cast

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

_KEY = "geofix.request_id"


def request_id(scope: MutableMapping[str, object]) -> str:
    """The UUID of the request of this ASGI scope; made on first use."""
    return cast("str", scope.setdefault(_KEY, str(uuid.uuid4())))


class RequestId:
    """ASGI middleware that puts the request's id on its response, and into what is logged.

    The id is always our own: one sent by a caller could be anything, and is not echoed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = request_id(scope)
            await send(message)

        with bound_contextvars(request_id=request_id(scope)):
            await self._app(scope, receive, send_with_id)
