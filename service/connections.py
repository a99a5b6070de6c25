"""What a connection may cost before it is a request: uvicorn's HTTP protocol, with bounds.

Uvicorn itself waits for a request's headers for ever, takes as many of them as come, and keeps
every connection that is opened. Here headers have a size and a deadline; when there are too many
connections, one that is idle makes room, so that clients who do nothing cannot keep out those who
do.
"""

from __future__ import annotations

import http
import json
import resource
import uuid
from asyncio import TimerHandle, Transport
from dataclasses import dataclass
from enum import Enum, auto
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

BACKLOG = 512
"""Connections that may wait to be accepted, and that are accepted in one turn of the loop."""
_RESERVED_FILES = 256 + BACKLOG
"""Open files left for galleries, models and logs, and for one turn's connections too many."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What connections may cost."""

    connections: int = 2048
    header_bytes: int = 32_768
    """Of the request line and headers; with what comes in one read, at most 256 KiB more."""
    header_s: float = 10.0
    """From the first connection, or the first byte of a further request, to the last header."""
    drain_s: float = 30.0
    """For the rest of a body that was answered before its end."""


class _Reading(Enum):
    """What is being read of a request."""

    NOTHING = auto()
    HEADERS = auto()
    BODY = auto()


def guarded(bounds: Bounds) -> type[HttpToolsProtocol]:
    """The protocol of one server, which holds its connections together to these bounds."""
    silent: dict[HttpToolsProtocol, None] = {}
    resting: dict[HttpToolsProtocol, None] = {}

    class Guarded(_Guarded):
        _bounds = bounds
        _silent = silent
        _resting = resting

    return Guarded


class _Guarded(HttpToolsProtocol):
    _bounds: Bounds
    _silent: dict[HttpToolsProtocol, None]
    """Connections that have not made a request yet, the oldest first: the first to go."""
    _resting: dict[HttpToolsProtocol, None]
    """Connections that have, and that wait for the next one, the longest idle first."""

    _timer: TimerHandle | None = None
    _reading = _Reading.NOTHING
    _header_bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._silent[self] = None
        self._start(self._bounds.header_s)
        if len(self.connections) > self._bounds.connections:
            idle = self._resting if len(self._silent) == 1 and self._resting else self._silent
            idlest = next(iter(idle))
            del idle[idlest]  # at once: its end is seen only in the loop's next turn
            idlest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._silent.pop(self, None)
        self._resting.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._reading
        if before is _Reading.NOTHING and self._timer is None:
            self._start(self._bounds.header_s)
        super().data_received(data)
        # Of a read that began in a body nobody knows how much was headers; the next one tells.
        if self._reading is _Reading.HEADERS and before is not _Reading.BODY:
            self._header_bytes += len(data)
            if self._header_bytes > self._bounds.header_bytes:
                self._refuse(431, "headers-too-large", "The request's headers are too large.")

    def on_message_begin(self) -> None:
        self._reading = _Reading.HEADERS
        self._header_bytes = 0
        if self._timer is None:
            self._start(self._bounds.header_s)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop()
        self._reading = _Reading.BODY
        told = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if told > self._bounds.header_bytes:
            self._refuse(431, "headers-too-large", "The request's headers are too large.")
        else:
            self._silent.pop(self, None)
            self._resting.pop(self, None)
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._reading = _Reading.NOTHING
        self._stop()
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing() and not self._is_working:
            self._resting[self] = None
            if self._reading is not _Reading.NOTHING:  # the rest of a body that nobody read
                self._start(self._bounds.drain_s)

    @property
    def _is_working(self) -> bool:
        """Whether an answer is on its way."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        """The answer to what is no HTTP."""
        self._refuse(400, "invalid-request", "This is no HTTP request that can be understood.")

    def _late(self) -> None:
        self._timer = None
        if self._is_working:
            return  # whatever else it sent can wait until the answer is out
        if self._reading is _Reading.HEADERS:
            self._refuse(408, "slow-request", "The request's headers came too slowly.")
        else:
            self.transport.close()

    def _refuse(self, status: int, slug: str, detail: str) -> None:
        """Answer with a problem and close, without asking the application."""
        if not (self.transport.is_closing() or self._is_working):
            self.transport.write(_problem(status, slug, detail))
        self.transport.close()

    def _start(self, seconds: float) -> None:
        self._stop()
        self._timer = self.loop.call_later(seconds, self._late)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _problem(status: int, slug: str, detail: str) -> bytes:
    request_id = str(uuid.uuid4())
    phrase = http.HTTPStatus(status).phrase
    body = json.dumps(
        {
            "type": f"urn:geofix:problem:{slug}",
            "title": phrase,
            "status": status,
            "detail": detail,
            "instance": f"urn:uuid:{request_id}",
        }
    ).encode()
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n"
        "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def allowed_connections(wanted: int) -> int:
    """How many connections of those wanted the process may have, raising its limit on files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(soft - _RESERVED_FILES, 1)
    return wanted
