"""A gallery of the location vectors of places, re-indexed to another location encoder."""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.encoders import add_location_encoder
from benchmarks.living.steady import Seen, command, watch
from benchmarks.vectors import places
from geofix.engine.encoder import LocationEncoder
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.records import point_id
from geofix.engine.types import Point
from geofix.settings import Settings

GALLERY = "places"
FIRST, SECOND = "geoclip-location", "waves"
_UPSERTS, _DELETES = 100, 50
"""In one request."""
_K = 10
_SAME = 1e-5


@dataclass(frozen=True)
class Size:
    """How much is done."""

    points: int = 200_000
    upserts: int = 20_000
    deletes: int = 5_000
    rate: float = 20.0
    """Searches a second."""
    before_s: float = 30.0


QUICK = Size(points=4_000, upserts=400, deletes=100, before_s=3.0)


async def measure(size: Size, folder: Path, kept: Path | None = None) -> dict[str, float]:
    """Figures; the filled gallery is made in ``kept``, or taken from there, where that is given."""
    filled = (kept or folder) / f"places-{size.points}"
    started = time.perf_counter()
    if not (filled / "whole").exists():
        shutil.rmtree(filled, ignore_errors=True)
        await fill(size, filled)
    filled_s = time.perf_counter() - started
    data_dir = folder / "places"
    shutil.copytree(filled, data_dir)
    figures = await watch(_Places(size, data_dir), data_dir, "lite", size.rate, size.before_s)
    return {"points": size.points, "filled_s": filled_s, **figures}


async def fill(size: Size, data_dir: Path) -> None:
    """Make the gallery."""
    add_location_encoder(data_dir, SECOND, dimension=128)
    latlon = places(size.points + size.upserts)
    galleries = Galleries(DataDirectory(data_dir), Settings(data_dir=data_dir), fills=True)
    gallery = await galleries.create(GALLERY, FIRST, 512)
    encoder = LocationEncoder.load()
    for start in range(0, size.points, 2048):
        rows = range(start, min(start + 2048, size.points))
        vectors = encoder.encode(latlon[rows.start : rows.stop])
        await gallery.upsert(
            [
                Point(
                    point_id(GALLERY, str(row)),
                    str(row),
                    float(latlon[row, 0]),
                    float(latlon[row, 1]),
                    image=vectors[row - start],
                    gps=vectors[row - start],
                    contributor=f"c{row % 100}",
                )
                for row in rows
            ]
        )
    await gallery.compact()
    await gallery.optimize()
    await galleries.close()
    (data_dir / "whole").touch()


class _Places:
    """Each search asks for a place that is in the gallery, so that its best hit is known."""

    def __init__(self, size: Size, data_dir: Path) -> None:
        self._size = size
        self._data_dir = data_dir
        # Those after ``size.points`` are added while it is searched.
        self._latlon = places(size.points + size.upserts)
        self._gone: set[str] = set()
        """Points whose removal has been acknowledged."""
        self._leaving: set[int] = set()
        """Rows whose removal has been asked for: they are searched for no longer."""
        self._rng = random.Random(1)  # noqa: S311 - a seeded choice, not a secret

    async def search(self, client: httpx.AsyncClient, seen: Seen) -> bool:
        row = self._rng.randrange(self._size.points)
        while row in self._leaving:
            row = self._rng.randrange(self._size.points)
        gone = frozenset(self._gone)
        asked = {"lat": self._latlon[row, 0], "lon": self._latlon[row, 1], "k": _K}
        answer = await client.post(f"/v1/galleries/{GALLERY}/search", json=asked)
        if answer.status_code != 200:
            print("a search failed:", answer.text[:300], file=sys.stderr)
            return False
        found = answer.json()
        hits = found["hits"]
        seen.versions.add(found["version"])
        seen.deleted += any(hit["id"] in gone for hit in hits)
        expected = {1: FIRST, 2: SECOND}.get(found["version"])
        seen.half_built += len(hits) < _K or found["encoder"] != expected
        same = {hit["id"] for hit in hits if hit["similarity"] >= hits[0]["similarity"] - _SAME}
        seen.missed += point_id(GALLERY, str(row)) not in same and row not in self._leaving
        return True

    async def change(self, client: httpx.AsyncClient) -> None:
        await asyncio.gather(
            command(self._data_dir, "index", "reindex", "--gallery", GALLERY, "--model", SECOND),
            self._upsert(client),
            self._delete(client),
        )

    async def _upsert(self, client: httpx.AsyncClient) -> None:
        for start in range(self._size.points, len(self._latlon), _UPSERTS):
            points = [
                {"key": str(start + i), "lat": lat, "lon": lon}
                for i, (lat, lon) in enumerate(self._latlon[start : start + _UPSERTS].tolist())
            ]
            await self._write(client, "points", {"points": points})

    async def _delete(self, client: httpx.AsyncClient) -> None:
        rows = self._rng.sample(range(self._size.points), self._size.deletes)
        for start in range(0, len(rows), _DELETES):
            batch = rows[start : start + _DELETES]
            self._leaving.update(batch)
            await self._write(client, "points/remove", {"keys": [str(row) for row in batch]})
            self._gone.update(point_id(GALLERY, str(row)) for row in batch)

    async def _write(self, client: httpx.AsyncClient, what: str, body: object) -> None:
        answer = await client.post(f"/v1/galleries/{GALLERY}/{what}", json=body)
        answer.raise_for_status()
        await asyncio.sleep(0.1)
