"""What a request may cost before it is understood: the size of its body."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geofix.errors import GeofixError, PhotoTooLarge, UploadTooLarge

JOBS_PATH = "/v1/jobs"


class BodyLimit:
    """ASGI middleware that stops reading a body as soon as it is known to be too large.

    A Content-Length above the limit fails at the first read; without one, the chunks are counted.
    The error is raised where the body is read, so that the application's own handler answers it.
    """

    def __init__(self, app: ASGIApp, limit: int, jobs_limit: int) -> None:
        self._app = app
        self._limit = limit
        self._jobs_limit = jobs_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        uploads_job = scope["path"] == JOBS_PATH
        limit = self._jobs_limit if uploads_job else self._limit
        too_large = _job_too_large if uploads_job else _photo_too_large
        announced = int(Headers(scope=scope).get("content-length", "0"))
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            if announced > limit:
                raise too_large(limit)
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise too_large(limit)
            return message

        await self._app(scope, limited, send)


def _photo_too_large(limit: int) -> GeofixError:
    return PhotoTooLarge(
        f"The body is larger than {limit / 2**20:g} MiB. Send a smaller photo: "
        "2048 pixels on the longer side lose nothing."
    )


def _job_too_large(limit: int) -> GeofixError:
    return UploadTooLarge(
        f"The upload is larger than {limit / 2**20:g} MiB. Send the photos as several jobs."
    )
