"""The photos in a zip or tar archive, one by one and never on faith.

An archive is refused as a whole when it is built to do harm, or is damaged: names that lead out of
a folder, links and devices, archives in archives, members that are larger than a photo may be,
more of them than a job may have, checksums that do not hold. What it says of sizes is checked
before anything is unpacked, and what comes out is counted while it is.
"""

from __future__ import annotations

import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Protocol

from geofix.errors import InvalidArchive, UploadTooLarge
from service.jobs.directory import CLUTTER, count_files

MAX_NAME = 1000
_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|gz|bz2|xz|zst|7z|rar|jar)$", re.IGNORECASE)
_ENCRYPTED = 0x1
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Others may unpack a few kilobytes to a hundred megabytes at once."""
_MAX_READ = 2**20
"""tarfile reads the extended header of an entry at once, whatever its size claims to be."""
_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, gzip.BadGzipFile),
    *(EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError, UnicodeError),
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a job may hold."""

    items: int
    bytes: int
    photo_bytes: int

    def check(self, items: int, size: int) -> None:
        """Raise UploadTooLarge for more than this."""
        if items > self.items:
            raise UploadTooLarge(f"A job holds at most {self.items} photos. Send several jobs.")
        if size > self.bytes:
            raise UploadTooLarge(
                f"A job holds at most {self.bytes / 2**20:g} MiB of photos. Send several jobs."
            )

    def check_photo(self, name: str, size: int) -> None:
        """Raise UploadTooLarge for a photo that is larger."""
        if size > self.photo_bytes:
            raise UploadTooLarge(
                f"{name[:200]!r} is larger than {self.photo_bytes / 2**20:g} MiB. Leave it out."
            )


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an archive, or the reason why it was passed over."""

    name: str
    photo: bytes = b""
    skipped: str = ""


def entries(file: IO[bytes], bounds: Bounds) -> Iterator[Entry]:
    """The files of the archive in ``file``, in its order; told apart by its first bytes.

    Raises InvalidArchive, UploadTooLarge. Blocks: it belongs into a thread.
    """
    start = file.read(4)
    file.seek(0)
    with _refusing():
        if start[:2] == b"PK":
            yield from _zip(file, bounds)
        elif start[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield from _tar(unpacked, bounds)
        else:
            yield from _tar(file, bounds)


def _zip(file: IO[bytes], bounds: Bounds) -> Iterator[Entry]:
    bounds.check(count_files(file, limit=bounds.items), 0)
    with zipfile.ZipFile(file) as archive:
        files = [info for info in archive.infolist() if not info.is_dir()]
        taken = [info for info in files if not CLUTTER.search(info.filename)]
        bounds.check(len(taken), sum(info.file_size for info in taken))
        for info in files:
            _check_zipped(info, bounds)
        for info in files:
            if CLUTTER.search(info.filename):
                yield Entry(info.filename, skipped="clutter")
                continue
            with archive.open(info) as member:
                yield Entry(info.filename, _read(info.filename, member, bounds))


def _check_zipped(info: zipfile.ZipInfo, bounds: Bounds) -> None:
    _check_name(info.filename)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFREG}:
        raise InvalidArchive(f"{info.filename[:200]!r} is a link or device, not a file.")
    if info.flag_bits & _ENCRYPTED:
        raise InvalidArchive("The archive is encrypted. Send it without a password.")
    if info.compress_type not in _METHODS:
        raise InvalidArchive("The archive is compressed in a rare way. Use deflate, or none.")
    bounds.check_photo(info.filename, info.file_size)


class _Seekable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


class _Cautious:
    """A file that refuses to be read in one large piece."""

    def __init__(self, file: _Seekable) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ:
            raise InvalidArchive("The archive has a header larger than any that is honest.")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _tar(file: _Seekable, bounds: Bounds) -> Iterator[Entry]:
    with tarfile.open(fileobj=_Cautious(file), mode="r:") as archive:  # type: ignore[call-overload]
        headers, seen, size = 0, 0, 0
        while (info := archive.next()) is not None:
            archive.members.clear()  # else every header read is kept
            headers += 1
            if headers > 2 * bounds.items + 1000:
                raise InvalidArchive("The tar archive has far more entries than photos.")
            if info.isdir():
                continue
            _check_name(info.name)
            if not info.isreg() or info.issparse():
                raise InvalidArchive(f"{info.name[:200]!r} is a link or device, not a file.")
            if CLUTTER.search(info.name):
                yield Entry(info.name, skipped="clutter")
                continue
            bounds.check_photo(info.name, info.size)
            seen, size = seen + 1, size + info.size
            bounds.check(seen, size)
            member = archive.extractfile(info)
            if member is None:
                raise InvalidArchive(f"{info.name[:200]!r} cannot be read.")
            photo = _read(info.name, member, bounds)
            if len(photo) != info.size:
                raise InvalidArchive("The archive ends early. Send the whole file.")
            yield Entry(info.name, photo)


def _check_name(name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise InvalidArchive(f"{name[:200]!r} leads out of the archive. Use plain names.")
    if not name or len(name) > MAX_NAME:
        raise InvalidArchive(f"A name in the archive is empty or longer than {MAX_NAME} letters.")
    if _ARCHIVE.search(name):
        raise InvalidArchive(f"{name[:200]!r} is an archive in an archive. Send its photos.")


def _read(name: str, member: IO[bytes], bounds: Bounds) -> bytes:
    """All of a member, in pieces: what was said of its size need not be true."""
    photo = bytearray()
    while piece := member.read(_MAX_READ):
        photo += piece
        bounds.check_photo(name, len(photo))
    return bytes(photo)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise InvalidArchive(
            "The archive is damaged, or is neither zip nor tar (plain or gzip). Pack it again."
        ) from error
