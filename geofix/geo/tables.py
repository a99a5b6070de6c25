"""The tables under ``geofix/geo/data``, read when they are first needed."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Int64Array = npt.NDArray[np.int64]


def table(name: str) -> pa.Table:
    """The table ``name`` of the package's data, each column in one piece."""
    data = files("geofix.geo").joinpath("data", f"{name}.parquet").read_bytes()
    rows = pq.read_table(pa.BufferReader(data), use_threads=False).combine_chunks()
    pa.default_memory_pool().release_unused()
    return rows


def texts(rows: pa.Table, column: str) -> list[str]:
    """A column of texts without nulls."""
    return [str(text) for text in rows[column].to_pylist()]


def strings(rows: pa.Table, column: str) -> pa.StringArray:
    """A column of texts as Arrow keeps it, for tables too long to be Python strings."""
    array = rows[column].combine_chunks()
    assert isinstance(array, pa.StringArray)  # noqa: S101 - the builder's schema
    return array


def classified(rows: pa.Table, column: str) -> tuple[Int64Array, list[str]]:
    """A column of few texts, as numbers int64 [N] and what they stand for."""
    array = rows[column].combine_chunks()
    assert isinstance(array, pa.DictionaryArray)  # noqa: S101 - the builder's schema
    names = [str(name) for name in array.dictionary.to_pylist()]
    return np.asarray(array.indices.to_numpy(), dtype=np.int64), names
