"""Every kind of filter at every selectivity: ``python -m benchmarks.galleries --filters``.

Recall is against the comparison of all vectors that pass, and latency beside a search without a
filter. Points lie evenly over the Earth; their vectors are clustered, as embeddings are.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.vectors import clustered, scattered
from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.records import point_id
from geofix.engine.region import contains
from geofix.engine.types import Filter, Point
from geofix.geo.coordinates import EARTH_RADIUS_KM

SELECTIVITIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
K = 50
_QUERIES = 40
_BEGAN = datetime(2000, 1, 1, tzinfo=UTC)
_YEARS = 20.0

Bools = npt.NDArray[np.bool_]
Row = dict[str, float | str]


class World:
    """Points with texts whose values pass known shares, and brute force over them."""

    def __init__(self, count: int, dimension: int) -> None:
        rng = np.random.default_rng(5)
        self.images = clustered(count, dimension)
        self.latlon = scattered(count)
        self.rank = rng.permutation(count) / count
        """Of each point, 0 to 1: values are given by it."""

    def bucket(self, row: int) -> int:
        """Which of the selectivities' steps a point lies in."""
        return int(np.searchsorted(SELECTIVITIES, self.rank[row], side="right"))

    def points(self, start: int, stop: int) -> list[Point]:
        """The points of these rows."""
        return [
            Point(
                point_id("g", str(row)),
                str(row),
                float(self.latlon[row, 0]),
                float(self.latlon[row, 1]),
                image=self.images[row],
                country=f"A{self.bucket(row)}",
                source=f"s{self.bucket(row)}",
                licence=f"l{self.bucket(row)}",
                contributor=f"c{self.bucket(row)}",
                captured_at=_moment(self.rank[row]),
            )
            for row in range(start, stop)
        ]

    def filters(self, share: float) -> dict[str, tuple[Filter, Bools]]:
        """Filters that about this share passes, with what passes exactly."""
        names = range(int(np.searchsorted(SELECTIVITIES, share)) + 1)
        below = np.array([self.bucket(row) for row in range(len(self.rank))]) < len(names)
        area = {
            "circle across 180°": Filter(circle=(10.0, 179.0, _radius_km(share))),
            "box": Filter(bbox=_box(share)),
            "polygon across 180°": Filter(polygon=_polygon(share)),
        }
        texts = {
            "country": Filter(countries=tuple(f"A{n}" for n in names)),
            "source": Filter(sources=tuple(f"s{n}" for n in names)),
            "licence": Filter(licences=tuple(f"l{n}" for n in names)),
            "not by": Filter(
                exclude_contributors=tuple(
                    f"c{n}" for n in range(len(SELECTIVITIES) + 1) if n not in names
                )
            ),
        }
        captured = Filter(captured_to=_moment(share))
        return {
            **{n: (f, contains(f.area, self.latlon, ())) for n, f in area.items()},
            **{n: (f, below) for n, f in texts.items()},
            "captured": (captured, self.rank <= share),
        }


async def measure(count: int, dimension: int, folder: Path) -> list[Row]:
    """A row for each kind and selectivity; the first one is a search without a filter."""
    world = World(count, dimension)
    gallery = await EdgeGallery.open(
        folder / "index", name="g", encoder="e", dimension=dimension, optimizes=False
    )
    for start in range(0, count, 1000):
        await gallery.upsert(world.points(start, min(start + 1000, count)))
    await gallery.optimize()
    everything = np.ones(count, dtype=bool)
    rows = [await _row(gallery, world, "none", 1.0, Filter(), everything)]
    for share in SELECTIVITIES:
        for name, (where, passes) in world.filters(share).items():
            rows.append(await _row(gallery, world, name, share, where, passes))
    await gallery.close()
    return rows


def table(rows: list[Row]) -> str:
    """The rows as a person reads them."""
    lines = [
        f"| filter | share | passing | p50 ms | p99 ms | recall@{K} |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = {name: float(value) for name, value in row.items() if name != "filter"}
        lines.append(
            f"| {row['filter']} | {numbers['share']:g} | {numbers['passing']:.0f} "
            f"| {numbers['p50_ms']:.2f} | {numbers['p99_ms']:.2f} | {numbers['recall']:.4f} |"
        )
    return "\n".join(lines)


async def _row(
    gallery: EdgeGallery, world: World, name: str, share: float, where: Filter, passes: Bools
) -> Row:
    held = world.images[passes]
    queries = world.images[:: max(1, len(world.images) // _QUERIES)][:_QUERIES]
    times, found, wanted = [], 0, 0
    for query in queries:
        began = time.perf_counter()
        hits = await gallery.search(query, K, where)
        times.append((time.perf_counter() - began) * 1e3)
        best = np.sort(held @ query)[-K:]
        wanted += len(best)
        found += sum(hit.similarity >= best[0] - 1e-5 for hit in hits) if len(best) else 0
    p50, p99 = np.percentile(times, [50, 99])
    figures: Mapping[str, float] = {
        "share": share,
        "passing": float(passes.sum()),
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "recall": found / wanted if wanted else 1.0,
    }
    return {"filter": name, **figures}


def _moment(share: float) -> str:
    moment = _BEGAN + timedelta(days=365.25 * _YEARS * float(share))
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _radius_km(share: float) -> float:
    """Of a cap that covers a share of the sphere."""
    return float(np.arccos(1.0 - 2.0 * share) * EARTH_RADIUS_KM * 1.0001)


def _box(share: float) -> tuple[float, float, float, float]:
    """Around the equator, half as high as it is wide in area."""
    side = np.sqrt(share)
    lat = float(np.degrees(np.arcsin(side)))
    return (-180.0 * side, -lat, 180.0 * side, lat)


def _polygon(share: float) -> tuple[tuple[float, float], ...]:
    """A box around (0, 180), which has no polygon of more than a hemisphere."""
    side = np.sqrt(min(share, 0.4))
    lat, lon = float(np.degrees(np.arcsin(side))), 180.0 * side
    east, west = 180.0 - lon, -180.0 + lon
    return ((-lat, east), (-lat, 180.0), (-lat, west), (lat, west), (lat, 180.0), (lat, east))
