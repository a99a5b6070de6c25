"""Bridges of real galleries: fitted, kept up with, and looked through."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from geofix.engine.choosing.verify import Look
from geofix.engine.encoder import LocationEncoder
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.gallery.records import point_id
from geofix.engine.location import bridge
from geofix.engine.location.bridges import Bridges
from geofix.engine.location.location_map import LocationMap, log_density
from geofix.engine.types import Float32Array, Float64Array, Point
from geofix.geo.coordinates import haversine_km
from geofix.geo.priors import earth, photo_prior
from geofix.settings import Settings

ENCODER, DIMENSION = "unaligned", 96


class World:
    """Photos whose vectors hold what location space says of their place, mixed and blurred."""

    def __init__(self) -> None:
        self.encoder = LocationEncoder.load()
        self.map = LocationMap.build(self.encoder.encode)
        self._mix = np.random.default_rng(3).standard_normal((512, DIMENSION))

    def photos(self, count: int, seed: int) -> tuple[Float64Array, Float32Array, Float32Array]:
        """Positions [n, 2] where people take photos, location vectors and image vectors."""
        rng = np.random.default_rng(seed)
        cell = rng.choice(len(photo_prior()), count, p=photo_prior())
        latlon = earth().cells.latlon[cell]
        gps = self.encoder.encode(latlon)
        images = gps @ self._mix / np.sqrt(512.0)
        images += 0.3 * rng.standard_normal((count, DIMENSION)) / np.sqrt(DIMENSION)
        unit = images / np.linalg.norm(images, axis=1, keepdims=True)
        return latlon, gps, unit.astype(np.float32)

    def points(self, gallery: str, count: int, seed: int) -> list[Point]:
        latlon, gps, images = self.photos(count, seed)
        return [
            Point(
                id=point_id(gallery, f"{seed}/{i}"),
                key=f"{seed}/{i}",
                lat=lat,
                lon=lon,
                image=images[i],
                gps=gps[i],
                contributor=f"{i}",
            )
            for i, (lat, lon) in enumerate(latlon.tolist())
        ]


@pytest.fixture(scope="module")
def world() -> World:
    return World()


class Opened:
    """Galleries of a data directory, and their bridges."""

    def __init__(self, world: World, path: Path) -> None:
        self.directory = DataDirectory(path)
        self.galleries = Galleries(self.directory, Settings(data_dir=path))
        self.bridges = Bridges(self.galleries, ENCODER, lambda: world.map)

    async def __aenter__(self) -> Opened:
        self.directory.acquire("test")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.bridges.close()
        await self.galleries.close()
        self.directory.release()

    async def add(self, name: str, points: Sequence[Point]) -> RecordedGallery:
        gallery = await self.galleries.create(name, ENCODER, DIMENSION)
        await gallery.upsert(points)
        return gallery


def test_a_bridge_is_fitted_from_500_photos_and_again_after_a_fifth(
    world: World, tmp_path: Path
) -> None:
    async def run() -> None:
        async with Opened(world, tmp_path) as opened:
            gallery = await opened.add("g", world.points("g", 499, 0))
            assert await opened.bridges.renew(gallery) is None
            assert await opened.bridges.of([await gallery.info()]) is None
            await opened.add("g", world.points("g", 1, 1))
            first = await opened.bridges.renew(gallery)
            assert first is not None
            assert first.points == 500
            assert first.weight > 0.2
            await opened.add("g", world.points("g", 99, 2))
            assert await opened.bridges.renew(gallery) is first
            await opened.add("g", world.points("g", 1, 3))
            second = await opened.bridges.renew(gallery)
            assert second is not None
            assert second.points == 600
            assert await opened.bridges.of([await gallery.info()]) is second
        file = tmp_path / "galleries" / "g" / "bridge.v1.npz"
        again = bridge.load(file, ENCODER)
        assert (again.points, again.weight) == (600, second.weight)

    asyncio.run(run())


def test_a_gallery_that_grows_is_followed_in_the_background(world: World, tmp_path: Path) -> None:
    async def run() -> None:
        async with Opened(world, tmp_path) as opened:
            gallery = await opened.add("g", world.points("g", 500, 0))
            info = await gallery.info()
            opened.bridges.keep_up(info)
            assert await opened.bridges.of([info]) is None
            held = None
            for _ in range(1200):
                if held := await opened.bridges.of([info]):
                    break
                await asyncio.sleep(0.05)
            assert held is not None
            assert held.points == 500
            await gallery.delete([point.id for point in world.points("g", 500, 0)[:150]])
            assert await opened.bridges.of([await gallery.info()]) is None

    asyncio.run(run())


def test_the_largest_gallery_lends_its_bridge_to_all(world: World, tmp_path: Path) -> None:
    async def run() -> None:
        async with Opened(world, tmp_path) as opened:
            small = await opened.add("small", world.points("small", 500, 0))
            large = await opened.add("large", world.points("large", 501, 1))
            _, gps, images = world.photos(500, 2)
            lent = bridge.fit(ENCODER, images, gps, [""] * 500)
            for name in ("small", "large"):
                bridge.save(lent, tmp_path / "galleries" / name / "bridge.v1.npz")
            own, largest = await opened.bridges.renew(small), await opened.bridges.renew(large)
            infos = [await small.info(), await large.info()]
            assert await opened.bridges.of(infos) is largest
            assert await opened.bridges.of(infos[:1]) is own is not largest

    asyncio.run(run())


def test_a_damaged_bridge_is_done_without_and_then_replaced(world: World, tmp_path: Path) -> None:
    async def run() -> None:
        async with Opened(world, tmp_path) as opened:
            gallery = await opened.add("g", world.points("g", 500, 0))
            file = tmp_path / "galleries" / "g" / "bridge.v1.npz"
            file.write_bytes(b"no bridge")
            assert await opened.bridges.of([await gallery.info()]) is None
            assert await opened.bridges.renew(gallery) is not None
            assert bridge.load(file, ENCODER).points == 500

    asyncio.run(run())


def test_across_a_bridge_the_map_leans_towards_the_place(world: World, tmp_path: Path) -> None:
    async def run() -> bridge.Bridge:
        async with Opened(world, tmp_path) as opened:
            gallery = await opened.add("g", world.points("g", 1500, 0))
            built = await opened.bridges.renew(gallery)
            assert built is not None
            return built

    built = asyncio.run(run())
    latlon, _, images = world.photos(60, 9)
    gained = []
    for at, vector in zip(latlon, bridge.apply(built, images), strict=True):
        look = Look.across(vector, world.encoder.encode, world.map, photo_prior(), built.weight)
        assert look.scorer is None
        share = photo_prior() * np.exp(look.log_ratio)
        assert share.sum() == pytest.approx(1.0)
        near = haversine_km(earth().cells.latlon, at) < 2000.0
        gained.append(np.log(share[near].sum() / photo_prior()[near].sum()))
        assert np.isfinite(log_density(look.log_ratio)).all()
    assert np.mean(gained) > 0.5


def test_photos_that_say_nothing_of_their_place_weigh_nothing(world: World) -> None:
    latlon, gps, _ = world.photos(600, 0)
    noise = np.random.default_rng(1).standard_normal((600, DIMENSION)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    built = bridge.fit(ENCODER, noise, gps, [""] * 600)
    assert bridge.weighed(built, noise, gps, latlon, world.map).weight < 0.05


def test_a_gallery_of_one_region_cannot_say_what_its_bridge_is_worth(world: World) -> None:
    _, _, images = world.photos(600, 0)
    latlon = np.random.default_rng(0).uniform((48.8, 2.2), (48.9, 2.4), (600, 2))
    gps = world.encoder.encode(latlon)
    built = bridge.fit(ENCODER, images, gps, [""] * 600)
    assert bridge.weighed(built, images, gps, latlon, world.map).weight == 0.0
