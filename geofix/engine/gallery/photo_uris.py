"""Photos by their address: a file here, one in an archive, or an object in a cloud's store."""

from __future__ import annotations

import os
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from geofix.engine.photo_file import MAX_FILE_BYTES, read_photo_file
from geofix.errors import PhotoTooLarge, UnreadablePhoto

if TYPE_CHECKING:
    from obstore.store import ObjectStore

CLOUDS = ("s3", "gs", "az", "abfs", "abfss", "adl")


def read_uri(uri: str) -> bytes:
    """The photo at ``file://…`` or in an object store. Nothing is fetched over plain HTTP.

    Raises UnreadablePhoto, PhotoTooLarge, OSError.
    """
    where = urlsplit(uri)
    if where.scheme == "file" and where.netloc in ("", "localhost"):
        path = Path(unquote(where.path))
        return _member(path, where.fragment) if where.fragment else read_photo_file(path)
    if where.scheme in CLOUDS and where.netloc:
        return _object(f"{where.scheme}://{where.netloc}", unquote(where.path).lstrip("/"))
    raise UnreadablePhoto("It has no address from which it could be read again.")


def _member(archive: Path, fragment: str) -> bytes:
    """A photo in a zip (``#name``), or in a tar (``#offset,length``)."""
    if archive.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(archive) as opened:
                entry = opened.getinfo(unquote(fragment))
                if entry.file_size > MAX_FILE_BYTES:
                    raise PhotoTooLarge(f"The photo is larger than {MAX_FILE_BYTES >> 20} MiB.")
                return opened.read(entry)
        except (KeyError, RuntimeError, zipfile.BadZipFile) as error:
            raise UnreadablePhoto("The archive does not hold it any more.") from error
    offset, _, length = fragment.partition(",")
    if not (offset.isdecimal() and length.isdecimal()) or int(length) > MAX_FILE_BYTES:
        raise UnreadablePhoto("Its address is none in an archive.")
    with archive.open("rb") as file:
        file.seek(int(offset))
        return file.read(int(length))


def _object(root: str, path: str) -> bytes:
    import obstore  # noqa: PLC0415 - most galleries lie on this machine
    from obstore.exceptions import BaseError  # noqa: PLC0415

    try:
        found = obstore.get(store_at(root), path)
        if found.meta["size"] > MAX_FILE_BYTES:
            raise PhotoTooLarge(f"The photo is larger than {MAX_FILE_BYTES >> 20} MiB.")
        return bytes(found.bytes())
    except (BaseError, FileNotFoundError, ValueError) as error:
        raise UnreadablePhoto("The object store does not have it, or does not answer.") from error


@lru_cache(maxsize=32)
def store_at(root: str) -> ObjectStore:
    """The object store at ``scheme://bucket``; credentials come from the environment."""
    from obstore.store import from_url  # noqa: PLC0415

    return from_url(
        root,
        client_options={
            "connect_timeout": "5s",
            "read_timeout": "30s",
            # Options given here replace those of the environment, this one included.
            "allow_http": os.environ.get("AWS_ALLOW_HTTP") == "true",
        },
    )
