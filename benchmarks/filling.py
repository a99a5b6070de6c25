"""What it takes to fill a gallery: ``python -m benchmarks.galleries --ingest``.

Photos: JPEGs of 2 megapixels through ``Ingest`` beside the bare encoder, for which the same files
are decoded in as many threads, and which is given batches of the same size; and beside the limit,
which also prepares them for the model in those threads, as ``Ingest`` does. Neither does anything
else. All run in this process, turn about. Vectors: files of 512-d rows through ``geofix index
build``, each in a process of its own, whose memory is watched: what it has allocated, apart from
pages of files, which the system takes back when it needs them.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.encoders import add_location_encoder
from benchmarks.load import vit
from benchmarks.load.photos import photos
from benchmarks.vectors import clustered, places
from geofix.engine import image, models
from geofix.engine.encoder import Encoder, LocationEncoder
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.ingest import Ingest
from geofix.engine.gallery.offers import Offer, Status
from geofix.engine.gallery.sight import OwnSight
from geofix.engine.types import Float32Array
from geofix.geo.places import country_codes
from geofix.settings import Settings
from indexer.galleries.build import BATCH, Report, build

DIMENSION = 512
_THREADS = 4
_AHEAD = 2
_ENCODER = "wide"
_WATCH_S = 0.05
Figures = dict[str, float]
T = TypeVar("T")


async def of_photos(count: int, folder: Path) -> dict[str, Figures]:
    """Photos a second by encoder: bare, through ``Ingest``, and the share of the two."""
    vit.place(folder)
    files = list(photos(count))
    country_codes([(0.5, 0.5)])  # borders are read once for a process
    found = {}
    for name in ("lite", vit.NAME):
        encoder = Encoder.load(models.find(name, folder))
        encoder.warm_up()
        half = count // 2
        times = {"bare": 0.0, "limit": 0.0, "ingest": 0.0}
        for part, taken in enumerate((files[:half], files[half:])):
            times["bare"] += await asyncio.to_thread(_bare, encoder, taken)
            times["limit"] += await asyncio.to_thread(_limit, encoder, taken)
            times["ingest"] += await _ingest(encoder, taken, folder / f"{name}-{part}")
        found[name] = {
            "bare_per_s": count / times["bare"],
            "limit_per_s": count / times["limit"],
            "ingest_per_s": count / times["ingest"],
            "share": times["bare"] / times["ingest"],
            "share_of_limit": times["limit"] / times["ingest"],
        }
    return found


def _bare(encoder: Encoder, files: Sequence[bytes]) -> float:
    """Seconds that decoding in threads and encoding take."""
    decode = partial(image.decode, target=encoder.decode_target)
    return _ahead(decode, encoder.encode, files)


def _limit(encoder: Encoder, files: Sequence[bytes]) -> float:
    """As ``_bare``, with all but the model itself in the threads."""

    def prepared(data: bytes) -> Float32Array:
        return encoder.prepare(image.decode(data, target=encoder.decode_target))

    return _ahead(prepared, encoder.encode_prepared, files)


def _ahead(
    prepare: Callable[[bytes], T],
    encode: Callable[[Sequence[T]], object],
    files: Sequence[bytes],
) -> float:
    """Seconds for all files, two batches prepared ahead."""
    with ThreadPoolExecutor(_THREADS) as threads:
        started = time.perf_counter()
        ahead: deque[list[Future[T]]] = deque()
        for start in range(0, len(files), BATCH):
            ahead.append([threads.submit(prepare, data) for data in files[start : start + BATCH]])
            if len(ahead) > _AHEAD:
                encode([one.result() for one in ahead.popleft()])
        for batch in ahead:
            encode([one.result() for one in batch])
        return time.perf_counter() - started


async def _ingest(encoder: Encoder, files: Sequence[bytes], data_dir: Path) -> float:
    """Seconds from the first photo until the last one is on the disk and can be found."""
    galleries = Galleries(DataDirectory(data_dir), Settings(data_dir=data_dir), fills=True)
    gallery = await galleries.create("g", encoder.name, encoder.dimension)
    locations = LocationEncoder.load()
    locations.warm_up()
    offers = [
        Offer(str(i), lambda data=data: data, (i % 90 + 0.5, i % 180 + 0.5))  # type: ignore[misc]
        for i, data in enumerate(files)
    ]
    report = Report()
    with ThreadPoolExecutor(_THREADS) as threads:
        ingest = Ingest(gallery, "g", OwnSight(encoder, threads), locations, threads)
        started = time.perf_counter()
        await build(offers, ingest, report)
        took_s = time.perf_counter() - started
    await galleries.close()
    if report.counts[Status.ADDED] != len(files):
        raise RuntimeError(f"not all were added: {report.counts}")
    return took_s


def of_vectors(counts: Sequence[int], folder: Path) -> dict[str, Figures]:
    """Seconds and the peak of allocated memory in MiB, by number of rows."""
    found = {}
    for count in counts:
        file, data_dir = folder / f"{count}.parquet", folder / f"vectors-{count}"
        _write(file, count)
        add_location_encoder(data_dir, _ENCODER, DIMENSION)
        seconds, peak_mib = _watched(
            ["index", "build", str(file), "--encoder", _ENCODER, "--json"], data_dir
        )
        found[str(count)] = {"seconds": seconds, "peak_mib": peak_mib}
    return found


def _write(file: Path, count: int) -> None:
    """A file of vectors at places of the gazetteer."""
    vectors, latlon = clustered(count, DIMENSION), places(count)
    table = pa.table(
        {
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSION),
            "lat": latlon[:, 0],
            "lon": latlon[:, 1],
            "id": [str(row) for row in range(count)],
            "contributor": [f"c{row % 100}" for row in range(count)],
        }
    )
    pq.write_table(table, file, row_group_size=4096)


def _watched(arguments: Sequence[str], data_dir: Path) -> tuple[float, float]:
    """Run ``geofix``: seconds, and the peak of its and its children's anonymous memory."""
    started = time.perf_counter()
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "geofix.cli.main", *arguments],
        env={**os.environ, "GEOFIX_DATA_DIR": str(data_dir)},
        stdout=subprocess.DEVNULL,
    ) as child:
        peak, process = 0, psutil.Process(child.pid)
        while child.poll() is None:
            peak = max(peak, sum(map(_anonymous, [process, *process.children(recursive=True)])))
            time.sleep(_WATCH_S)
    if child.returncode:
        raise RuntimeError(f"{arguments} failed")
    return time.perf_counter() - started, peak / 2**20


def _anonymous(process: psutil.Process) -> int:
    """Bytes resident that are no file's."""
    try:
        memory = process.memory_info()
    except psutil.NoSuchProcess:
        return 0
    return int(memory.rss - memory.shared)


def table(of: dict[str, dict[str, Figures]]) -> str:
    """Both parts as a person reads them."""
    lines = [
        "| encoder | bare photos/s | limit | ingest | of bare | of the limit |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {f['bare_per_s']:.1f} | {f['limit_per_s']:.1f} | {f['ingest_per_s']:.1f} "
        f"| {f['share']:.3f} | {f['share_of_limit']:.3f} |"
        for name, f in of["photos"].items()
    ]
    lines += ["", "| rows of 512-d | s | peak MiB |", "|---|---|---|"]
    lines += [
        f"| {count} | {f['seconds']:.1f} | {f['peak_mib']:.0f} |"
        for count, f in of["vectors"].items()
    ]
    return "\n".join(lines)


async def measure(count: int, rows: Sequence[int], folder: Path) -> dict[str, dict[str, Figures]]:
    """Both parts."""
    return {
        "photos": await of_photos(count, folder),
        "vectors": await asyncio.to_thread(of_vectors, rows, folder),
    }
