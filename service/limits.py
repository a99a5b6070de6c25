"""What a request may cost before it is understood: the size of its body, and the wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geofix.errors import PhotoTooLarge, SlowRequest, Unavailable, UploadTooLarge

_PATIENCE_S = 20.0
"""How long a body may take that comes at less than the least rate."""
_LEAST_BYTES_PER_S = 16_384
JOBS_PATH = "/v1/jobs"
"""Where uploads are streamed into a store, and may be far larger than a photo."""


class BodyLimit:
    """ASGI middleware that stops reading a body that is too large, too slow, or one too many.

    A Content-Length above the limit fails at the first read; without one, the chunks are counted.
    Bodies are read into memory, so those of all requests together may hold ``held`` bytes.
    ``streamed`` names paths whose bodies are not, with a limit of their own. The error is raised
    where the body is read, so that the application's own handler answers it.
    """

    def __init__(
        self, app: ASGIApp, *, limit: int, held: int, streamed: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._limit = limit
        self._free = held
        self._streamed = streamed or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, int(Headers(scope=scope).get("content-length", "0")))
        limit = self._streamed.get(scope["path"], self._limit)
        is_held = scope["path"] not in self._streamed
        held = 0

        async def limited() -> Message:
            nonlocal held
            if body.announced > limit:
                raise _too_large(limit, is_held=is_held)
            message, size = await body.read()
            if body.seen > limit:
                raise _too_large(limit, is_held=is_held)
            if is_held:
                held += size
                self._free -= size
                if self._free < 0:
                    raise Unavailable("Too many photos are being sent at once.", retry_after_s=2)
            return message

        try:
            await self._app(scope, limited, send)
        finally:
            self._free += held


class _Body:
    """A request's body as it comes in."""

    def __init__(self, receive: Receive, announced: int) -> None:
        self.announced = announced
        self.seen = 0
        self._receive = receive
        self._is_whole = False
        self._waited_s = 0.0

    async def read(self) -> tuple[Message, int]:
        """The next message and how many bytes of body it holds. Raises SlowRequest.

        Only the time spent waiting for the client counts, and none once the body is whole: then
        there is nothing to wait for but the client's going away.
        """
        if self._is_whole:
            return await self._receive(), 0
        allowed_s = _PATIENCE_S + self.seen / _LEAST_BYTES_PER_S - self._waited_s
        started = time.monotonic()
        try:
            async with asyncio.timeout(allowed_s):
                message = await self._receive()
        except TimeoutError:
            raise SlowRequest("The body came too slowly. Send it again.") from None
        self._waited_s += time.monotonic() - started
        size = len(message.get("body", b""))
        self.seen += size
        self._is_whole = not message.get("more_body", False)
        return message, size


def _too_large(limit: int, *, is_held: bool) -> PhotoTooLarge | UploadTooLarge:
    mib = f"{limit / 2**20:g} MiB"
    if not is_held:
        return UploadTooLarge(f"The upload is larger than {mib}. Send the photos as several jobs.")
    return PhotoTooLarge(
        f"The body is larger than {mib}. Send a smaller photo: "
        "2048 pixels on the longer side lose nothing."
    )
