"""An optimised gallery has nothing left to optimise, whether its points have places or not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.edge_shard import current
from geofix.engine.gallery.records import point_id
from geofix.engine.types import Point

DIMENSION = 256
COUNT = 20_000  # 20 MB: segments of less than 10 MB get no graph


@pytest.mark.parametrize("placed", [0, 1, 2], ids=["none", "half of them", "all"])
def test_a_second_optimisation_does_nothing(tmp_path: Path, placed: int) -> None:
    vectors = np.random.default_rng(2).normal(size=(COUNT, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    place = np.full(512, 512**-0.5, dtype=np.float32)

    async def live() -> None:
        gallery = await EdgeGallery.open(
            tmp_path / "index", name="g", encoder="e", dimension=DIMENSION, exact_floats=0
        )
        for start in range(0, COUNT, 1000):
            await gallery.upsert(
                [
                    Point(
                        point_id("g", str(row)),
                        str(row),
                        1.0,
                        2.0,
                        vectors[row],
                        gps=place if row % 2 < placed else None,
                    )
                    for row in range(start, start + 1000)
                ]
            )
        await gallery.optimize()
        first = await asyncio.to_thread(current, tmp_path / "index")
        await gallery.optimize()
        assert await asyncio.to_thread(current, tmp_path / "index") == first
        await gallery.close()

    asyncio.run(live())
