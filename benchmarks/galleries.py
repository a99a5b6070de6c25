"""Figures of the embedded gallery: ``python -m benchmarks.galleries [--quick] [--json FILE]``.

With ``--living`` (places) and ``--photos`` searches over HTTP while the gallery changes and is
re-indexed, with ``--filters`` every kind of filter at every selectivity, with ``--ingest`` what it
takes to fill one, with ``--million`` a large one beside faiss and usearch.

Vectors are clustered and of low rank, as embeddings are: uniform noise would make any graph look
bad. Every figure of recall is against brute force.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from benchmarks import beside, filling, filtered
from benchmarks.living import photos, places
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
    parser.add_argument("--folder", type=Path, help="where to keep what was built, and find it")
    for name, (about, _) in TRIALS.items():
        parser.add_argument(f"--{name}", action="store_true", help=about)
    given = parser.parse_args()
    chosen = next((name for name in TRIALS if vars(given)[name]), "")
    with tempfile.TemporaryDirectory() as folder:
        run = TRIALS[chosen][1] if chosen else plain
        document, text = run(given, Path(folder))
    print(text)
    if given.json:
        given.json.write_text(json.dumps(document, indent=2) + "\n")


Outcome = tuple[Mapping[str, object], str]
"""What goes into the JSON file, and what is printed."""


def plain(given: argparse.Namespace, folder: Path) -> Outcome:
    """A gallery that is written, optimised and searched."""
    count, dimension = (5_000, 256) if given.quick else (30_000, given.dimension)
    figures, searches = asyncio.run(measure(folder, given.count or count, dimension))
    return {**figures, "searches": searches}, markdown(figures, searches)


def places_change(given: argparse.Namespace, folder: Path) -> Outcome:
    """As ``living.places``."""
    size = places.QUICK if given.quick else places.Size()
    found = asyncio.run(places.measure(size, folder, given.folder))
    return found, rows(found)


def photos_change(given: argparse.Namespace, folder: Path) -> Outcome:
    """As ``living.photos``."""
    size = photos.QUICK if given.quick else photos.Size()
    found = asyncio.run(photos.measure(size, folder, given.folder))
    return found, rows(found)


def every_filter(given: argparse.Namespace, folder: Path) -> Outcome:
    """As ``filtered``."""
    count = given.count or (5_000 if given.quick else 100_000)
    found = asyncio.run(filtered.measure(count, 512, folder))
    return {"points": count, "filters": found}, filtered.table(found)


def ingest(given: argparse.Namespace, folder: Path) -> Outcome:
    """As ``filling``."""
    count, counts = (32, (500, 2_000)) if given.quick else (320, (10_000, 100_000))
    found = asyncio.run(filling.measure(count, counts, folder))
    return found, filling.table(found)


def million(given: argparse.Namespace, folder: Path) -> Outcome:
    """As ``beside``."""
    count = given.count or (5_000 if given.quick else 1_000_000)
    found = beside.measure(count, 512, given.folder or folder)
    return {"points": count, **found}, beside.table(found)


TRIALS: dict[str, tuple[str, Callable[[argparse.Namespace, Path], Outcome]]] = {
    "living": ("searches over HTTP while 200 000 places change", places_change),
    "photos": ("the same with 2 000 JPEGs", photos_change),
    "filters": ("every filter at every selectivity", every_filter),
    "ingest": ("photos beside the bare encoder, files of vectors", ingest),
    "million": ("beside faiss and usearch", million),
}


if __name__ == "__main__":
    main()
