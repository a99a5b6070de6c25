"""What replicas ask: the files and galleries that this service answers from."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, StreamingResponse

from geofix.engine.gallery import backups
from geofix.errors import NotFound
from geofix.remote.copies import (
    FILE_PATH,
    FOLDERS,
    GALLERY_PATH,
    ORIGINAL_PATH,
    Original,
    OriginalFile,
)
from service.internal.admission import admit
from service.running import locator_of, settings_of

router = APIRouter(include_in_schema=False)

_PART = 2**20


@router.get(ORIGINAL_PATH)
async def original(request: Request) -> Original:
    """What there is to copy."""
    await admit(request)
    files = await asyncio.to_thread(_files, settings_of(request).data_dir)
    return Original(files=files, galleries=locator_of(request).galleries.names())


@router.get(FILE_PATH)
async def file(request: Request, path: str) -> FileResponse:
    """One of the files that were listed."""
    await admit(request)
    data_dir = settings_of(request).data_dir
    listed = await asyncio.to_thread(_files, data_dir)
    if path not in {one.path for one in listed}:
        raise NotFound("There is no such file to copy.")
    return FileResponse(data_dir / path)


@router.get(GALLERY_PATH)
async def gallery(request: Request, name: str) -> StreamingResponse:
    """A snapshot of a gallery, taken now. Photos that are added or removed wait meanwhile."""
    await admit(request)
    galleries = locator_of(request).galleries
    to = backups.folder(galleries, name) / f"~{uuid.uuid4().hex}.tar"
    await backups.snapshot(galleries, name, to)
    return _passing(to)


def _files(data_dir: Path) -> list[OriginalFile]:
    return [
        OriginalFile(
            path=path.relative_to(data_dir).as_posix(),
            bytes=path.stat().st_size,
            modified_ns=path.stat().st_mtime_ns,
        )
        for folder in FOLDERS
        for path in sorted((data_dir / folder).rglob("*"))
        if path.is_file()
    ]


def _passing(path: Path) -> StreamingResponse:
    """The file's bytes; it has lost its name already, and is gone however the response ends."""
    opened = path.open("rb")
    path.unlink()
    size = os.fstat(opened.fileno()).st_size
    return StreamingResponse(
        _parts(opened), media_type="application/x-tar", headers={"Content-Length": str(size)}
    )


def _parts(opened: BinaryIO) -> Iterator[bytes]:
    with opened:
        while part := opened.read(_PART):
            yield part
