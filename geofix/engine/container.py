"""JPEG and PNG files taken apart into the picture and the rest, without decoding.

Only what makes the picture is handed to the decoder: profiles, thumbnails, further pictures and
text are neither parsed nor unpacked, so damaged or hostile ones cost nothing. The EXIF block is
returned apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from geofix.errors import UnreadablePhoto, UnsupportedFormat

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG\r\n\x1a\n"
ANIMATION = "The photo is an animation; send a still picture."
MAX_PARTS = 65_536
"""Segments or chunks in a file; a 20 MB photo has a few thousand."""
MAX_SCANS = 32
"""Passes over a progressive JPEG; encoders make about ten, and each costs the whole picture."""

_SOS, _EOI, _APP0, _APP1, _APP14, _APP15, _COMMENT = 0xDA, 0xD9, 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_EXIF = b"Exif\0\0"
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""Ends the coded data of a scan, in which FF is followed by 00 or a restart marker only."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A picture file taken apart."""

    picture: bytes
    """The same file with nothing but the picture in it."""
    exif: bytes = b""
    """The TIFF structure of the EXIF block; empty without one."""
    row_by_row: bool = False
    """Whether it can be decoded without holding all of it in memory."""


class _Segment(NamedTuple):
    marker: int
    start: int
    end: int
    """Offsets in the file; the marker included."""


def take_apart_jpeg(data: bytes) -> Parts:
    """The first picture of a JPEG file; :class:`UnreadablePhoto` for one made to exhaust us.

    A file that breaks off is returned as far as it goes: judging it is left to the decoder.
    """
    kept = [data[:2]]
    exif = b""
    components = scans = 0
    row_by_row = False
    for number, (marker, start, end) in enumerate(_segments(data)):
        if number >= MAX_PARTS or scans > MAX_SCANS:
            raise UnreadablePhoto("The JPEG file is made of far more parts than a photo has.")
        if marker == _APP1 and not exif and data[start + 4 : start + 10] == _EXIF:
            exif = data[start + 10 : end]
        elif marker in _FRAMES:
            components = data[start + 9] if end - start > 9 else 0
            row_by_row = marker not in _PROGRESSIVE
        elif marker == _SOS:
            scans += 1
            row_by_row = row_by_row and end - start > 4 and data[start + 4] == components
        if not (_APP0 < marker <= _APP15 or marker == _COMMENT) or marker == _APP14:
            kept.append(data[start:end])
    return Parts(b"".join(kept), exif, row_by_row)


def _segments(data: bytes) -> Iterator[_Segment]:
    """Marker segments up to the end of the picture; a scan holds its coded data too."""
    position = 2
    while found := _NEXT_MARKER.search(data, position):
        start, position = found.span()
        marker = data[start + 1]
        if marker not in _WITHOUT_LENGTH:
            position += max(2, int.from_bytes(data[position : position + 2], "big"))
        if marker == _SOS:
            following = _NEXT_MARKER.search(data, position)
            position = following.start() if following else len(data)
        yield _Segment(marker, start, min(position, len(data)))
        if marker == _EOI:
            return


def take_apart_png(data: bytes) -> Parts:
    """The still picture of a PNG file; errors: damaged, or animated (:class:`UnsupportedFormat`).

    A file that breaks off is returned as far as it goes: judging it is left to the decoder.
    """
    kept = [PNG_START]
    exif = b""
    position = len(PNG_START)
    for _ in range(MAX_PARTS):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        content = position + 8
        if kind == b"acTL" and int.from_bytes(data[content : content + 4], "big") > 1:
            raise UnsupportedFormat(ANIMATION)
        if kind == b"eXIf":
            exif = data[content : content + length]
        if kind[:1].isupper() or kind == b"tRNS":
            kept.append(data[position : content + length + 4])
        position = content + length + 4
        if kind == b"IEND" or position >= len(data):
            return Parts(b"".join(kept), exif)
    raise UnreadablePhoto("The PNG file is made of far more chunks than a photo has.")
