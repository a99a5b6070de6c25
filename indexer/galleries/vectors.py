"""Points whose vectors somebody has computed already: a Parquet file with a column ``vector``.

Columns: ``vector`` (a list of numbers; ``embedding`` and ``image`` are other names of it), ``lat``
and ``lon``, and as far as they are there ``id`` or ``key``, ``country``, ``source``,
``contributor``, ``licence``, ``captured_at``, ``uri``, ``sha256``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geofix.engine.gallery.captured import normalise
from geofix.engine.gallery.offers import Outcome, Status
from geofix.engine.gallery.records import parquet_reader, point_id
from geofix.engine.gallery.versions import now
from geofix.engine.types import Float32Array, Point
from geofix.errors import GeofixError, InvalidSource
from geofix.geo.places import country_codes
from indexer.galleries.sources import Defaults

_VECTOR = ("vector", "embedding", "image")
_NAMES = {
    "key": ("key", "id"),
    "lat": ("lat", "latitude"),
    "lon": ("lon", "lng", "longitude"),
    "country": ("country",),
    "source": ("source",),
    "contributor": ("contributor",),
    "licence": ("licence", "license"),
    "captured_at": ("captured_at",),
    "uri": ("uri", "url"),
    "sha256": ("sha256",),
}
BATCH = 1000


def is_vectors(path: Path) -> bool:
    """Whether a file holds vectors rather than names of photos."""
    if path.suffix.lower() not in (".parquet", ".pq") or not path.is_file():
        return False
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return False
    return _column(schema) is not None


class VectorFile:
    """A file of vectors, read in batches."""

    def __init__(self, path: Path, defaults: Defaults) -> None:
        """Raises InvalidSource for a file without vectors and positions."""
        self._path = path
        self._defaults = defaults
        try:
            with parquet_reader(path) as file:
                self.total = file.metadata.num_rows
                schema = file.schema_arrow
        except (OSError, pa.ArrowException) as error:
            raise InvalidSource(f"{path.name!r} cannot be read as Parquet.") from error
        column = _column(schema)
        lowered = {name.lower(): name for name in schema.names}
        self._columns = {
            field: next((lowered[name] for name in names if name in lowered), "")
            for field, names in _NAMES.items()
        }
        if column is None or not self._columns["lat"] or not self._columns["lon"]:
            raise InvalidSource(f"{path.name!r} needs the columns vector, lat and lon.")
        self._vector = column

    def batches(self, gallery: str, dimension: int) -> Iterator[tuple[list[Point], list[Outcome]]]:
        """Points, and rows that are none, in batches of a thousand.

        Raises InvalidSource where the file breaks off.
        """
        columns = [self._vector, *(name for name in self._columns.values() if name)]
        try:
            with parquet_reader(self._path) as file:
                for number, batch in enumerate(file.iter_batches(BATCH, columns=columns)):
                    yield self._points(batch, number * BATCH, gallery, dimension)
        except (OSError, pa.ArrowException) as error:
            raise InvalidSource(f"{self._path.name!r} is damaged.") from error

    def _points(
        self, batch: pa.RecordBatch, first: int, gallery: str, dimension: int
    ) -> tuple[list[Point], list[Outcome]]:
        held = {
            field: batch.column(name).to_pylist() if name else [None] * batch.num_rows
            for field, name in self._columns.items()
        }
        vectors = _matrix(batch, self._vector, dimension)
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        latlon = np.array(list(zip(held["lat"], held["lon"], strict=True)), dtype=np.float64)
        placed = (np.abs(latlon[:, 0]) <= 90.0) & (np.abs(latlon[:, 1]) <= 180.0)
        sound = placed & np.isfinite(lengths) & (lengths > 0.0)
        countries = iter(country_codes(latlon[sound]) if sound.any() else [])
        written = now()
        points, refused = [], []
        prefix = self._defaults.prefix or self._path.stem
        for row in range(batch.num_rows):
            texts = {f: "" if held[f][row] is None else str(held[f][row]) for f in _NAMES}
            key = texts["key"] or f"{prefix}/{first + row}"
            found = next(countries) if sound[row] else ""
            reason, captured_at = _fault(texts["captured_at"])
            if not placed[row]:
                reason = "Its position lies beyond ±90° or ±180°."
            elif not sound[row]:
                reason = f"Its vector is not one of {dimension} finite numbers that are not all 0."
            if reason:
                refused.append(Outcome(key, Status.REFUSED, reason=reason))
                continue
            points.append(
                Point(
                    id=point_id(gallery, key),
                    key=key,
                    lat=float(latlon[row, 0]),
                    lon=float(latlon[row, 1]),
                    image=np.asarray(vectors[row] / lengths[row], dtype=np.float32),
                    country=texts["country"] or found,
                    source=texts["source"] or self._defaults.source,
                    contributor=texts["contributor"] or self._defaults.contributor,
                    licence=texts["licence"] or self._defaults.licence,
                    captured_at=captured_at,
                    sha256=texts["sha256"],
                    uri=texts["uri"],
                    added_at=written,
                )
            )
        return points, refused


def _fault(captured_at: str) -> tuple[str, str]:
    """What is wrong with a date, and the date as galleries write it."""
    try:
        return "", normalise(captured_at) if captured_at else ""
    except GeofixError as error:
        return str(error), ""


def _column(schema: pa.Schema) -> str | None:
    for name in _VECTOR:
        if name in schema.names and (
            pa.types.is_list(schema.field(name).type)
            or pa.types.is_large_list(schema.field(name).type)
            or pa.types.is_fixed_size_list(schema.field(name).type)
        ):
            return name
    return None


def _matrix(batch: pa.RecordBatch, name: str, dimension: int) -> Float32Array:
    """float32 [N, D]; rows of another length, or without a vector, are not a number."""
    column = batch.column(name)
    if (
        isinstance(column, pa.FixedSizeListArray)
        and column.type.list_size == dimension
        and column.null_count == 0
    ):
        values = column.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(values, dtype=np.float32).reshape(-1, dimension)
    rows = np.full((len(column), dimension), np.nan, dtype=np.float32)
    for number, parts in enumerate(column.to_pylist()):
        if parts is not None and len(parts) == dimension:
            rows[number] = np.array(parts, dtype=np.float32)
    return rows
