"""Files of pages: read and compressed once, served from memory."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from fastapi import Request
from starlette.responses import Response

INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of a page."""

    content: bytes
    compressed: bytes
    """The same, gzipped."""
    media_type: str
    etag: str


@lru_cache(maxsize=1)
def page_files() -> Mapping[str, PageFile]:
    """Every file by its path below the page's root; empty where the page was not built."""
    root = resources.files(__package__).joinpath("static")
    return dict(_below(root, PurePosixPath())) if root.is_dir() else {}


def _below(folder: Traversable, at: PurePosixPath) -> list[tuple[str, PageFile]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _below(entry, at / entry.name)
        elif (media_type := _TYPES.get(PurePosixPath(entry.name).suffix)) is not None:
            found.append((str(at / entry.name), page_file(entry.read_bytes(), media_type)))
    return found


def page_file(content: bytes, media_type: str) -> PageFile:
    """A file of this content."""
    return PageFile(
        content=content,
        compressed=gzip.compress(content, 9, mtime=0),
        media_type=media_type,
        etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
    )


def answer(request: Request, file: PageFile, headers: Mapping[str, str]) -> Response:
    """The file with these headers, compressed where it may be; 304 for who has it already."""
    told = {**headers, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=told)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(file.content, headers=told, media_type=file.media_type)
    encoded = {**told, "Content-Encoding": "gzip"}
    return Response(file.compressed, headers=encoded, media_type=file.media_type)
