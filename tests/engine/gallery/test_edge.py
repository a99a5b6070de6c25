"""What only the embedded gallery has: a graph over int8 vectors, built in another process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.records import point_id
from geofix.engine.region import contains
from geofix.engine.types import Filter, Point

DIMENSION = 512
COUNT = 12_000


def test_the_graph_finds_nearly_all_and_a_filter_exactly_all(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(300, DIMENSION))
    images = centres[rng.integers(300, size=COUNT)] + rng.normal(size=(COUNT, DIMENSION))
    images = (images / np.linalg.norm(images, axis=1, keepdims=True)).astype(np.float32)
    latlon = np.stack([rng.uniform(-80, 80, COUNT), rng.uniform(-180, 180, COUNT)], axis=1)
    points = [
        Point(point_id("g", str(i)), str(i), latlon[i, 0], latlon[i, 1], images[i])
        for i in range(COUNT)
    ]
    circle = Filter(circle=(10.0, 179.0, 1500.0))

    async def check() -> None:
        gallery = await EdgeGallery.open(
            tmp_path, name="g", encoder="e", dimension=DIMENSION, exact_floats=0
        )
        await gallery.upsert(points)
        before = (tmp_path / "current").read_text()
        await gallery.optimize()
        assert (tmp_path / "current").read_text() != before
        indexed = await gallery._call(lambda shard: shard.info().indexed_vectors_count)
        assert indexed >= COUNT * 0.7
        found = 0
        for i in range(0, COUNT, 400):
            similarities = images @ images[i]
            hits = await gallery.search(images[i], 50, Filter())
            worst = np.sort(similarities)[-50]
            found += sum(hit.similarity >= worst - 1e-5 for hit in hits)
            assert [h.similarity for h in hits] == sorted(
                (h.similarity for h in hits), reverse=True
            )
        assert found / (50 * len(range(0, COUNT, 400))) >= 0.98
        near = await gallery.search(images[0], 50, circle)
        inside = contains(circle, latlon, ())
        expected = np.sort(images[inside] @ images[0])[::-1][:50]
        np.testing.assert_allclose([hit.similarity for hit in near], expected, atol=1e-5)
        await gallery.close()

    asyncio.run(check())


def test_what_an_interrupted_optimisation_leaves_is_removed(tmp_path: Path) -> None:
    async def check() -> None:
        gallery = await EdgeGallery.open(tmp_path, name="g", encoder="e", dimension=4)
        await gallery.upsert(
            [Point(point_id("g", "a"), "a", 1.0, 2.0, np.eye(4, dtype=np.float32)[0])]
        )
        await gallery.close()
        (tmp_path / "half-built" / "segments").mkdir(parents=True)
        again = await EdgeGallery.open(tmp_path, name="g", encoder="e", dimension=4)
        assert not (tmp_path / "half-built").exists()
        assert await again.count() == 1
        await again.close()

    asyncio.run(check())
