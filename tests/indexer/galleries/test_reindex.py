"""A gallery gets a new version while it is searched and written to, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.encoders import add_image_encoder, add_location_encoder
from geofix.engine.encoder import LocationEncoder
from geofix.engine.gallery import canaries, progress, versions
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.ledger import LedgerView
from geofix.engine.gallery.port import Quantization
from geofix.engine.gallery.records import point_id
from geofix.engine.gallery.revector import Revector
from geofix.engine.gallery.versions import VersionState
from geofix.engine.types import Filter, Float64Array, Point
from geofix.errors import CanariesFailed, Conflict, InvalidOption, NotFound
from geofix.settings import Settings
from indexer.galleries.plan import Plan
from indexer.galleries.reindex import Reindex

FIRST = "geoclip-location"
SECOND = "waves"
GALLERY = "places"


@pytest.fixture(scope="module")
def latlon() -> Float64Array:
    return np.random.default_rng(4).uniform((-60, -180), (70, 180), (900, 2))


@pytest.fixture(scope="module")
def points(latlon: Float64Array) -> list[Point]:
    vectors = LocationEncoder.load().encode(latlon)
    return [
        Point(
            point_id(GALLERY, str(i)),
            str(i),
            float(latlon[i, 0]),
            float(latlon[i, 1]),
            image=vectors[i],
            gps=vectors[i],
            contributor=f"c{i % 5}",
        )
        for i in range(len(latlon))
    ]


class World:
    """A data directory with one gallery, owned by this process as the service owns it."""

    def __init__(self, data_dir: Path) -> None:
        add_location_encoder(data_dir, SECOND)
        self.settings = Settings(data_dir=data_dir)
        self.directory = DataDirectory(data_dir)
        self.galleries = Galleries(self.directory, self.settings)

    @asynccontextmanager
    async def filled(self, points: list[Point]) -> AsyncIterator[Galleries]:
        gallery = await self.galleries.create(GALLERY, FIRST, 512)
        await gallery.upsert(points)
        try:
            yield self.galleries
        finally:
            await self.galleries.close()

    async def reindex(self, model: str = "", quantization: Quantization | None = None) -> int:
        plan = Plan(model, quantization)
        return (await Reindex(self.directory, self.settings, GALLERY, plan).run()).version

    def states(self) -> list[VersionState]:
        return [card.state for card in self.galleries.versions(GALLERY)]

    def held(self, version: int) -> dict[str, Point]:
        card = versions.read(self.directory.gallery(GALLERY), version)
        where = versions.folder(self.directory.gallery(GALLERY), version)
        pages = LedgerView(where, card.dimension).points()
        return {point.key: point for page in pages for point in page}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_new_encoder_beside_the_old_one_then_in_its_place_and_back(
    world: World, points: list[Point]
) -> None:
    async def live() -> None:
        async with world.filled(points) as galleries:
            before = await galleries.open(GALLERY)
            await before.compact()
            assert await world.reindex(model=SECOND) == 2
            assert world.states() == [VersionState.ACTIVE, VersionState.READY]
            assert await galleries.open(GALLERY) is before

            # What is acknowledged until the swap is in the new version.
            late = replace(points[0], id=point_id(GALLERY, "late"), key="late", lat=10.0, lon=20.0)
            await before.upsert([late])
            await before.delete([points[1].id])
            await galleries.activate(GALLERY, 2)

            after = await galleries.open(GALLERY)
            info = await after.info()
            assert (info.version, info.encoder, info.count) == (2, SECOND, len(points))
            wanted = {point.key for point in points} - {points[1].key} | {"late"}
            assert world.held(2).keys() == wanted
            found = await after.search(world.held(2)["late"].image, 1, Filter())
            assert found[0].id == late.id
            assert await after.get([points[1].id]) == []

            # Whoever still holds the old version reads it, and loses no write.
            assert len(await before.search(points[5].image, 3, Filter())) == 3
            await before.delete([points[2].id])
            await before.upsert([replace(points[3], lat=-5.0)])
            assert points[2].key not in world.held(2)
            assert world.held(2)[points[3].key].lat == -5.0

            # Back again: what happened meanwhile goes back, too.
            await galleries.activate(GALLERY, 1)
            assert world.states() == [VersionState.ACTIVE, VersionState.RETIRED]
            again = await galleries.open(GALLERY)
            assert (await again.info()).encoder == FIRST
            keys = world.held(1)
            assert keys.keys() == wanted - {points[2].key}
            assert keys[points[3].key].lat == -5.0
            assert await again.get([points[2].id]) == []

    asyncio.run(live())


def test_vectors_are_those_of_the_new_encoder_and_survive_the_process(
    world: World, points: list[Point], latlon: Float64Array
) -> None:
    async def live() -> None:
        async with world.filled(points) as galleries:
            await galleries.activate(GALLERY, await world.reindex(model=SECOND))

    asyncio.run(live())
    convert = Revector(FIRST, SECOND, world.settings.data_dir)
    expected = {point.key: point for point in convert(points)}
    for key, point in world.held(2).items():
        np.testing.assert_allclose(point.image, expected[key].image, atol=1e-5)
        assert point.contributor == expected[key].contributor

    async def again() -> None:
        reopened = World(world.settings.data_dir)
        gallery = await reopened.galleries.open(GALLERY)
        info = await gallery.info()
        assert (info.version, info.encoder, info.dimension) == (2, SECOND, 64)
        assert info.count == len(points)
        await reopened.galleries.close()

    asyncio.run(again())


def test_how_far_a_version_is_can_be_read_while_it_is_built(
    world: World, points: list[Point]
) -> None:
    folder = world.directory.gallery(GALLERY)
    notes: list[tuple[int, int]] = []

    def look(done: int, total: int) -> None:
        noted = progress.read(folder, 2)
        assert noted is not None
        assert noted.done <= done
        assert noted.total == total == len(points)
        notes.append((noted.done, done))

    async def live() -> None:
        async with world.filled(points):
            assert progress.read(folder, 2) is None
            plan = Plan(SECOND)
            await Reindex(world.directory, world.settings, GALLERY, plan, look).run()

    asyncio.run(live())
    assert notes[0][0] < len(points)
    assert notes[-1] == (len(points), len(points))
    damaged = versions.folder(folder, 2) / progress.FILE
    damaged.write_text("{")
    assert progress.read(folder, 2) is None


def test_another_quantization_keeps_the_vectors(world: World, points: list[Point]) -> None:
    async def live() -> None:
        async with world.filled(points) as galleries:
            made = await world.reindex(quantization=Quantization.NONE)
            await galleries.activate(GALLERY, made)
            assert galleries.card(GALLERY).quantization == "none"
            first, second = world.held(1), world.held(2)
            assert all(first[key].image.tobytes() == p.image.tobytes() for key, p in second.items())

    asyncio.run(live())


def test_a_version_that_fails_its_canaries_after_the_swap_is_taken_back(
    world: World, points: list[Point]
) -> None:
    async def live() -> None:
        async with world.filled(points) as galleries:
            gallery = world.directory.gallery(GALLERY)
            labelled = [replace(p, id=point_id("canaries", p.key)) for p in points[:20]]
            canaries.write(versions.folder(gallery, 1), labelled, 512)
            made = await world.reindex(model=SECOND)
            card = versions.read(gallery, made)
            assert card.figures["canaries"] == 20
            assert card.figures["recall"] >= 0.98
            where = versions.folder(gallery, made)
            spoilt = [replace(c, lat=-c.lat, lon=c.lon / 2) for c in canaries.read(where)]
            canaries.write(where, spoilt, 64)
            with pytest.raises(CanariesFailed, match="within 200 km"):
                await galleries.activate(GALLERY, made)
            info = await (await galleries.open(GALLERY)).info()
            assert (info.version, info.encoder) == (1, FIRST)
            assert world.states() == [VersionState.ACTIVE, VersionState.REJECTED]
            await (await galleries.open(GALLERY)).delete([points[7].id])  # writes go on
            assert points[7].key not in world.held(1)
            with pytest.raises(Conflict, match="rejected"):
                await galleries.activate(GALLERY, made)

    asyncio.run(live())


def test_a_worse_encoder_and_photos_that_are_gone_do_not_pass(
    world: World, points: list[Point]
) -> None:
    add_image_encoder(world.settings.data_dir, "tiles")

    async def live() -> None:
        async with world.filled(points[:40]):
            with pytest.raises(Conflict, match="40 of 40 photos could not be encoded again"):
                await world.reindex(model="tiles")
            assert world.states() == [VersionState.ACTIVE, VersionState.REJECTED]
            with pytest.raises(InvalidOption, match="waves"):
                await world.reindex(model="none of these")

    asyncio.run(live())


def test_what_nobody_has_built_cannot_be_activated(world: World, points: list[Point]) -> None:
    async def live() -> None:
        async with world.filled(points[:5]) as galleries:
            with pytest.raises(NotFound):
                await galleries.activate(GALLERY, 7)
            folder = world.directory.gallery(GALLERY)
            half = replace(versions.read(folder, 1), version=2, state=VersionState.BUILDING)
            versions.write(folder, half)
            with pytest.raises(Conflict, match="building"):
                await galleries.activate(GALLERY, 2)

    asyncio.run(live())


def test_versions_out_of_use_are_removed_after_the_grace_period(
    tmp_path: Path, points: list[Point]
) -> None:
    world = World(tmp_path)

    async def live() -> None:
        async with world.filled(points[:50]) as galleries:
            await galleries.activate(GALLERY, await world.reindex(model=SECOND))
            await galleries.expire()
            assert len(world.states()) == 2
            folder = world.directory.gallery(GALLERY)
            for version in (1, 2):
                (folder / f"bridge.v{version}.npz").touch()
            old = replace(versions.read(folder, 1), ended_at="2020-01-01T00:00:00Z")
            versions.write(folder, old)
            await galleries.expire()
            assert len(world.states()) == 2  # searches may still be reading it

    async def later() -> None:
        again = World(tmp_path)
        await again.galleries.expire()
        assert again.states() == [VersionState.ACTIVE]
        folder = again.directory.gallery(GALLERY)
        assert not versions.folder(folder, 1).exists()
        assert [path.name for path in folder.glob("bridge.*")] == ["bridge.v2.npz"]

    asyncio.run(live())
    asyncio.run(later())


REINDEX = """
import asyncio, sys
from pathlib import Path
from geofix.engine.gallery.directory import DataDirectory
from geofix.settings import Settings
from indexer.galleries.plan import Plan
from indexer.galleries.reindex import Reindex
data = Path(sys.argv[1])
settings = Settings(data_dir=data)
print("begins", flush=True)
asyncio.run(Reindex(DataDirectory(data), settings, "places", Plan("waves", pace=0.5)).run())
"""
KILLS = 10


def cut_off(data_dir: Path, after_s: float) -> bool:
    """Begin to re-index and kill it after a while; whether it was still at work."""
    command = [sys.executable, "-c", REINDEX, str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:  # noqa: S603
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"begins\n"
            time.sleep(after_s)
        finally:
            child.kill()
    return child.returncode == -signal.SIGKILL


def test_after_ten_times_kill_9_a_version_is_that_of_an_undisturbed_build(
    world: World, points: list[Point], tmp_path_factory: pytest.TempPathFactory
) -> None:
    moments = random.Random(5)  # noqa: S311 - a seeded choice, not a secret
    undisturbed = World(tmp_path_factory.mktemp("undisturbed"))

    async def live() -> None:
        async with world.filled(points) as galleries:
            gallery = await galleries.open(GALLERY)
            killed = tried = 0
            while killed < KILLS and tried < 3 * KILLS:
                after_s = moments.uniform(0.0, 1.0)
                killed += await asyncio.to_thread(cut_off, world.settings.data_dir, after_s)
                await gallery.delete([points[tried].id])
                await gallery.upsert([replace(points[100 + tried], lat=1.5, lon=2.5)])
                tried += 1
            assert killed == KILLS
            kept = list(world.held(1).values())
            assert len(kept) == len(points) - tried
            assert await world.reindex(model=SECOND) == 2
            await galleries.activate(GALLERY, 2)
            async with undisturbed.filled(kept) as others:
                await others.activate(GALLERY, await undisturbed.reindex(model=SECOND))
                one, other = await galleries.open(GALLERY), await others.open(GALLERY)
                for point in list(undisturbed.held(2).values())[:20]:
                    found = await one.search(point.image, 10, Filter())
                    expected = await other.search(point.image, 10, Filter())
                    assert [hit.id for hit in found] == [hit.id for hit in expected]

    asyncio.run(live())
    held, expected = world.held(2), undisturbed.held(2)
    assert held.keys() == expected.keys()
    for key, point in held.items():
        np.testing.assert_allclose(point.image, expected[key].image, atol=1e-6)
        same = replace(expected[key], image=point.image, gps=point.gps)
        assert str(point) == str(same)
