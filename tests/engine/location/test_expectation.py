"""What a real gallery makes one expect, and when it is counted again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.records import point_id
from geofix.engine.location.expectation import Expectation
from geofix.engine.location.location_map import expected_places
from geofix.engine.types import Float64Array, Point
from geofix.geo.priors import earth


def points(first: int, n: int, place: tuple[float, float]) -> list[Point]:
    vector = np.eye(4, dtype=np.float32)[0]
    return [Point(point_id("g", str(i)), str(i), *place, vector) for i in range(first, first + n)]


def test_it_follows_the_gallery_but_does_not_count_at_every_photo(tmp_path: Path) -> None:
    nairobi, quito = (-1.2864, 36.8172), (-0.22, -78.51)

    async def check() -> tuple[list[Float64Array], int]:
        gallery = await EdgeGallery.open(tmp_path, name="g", encoder="e", dimension=4)
        expectation = Expectation()
        seen = []
        for first, n, place in ((0, 50, nairobi), (50, 5, quito), (55, 45, quito)):
            await gallery.upsert(points(first, n, place))
            seen.append(await expectation.places([gallery], [await gallery.info()]))
        count = await gallery.count()
        await gallery.close()
        return seen, count

    (first, same, grown), count = asyncio.run(check())
    assert count == 100
    assert same is first
    cells = earth().cells.locate(np.array([nairobi] * 50 + [quito] * 50))
    np.testing.assert_allclose(first, expected_places(cells[:50]))
    np.testing.assert_allclose(grown, expected_places(cells))
    assert grown.sum() == pytest.approx(1.0)
