"""A job's results as NDJSON, CSV, GeoJSON (RFC 7946) and GeoParquet 1.1, as they are read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from geofix.jobs.types import Outcome
from service.locate.schemas import Answer

_BATCH = 4096
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Format(StrEnum):
    """How results are written."""

    NDJSON = "ndjson"
    CSV = "csv"
    GEOJSON = "geojson"
    GEOPARQUET = "geoparquet"


MEDIA_TYPES = {
    Format.NDJSON: "application/x-ndjson",
    Format.CSV: "text/csv; charset=utf-8",
    Format.GEOJSON: "application/geo+json",
    Format.GEOPARQUET: "application/vnd.apache.parquet",
}
SUFFIXES = {Format.GEOPARQUET: "parquet"}


class Row(TypedDict):
    """What tables say of an answered photo."""

    index: int
    custom_id: str
    lat: float
    lon: float
    radius_50_km: float
    radius_90_km: float
    abstained: str
    country: str
    region: str
    city: str
    encoder: str


Result = tuple[Outcome, Answer]


class Writer(Protocol):
    """Turns results, some at a time, into the bytes of a file."""

    def start(self) -> bytes:
        """What stands before the first result."""
        ...

    def write(self, results: Sequence[Result]) -> bytes:
        """The next results, in order."""
        ...

    def end(self) -> bytes:
        """What stands behind the last."""
        ...


def writer(kind: Format) -> Writer:
    """The writer of a format."""
    return _WRITERS[kind]()


def error_line(outcome: Outcome) -> bytes:
    """A failed photo as a line of NDJSON."""
    problem = outcome.problem
    told = (
        None
        if problem is None
        else {
            "type": problem.type,
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
        }
    )
    line = {"index": outcome.index, "custom_id": outcome.custom_id, "problem": told}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


class _Ndjson:
    def start(self) -> bytes:
        return b""

    def write(self, results: Sequence[Result]) -> bytes:
        return b"".join(
            b'{"index":%d,"custom_id":%s,"answer":%s}\n'
            % (
                outcome.index,
                json.dumps(outcome.custom_id, ensure_ascii=False).encode(),
                answer.model_dump_json().encode(),
            )
            for outcome, answer in results
        )

    def end(self) -> bytes:
        return b""


class _Csv:
    def start(self) -> bytes:
        return self._text([[*Row.__annotations__]])

    def write(self, results: Sequence[Result]) -> bytes:
        rows = (row(outcome, answer) for outcome, answer in results)
        return self._text([[_inert(value) for value in r.values()] for r in rows])

    def end(self) -> bytes:
        return b""

    def _text(self, rows: Sequence[Sequence[object]]) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        return text.getvalue().encode()


class _GeoJson:
    def __init__(self) -> None:
        self._first = True

    def start(self) -> bytes:
        return b'{"type":"FeatureCollection","features":['

    def write(self, results: Sequence[Result]) -> bytes:
        features = [json.dumps(self._feature(*result), ensure_ascii=False) for result in results]
        text = ("\n" if self._first else ",\n") + ",\n".join(features) if features else ""
        self._first = self._first and not features
        return text.encode()

    def end(self) -> bytes:
        return b"\n]}\n"

    def _feature(self, outcome: Outcome, answer: Answer) -> dict[str, object]:
        properties = row(outcome, answer)
        point = [properties["lon"], properties["lat"]]
        return {
            "type": "Feature",
            "id": outcome.index,
            "geometry": {"type": "Point", "coordinates": point},
            "properties": properties,
        }


class _GeoParquet:
    """Points as WKB, longitude first; the missing CRS of the metadata stands for WGS 84."""

    def __init__(self) -> None:
        self._sink = _Sink()
        geo = {
            "version": "1.1.0",
            "primary_column": "geometry",
            "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Point"]}},
        }
        types: dict[type, pa.DataType] = {int: pa.int64(), float: pa.float64(), str: pa.string()}
        columns = [(name, types[kind]) for name, kind in _ROW_TYPES.items()]
        self._schema = pa.schema(
            [*columns, ("geometry", pa.binary())], metadata={"geo": json.dumps(geo)}
        )
        self._rows: list[Row] = []
        self._file = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), self._schema)

    def start(self) -> bytes:
        return self._sink.taken()

    def write(self, results: Sequence[Result]) -> bytes:
        self._rows += [row(outcome, answer) for outcome, answer in results]
        if len(self._rows) >= _BATCH:
            self._flush()
        return self._sink.taken()

    def end(self) -> bytes:
        self._flush()
        self._file.close()
        return self._sink.taken()

    def _flush(self) -> None:
        if not self._rows:
            return
        points = shapely.points([r["lon"] for r in self._rows], [r["lat"] for r in self._rows])
        table: dict[str, Sequence[object]] = {
            name: [r[name] for r in self._rows]  # type: ignore[literal-required]
            for name in _ROW_TYPES
        }
        table["geometry"] = shapely.to_wkb(points).tolist()
        self._file.write_table(pa.table(table, schema=self._schema))
        self._rows.clear()


class _Sink(io.RawIOBase):
    """Takes what a writer writes until it is taken away."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._waiting += piece
        self._length += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._length

    def taken(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


_ROW_TYPES: dict[str, type] = {
    **{"index": int, "custom_id": str},
    **dict.fromkeys(("lat", "lon", "radius_50_km", "radius_90_km"), float),
    **dict.fromkeys(("abstained", "country", "region", "city", "encoder"), str),
}
_WRITERS: dict[Format, Callable[[], Writer]] = {
    Format.NDJSON: _Ndjson,
    Format.CSV: _Csv,
    Format.GEOJSON: _GeoJson,
    Format.GEOPARQUET: _GeoParquet,
}


def row(outcome: Outcome, answer: Answer) -> Row:
    """The main facts of an answer."""
    return Row(
        index=outcome.index,
        custom_id=outcome.custom_id,
        lat=answer.position.lat,
        lon=answer.position.lon,
        radius_50_km=answer.radius_50_km,
        radius_90_km=answer.radius_90_km,
        abstained=answer.abstention.cause if answer.abstention else "",
        country=answer.place.country,
        region=answer.place.region,
        city=answer.place.city,
        encoder=answer.encoder,
    )


def _inert(value: object) -> object:
    """Text that no spreadsheet takes for a formula: file names come from anybody."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
