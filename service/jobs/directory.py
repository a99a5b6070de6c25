"""How many entries a zip archive has, counted in its directory without keeping any.

``zipfile`` keeps half a kilobyte for every entry that the directory holds, whatever its trailer
says of their number. So they are counted first, where ``zipfile`` will look for them
(APPNOTE.TXT 4.3.12 to 4.3.16).
"""

from __future__ import annotations

import os
import re
import struct
from typing import IO

from geofix.errors import InvalidArchive

_TRAILER = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_TRAILER64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LONGEST_COMMENT = 2**16
_LARGEST = 64 * 2**20
"""Of a directory in bytes: ``zipfile`` reads it at once."""
CLUTTER = re.compile(r"(^|/)(__MACOSX/.*|\._[^/]*|\.DS_Store|Thumbs\.db|desktop\.ini)$", re.I)
"""Files that systems put beside photos."""


def count_files(file: IO[bytes], *, limit: int) -> int:
    """The number of files that are no clutter, or one more than ``limit``.

    Leaves ``file`` at its start. Raises InvalidArchive, also for a directory that has very many
    other entries.
    """
    at, size = _directory(file)
    file.seek(at)
    files, entries, end = 0, 0, at + size
    while at < end and files <= limit:
        entry = file.read(_ENTRY.size)
        if len(entry) < _ENTRY.size or entry[:4] != b"PK\x01\x02":
            raise _damaged()
        length, *further = _ENTRY.unpack(entry)[10:13]
        name = file.read(length)
        if any(further):
            file.seek(sum(further), os.SEEK_CUR)
        at += _ENTRY.size + length + sum(further)
        entries += 1
        files += not name.endswith(b"/") and not CLUTTER.search(name.decode("cp437"))
        if entries > 2 * limit + 1000:
            raise InvalidArchive("The zip archive has far more entries than photos.")
    file.seek(0)
    return files


def _directory(file: IO[bytes]) -> tuple[int, int]:
    """Offset and size of the directory."""
    length = file.seek(0, os.SEEK_END)
    at = max(0, length - _TRAILER.size - _LONGEST_COMMENT)
    file.seek(at)
    tail = file.read()
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _TRAILER.size:
        raise _damaged()
    trailer = at + found
    size = _TRAILER.unpack_from(tail, found)[5]
    if trailer >= _LOCATOR.size + _TRAILER64.size:
        file.seek(trailer - _LOCATOR.size)
        if file.read(4) == b"PK\x06\x07":
            trailer -= _LOCATOR.size + _TRAILER64.size
            file.seek(trailer)
            fields = _TRAILER64.unpack(file.read(_TRAILER64.size))
            if fields[0] != b"PK\x06\x06":
                raise _damaged()
            size = fields[8]
    if size > trailer:
        raise _damaged()
    if size > _LARGEST:
        raise InvalidArchive("The zip archive's directory is too large. Send several jobs.")
    return trailer - size, size


def _damaged() -> InvalidArchive:
    return InvalidArchive("The zip archive is damaged: it has no readable directory.")
