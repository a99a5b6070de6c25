"""Photos in archives: tar and zip shards, read from the first byte to the last.

Positions come from a ``.json`` of the same name in the archive, as WebDataset shards have it, or
from a table beside the archives, joined by file name or id: MP-16 (``IMG_ID``, ``LAT``, ``LON``)
and OSV-5M (``id``, ``latitude``, ``longitude``) are laid out so. The table is looked up on the
disk, and of the archives one photo is in memory at a time.
"""

from __future__ import annotations

import csv
import json
import sqlite3
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

from geofix.engine.gallery.offers import Offer, Outcome, Status
from geofix.engine.gallery.records import parquet_reader
from geofix.engine.photo_file import MAX_FILE_BYTES
from geofix.errors import InvalidSource, PhotoTooLarge
from indexer.galleries.sources import PHOTO_SUFFIXES, Defaults, Source

SUFFIXES = (".tar", ".zip")
_KEYS = ("img_id", "id", "key", "file", "filename", "path", "__key__")
_LAT, _LON = ("lat", "latitude"), ("lon", "lng", "longitude")
_FIELDS = {
    "country": ("country",),
    "contributor": ("contributor", "author", "creator", "creator_username"),
    "licence": ("licence", "license"),
    "captured_at": ("captured_at",),
    "uri": ("uri", "url"),
    "source": ("source",),
}
_ROWS = 4096


@dataclass(frozen=True, slots=True)
class _Member:
    """A photo as its archive holds it."""

    name: str
    data: bytes
    uri: str
    facts: Mapping[str, object]
    """Of the ``.json`` beside it; empty without one."""


def open_shards(path: Path, defaults: Defaults) -> Source:
    """The photos of one archive, or of a folder of them. Raises InvalidSource."""
    folder = path if path.is_dir() else path.parent
    inside = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    archives = inside if path.is_dir() else [path]
    if not archives:
        raise InvalidSource(f"There are no .tar or .zip files in {str(path)!r}.")
    tables = sorted(file for file in folder.glob("*") if file.suffix in (".csv", ".parquet"))
    return Source(None, _offers(archives, tables, defaults))


def _offers(
    archives: list[Path], tables: list[Path], defaults: Defaults
) -> Iterator[Offer | Outcome]:
    with tempfile.TemporaryDirectory(prefix="geofix-") as scratch:
        places = _Places(Path(scratch) / "places.sqlite", tables)
        try:
            for archive in archives:
                for member in _members(archive):
                    yield _offer(archive, member, places, defaults)
        finally:
            places.close()


def _offer(archive: Path, member: _Member, places: _Places, defaults: Defaults) -> Offer | Outcome:
    prefix = defaults.prefix or archive.parent.resolve().name
    key = f"{prefix}/{member.name}"
    row = {name.lower(): value for name, value in member.facts.items()}
    if _number(row, _LAT) is None:
        row = places.of(member.name) or row
    lat, lon = _number(row, _LAT), _number(row, _LON)
    if lat is None or lon is None:
        reason = "Neither the archive nor a table beside it says where it was taken."
        return Outcome(key, Status.REFUSED, reason=reason)
    texts = {field: _text(row, names) for field, names in _FIELDS.items()}
    country = texts["country"].upper()
    data = member.data
    return Offer(
        key=key,
        read=lambda: data,
        position=(lat, lon),
        country=country if len(country) == 2 and country.isalpha() else "",
        source=texts["source"] or defaults.source,
        contributor=texts["contributor"] or defaults.contributor,
        licence=texts["licence"] or defaults.licence,
        captured_at=texts["captured_at"],
        uri=member.uri,
    )


def _members(archive: Path) -> Iterator[_Member]:
    """The photos of an archive, each with the facts of the ``.json`` that stands next to it."""
    pending: _Member | None = None
    facts: tuple[str, Mapping[str, object]] = ("", {})
    for name, data, uri in _files(archive):
        stem, suffix = _stem(name), Path(name).suffix.lower()
        if suffix == ".json":
            facts = (stem, _json(data))
            if pending is not None and _stem(pending.name) == stem:
                yield _Member(pending.name, pending.data, pending.uri, facts[1])
                pending = None
        elif suffix in PHOTO_SUFFIXES:
            if pending is not None:
                yield pending
            pending = _Member(name, data, uri, facts[1] if facts[0] == stem else {})
    if pending is not None:
        yield pending


