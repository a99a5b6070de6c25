"""One gallery beside faiss and usearch: ``python -m benchmarks.galleries --million``.

The same vectors, 512-d, int8, graphs of the same width and the same queries. Each is built in a
process of its own, which ends, and searched in another one, which opens what was built: its memory
is what a service needs. With ``--folder`` what was built stays there, and another run goes on with
it. faiss and usearch are not needed by Geofix: ``pip install faiss-cpu usearch``.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.vectors import clustered, scattered
from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.records import point_id
from geofix.engine.types import Filter, Float32Array, Int64Array, Point

K = 50
_QUERIES = 200
_M, _BUILD, _EF = 16, 128, 512
_IMAGES, _LEAST, _BUILT = "images.npy", "least.npy", "built.json"
Figures = dict[str, float]
Searching = Callable[[Float32Array], Float32Array]
"""A query to the similarities of what was found."""


class Edge:
    """Ours, as the service has it: int8 in the graph, the full vectors for the last word."""

    name, needs = "Geofix", "qdrant_edge"

    @staticmethod
    def build(images: Float32Array, folder: Path) -> None:
        """Write and optimise."""
        asyncio.run(_filled(images, folder))

    @staticmethod
    def opened(images: Float32Array, folder: Path) -> Searching:
        """Open the shard."""
        loop = asyncio.new_event_loop()
        gallery = loop.run_until_complete(_edge(images, folder))

        def search(query: Float32Array) -> Float32Array:
            hits = loop.run_until_complete(gallery.search(query, K, Filter()))
            return np.array([hit.similarity for hit in hits], dtype=np.float32)

        return search


class Faiss:
    """Facebook's, with int8 vectors alone; the true similarities are looked up for the recall."""

    name, needs = "faiss HNSW SQ8", "faiss"

    @staticmethod
    def build(images: Float32Array, folder: Path) -> None:
        """Train, add and write."""
        library = importlib.import_module("faiss")
        kind = library.ScalarQuantizer.QT_8bit
        index = library.IndexHNSWSQ(images.shape[1], kind, _M, library.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _BUILD
        index.train(np.array(images[:50_000]))
        index.add(images)
        library.write_index(index, str(folder / "faiss.index"))

    @staticmethod
    def opened(images: Float32Array, folder: Path) -> Searching:
        """Read it into memory."""
        index = importlib.import_module("faiss").read_index(str(folder / "faiss.index"))
        index.hnsw.efSearch = _EF

        def search(query: Float32Array) -> Float32Array:
            keys: Int64Array = index.search(query[None], K)[1][0]
            return np.asarray(images[keys] @ query, dtype=np.float32)

        return search


class Usearch:
    """Unum's, with int8 vectors alone, as faiss."""

    name, needs = "usearch HNSW int8", "usearch"

    @staticmethod
    def build(images: Float32Array, folder: Path) -> None:
        """Add and save."""
        index = Usearch._index(images.shape[1])
        index.add(np.arange(len(images)), images)
        index.save(str(folder / "usearch.index"))

    @staticmethod
    def opened(images: Float32Array, folder: Path) -> Searching:
        """Read it into memory."""
        index = Usearch._index(images.shape[1])
        index.load(str(folder / "usearch.index"))

        def search(query: Float32Array) -> Float32Array:
            keys: Int64Array = index.search(query, K).keys.astype(np.int64)
            return np.asarray(images[keys] @ query, dtype=np.float32)

        return search

    @staticmethod
    def _index(dimension: int) -> Any:  # usearch describes no types
        return importlib.import_module("usearch.index").Index(
            ndim=dimension,
            metric="cos",
            dtype="i8",
            connectivity=_M,
            expansion_add=_BUILD,
            expansion_search=_EF,
        )


LIBRARIES = (Edge, Faiss, Usearch)
Library = type[Edge] | type[Faiss] | type[Usearch]


def measure(count: int, dimension: int, folder: Path) -> dict[str, Figures]:
    """Figures of each; a library that is not installed has none."""
    prepare(count, dimension, folder)
    found = {}
    for library in LIBRARIES:
        if importlib.util.find_spec(library.needs) is None:
            print(f"{library.needs} is not installed, and so not measured.", file=sys.stderr)
            continue
        build(library, folder)
        found[library.name] = _apart(_searched, library, folder)
    return found


def prepare(count: int, dimension: int, folder: Path) -> None:
    """Vectors, and what comes out when all are compared, unless they are there."""
    if (folder / _LEAST).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    images = clustered(count, dimension)
    np.save(folder / _IMAGES, images)
    np.save(folder / _LEAST, _least(images, _queries(images)))


def build(library: Library, folder: Path) -> None:
    """Build one, unless it is there."""
    where = folder / library.needs
    if not (where / _BUILT).exists():
        where.mkdir(exist_ok=True)
        (where / _BUILT).write_text(json.dumps(_apart(_built, library, folder)))


def table(found: dict[str, Figures]) -> str:
    """The figures as a person reads them."""
    names = ["build_s", "build_cpu_s", "rss_mib", "disk_mib", "p50_ms", "p99_ms", "recall"]
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for who, figures in found.items():
        lines.append(f"| {who} | " + " | ".join(f"{figures[n]:.4g}" for n in names) + " |")
    return "\n".join(lines)


def _apart(run: Callable[[Library, Path], Figures], library: Library, folder: Path) -> Figures:
    """Run in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, (library, folder))


def _built(library: Library, folder: Path) -> Figures:
    images = np.load(folder / _IMAGES, mmap_mode="r")
    started, cpu = time.perf_counter(), _processor_s()
    library.build(images, folder / library.needs)
    return {"build_s": time.perf_counter() - started, "build_cpu_s": _processor_s() - cpu}


def _searched(library: Library, folder: Path) -> Figures:
    images = np.load(folder / _IMAGES, mmap_mode="r")
    queries, least = _queries(images), np.load(folder / _LEAST)
    where = folder / library.needs
    importlib.import_module(library.needs)
    before = psutil.Process(os.getpid()).memory_info().rss
    search = library.opened(images, where)
    for query in queries[::4]:
        search(query)
    times, found = [], 0
    for query, enough in zip(queries, least, strict=True):
        began = time.perf_counter()
        similarities = search(query)
        times.append((time.perf_counter() - began) * 1e3)
        found += int((similarities >= enough - 1e-5).sum())
    p50, p99 = np.percentile(times, [50, 99])
    built: Figures = json.loads((where / _BUILT).read_text())
    return {
        **built,
        "rss_mib": (psutil.Process(os.getpid()).memory_info().rss - before) / 2**20,
        "disk_mib": sum(path.stat().st_blocks for path in where.rglob("*")) * 512 / 2**20,
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "recall": found / (len(queries) * K),
    }


async def _edge(images: Float32Array, folder: Path) -> EdgeGallery:
    return await EdgeGallery.open(
        folder / "edge", name="g", encoder="e", dimension=images.shape[1], optimizes=False
    )


async def _filled(images: Float32Array, folder: Path) -> None:
    gallery = await _edge(images, folder)
    latlon = scattered(len(images))
    for start in range(0, len(images), 1000):
        rows = range(start, min(start + 1000, len(images)))
        await gallery.upsert(
            [
                Point(point_id("g", str(r)), str(r), latlon[r, 0], latlon[r, 1], images[r])
                for r in rows
            ]
        )
    await gallery.optimize()
    await gallery.close()


def _processor_s() -> float:
    """Processor time of this process and of those it started and that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def _queries(images: Float32Array) -> Float32Array:
    return np.array(images[:: max(1, len(images) // _QUERIES)][:_QUERIES])


def _least(images: Float32Array, queries: Float32Array) -> Float32Array:
    """float32 [Q]: the least similarity among the true best K."""
    best = np.full((len(queries), K), -np.inf, dtype=np.float32)
    for start in range(0, len(images), 50_000):
        both = np.concatenate([best, queries @ images[start : start + 50_000].T], axis=1)
        best = np.partition(both, both.shape[1] - K, axis=1)[:, -K:]
    return np.asarray(best.min(axis=1), dtype=np.float32)
