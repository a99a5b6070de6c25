"""The photos of a new job, out of a request's body and into the store, in bounded memory."""

from __future__ import annotations

import asyncio
import errno
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fastapi import Request

from geofix.errors import EmptyPhoto, InvalidArchive, InvalidRequest, StorageFull
from geofix.jobs.packing import Packer
from geofix.settings import Settings
from service import uploads
from service.jobs import archives, forms, lines
from service.jobs.archives import MAX_NAME, Bounds

NDJSON = "application/x-ndjson"
NDJSON_TYPES = (NDJSON, "application/ndjson", "application/jsonl")
ARCHIVE_TYPES = (
    *("application/zip", "application/x-zip-compressed"),
    *("application/x-tar", "application/gzip", "application/x-gzip", "application/x-gtar"),
)
_MAX_SKIPPED = 100
_WRITE = 2**20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(slots=True)
class Taken:
    """What a body held beside the photos, which are with the packer."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """The first hundred entries that were passed over, and why."""
    skipped_count: int = 0


class Intake:
    """Reads one request's photos into a packer.

    Raises InvalidRequest, InvalidArchive, UploadTooLarge, UnsupportedContentType, StorageFull.
    """

    def __init__(self, request: Request, packer: Packer, config: Settings) -> None:
        self._request = request
        self._packer = packer
        self._config = config
        self._bounds = Bounds(
            config.job_max_items, config.job_max_bytes, config.job_max_photo_bytes
        )
        self._taken = Taken()

    async def take(self) -> Taken:
        """Read the whole body."""
        kind = uploads.content_type(self._request)
        if kind == uploads.MULTIPART:
            await self._form()
        elif kind in ARCHIVE_TYPES:
            async with self._spool() as spool:
                async for chunk in self._request.stream():
                    await spool.write(chunk)
                await self._archive(spool)
        elif kind in NDJSON_TYPES:
            await self._lines()
        else:
            raise uploads.unsupported(
                self._request, uploads.MULTIPART, "application/zip", "application/x-tar", NDJSON
            )
        if not self._packer.items:
            raise InvalidRequest("The job has no photos. Send at least one.")
        return self._taken

    async def _form(self) -> None:
        async with self._spool() as spool:
            archives_seen = 0
            async for part in forms.parts(self._request, self._bounds):
                if part.name == forms.ARCHIVE:
                    await spool.write(part.data)
                    archives_seen += part.whole
                elif part.filename is not None:
                    await self._photo(part.filename or forms.PHOTO, bytes(part.data))
                else:
                    self._taken.fields.append((part.name, _text(part.data)))
            if archives_seen > 1 or (archives_seen and self._packer.items):
                raise InvalidRequest("Send either photos or one archive.")
            if archives_seen:
                await self._archive(spool)

    async def _archive(self, spool: _Spool) -> None:
        found = archives.entries(await spool.rewound(), self._bounds)
        while (entry := await asyncio.to_thread(next, found, None)) is not None:
            if entry.skipped:
                self._taken.skipped_count += 1
                if len(self._taken.skipped) < _MAX_SKIPPED:
                    self._taken.skipped[entry.name] = entry.skipped
            else:
                await self._photo(entry.name, entry.photo)
        if not self._packer.items:
            raise InvalidArchive("The archive holds no photos.")

    async def _lines(self) -> None:
        seen: set[str] = set()
        longest = self._bounds.photo_bytes * 4 // 3 + 8192
        async for number, text in lines.lines(self._request.stream(), longest=longest):
            line = await asyncio.to_thread(lines.parse, number, text)
            if line.custom_id in seen:
                raise InvalidRequest(f"Line {number}: the custom_id has been used in this job.")
            seen.add(line.custom_id)
            try:
                if line.reference is not None:
                    source = lines.source(line.reference, self._config.job_reference_prefixes)
                    self._bounds.check(self._packer.items + 1, self._packer.size)
                    await self._packer.add_reference(line.custom_id, source)
                else:
                    photo = await uploads.from_base64(line.photo or "")
                    await self._photo(line.custom_id, photo)
            except (InvalidRequest, EmptyPhoto) as error:
                raise InvalidRequest(f"Line {number}: {error}") from error

    async def _photo(self, name: str, photo: bytes) -> None:
        if len(name) > MAX_NAME:
            raise InvalidRequest(f"A photo's name is longer than {MAX_NAME} letters.")
        self._bounds.check_photo(name, len(photo))
        self._bounds.check(self._packer.items + 1, self._packer.size + len(photo))
        await self._packer.add(name, photo)

    @asynccontextmanager
    async def _spool(self) -> AsyncIterator[_Spool]:
        spool = _Spool(self._config.data_dir / "spool")
        try:
            yield spool
        finally:
            await spool.close()


class _Spool:
    """A file without a name, for an archive whose directory stands at its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._begun = bytearray()

    async def write(self, data: bytes | bytearray) -> None:
        """Take a piece. Raises StorageFull."""
        self._begun += data
        if len(self._begun) >= _WRITE:
            await self._flush()

    async def rewound(self) -> IO[bytes]:
        """The whole file, at its start."""
        file = await self._flush()
        with _room():
            await asyncio.to_thread(file.seek, 0)
        return file

    async def close(self) -> None:
        """Let go of the file, and so of its bytes."""
        if self._file is not None:
            with suppress(OSError):  # what could not be written is not wanted any more
                await asyncio.to_thread(self._file.close)

    async def _flush(self) -> IO[bytes]:
        with _room():
            if self._file is None:
                self._file = await asyncio.to_thread(self._open)
            await asyncio.to_thread(self._file.write, bytes(self._begun))
        self._begun.clear()
        return self._file

    def _open(self) -> IO[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return tempfile.TemporaryFile(dir=self._folder)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull("There is no room for the upload; nothing of it was kept.") from error
        raise


def _text(data: bytearray) -> str:
    try:
        return data.decode()
    except UnicodeError as error:
        raise InvalidRequest("A field of the multipart body is not UTF-8.") from error
