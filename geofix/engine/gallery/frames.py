"""The mutation log's format: frames of kind, length, checksum and body, one after the other."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from geofix.errors import Unavailable

_HEADER = struct.Struct("<4sII")  # kind, length of the body, CRC-32 of the body
UPSERT, DELETE = b"UPS1", b"DEL1"
_KINDS = (UPSERT, DELETE)


@dataclass(frozen=True, slots=True)
class Frame:
    """One mutation as it is written."""

    kind: bytes
    body: bytes
    end: int
    """Offset of the byte after it."""


def packed(kind: bytes, body: bytes) -> bytes:
    """A frame's bytes."""
    return _HEADER.pack(kind, len(body), zlib.crc32(body)) + body


def walk(log: Path, start: int = 0, end: int | None = None) -> Iterator[Frame]:
    """The whole frames from ``start`` on, up to ``end``.

    A frame that is still being written, here or by another process, ends the walk.
    """
    position = start
    with log.open("rb") as file:
        file.seek(start)
        while end is None or position < end:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return
            kind, length, checksum = _HEADER.unpack(header)
            body = file.read(length) if kind in _KINDS else b""
            if kind not in _KINDS or len(body) < length or zlib.crc32(body) != checksum:
                return
            position += _HEADER.size + length
            yield Frame(kind, body, position)


def whole_length(log: Path) -> int:
    """Bytes of the log without a last frame that was being written when its process ended.

    Raises Unavailable for damage anywhere else.
    """
    good = max((frame.end for frame in walk(log)), default=0)
    size = log.stat().st_size
    with log.open("rb") as file:
        file.seek(good)
        header = file.read(_HEADER.size)
    if len(header) == _HEADER.size:
        _, length, _ = _HEADER.unpack(header)
        if good + _HEADER.size + length < size:
            raise Unavailable(
                "The mutation log of the gallery is damaged in the middle: restore it "
                "from a backup."
            )
    return good
