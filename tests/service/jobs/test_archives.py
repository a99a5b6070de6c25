from __future__ import annotations

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from geofix.errors import InvalidArchive, UploadTooLarge
from service.jobs.archives import Bounds, entries
from tests.service.jobs.conftest import zipped

_BOUNDS = Bounds(items=100_000, bytes=2**26, photo_bytes=2**22)
_MIB = 2**20


def _names(archive: bytes, bounds: Bounds = _BOUNDS) -> list[str]:
    return [entry.name for entry in entries(io.BytesIO(archive), bounds) if not entry.skipped]


def _special(kind: int, name: str = "link.jpg") -> bytes:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = kind << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def _tarred(*infos: tarfile.TarInfo, format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for info in infos:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return buffer.getvalue()


def _info(name: str = "a.jpg", size: int = 10, **facts: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info


def _broken_crc() -> bytes:
    archive = bytearray(zipped({"a.jpg": b"good", "b.jpg": b"unique text"}, zipfile.ZIP_STORED))
    at = archive.index(b"unique")
    archive[at : at + 6] = b"UNIQUE"
    return bytes(archive)


def _encrypted() -> bytes:
    archive = bytearray(zipped({"a.jpg": b"x"}))
    archive[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(archive)


def _lying_sizes() -> bytes:
    """A member that says it holds ten bytes and unpacks to ten megabytes."""
    archive = bytearray(zipped({"a.jpg": b"\0" * 10 * _MIB}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", archive, archive.index(signature) + offset, 10)
    return bytes(archive)


def _long_header() -> bytes:
    """A tar whose first entry claims a name of 3 GiB, packed to a few megabytes."""
    info = _info("././@LongLink", 3 * 2**30, type=tarfile.GNUTYPE_LONGNAME)
    header = info.tobuf(tarfile.GNU_FORMAT)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as packed:
        packed.write(header)
        for _ in range(24):
            packed.write(b"a" * _MIB)
    return buffer.getvalue()


_HOSTILE: dict[str, Callable[[], bytes]] = {
    "parent": lambda: zipped({"../../etc/cron.d/x.jpg": b"x"}),
    "absolute": lambda: zipped({"/etc/x.jpg": b"x"}),
    "backslash": lambda: zipped({"..\\..\\x.jpg": b"x"}),
    "drive": lambda: zipped({"C:\\x.jpg": b"x"}),
    "symlink": lambda: _special(0o120777),
    "device": lambda: _special(0o060666),
    "nested": lambda: zipped({"inner.zip": zipped({"a.jpg": b"x"})}),
    "nested tar": lambda: zipped({"inner.tar.gz": b"x"}),
    "crc": _broken_crc,
    "encrypted": _encrypted,
    "lzma": lambda: zipped({"a.jpg": b"x" * 1000}, zipfile.ZIP_LZMA),
    "bzip2": lambda: zipped({"a.jpg": b"x" * 1000}, zipfile.ZIP_BZIP2),
    "lying": _lying_sizes,
    "cut": lambda: zipped({"a.jpg": b"x" * 1000})[:-30],
    "not even": lambda: b"PK" + b"\0" * 1000,
    "nothing": lambda: b"",
    "noise": lambda: bytes(range(256)) * 20,
    "bad gzip": lambda: b"\x1f\x8b" + b"\0" * 100,
    "tar parent": lambda: _tarred(_info("../a.jpg")),
    "tar absolute": lambda: _tarred(_info("/a.jpg")),
    "tar symlink": lambda: _tarred(_info(type=tarfile.SYMTYPE, size=0, linkname="/etc/passwd")),
    "tar hard link": lambda: _tarred(_info(type=tarfile.LNKTYPE, size=0, linkname="b.jpg")),
    "tar device": lambda: _tarred(_info(type=tarfile.CHRTYPE, size=0)),
    "tar fifo": lambda: _tarred(_info(type=tarfile.FIFOTYPE, size=0)),
    "tar nested": lambda: _tarred(_info("a.tar")),
    "tar cut": lambda: _tarred(_info(size=5000))[:3000],
    "tar header": _long_header,
    "long name": lambda: zipped({"a" * 2000 + ".jpg": b"x"}),
}


@pytest.mark.parametrize("kind", [*_HOSTILE])
def test_a_hostile_archive_is_refused(kind: str) -> None:
    archive = _HOSTILE[kind]()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidArchive) as refused:
            _names(archive)
        assert tracemalloc.get_traced_memory()[1] < 20 * _MIB
    finally:
        tracemalloc.stop()
    assert "/tmp" not in str(refused.value)  # noqa: S108


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(zipped({"bomb.jpg": b"\0" * 24 * _MIB}), id="zip"),
        pytest.param(gzip.compress(_tarred(_info(size=24 * _MIB)), 1), id="tar"),
        pytest.param(zipped({f"{n}.jpg": b"\0" * 3 * _MIB for n in range(22)}), id="many"),
    ],
)
def test_a_bomb_is_refused_before_it_is_unpacked(archive: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UploadTooLarge):
            _names(archive)
        assert tracemalloc.get_traced_memory()[1] < 12 * _MIB
    finally:
        tracemalloc.stop()


def test_200_000_entries_are_counted_and_not_kept() -> None:
    """In the directory alone: what zipfile reads before it hands out any."""
    one = zipped({"a.jpg": b""}, zipfile.ZIP_STORED)
    entry = one[one.index(b"PK\x01\x02") : one.index(b"PK\x05\x06")]
    directory = entry * 200_000
    trailer = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), 0, 0)
    for end in (directory + trailer, _zip64(directory)):
        archive = one[:35] + end
        tracemalloc.start()
        try:
            with pytest.raises(UploadTooLarge):
                _names(archive, Bounds(20_000, 2**26, 2**22))
            assert tracemalloc.get_traced_memory()[1] < 24 * _MIB
        finally:
            tracemalloc.stop()


