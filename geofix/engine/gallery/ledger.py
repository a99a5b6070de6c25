"""What a version of a gallery holds, on disk and independent of any index: its truth.

A mutation is appended to ``mutations.log`` and fsynced before an index sees it. Compaction moves
the log into ``manifest.parquet``. Every step may be cut off by kill −9 or by a power failure:

- a half-written frame at the end of the log was never acknowledged, and is cut off;
- a new manifest replaces the old one by a rename, and only then is the log emptied. Replaying a
  log that is in the manifest already changes nothing.

One process writes a ledger. Others may read it meanwhile, through a ``LedgerView``: what they
read is true up to the ``Position`` that they are told.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from geofix.engine.gallery.durable import replacing, sync_directory
from geofix.engine.gallery.frames import DELETE, UPSERT, packed, walk, whole_length
from geofix.engine.gallery.records import (
    TEXT_FIELDS,
    from_batch,
    image_vectors,
    parquet_reader,
    parquet_writer,
    schema,
    to_batch,
)
from geofix.engine.gallery.review import FACTS, Facts
from geofix.engine.types import Float32Array, Float64Array, Point

MANIFEST = "manifest.parquet"
LOG = "mutations.log"

_ROWS = 1024
"""Rows read and written at once: 7 MB at 1280 dimensions."""
_SCALARS = ["id", "lat", "lon", *TEXT_FIELDS]


@dataclass(frozen=True, slots=True)
class Upsert:
    """Points added or replaced by one mutation."""

    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """Ids removed by one mutation."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """How far somebody has followed a ledger."""

    manifest: str
    """Which manifest; empty = none had been written."""
    offset: int
    """Bytes of the log that follows it."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Some of the points, as arrays."""

    ids: list[str]
    latlon: Float64Array
    """[N, 2] in degrees."""
    image: Float32Array
    """[N, D]."""