def _files(archive: Path) -> Iterator[tuple[str, bytes, str]]:
    """Name, bytes and address of every photo and ``.json`` in an archive. Raises InvalidSource."""
    address = archive.resolve().as_uri()
    wanted = (*PHOTO_SUFFIXES, ".json")
    try:
        if archive.suffix.lower() == ".zip":
            with zipfile.ZipFile(archive) as opened:
                for entry in opened.infolist():
                    if entry.filename.lower().endswith(wanted):
                        _bounded(entry.file_size)
                        name = quote(entry.filename)
                        yield entry.filename, opened.read(entry), f"{address}#{name}"
            return
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # or it remembers every header
                if member.isreg() and member.name.lower().endswith(wanted):
                    _bounded(member.size)
                    source = tar.extractfile(member)
                    assert source is not None  # noqa: S101 - a regular file
                    where = f"{address}#{member.offset_data},{member.size}"
                    yield member.name, source.read(), where
    except (OSError, tarfile.TarError, zipfile.BadZipFile, RuntimeError) as error:
        raise InvalidSource(f"{archive.name!r} cannot be read as an archive.") from error


def _bounded(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise PhotoTooLarge(f"An archive holds a file larger than {MAX_FILE_BYTES >> 20} MiB.")


class _Places:
    """The tables' rows by the name of their photo, on the disk."""

    def __init__(self, file: Path, tables: list[Path]) -> None:
        self._held = sqlite3.connect(file, check_same_thread=False)
        self._held.execute("PRAGMA journal_mode = OFF")
        self._held.execute("CREATE TABLE places (name TEXT PRIMARY KEY, row TEXT) WITHOUT ROWID")
        for table in tables:
            batch: list[tuple[str, str]] = []
            for row in _rows(table):
                name = next((str(row[key]) for key in _KEYS if row.get(key)), "")
                if name and _number(row, _LAT) is not None:
                    kept = {key: value for key, value in row.items() if value not in (None, "")}
                    batch.append((_stem(name).replace("/", "_"), json.dumps(kept, default=str)))
                if len(batch) == _ROWS:
                    self._write(batch)
            self._write(batch)
        self._held.commit()

    def of(self, name: str) -> dict[str, object] | None:
        """The row of a photo: by its whole name, MP-16's ``3e/c0/1.jpg`` as ``3e_c0_1``, or by the
        last part of it.
        """
        stem = _stem(name)
        for known in (stem.replace("/", "_"), stem.rpartition("/")[2]):
            found = self._held.execute("SELECT row FROM places WHERE name = ?", (known,)).fetchone()
            if found:
                row: dict[str, object] = json.loads(found[0])
                return row
        return None

    def close(self) -> None:
        """Close the file."""
        self._held.close()

    def _write(self, batch: list[tuple[str, str]]) -> None:
        self._held.executemany("INSERT OR IGNORE INTO places VALUES (?, ?)", batch)
        batch.clear()


def _rows(table: Path) -> Iterator[dict[str, object]]:
    """The rows of a table, their columns in lower case. Raises InvalidSource."""
    try:
        if table.suffix == ".parquet":
            with parquet_reader(table) as file:
                for batch in file.iter_batches(_ROWS):
                    for row in batch.to_pylist():
                        yield {name.lower(): value for name, value in row.items()}
            return
        with table.open(encoding="utf-8-sig", newline="") as lines:
            for line in csv.DictReader(lines):
                yield {str(name).lower(): value for name, value in line.items() if name}
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise InvalidSource(f"{table.name!r} cannot be read as a table.") from error


def _stem(name: str) -> str:
    """A file's name without what follows its first dot, as WebDataset groups files."""
    folder, slash, last = name.removeprefix("./").rpartition("/")
    return f"{folder}{slash}{last.partition('.')[0]}"


def _json(data: bytes) -> dict[str, object]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(row: Mapping[str, object], names: tuple[str, ...]) -> float | None:
    value = next((row[name] for name in names if row.get(name) not in (None, "")), None)
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None


def _text(row: Mapping[str, object], names: tuple[str, ...]) -> str:
    value = next((row[name] for name in names if row.get(name)), "")
    return str(value).strip()