def _zip64(directory: bytes) -> bytes:
    size = len(directory)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size, 35)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 35 + size, 1)
    trailer = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    return directory + end64 + locator + trailer


def test_endless_headers_are_refused() -> None:
    with pytest.raises(InvalidArchive, match="more entries"):
        _names(_tarred(*[_info("d", 0, type=tarfile.DIRTYPE)] * 1020), Bounds(5, 2**20, 2**20))
    with pytest.raises(InvalidArchive, match="more entries"):
        _names(zipped({f"{n}/": b"" for n in range(1020)}), Bounds(5, 2**20, 2**20))


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_honest_archives_of_every_kind_are_read(format: int) -> None:
    names = [f"übersicht/{'n' * (80 if format == tarfile.USTAR_FORMAT else 180)}.jpg", "b.jpg"]
    assert _names(_tarred(*map(_info, names), format=format)) == names
    assert _names(gzip.compress(_tarred(*map(_info, names), format=format))) == names
    photos = dict.fromkeys(names, b"x" * 3 * _MIB)
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        assert _names(zipped(photos, method)) == names


def test_over_http_nothing_of_a_refused_archive_is_kept(api: httpx.Client, objects: Path) -> None:
    before = {*objects.rglob("*.*")}
    good = {f"{n}.jpg": b"x" * 100 for n in range(50)}
    bodies: dict[str, bytes] = {
        "crc": zipped(good)[:-100],
        "bomb": zipped({**good, "bomb.jpg": b"\0" * 2 * _MIB}),
        "many": zipped({f"{n}.jpg": b"x" for n in range(201)}),
        "large": b"PK\x03\x04" + b"\0" * 17 * _MIB,
    }
    for kind, body in bodies.items():
        sent = api.post("/v1/jobs", content=body, headers={"Content-Type": "application/zip"})
        part = api.post("/v1/jobs", files={"archive": ("a.zip", body)})
        for response in (sent, part):
            assert response.status_code == (422 if kind == "crc" else 413), response.text
            assert response.headers["content-type"] == "application/problem+json"
    late = zipped({**good, "zz/../../x.jpg": b"x"})
    response = api.post("/v1/jobs", content=late, headers={"Content-Type": "application/zip"})
    assert response.json()["type"] == "urn:geofix:problem:invalid-archive"
    assert {*objects.rglob("*.*")} == before
