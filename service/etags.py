"""ETags: whoever has an answer to a GET already is told that it still holds, and no more."""

from __future__ import annotations

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class EntityTags:
    """ASGI middleware that tags what a GET answers in one piece, and answers 304 where it is known.

    What streams, and what has a tag of its own, passes as it is. A tag is of the body alone, so
    answers may be kept by whoever asked but must be asked for again each time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        held: Message | None = None

        async def tagged(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _may_be_tagged(message):
                held = message
                return
            if held is None:
                await send(message)
                return
            start, held = held, None
            if not message.get("more_body", False):
                start, message = _tagged(scope, start, message)
            await send(start)
            await send(message)

        await self._app(scope, receive, tagged)


def _may_be_tagged(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return start["status"] == 200 and "content-length" in headers and "etag" not in headers


def _tagged(scope: Scope, start: Message, body: Message) -> tuple[Message, Message]:
    tag = f'"{hashlib.sha256(body.get("body", b"")).hexdigest()[:32]}"'
    headers = MutableHeaders(raw=[*start["headers"]])
    headers["ETag"] = tag
    headers.setdefault("Cache-Control", "private, no-cache")
    headers.add_vary_header("Authorization, X-API-Key")
    known = Headers(scope=scope).get("if-none-match", "")
    start = {**start, "headers": headers.raw}
    if tag not in (name.strip().removeprefix("W/") for name in known.split(",")):
        return start, body
    del headers["Content-Length"]
    return {**start, "status": 304, "headers": headers.raw}, {**body, "body": b""}
