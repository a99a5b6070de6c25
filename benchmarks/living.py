"""A gallery that changes while it is searched: ``python -m benchmarks.galleries --living``.

A service of its own holds the location vectors of places of the gazetteer. Searches arrive at a
steady rate over HTTP, whether or not the ones before are answered, while points are added and
removed and the gallery is re-indexed to another location encoder. Each search asks for a place
that is in the gallery, so that its best hit is known.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pyarrow.parquet as pq

from benchmarks.encoders import add_location_encoder
from geofix.engine.encoder import LocationEncoder
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.records import point_id
from geofix.engine.types import Float64Array, Point
from geofix.settings import Settings

GALLERY = "places"
SECOND = "waves"
_TABLE = Path(__file__).parents[1] / "geofix" / "geo" / "data" / "places.parquet"
_UNITS = 1e5
"""Of a degree, in the table."""
_UPSERTS, _DELETES = 200, 100
_K = 10
_SAME = 1e-5


@dataclass
class Seen:
    """What the searches of one phase met."""

    ms: list[float] = field(default_factory=list)
    failed: int = 0
    half_built: int = 0
    """Answers of a version that does not exist, of another encoder, or with too few hits."""
    missed: int = 0
    """Answers without the place that was asked for: the graph finds 998 of 1000."""
    deleted: int = 0
    """Answers with a point whose removal had been acknowledged before they were asked for."""
    versions: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Size:
    """How much is done."""

    points: int = 200_000
    upserts: int = 20_000
    deletes: int = 5_000
    rate: float = 20.0
    """Searches a second."""
    before_s: float = 30.0


QUICK = Size(points=6_000, upserts=600, deletes=200, before_s=5.0)


def places(count: int) -> Float64Array:
    """float64 [count, 2]: different places of the gazetteer in degrees, in a random order."""
    table = pq.read_table(_TABLE, columns=["lat", "lon"])
    columns = [table.column(name).to_numpy() for name in ("lat", "lon")]
    latlon = np.unique(np.stack(columns, axis=1), axis=0)
    np.random.default_rng(0).shuffle(latlon)
    return np.asarray(latlon[:count] / _UNITS, dtype=np.float64)


class Trial:
    """One service, one gallery, and everything that happens to them."""

    def __init__(self, size: Size, data_dir: Path) -> None:
        self.size = size
        self._data_dir = data_dir
        self._latlon = places(size.points + size.upserts)
        self._gone: dict[str, float] = {}
        """Keys of removed points, with when that was acknowledged."""
        self._leaving: set[int] = set()
        """Points whose removal has been asked for: they are searched for no longer."""
        self._rng = random.Random(1)  # noqa: S311 - a seeded choice, not a secret
        self._environment = {**os.environ, "GEOFIX_DATA_DIR": str(data_dir)}

    async def run(self) -> dict[str, float]:
        """The figures."""
        add_location_encoder(self._data_dir, SECOND, dimension=128)
        filled_s = await self._fill()
        command = [sys.executable, "-m", "geofix.cli.main", "serve", "--port", "0"]
        service = subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL)  # noqa: S603, ASYNC220
        try:
            async with httpx.AsyncClient(base_url=await self._address(), timeout=60.0) as client:
                await self._searches(client, Seen(), _for(3.0))
                before, during, after = Seen(), Seen(), Seen()
                await self._searches(client, before, _for(self.size.before_s))
                started = time.perf_counter()
                changing = asyncio.create_task(self._change(client))
                await self._searches(client, during, _until(changing))
                reindex_s = await changing - started
                await self._searches(client, after, _for(self.size.before_s / 2))
        finally:
            service.terminate()
            service.wait(60)
        return {
            "points": self.size.points,
            "filled_s": filled_s,
            "changing_s": reindex_s,
            **_figures("before", before),
            **_figures("during", during),
            **_figures("after", after),
            "versions_seen": len(during.versions | after.versions),
        }

    async def _fill(self) -> float:
        started = time.perf_counter()
        galleries = Galleries(DataDirectory(self._data_dir), Settings(data_dir=self._data_dir))
        gallery = await galleries.create(GALLERY, "geoclip-location", 512)
        encoder = LocationEncoder.load()
        for start in range(0, self.size.points, 2048):
            rows = range(start, min(start + 2048, self.size.points))
            vectors = encoder.encode(self._latlon[rows.start : rows.stop])
            await gallery.upsert(
                [
                    Point(
                        point_id(GALLERY, str(row)),
                        str(row),
                        float(self._latlon[row, 0]),
                        float(self._latlon[row, 1]),
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
        return time.perf_counter() - started

    async def _address(self) -> str:
        directory = DataDirectory(self._data_dir)
        for _ in range(600):
            owner = directory.owner()
            if owner is not None and owner.address and not owner.address.endswith(":0"):
                with_client = httpx.AsyncClient(base_url=owner.address)
                async with with_client as client:
                    try:
                        if (await client.get("/readyz")).status_code == 200:
                            return owner.address
                    except httpx.HTTPError:
                        pass
            await asyncio.sleep(0.2)
        raise TimeoutError("the service does not begin to answer")

    async def _searches(
        self, client: httpx.AsyncClient, seen: Seen, goes_on: Callable[[], bool]
    ) -> None:
        """Searches at the steady rate, each when it is due."""
        running: set[asyncio.Task[None]] = set()
        due = time.perf_counter()
        while goes_on():
            task = asyncio.create_task(self._search(client, seen, due))
            running.add(task)
            task.add_done_callback(running.discard)
            due += 1.0 / self.size.rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await asyncio.gather(*running)

    async def _search(self, client: httpx.AsyncClient, seen: Seen, due: float) -> None:
        row = self._rng.randrange(self.size.points)
        while row in self._leaving:
            row = self._rng.randrange(self.size.points)
        asked = {"lat": self._latlon[row, 0], "lon": self._latlon[row, 1], "k": _K}
        began = time.perf_counter()
        try:
            answer = await client.post(f"/v1/galleries/{GALLERY}/search", json=asked)
        except httpx.HTTPError as error:
            seen.failed += 1
            print("a search failed:", type(error).__name__, file=sys.stderr)
            return
        seen.ms.append((time.perf_counter() - due) * 1e3)
        if answer.status_code != 200:
            seen.failed += 1
            print("a search failed:", answer.text[:300], file=sys.stderr)
            return
        found = answer.json()
        hits = found["hits"]
        seen.versions.add(found["version"])
        removed = {key for key, at in self._gone.items() if at < began}
        seen.deleted += any(hit["id"] in removed for hit in hits)
        expected = {1: "geoclip-location", 2: SECOND}.get(found["version"])
        same = {hit["id"] for hit in hits if hit["similarity"] >= hits[0]["similarity"] - _SAME}
        itself = point_id(GALLERY, str(row))
        seen.half_built += len(hits) < _K or found["encoder"] != expected
        seen.missed += itself not in same and row not in self._leaving

    async def _change(self, client: httpx.AsyncClient) -> float:
        """Add, remove and re-index; when all of it was done."""
        command = [sys.executable, "-m", "geofix.cli.main", "index", "reindex"]
        command += ["--gallery", GALLERY, "--model", SECOND]
        reindex = await asyncio.create_subprocess_exec(
            *command,
            env=self._environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        await asyncio.gather(self._upsert(client), self._delete(client))
        _, complaint = await reindex.communicate()
        if reindex.returncode:
            raise RuntimeError(complaint.decode()[-500:])
        return time.perf_counter()

    async def _upsert(self, client: httpx.AsyncClient) -> None:
        first = self.size.points
        for start in range(first, first + self.size.upserts, _UPSERTS):
            rows = range(start, min(start + _UPSERTS, first + self.size.upserts))
            points = [
                {"key": str(row), "lat": self._latlon[row, 0], "lon": self._latlon[row, 1]}
                for row in rows
            ]
            await self._written(client, "points", {"points": points})

    async def _delete(self, client: httpx.AsyncClient) -> None:
        rows = self._rng.sample(range(self.size.points), self.size.deletes)
        for start in range(0, len(rows), _DELETES):
            batch = rows[start : start + _DELETES]
            self._leaving.update(batch)
            await self._written(client, "points/remove", {"keys": [str(row) for row in batch]})
            acknowledged = time.perf_counter()
            self._gone.update({point_id(GALLERY, str(row)): acknowledged for row in batch})

    async def _written(self, client: httpx.AsyncClient, what: str, body: object) -> None:
        answer = await client.post(f"/v1/galleries/{GALLERY}/{what}", json=body)
        answer.raise_for_status()
        await asyncio.sleep(0.1)


def _for(seconds: float) -> Callable[[], bool]:
    ends = time.perf_counter() + seconds
    return lambda: time.perf_counter() < ends


def _until(task: asyncio.Task[float]) -> Callable[[], bool]:
    return lambda: not task.done()


def _figures(phase: str, seen: Seen) -> dict[str, float]:
    p50, p99 = np.percentile(seen.ms, [50, 99]) if seen.ms else (np.nan, np.nan)
    return {
        f"{phase}_searches": len(seen.ms),
        f"{phase}_failed": seen.failed,
        f"{phase}_half_built": seen.half_built,
        f"{phase}_missed": seen.missed,
        f"{phase}_deleted_returned": seen.deleted,
        f"{phase}_p50_ms": float(p50),
        f"{phase}_p99_ms": float(p99),
    }


def measure(size: Size, folder: Path) -> Coroutine[None, None, dict[str, float]]:
    """Run the trial in a folder."""
    return Trial(size, folder / "data").run()
