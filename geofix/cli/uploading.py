"""What ``geofix batch submit`` sends: a folder file by file, an archive or NDJSON as it is."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import click

from geofix.cli.photo_files import photos_below
from geofix.cli.rendering import plain
from geofix.errors import InvalidSource

_TYPES = {
    ".zip": "application/zip",
    ".tar": "application/x-tar",
    ".tgz": "application/gzip",
    ".gz": "application/gzip",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
}
_PIECE = 256 * 1024

Sent = Callable[[int], None]
"""Told of the bytes as they go."""


@dataclass(frozen=True, slots=True)
class Upload:
    """The body of a new job."""

    size: int
    """Of all files, in bytes."""
    content_type: str
    content: Callable[[Sent], AsyncIterator[bytes]]


def upload_of(source: Path) -> Upload:
    """What to send for a folder, an archive or an NDJSON file."""
    if source.is_dir():
        return _folder(source)
    kind = _TYPES.get(source.suffix.lower())
    if kind is None:
        raise click.UsageError("A source is a folder, or a file named .zip, .tar or .ndjson.")
    return Upload(source.stat().st_size, kind, lambda sent: _pieces(source, sent))


def _folder(folder: Path) -> Upload:
    photos = photos_below(folder)
    boundary = uuid.uuid4().hex

    async def content(sent: Sent) -> AsyncIterator[bytes]:
        for path in photos:
            name = path.relative_to(folder).as_posix().encode("utf-8", "replace")
            for character, code in ((b'"', b"%22"), (b"\r", b"%0D"), (b"\n", b"%0A")):
                name = name.replace(character, code)
            disposition = b'Content-Disposition: form-data; name="photo"; filename="%s"' % name
            yield b"--%s\r\n%s\r\n\r\n" % (boundary.encode(), disposition)
            async for piece in _pieces(path, sent):
                yield piece
            yield b"\r\n"
        yield b"--%s--\r\n" % boundary.encode()

    size = sum(path.stat().st_size for path in photos)
    return Upload(size, f"multipart/form-data; boundary={boundary}", content)


async def _pieces(path: Path, sent: Sent) -> AsyncIterator[bytes]:
    try:
        with await asyncio.to_thread(path.open, "rb") as file:
            while piece := await asyncio.to_thread(file.read, _PIECE):
                yield piece
                sent(len(piece))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidSource(f"{plain(path.name)} cannot be read: {reason}.") from error
