"""Labelled photos: files whose true position is known, from a table or from their EXIF."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from geofix.engine.image import read_position
from geofix.errors import InvalidCoordinate, InvalidPhoto, InvalidSource
from geofix.geo.coordinates import Coordinate

COLUMNS = {
    "file": ("file", "filename", "file_name", "image", "img_id", "path"),
    "lat": ("lat", "latitude"),
    "lon": ("lon", "lng", "longitude"),
    "contributor": ("contributor", "author", "user", "creator_username"),
}
"""Names a column may have, any case; the first one present counts."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif"})


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """A photo file and where it was really taken."""

    file: str
    """Relative to the photos' folder, as the table names it."""
    path: Path
    at: Coordinate
    contributor: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A photo that cannot be measured, and why."""

    file: str
    cause: str


@dataclass(frozen=True, slots=True)
class Truth:
    """What a table or folder holds, in the order of the file names."""

    photos: tuple[LabelledPhoto, ...]
    skipped: tuple[Skipped, ...]


def read_truth(photos: Path, truth: Path | None = None) -> Truth:
    """The labelled photos of the folder ``photos``.

    ``truth`` is a CSV or Parquet file with the columns file, lat and lon (see ``COLUMNS``);
    without one, positions are read from the photos' EXIF. Rows without a file or a legal position
    are skipped with a cause, as are (0, 0), which stands for "unknown" in most tables, and files
    named twice. Raises :class:`InvalidSource` where the folder or table cannot be read at all.
    """
    if not photos.is_dir():
        raise InvalidSource(f"There is no folder {str(photos)!r}.")
    labels = _from_exif(photos) if truth is None else _from_table(photos, truth)
    found: dict[str, LabelledPhoto] = {}
    skipped: list[Skipped] = []
    for label in labels:
        if isinstance(label, Skipped):
            skipped.append(label)
        elif label.file in found:
            skipped.append(Skipped(label.file, "named twice"))
        else:
            found[label.file] = label
    if not found:
        raise InvalidSource(f"No photo of {str(photos)!r} has a usable position.")
    return Truth(tuple(found[file] for file in sorted(found)), tuple(skipped))


def _from_table(photos: Path, truth: Path) -> Iterator[LabelledPhoto | Skipped]:
    table = _read(truth)
    names = {name.lower(): name for name in reversed(table.column_names)}
    columns: dict[str, list[object]] = {}
    for column, aliases in COLUMNS.items():
        name = next((names[alias] for alias in aliases if alias in names), None)
        if name is not None:
            columns[column] = table[name].to_pylist()
        elif column != "contributor":
            raise InvalidSource(f"{truth.name} has no column {column!r}.")
    people = columns.get("contributor", [None] * table.num_rows)
    rows = zip(columns["file"], columns["lat"], columns["lon"], people, strict=True)
    for file, lat, lon, contributor in rows:
        name = str(file or "")
        path = photos / name
        if not name or not path.is_file():
            yield Skipped(name, "no such file")
            continue
        at = _position(lat, lon)
        if isinstance(at, str):
            yield Skipped(name, at)
        else:
            yield LabelledPhoto(name, path, at, str(contributor or ""))


def _from_exif(photos: Path) -> Iterator[LabelledPhoto | Skipped]:
    for path in sorted(photos.rglob("*")):
        if path.suffix.lower() not in SUFFIXES:
            continue
        name = path.relative_to(photos).as_posix()
        try:
            at = read_position(path.read_bytes())
        except InvalidPhoto as error:
            yield Skipped(name, str(error))
            continue
        yield Skipped(name, "no position in EXIF") if at is None else LabelledPhoto(name, path, at)


def _read(truth: Path) -> pa.Table:
    try:
        if truth.suffix.lower() in {".parquet", ".pq"}:
            return pyarrow.parquet.read_table(truth)
        # Every cell stays text here: a column of file names may look like numbers.
        return pyarrow.csv.read_csv(
            truth,
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(_header(truth), pa.string())
            ),
        )
    except (OSError, pa.ArrowInvalid) as error:
        raise InvalidSource(f"{truth.name} cannot be read: {error}.") from error


def _header(truth: Path) -> list[str]:
    with pyarrow.csv.open_csv(truth) as reader:
        return list(reader.schema.names)


def _position(lat: object, lon: object) -> Coordinate | str:
    try:
        degrees = float(str(lat)), float(str(lon))
    except ValueError:
        return "position is no number"
    if not all(math.isfinite(value) for value in degrees):
        return "position is not finite"
    if degrees == (0.0, 0.0):
        return "position is the placeholder (0, 0)"
    try:
        return Coordinate(*degrees)
    except InvalidCoordinate as error:
        return str(error)
