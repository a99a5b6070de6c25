"""The tables under ``geofix/geo/data``, read when they are first needed."""

from __future__ import annotations

from importlib.resources import files

import pyarrow as pa
import pyarrow.parquet as pq


def table(name: str, columns: list[str] | None = None) -> pa.Table:
    """The table ``name``, or some of its columns, from the package's data."""
    data = files("geofix.geo").joinpath("data", f"{name}.parquet").read_bytes()
    return pq.read_table(pa.BufferReader(data), columns=columns, use_threads=False)
