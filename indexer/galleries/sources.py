"""Where photos of a gallery come from: a folder, or a table that names files and positions.

A folder's photos must carry their position in EXIF. A table (CSV or Parquet) has the columns
``file``, ``lat`` and ``lon``, and may have ``id``, ``country``, ``source``, ``contributor``,
``licence``, ``captured_at``, ``uri`` and ``caption``; files are named relative to the table. A
folder that holds an ``index.csv`` or ``index.parquet`` is that table.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

import pyarrow as pa

from geofix.engine.gallery.offers import Offer, Outcome, Status
from geofix.engine.gallery.records import parquet_reader
from geofix.engine.photo_file import read_photo_file
from geofix.errors import InvalidSource

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".heic", ".heif"})
INDEX_FILES = ("index.csv", "index.parquet")
_ALIASES = {
    "filename": "file",
    "photo": "file",
    "path": "file",
    "latitude": "lat",
    "longitude": "lon",
    "lng": "lon",
    "key": "id",
    "license": "licence",
    "url": "uri",
}
_REQUIRED = ("file", "lat", "lon")
_COLUMNS = (
    *_REQUIRED,
    *("id", "country", "source", "contributor", "licence", "captured_at", "uri", "caption"),
)
_PARQUET_ROWS = 256

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for every photo of which the source says nothing itself."""

    source: str = ""
    contributor: str = ""
    licence: str = ""
    prefix: str = ""
    """Put before file names to make keys; empty = the name of the folder they are in."""


@dataclass(frozen=True, slots=True)
class Source:
    """Photos in a fixed order; those that cannot even be offered are outcomes already."""

    total: int | None
    """None where it would take as long to count as to read."""
    offers: Iterator[Offer | Outcome] = field(repr=False)


def open_source(path: Path, defaults: Defaults, base: Path | None = None) -> Source:
    """The photos of a folder, a CSV or a Parquet file. Raises InvalidSource.

    ``base`` is the folder that a table's files are relative to (default: the table's own).
    """
    if path.is_dir():
        for name in INDEX_FILES:
            if (path / name).is_file():
                return open_source(path / name, defaults, base)
        return _folder(path, defaults)
    if not path.is_file():
        raise InvalidSource(f"There is no folder or file {str(path)!r}.")
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv", ".txt"):
        return _table(path, base or path.parent, defaults, _csv_rows)
    if suffix in (".parquet", ".pq"):
        return _table(path, base or path.parent, defaults, _parquet_rows)
    raise InvalidSource(f"{path.name!r} is neither a folder nor a CSV or Parquet file.")


def _folder(folder: Path, defaults: Defaults) -> Source:
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")
    )
    if not paths:
        raise InvalidSource(
            f"There are no photos in {str(folder)!r}, and no index.csv that names some."
        )
    prefix = _prefix(folder, defaults)
    offers = (
        Offer(
            key=f"{prefix}/{path.relative_to(folder).as_posix()}",
            read=partial(read_photo_file, path),
            position=None,
            source=defaults.source,
            contributor=defaults.contributor,
            licence=defaults.licence,
            uri=path.resolve().as_uri(),
        )
        for path in paths
    )
    return Source(len(paths), offers)


def _table(
    path: Path, base: Path, defaults: Defaults, rows: Callable[[Path], Iterator[Row]]
) -> Source:
    total = sum(1 for _ in rows(path))
    if total == 0:
        raise InvalidSource(f"{path.name!r} has no rows.")
    prefix = _prefix(base, defaults)
    offers = (
        _offer(row, number, base, prefix, defaults)
        for number, row in enumerate(rows(path), start=1)
    )
    return Source(total, offers)


def _csv_rows(path: Path) -> Iterator[Row]:
    """The rows with text. Raises InvalidSource for a file that is no such table."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=header.count)
            reader = csv.DictReader(file, delimiter=delimiter, restval="", restkey="")
            names = _names(path, list(reader.fieldnames or ()))
            for raw in reader:
                row = {names[column]: text for column, text in raw.items() if column in names}
                if any(row.values()):
                    yield {name: text.strip() for name, text in row.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidSource(f"{path.name!r} cannot be read as CSV in UTF-8: {error}.") from error


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        with parquet_reader(path) as file:
            names = _names(path, file.schema_arrow.names)
            for batch in file.iter_batches(_PARQUET_ROWS, columns=list(names)):
                for raw in batch.to_pylist():
                    yield {names[column]: _text(value) for column, value in raw.items()}
    except (OSError, pa.ArrowException) as error:
        raise InvalidSource(f"{path.name!r} cannot be read as Parquet: {error}.") from error


def _names(path: Path, columns: list[str]) -> dict[str, str]:
    """Which columns are read, and as what. Raises InvalidSource where one is missing."""
    names: dict[str, str] = {}
    for column in columns:
        plain = column.strip().lower()
        name = _ALIASES.get(plain, plain)
        if name in _COLUMNS and name not in names.values():
            names[column] = name
    missing = [name for name in _REQUIRED if name not in names.values()]
    if missing:
        raise InvalidSource(
            f"{path.name!r} has no column {' nor '.join(missing)}; its columns are "
            f"{', '.join(columns)[:200] or 'none'}."
        )
    return names


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value).strip()


def _offer(row: Row, number: int, base: Path, prefix: str, defaults: Defaults) -> Offer | Outcome:
    name = row["file"].replace("\\", "/")
    key = row.get("id") or (f"{prefix}/{name}" if name else f"row {number}")
    if not name:
        return Outcome(key, Status.REFUSED, reason=f"Row {number} names no file.")
    try:
        position = float(row["lat"]), float(row["lon"])
    except ValueError:
        written = f"{row['lat'][:40]!r}, {row['lon'][:40]!r}"
        return Outcome(key, Status.REFUSED, reason=f"The position {written} is no two numbers.")
    path = _find(base, name)
    country = row.get("country", "").upper()
    return Offer(
        key=key,
        read=partial(read_photo_file, path),
        position=position,
        country=country if len(country) == 2 and country.isalpha() else "",
        source=row.get("source") or defaults.source,
        contributor=row.get("contributor") or defaults.contributor,
        licence=row.get("licence") or defaults.licence,
        captured_at=row.get("captured_at", ""),
        uri=row.get("uri") or path.resolve().as_uri(),
        caption=row.get("caption", ""),
    )


def _find(base: Path, name: str) -> Path:
    """The file beside the table, or in the folder ``images`` beside it."""
    beside = base / name
    return (
        beside
        if beside.is_file() or not (base / "images" / name).is_file()
        else (base / "images" / name)
    )


def _prefix(folder: Path, defaults: Defaults) -> str:
    return defaults.prefix or folder.resolve().name or "photos"
