"""A multipart body read part by part: fifty thousand photos are never in memory together."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from geofix.errors import InvalidRequest
from service.jobs.archives import Bounds

MAX_FIELDS = 50
_MAX_FIELD = 65_536
PHOTO = "photo"
ARCHIVE = "archive"


@dataclass(slots=True)
class Part:
    """A field, a photo, or a piece of an archive."""

    name: str
    filename: str | None
    data: bytearray = field(default_factory=bytearray)
    whole: bool = False
    """Whether this is all of it, or its last piece."""


async def parts(request: Request, bounds: Bounds) -> AsyncIterator[Part]:
    """The parts of the body in order; an archive comes in pieces, everything else whole.

    Raises InvalidRequest, UploadTooLarge.
    """
    _, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if not boundary or len(boundary) > 200:
        raise InvalidRequest("The multipart body has no boundary in its Content-Type.")
    reader = _Reader(boundary, bounds)
    async for chunk in request.stream():
        for part in reader.read(chunk):
            yield part
    for part in reader.end():
        yield part


class _Reader:
    """Turns pieces of a body into parts."""

    def __init__(self, boundary: bytes, bounds: Bounds) -> None:
        self._bounds = bounds
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_part_end": self._part_end,
                "on_end": self._finish,
            },
        )
        self._ready: deque[Part] = deque()
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = b"", b""
        self._part = Part("", None)
        self._fields = 0
        self._ended = False

    def read(self, chunk: bytes) -> list[Part]:
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise InvalidRequest("The multipart body is malformed.") from error
        ready = [*self._ready]
        self._ready.clear()
        if self._part.name == ARCHIVE and self._part.data:
            ready.append(self._part)
            self._part = Part(ARCHIVE, self._part.filename)
        return ready

    def end(self) -> list[Part]:
        if not self._ended:
            raise InvalidRequest("The multipart body ends early.")
        return [*self._ready]

    def _begin(self) -> None:
        self._headers = {}
        self._part = Part("", None)

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        try:
            name = options.get(b"name", b"").decode()
            filename = options[b"filename"].decode() if b"filename" in options else None
        except UnicodeError as error:
            raise InvalidRequest("A name in the multipart body is not UTF-8.") from error
        if filename is None:
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise InvalidRequest(f"The multipart body has more than {MAX_FIELDS} fields.")
            if name in {PHOTO, ARCHIVE}:
                raise InvalidRequest(f"The part {name!r} holds text. Send it with a file name.")
        elif name not in {PHOTO, ARCHIVE}:
            raise InvalidRequest(
                f"The part {name[:80]!r} is a file. Photos are files in parts named 'photo', a zip "
                "or tar in one named 'archive'; options are text, without a file name."
            )
        self._part = Part(name, filename)

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._part.data += data[start:end]
        size = len(self._part.data)
        if self._part.filename is None and size > _MAX_FIELD:
            raise InvalidRequest(f"The field {self._part.name[:80]!r} is too long.")
        if self._part.name == PHOTO:
            self._bounds.check_photo(self._part.filename or PHOTO, size)

    def _part_end(self) -> None:
        self._part.whole = True
        self._ready.append(self._part)
        self._part = Part("", None)

    def _finish(self) -> None:
        self._ended = True
