"""What a gallery holds, on disk and independent of any index: its truth.

A mutation is appended to ``mutations.log`` and fsynced before an index sees it. Compaction moves
the log into ``manifest.parquet``. Every step may be cut off by kill −9 or by a power failure:

- a half-written frame at the end of the log was never acknowledged, and is cut off;
- a new manifest replaces the old one by a rename, and only then is the log emptied. Replaying a
  log that is in the manifest already changes nothing.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from geofix.engine.gallery.durable import sync_directory, sync_file
from geofix.engine.gallery.records import from_batch, schema, to_batch
from geofix.engine.gallery.review import FACTS, Facts
from geofix.engine.types import Point
from geofix.errors import Unavailable

MANIFEST = "manifest.parquet"
LOG = "mutations.log"

_HEADER = struct.Struct("<4sII")  # kind, length of the body, CRC-32 of the body
_UPSERT, _DELETE = b"UPS1", b"DEL1"
_ROWS = 1024
"""Rows read and written at once: 7 MB at 1280 dimensions."""


@dataclass(frozen=True, slots=True)
class Upsert:
    """Points added or replaced by one mutation."""

    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """Ids removed by one mutation."""

    ids: tuple[str, ...]


class Ledger:
    """Manifest and mutation log of one gallery. One writer; not safe for several threads."""

    def __init__(self, directory: Path, dimension: int) -> None:
        self.directory = directory
        self._dimension = dimension
        self._manifest = directory / MANIFEST
        self._log = directory / LOG
        created = not self._log.exists()
        self._file = self._log.open("ab")
        if created:
            sync_directory(directory)
        try:
            self._cut_torn_tail()
        except BaseException:
            self._file.close()
            raise

    def upsert(self, points: Sequence[Point]) -> None:
        """Record points as added or replaced; durable when it returns."""
        self._append(_UPSERT, to_batch(points, self._dimension).serialize().to_pybytes())

    def delete(self, ids: Sequence[str]) -> None:
        """Record ids as removed; durable when it returns."""
        self._append(_DELETE, json.dumps(list(ids)).encode())

    def mutations(self) -> Iterator[Upsert | Delete]:
        """What the log holds since the last compaction, oldest first."""
        for kind, body in self._frames():
            if kind == _UPSERT:
                yield Upsert(tuple(from_batch(self._batch(body))))
            else:
                yield Delete(tuple(json.loads(body)))

    def points(self) -> Iterator[list[Point]]:
        """Every point of the gallery once, in batches."""
        for batch in self._live_rows():
            yield from_batch(batch)

    def facts(self) -> Facts:
        """Every point of the gallery once, without its vectors."""
        rows = [batch.select(FACTS) for batch in self._live_rows(list(FACTS))]
        kept = pa.schema([field for field in schema(self._dimension) if field.name in FACTS])
        return Facts.of(pa.Table.from_batches(rows) if rows else kept.empty_table())

    def ids(self) -> set[str]:
        """The ids of every point of the gallery."""
        ids: set[str] = set()
        if self._manifest.exists():
            for batch in pq.read_table(self._manifest, columns=["id"]).to_batches():
                ids.update(_ids(batch))
        for mutation in self.mutations():
            if isinstance(mutation, Upsert):
                ids.update(point.id for point in mutation.points)
            else:
                ids.difference_update(mutation.ids)
        return ids

    def compact(self) -> None:
        """Write a manifest of every point and empty the log."""
        if self.log_bytes == 0 and self._manifest.exists():
            return
        written = self._manifest.with_suffix(".writing")
        with pq.ParquetWriter(written, schema(self._dimension), compression="zstd") as writer:
            for batch in self._live_rows():
                writer.write_batch(batch)
        sync_file(written)
        written.replace(self._manifest)
        sync_directory(self.directory)
        self._truncate(0)

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

    def close(self) -> None:
        """Close the log."""
        self._file.close()

    def _append(self, kind: bytes, body: bytes) -> None:
        self._file.write(_HEADER.pack(kind, len(body), zlib.crc32(body)) + body)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _batch(self, body: bytes) -> pa.RecordBatch:
        return pa.ipc.read_record_batch(pa.py_buffer(body), schema(self._dimension))

    def _frames(self) -> Iterator[tuple[bytes, bytes]]:
        with self._log.open("rb") as log:
            while header := log.read(_HEADER.size):
                kind, length, _ = _HEADER.unpack(header)
                yield kind, log.read(length)

    def _cut_torn_tail(self) -> None:
        """Drop a frame that was being written when the process ended; refuse worse damage."""
        size, good = self.log_bytes, 0
        with self._log.open("rb") as log:
            while good < size:
                header = log.read(_HEADER.size)
                if len(header) < _HEADER.size:
                    break
                kind, length, checksum = _HEADER.unpack(header)
                end = good + _HEADER.size + length
                if end > size and kind in (_UPSERT, _DELETE):
                    break
                if kind not in (_UPSERT, _DELETE) or zlib.crc32(log.read(length)) != checksum:
                    if end < size:
                        raise Unavailable(
                            "The mutation log of the gallery is damaged in the middle: restore it "
                            "from a backup."
                        )
                    break
                good = end
        if good < size:
            self._truncate(good)

    def _truncate(self, size: int) -> None:
        self._file.truncate(size)
        os.fsync(self._file.fileno())

    def _live_rows(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows of the manifest that the log leaves, then the log's own last words.

        ``columns`` are those to read of the manifest; all of them by default.
        """
        last = self._last_words()
        if self._manifest.exists():
            changed = pa.array(last.keys(), type=pa.string())
            with pq.ParquetFile(self._manifest) as file:
                for batch in file.iter_batches(_ROWS, columns=columns):
                    kept = batch.filter(pc.invert(pc.is_in(batch.column("id"), changed)))
                    if kept.num_rows:
                        yield kept
        for number, (kind, body) in enumerate(self._frames()):
            if kind == _UPSERT:
                batch = self._batch(body)
                rows = {id_: row for row, id_ in enumerate(_ids(batch)) if last[id_] == number}
                if rows:
                    yield batch.take(pa.array(rows.values(), type=pa.int64()))

    def _last_words(self) -> dict[str, int]:
        """For each id in the log, the number of the last frame that speaks of it."""
        last: dict[str, int] = {}
        for number, (kind, body) in enumerate(self._frames()):
            ids = _ids(self._batch(body)) if kind == _UPSERT else json.loads(body)
            last.update(dict.fromkeys(ids, number))
        return last


def _ids(batch: pa.RecordBatch) -> list[str]:
    return [str(id_) for id_ in batch.column("id").to_pylist()]
