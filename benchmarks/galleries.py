"""Figures of the embedded gallery: ``python -m benchmarks.galleries [--quick] [--json FILE]``.

With ``--living`` searches over HTTP while the gallery changes and is re-indexed, with
``--filters`` every kind of filter at every selectivity, with ``--million`` a large gallery beside
faiss and usearch.

Vectors are clustered and of low rank, as embeddings are: uniform noise would make any graph look
bad. Every figure of recall is against brute force.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import beside, filtered, living
from benchmarks.vectors import clustered, scattered
from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.ledger import Ledger
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.gallery.records import point_id
from geofix.engine.region import contains
from geofix.engine.types import Filter, Float32Array, Float64Array, Int64Array, Point

K = 50
QUERIES = 100
FILTERS = {
    "none": Filter(),
    "country (1 of 40)": Filter(countries=("C7",)),
    "circle 5000 km": Filter(circle=(10.0, 179.0, 5000.0)),
    "circle 1000 km": Filter(circle=(10.0, 179.0, 1000.0)),
    "circle 100 km": Filter(circle=(10.0, 179.0, 100.0)),
    "box across 180": Filter(bbox=(150.0, -40.0, -150.0, 40.0)),
}


def points(images: Float32Array, latlon: Float64Array, first: int) -> list[Point]:
    """One point for each row; they are numbered from ``first``."""
    return [
        Point(point_id("g", str(i)), str(i), lat, lon, image, country=f"C{i % 40}")
        for i, (image, (lat, lon)) in enumerate(zip(images, latlon.tolist(), strict=True), first)
    ]


def disk_mib(directory: Path) -> float:
    """What a directory takes on the disk."""
    return sum(path.stat().st_blocks for path in directory.rglob("*")) * 512 / 2**20


Searches = dict[str, dict[str, float]]


async def measure(directory: Path, count: int, dimension: int) -> tuple[dict[str, float], Searches]:
    """Build, optimise and search a gallery."""
    images = clustered(count, dimension)
    latlon = scattered(count)
    index = await EdgeGallery.open(directory / "v1", name="g", encoder="e", dimension=dimension)
    gallery = await RecordedGallery.open(index, Ledger(directory, dimension))
    started = time.perf_counter()
    for start in range(0, count, 1000):
        rows = slice(start, start + 1000)
        await gallery.upsert(points(images[rows], latlon[rows], start))
    written_s = time.perf_counter() - started
    longest_ms, optimised_s = await optimize(gallery, images[0])
    countries = np.array([f"C{i % 40}" for i in range(count)])
    searches = {}
    for name, where in FILTERS.items():
        passing = np.flatnonzero(contains(where, latlon, countries))
        searches[name] = await search(gallery, images, passing, where)
    disk = disk_mib(directory)
    await gallery.close()
    figures = {
        "points": count,
        "dimension": dimension,
        "written_s": written_s,
        "optimised_s": optimised_s,
        "longest_search_meanwhile_ms": longest_ms,
        "disk_mib": disk,
    }
    return figures, searches


async def optimize(gallery: RecordedGallery, vector: Float32Array) -> tuple[float, float]:
    """Longest search in ms during an optimisation, and how long that took in s."""
    started, longest = time.perf_counter(), 0.0
    optimizing = asyncio.create_task(gallery.optimize())
    while not optimizing.done():
        began = time.perf_counter()
        await gallery.search(vector, K, Filter())
        longest = max(longest, time.perf_counter() - began)
        await asyncio.sleep(0.01)
    await optimizing
    return longest * 1e3, time.perf_counter() - started


async def search(
    gallery: RecordedGallery, images: Float32Array, passing: Int64Array, where: Filter
) -> dict[str, float]:
    """Points that pass, p50 and p99 in ms, and recall."""
    times, found, wanted = [], 0, 0
    for query in images[:: max(1, len(images) // QUERIES)][:QUERIES]:
        began = time.perf_counter()
        hits = await gallery.search(query, K, where)
        times.append((time.perf_counter() - began) * 1e3)
        best = np.sort(images[passing] @ query)[-K:]
        wanted += len(best)
        found += sum(hit.similarity >= best[0] - 1e-5 for hit in hits)
    p50, p99 = np.percentile(times, [50, 99])
    return {
        "passing": len(passing),
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "recall": found / wanted if wanted else 1.0,
    }


def markdown(figures: dict[str, float], searches: Searches) -> str:
    """The figures as a person reads them."""
    lines = [
        f"{figures['points']} points of {figures['dimension']} dimensions: written in "
        f"{figures['written_s']:.1f} s, optimised in {figures['optimised_s']:.1f} s "
        f"(longest search meanwhile {figures['longest_search_meanwhile_ms']:.0f} ms), "
        f"{figures['disk_mib']:.0f} MiB.",
        "",
        f"| filter | passing | p50 ms | p99 ms | recall@{K} |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['passing']:.0f} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} "
        f"| {row['recall']:.4f} |"
        for name, row in searches.items()
    ]
    return "\n".join(lines)


def rows(figures: Mapping[str, float]) -> str:
    """Figures as a table of two columns."""
    lines = [f"| {name} | {value:.4g} |" for name, value in figures.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def main() -> None:
    """Measure in a temporary directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small galleries")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    parser.add_argument("--count", type=int, help="points")
    parser.add_argument("--dimension", type=int, default=1280)
    parser.add_argument("--living", action="store_true", help="searches while it changes")
    parser.add_argument("--filters", action="store_true", help="every filter and selectivity")
    parser.add_argument("--million", action="store_true", help="beside faiss and usearch")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.living:
            size = living.QUICK if given.quick else living.Size()
            if given.count:
                share = given.count / size.points
                size = replace(
                    size,
                    points=given.count,
                    upserts=round(size.upserts * share),
                    deletes=round(size.deletes * share),
                )
            document: dict[str, object] = {**asyncio.run(living.measure(size, Path(folder)))}
            text = rows({k: float(str(v)) for k, v in document.items()})
        elif given.filters:
            count = given.count or (5_000 if given.quick else 100_000)
            found = asyncio.run(filtered.measure(count, 512, Path(folder)))
            document, text = {"points": count, "filters": found}, filtered.table(found)
        elif given.million:
            count = given.count or (5_000 if given.quick else 1_000_000)
            compared = beside.measure(count, 512)
            document, text = {"points": count, **compared}, beside.table(compared)
        else:
            count, dimension = (5_000, 256) if given.quick else (30_000, given.dimension)
            figures, searches = asyncio.run(measure(Path(folder), given.count or count, dimension))
            document, text = {**figures, "searches": searches}, markdown(figures, searches)
    print(text)
    if given.json:
        given.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
