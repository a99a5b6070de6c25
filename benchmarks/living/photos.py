"""A gallery of JPEGs, searched by photos and re-indexed to another image encoder."""

from __future__ import annotations

import asyncio
import csv
import random
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.encoders import add_image_encoder
from benchmarks.living.steady import Seen, command, watch
from benchmarks.load.photos import photos
from geofix.engine.gallery.records import point_id

GALLERY = "default"
FIRST, SECOND = "lite", "tiles"


@dataclass(frozen=True)
class Size:
    """How much is done."""

    photos: int = 2_000
    upserts: int = 200
    deletes: int = 50
    rate: float = 4.0
    """Searches a second: each is decoded and encoded."""
    before_s: float = 30.0


QUICK = Size(photos=60, upserts=6, deletes=4, rate=4.0, before_s=3.0)


async def measure(size: Size, folder: Path, kept: Path | None = None) -> dict[str, float]:
    """Figures; the filled gallery is made in ``kept``, or taken from there, where that is given."""
    base = (kept or folder) / f"photos-{size.photos}"
    started = time.perf_counter()
    if not (base / "whole").exists():
        shutil.rmtree(base, ignore_errors=True)
        await fill(size, base)
    filled_s = time.perf_counter() - started
    data_dir = folder / "photos"
    shutil.copytree(base / "data", data_dir)
    figures = await watch(_Photos(size, base, data_dir), data_dir, FIRST, size.rate, size.before_s)
    return {"photos": size.photos, "filled_s": filled_s, **figures}


async def fill(size: Size, base: Path) -> None:
    """Make the JPEGs and a gallery of the first of them."""
    first = base / "first"
    first.mkdir(parents=True)
    for row, data in enumerate(photos(size.photos + size.upserts)):
        where = first if row < size.photos else base
        (where / f"{row}.jpg").write_bytes(data)
    with (first / "index.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("file", "lat", "lon", "contributor"))
        table.writerows((f"{row}.jpg", *_place(row), f"c{row % 100}") for row in range(size.photos))
    add_image_encoder(base / "data", SECOND)
    await command(base / "data", "index", "build", str(first), "--prefix", "p")
    (base / "whole").touch()


def _place(row: int) -> tuple[float, float]:
    return -60.0 + row * 0.05 % 120.0, -170.0 + row * 0.31 % 340.0


def _id(row: int) -> str:
    return point_id(GALLERY, f"p/{row}.jpg")


class _Photos:
    """Each search sends a photo of the gallery, so that its best neighbour is known."""

    def __init__(self, size: Size, base: Path, data_dir: Path) -> None:
        self._size = size
        self._base = base
        self._data_dir = data_dir
        self._gone: set[str] = set()
        """Photos whose removal has been acknowledged."""
        self._leaving: set[int] = set()
        """Rows whose removal has been asked for: they are searched for no longer."""
        self._rng = random.Random(1)  # noqa: S311 - a seeded choice, not a secret

    async def search(self, client: httpx.AsyncClient, seen: Seen) -> bool:
        row = self._rng.randrange(self._size.photos)
        while row in self._leaving:
            row = self._rng.randrange(self._size.photos)
        gone = frozenset(self._gone)
        data = (self._base / "first" / f"{row}.jpg").read_bytes()
        answer = await client.post(
            "/v1/locate?generators=none&heatmap=false", files={"photo": ("a.jpg", data)}
        )
        if answer.status_code != 200:
            print("a search failed:", answer.text[:300], file=sys.stderr)
            return False
        found = answer.json()
        version, hits = found["galleries"][0], found["evidence"]["neighbours"]
        seen.versions.add(version["version"])
        seen.deleted += any(hit["id"] in gone for hit in hits)
        expected = {1: FIRST, 2: SECOND}.get(version["version"])
        seen.half_built += not hits or {found["encoder"], version["encoder"]} != {expected}
        seen.missed += hits[0]["id"] != _id(row) and row not in self._leaving
        return True

    async def change(self, client: httpx.AsyncClient) -> None:
        await asyncio.gather(
            command(self._data_dir, "index", "reindex", "--model", SECOND),
            self._upsert(client),
            self._delete(client),
        )

    async def _upsert(self, client: httpx.AsyncClient) -> None:
        for row in range(self._size.photos, self._size.photos + self._size.upserts):
            file = self._base / f"{row}.jpg"
            lat, lon = _place(row)
            answer = await client.post(
                f"/v1/galleries/{GALLERY}/photos",
                files={"photo": ("a.jpg", file.read_bytes())},
                data={
                    "key": f"p/{row}.jpg",
                    "lat": str(lat),
                    "lon": str(lon),
                    "uri": file.resolve().as_uri(),
                },
            )
            answer.raise_for_status()
            await asyncio.sleep(0.3)

    async def _delete(self, client: httpx.AsyncClient) -> None:
        for row in self._rng.sample(range(self._size.photos), self._size.deletes):
            self._leaving.add(row)
            answer = await client.delete(f"/v1/galleries/{GALLERY}/photos/{_id(row)}")
            answer.raise_for_status()
            self._gone.add(_id(row))
            await asyncio.sleep(0.5)
