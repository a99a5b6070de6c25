"""Gallery points as rows of an Arrow table, and what names them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geofix.engine.types import Float32Array, Point
from geofix.errors import InvalidOption

GPS_DIMENSION = 512
TEXT_FIELDS = (
    "key",
    "country",
    "source",
    "contributor",
    "licence",
    "captured_at",
    "sha256",
    "phash",
    "uri",
    "added_at",
)
"""The text parts of a point, in the order of their columns."""
SHOWN = ("country", "source", "contributor", "licence", "captured_at", "uri")
"""Those that a neighbour shows."""

_READ_BYTES = 2**20
"""Of one column, that are read from a file at once."""

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:geofix:gallery")


def point_id(gallery: str, key: str) -> str:
    """UUIDv5 of gallery and source key: the same photo has the same id in every build."""
    return str(uuid.uuid5(uuid.uuid5(_NAMESPACE, gallery), key))


@lru_cache(maxsize=8)
def schema(dimension: int) -> pa.Schema:
    """Columns of a gallery whose image vectors have ``dimension`` parts."""
    types: dict[str, pa.DataType] = {
        "id": pa.string(),
        "lat": pa.float64(),
        "lon": pa.float64(),
        **dict.fromkeys(TEXT_FIELDS, pa.string()),
        "image": pa.list_(pa.float32(), dimension),
        "gps": pa.list_(pa.float32(), GPS_DIMENSION),
    }
    return pa.schema([pa.field(name, kind, name == "gps") for name, kind in types.items()])


def parquet_writer(to: Path | BinaryIO, columns: pa.Schema) -> pq.ParquetWriter:
    """Writes points to a file, in columns as of ``schema``.

    Numbers of vectors hardly repeat: dictionaries of them would cost a quarter more room. With
    their first, second, third and last bytes apart they take a tenth less.
    """
    vectors = [f"{name}.list.element" for name in ("image", "gps")]
    return pq.ParquetWriter(
        to,
        columns,
        compression="zstd",
        use_dictionary=False,
        column_encoding=dict.fromkeys(vectors, "BYTE_STREAM_SPLIT"),
    )


def parquet_reader(source: Path | BinaryIO) -> pq.ParquetFile:
    """Opens a file to be read in batches; raises OSError and pyarrow's errors.

    By default all that was read, or a row group of any size, would stay in memory to the end.
    """
    return pq.ParquetFile(source, buffer_size=_READ_BYTES, pre_buffer=False)


def require_vector(vector: Float32Array, dimension: int) -> None:
    """Raise InvalidOption unless ``vector`` has ``dimension`` finite numbers."""
    if vector.shape != (dimension,) or not np.isfinite(vector).all():
        raise InvalidOption(
            f"The gallery takes vectors of {dimension} finite numbers; this one has the shape "
            f"{vector.shape}, or numbers that are not finite."
        )


def to_batch(points: Sequence[Point], dimension: int) -> pa.RecordBatch:
    """One row for each point, in order. Raises InvalidOption for a vector that does not fit."""
    for point in points:
        require_vector(point.image, dimension)
    columns = schema(dimension)
    return pa.RecordBatch.from_arrays(
        [
            pa.array([getattr(point, field.name) for point in points], type=field.type)
            for field in columns
        ],
        schema=columns,
    )


def from_batch(batch: pa.RecordBatch) -> list[Point]:
    """The points of the rows, in order."""
    images, gps = _vectors(batch, "image"), _vectors(batch, "gps")
    has_gps = batch.column("gps").is_valid().to_pylist()
    scalars = batch.select(["id", "lat", "lon", *TEXT_FIELDS]).to_pylist()
    return [
        Point(**fields, image=images[row], gps=gps[row] if has_gps[row] else None)
        for row, fields in enumerate(scalars)
    ]


def image_vectors(batch: pa.RecordBatch) -> Float32Array:
    """The image vectors of the rows, float32 [rows, D]."""
    return _vectors(batch, "image")


def _vectors(batch: pa.RecordBatch, name: str) -> Float32Array:
    """float32 [rows, D]; rows without a vector hold anything."""
    column = batch.column(name)
    assert isinstance(column, pa.FixedSizeListArray)  # noqa: S101 - as the schema says
    values = column.values.to_numpy(zero_copy_only=False)
    width = column.type.list_size
    rows = values[column.offset * width : (column.offset + len(column)) * width]
    return np.asarray(rows, dtype=np.float32).reshape(len(column), width)