class LedgerView:
    """Reads the ledger in a directory, which another process may be writing."""

    def __init__(self, directory: Path, dimension: int) -> None:
        self.directory = directory
        self._dimension = dimension
        self._manifest = directory / MANIFEST
        self._log = directory / LOG

    def mutations(self, since: int = 0) -> Iterator[tuple[Upsert | Delete, int]]:
        """What the log holds from an offset on, oldest first, each with the offset after it."""
        if not self._log.exists():
            return
        for frame in walk(self._log, since):
            if frame.kind == UPSERT:
                yield Upsert(tuple(from_batch(self._batch(frame.body)))), frame.end
            else:
                yield Delete(tuple(json.loads(frame.body))), frame.end

    def points(self) -> Iterator[list[Point]]:
        """Every point once, in batches."""
        for batch in self._live_rows():
            yield from_batch(batch)

    def vectors(self) -> Iterator[Vectors]:
        """The image vectors of every point once, in batches."""
        for batch in self._live_rows(["id", "lat", "lon", "image"]):
            latlon = np.stack([np.asarray(batch.column(name)) for name in ("lat", "lon")], axis=1)
            yield Vectors(_ids(batch), latlon, image_vectors(batch))

    def facts(self) -> Facts:
        """Every point once, without its vectors."""
        rows = [batch.select(FACTS) for batch in self._live_rows(list(FACTS))]
        kept = pa.schema([field for field in schema(self._dimension) if field.name in FACTS])
        return Facts.of(pa.Table.from_batches(rows) if rows else kept.empty_table())

    def contributors(self) -> set[str]:
        """Everybody who gave a point."""
        return {
            str(name)
            for batch in self._live_rows(["id", "contributor"])
            for name in batch.column("contributor").unique().to_pylist()
        }

    def digests(self) -> dict[str, int]:
        """Each point's id with a digest of all but its vectors, to compare in this process only."""
        found: dict[str, int] = {}
        for batch in self._live_rows(_SCALARS):
            columns = [batch.column(name).to_pylist() for name in _SCALARS]
            found.update((str(row[0]), hash(row)) for row in zip(*columns, strict=True))
        return found

    def ids(self) -> set[str]:
        """The ids of every point."""
        ids: set[str] = set()
        if self._manifest.exists():
            for batch in pq.read_table(self._manifest, columns=["id"]).to_batches():
                ids.update(_ids(batch))
        for mutation, _ in self.mutations():
            if isinstance(mutation, Upsert):
                ids.update(point.id for point in mutation.points)
            else:
                ids.difference_update(mutation.ids)
        return ids

    @property
    def manifest_name(self) -> str:
        """What tells this manifest from the ones before and after it; empty without one."""
        try:
            held = self._manifest.stat()
        except FileNotFoundError:
            return ""
        return f"{held.st_ino}-{held.st_mtime_ns}-{held.st_size}"

    @property
    def log_bytes(self) -> int:
        """Size of the log."""
        return self._log.stat().st_size

    @property
    def manifest_bytes(self) -> int:
        """Size of the manifest."""
        return self._manifest.stat().st_size if self._manifest.exists() else 0

    @property
    def manifest_rows(self) -> int:
        """Points in the manifest, whatever the log says."""
        return pq.read_metadata(self._manifest).num_rows if self._manifest.exists() else 0

    @property
    def position(self) -> Position:
        """The end of what is recorded now."""
        name = self.manifest_name
        ends = walk(self._log) if self._log.exists() else ()
        return Position(name, max((frame.end for frame in ends), default=0))

    def _batch(self, body: bytes) -> pa.RecordBatch:
        return pa.ipc.read_record_batch(pa.py_buffer(body), schema(self._dimension))

    def _live_rows(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows of the manifest that the log leaves, then the log's own last words.

        ``columns`` are those to read of the manifest; all of them by default.
        """
        last, end = self._last_words()
        if self._manifest.exists():
            changed = pa.array(last.keys(), type=pa.string())
            with parquet_reader(self._manifest) as file:
                for batch in file.iter_batches(_ROWS, columns=columns):
                    kept = batch.filter(pc.invert(pc.is_in(batch.column("id"), changed)))
                    if kept.num_rows:
                        yield kept
        for number, frame in enumerate(walk(self._log, 0, end) if end else ()):
            if frame.kind == UPSERT:
                batch = self._batch(frame.body)
                rows = {id_: row for row, id_ in enumerate(_ids(batch)) if last[id_] == number}
                if rows:
                    yield batch.take(pa.array(rows.values(), type=pa.int64()))

    def _last_words(self) -> tuple[dict[str, int], int]:
        """For each id in the log, the number of the last frame that speaks of it.

        Also where the last of the frames ends.
        """
        last: dict[str, int] = {}
        end = 0
        for number, frame in enumerate(walk(self._log) if self._log.exists() else ()):
            upsert = frame.kind == UPSERT
            ids = _ids(self._batch(frame.body)) if upsert else json.loads(frame.body)
            last.update(dict.fromkeys(ids, number))
            end = frame.end
        return last, end


class Ledger(LedgerView):
    """Manifest and mutation log of one version. One writer; not safe for several threads."""

    def __init__(self, directory: Path, dimension: int) -> None:
        """Open for writing, and cut a torn last frame off. Raises Unavailable for damage."""
        super().__init__(directory, dimension)
        created = not self._log.exists()
        self._manifest.with_suffix(".writing").unlink(missing_ok=True)
        self._file = self._log.open("ab")
        if created:
            sync_directory(directory)
        try:
            length = whole_length(self._log)
            if length < self.log_bytes:
                self._truncate(length)
        except BaseException:
            self._file.close()
            raise

    def upsert(self, points: Sequence[Point]) -> None:
        """Record points as added or replaced; durable when it returns."""
        self._append(UPSERT, to_batch(points, self._dimension).serialize().to_pybytes())

    def delete(self, ids: Sequence[str]) -> None:
        """Record ids as removed; durable when it returns."""
        self._append(DELETE, json.dumps(list(ids)).encode())

    def compact(self) -> None:
        """Write a manifest of every point and empty the log."""
        if self.log_bytes == 0 and self._manifest.exists():
            return
        with (
            replacing(self._manifest) as written,
            parquet_writer(written, schema(self._dimension)) as writer,
        ):
            for batch in self._live_rows():
                writer.write_batch(batch)
        self._truncate(0)

    def close(self) -> None:
        """Close the log."""
        self._file.close()

    def _append(self, kind: bytes, body: bytes) -> None:
        self._file.write(packed(kind, body))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _truncate(self, size: int) -> None:
        self._file.truncate(size)
        os.fsync(self._file.fileno())


def _ids(batch: pa.RecordBatch) -> list[str]:
    return [str(id_) for id_ in batch.column("id").to_pylist()]
