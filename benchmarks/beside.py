"""One gallery beside faiss and usearch: ``python -m benchmarks.galleries --million``.

The same vectors, 512-d, graphs of the same width and the same queries; int8 where the library has
it. Each runs in a process of its own, so that its memory is its own. faiss and usearch are not
needed by Geofix: ``pip install faiss-cpu usearch``.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from benchmarks.vectors import clustered, scattered
from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.records import point_id
from geofix.engine.types import Filter, Float32Array, Int64Array, Point

K = 50
_QUERIES = 200
_M, _BUILD, _EF = 16, 128, 512
Figures = dict[str, float]
Searching = Callable[[Float32Array], Float32Array]
"""A query to the similarities of what was found."""


def measure(count: int, dimension: int) -> dict[str, Figures]:
    """Figures of each; a library that is not installed has none."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        images = clustered(count, dimension)
        np.save(folder / "images.npy", images)
        queries = images[:: max(1, count // _QUERIES)][:_QUERIES]
        np.save(folder / "least.npy", _least(images, queries))
        del images
        found = {}
        for name, needs, run in (
            ("geofix, Edge, int8", "qdrant_edge", edge),
            ("faiss, HNSW, float32", "faiss", faiss),
            ("usearch, HNSW, int8", "usearch", usearch),
        ):
            if importlib.util.find_spec(needs) is None:
                print(f"{needs} is not installed, and so not measured.", file=sys.stderr)
                continue
            context = multiprocessing.get_context("spawn")
            with context.Pool(1) as pool:
                found[name] = pool.apply(_apart, (run, folder))
        return found


def table(found: dict[str, Figures]) -> str:
    """The figures as a person reads them."""
    names = ["build_s", "rss_mib", "disk_mib", "p50_ms", "p99_ms", "recall"]
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for who, figures in found.items():
        lines.append(f"| {who} | " + " | ".join(f"{figures[n]:.4g}" for n in names) + " |")
    return "\n".join(lines)


def edge(images: Float32Array, folder: Path) -> tuple[float, Searching]:
    """Ours, as the service has it."""
    loop = asyncio.new_event_loop()
    latlon = scattered(len(images))

    async def build() -> EdgeGallery:
        gallery = await EdgeGallery.open(
            folder / "edge", name="g", encoder="e", dimension=images.shape[1], optimizes=False
        )
        for start in range(0, len(images), 1000):
            rows = range(start, min(start + 1000, len(images)))
            await gallery.upsert(
                [
                    Point(point_id("g", str(r)), str(r), latlon[r, 0], latlon[r, 1], images[r])
                    for r in rows
                ]
            )
        await gallery.optimize()
        return gallery

    started = time.perf_counter()
    gallery = loop.run_until_complete(build())
    built_s = time.perf_counter() - started

    def search(query: Float32Array) -> Float32Array:
        hits = loop.run_until_complete(gallery.search(query, K, Filter()))
        return np.array([hit.similarity for hit in hits], dtype=np.float32)

    return built_s, search


def faiss(images: Float32Array, folder: Path) -> tuple[float, Searching]:
    """Facebook's, with full vectors."""
    library = importlib.import_module("faiss")
    started = time.perf_counter()
    index = library.IndexHNSWFlat(images.shape[1], _M, library.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _BUILD
    index.add(images)
    index.hnsw.efSearch = _EF
    built_s = time.perf_counter() - started
    library.write_index(index, str(folder / "faiss.index"))

    def search(query: Float32Array) -> Float32Array:
        similarities: Float32Array = index.search(query[None], K)[0][0]
        return similarities

    return built_s, search


def usearch(images: Float32Array, folder: Path) -> tuple[float, Searching]:
    """Unum's, with int8 vectors alone: it has no full ones to compare again."""
    library = importlib.import_module("usearch.index")
    started = time.perf_counter()
    index = library.Index(
        ndim=images.shape[1],
        metric="cos",
        dtype="i8",
        connectivity=_M,
        expansion_add=_BUILD,
        expansion_search=_EF,
    )
    index.add(np.arange(len(images)), images)
    built_s = time.perf_counter() - started
    index.save(str(folder / "usearch.index"))

    def search(query: Float32Array) -> Float32Array:
        keys: Int64Array = index.search(query, K).keys.astype(np.int64)
        return np.asarray(images[keys] @ query, dtype=np.float32)

    return built_s, search


def _apart(
    run: Callable[[Float32Array, Path], tuple[float, Searching]],
    folder: Path,
) -> Figures:
    images = np.load(folder / "images.npy", mmap_mode="r")
    least = np.load(folder / "least.npy")
    before, disk = psutil.Process(os.getpid()).memory_info().rss, _disk(folder)
    built_s, search = run(images, folder)
    queries = np.array(images[:: max(1, len(images) // _QUERIES)][:_QUERIES])
    times, found = [], 0
    for query, enough in zip(queries, least, strict=True):
        began = time.perf_counter()
        similarities = search(query)
        times.append((time.perf_counter() - began) * 1e3)
        found += int((similarities >= enough - 1e-5).sum())
    p50, p99 = np.percentile(times, [50, 99])
    return {
        "build_s": built_s,
        "rss_mib": (psutil.Process(os.getpid()).memory_info().rss - before) / 2**20,
        "disk_mib": _disk(folder) - disk,
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "recall": found / (len(queries) * K),
    }


def _least(images: Float32Array, queries: Float32Array) -> Float32Array:
    """float32 [Q]: the least similarity among the true best K."""
    best = np.full((len(queries), K), -np.inf, dtype=np.float32)
    for start in range(0, len(images), 50_000):
        both = np.concatenate([best, queries @ images[start : start + 50_000].T], axis=1)
        best = np.partition(both, both.shape[1] - K, axis=1)[:, -K:]
    return np.asarray(best.min(axis=1), dtype=np.float32)


def _disk(folder: Path) -> float:
    return sum(path.stat().st_blocks for path in folder.rglob("*")) * 512 / 2**20
