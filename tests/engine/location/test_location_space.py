"""The engine with an encoder that is not aligned: across bridges, and with calibrations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from geofix.engine import models
from geofix.engine.choosing import calibrations
from geofix.engine.choosing.calibrations import Calibrations, Fitted
from geofix.engine.choosing.conclude import Findings
from geofix.engine.choosing.scorer import uncalibrated
from geofix.engine.encoder import LocationEncoder
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.records import point_id
from geofix.engine.locate import Locator
from geofix.engine.location import bridge
from geofix.engine.location.bridge import Bridge
from geofix.engine.location.space import LocationSpace
from geofix.engine.stages import Stopwatch
from geofix.engine.types import Calibration, Filter, GalleryInfo, LocateOptions, Point, Rule
from geofix.errors import InvalidOption, ModelUnavailable
from geofix.geo.priors import earth, photo_prior
from geofix.settings import Settings

DIMENSION, COUNT = 1280, 520
FITTED_ON = Calibration("survey", 321, "2026-01-01")
OPTIONS = LocateOptions(("g",), 20, ("none",), heatmap=False)


def points() -> list[Point]:
    """A gallery whose vectors hold what location space says of their place."""
    rng = np.random.default_rng(0)
    latlon = earth().cells.latlon[rng.choice(len(photo_prior()), COUNT, p=photo_prior())]
    gps = LocationEncoder.load().encode(latlon)
    images = gps @ rng.standard_normal((512, DIMENSION)) + rng.standard_normal((COUNT, DIMENSION))
    images = (images / np.linalg.norm(images, axis=1, keepdims=True)).astype(np.float32)
    return [
        Point(
            id=point_id("g", str(i)),
            key=str(i),
            lat=float(latlon[i, 0]),
            lon=float(latlon[i, 1]),
            image=images[i],
            gps=gps[i],
        )
        for i in range(COUNT)
    ]


async def found(locator: Locator, photo: bytes) -> Findings:
    return await locator.find(photo, OPTIONS, Stopwatch())


def test_the_service_fits_a_bridge_beside_its_answers_and_then_looks_across(
    tmp_path: Path, jpeg: bytes
) -> None:
    settings = Settings(data_dir=tmp_path)

    async def run() -> None:
        locator = await Locator.open(settings, role="service")
        try:
            gallery = await locator.galleries.create("g", "lite", DIMENSION)
            await gallery.upsert(points())
            by_rule = replace(OPTIONS, rule=Rule.G3_CLEAN)
            with pytest.raises(InvalidOption, match="sees no places"):
                await locator.check(by_rule)
            first = await found(locator, jpeg)
            assert first.look is None
            for _ in range(600):
                if (look := (await found(locator, jpeg)).look) is not None:
                    break
                await asyncio.sleep(0.5)
            assert look is not None
            assert look.scorer is None
            assert np.ptp(look.log_ratio) > 0.0
            assert (await locator.locate(jpeg, OPTIONS)).calibration is None
            await locator.check(by_rule)
            answer = await locator.locate(jpeg, by_rule)
            nearest = answer.neighbours[0]
            assert (answer.lat, answer.lon) == (nearest.lat, nearest.lon)
        finally:
            await locator.close()

    asyncio.run(run())
    assert bridge.load(tmp_path / "galleries" / "g" / "bridge.v1.npz", "lite").points == COUNT


@pytest.fixture
def crossing() -> Bridge:
    weights = np.random.default_rng(1).standard_normal((DIMENSION, 512)).astype(np.float32)
    means = np.zeros(DIMENSION, dtype=np.float32), np.zeros(512, dtype=np.float32)
    return Bridge("lite", weights, *means, COUNT, strength=1.0, likeness=0.5, weight=0.5)


def test_a_calibration_keeps_the_bridge_it_was_fitted_with(
    tmp_path: Path, jpeg: bytes, crossing: Bridge
) -> None:
    galleries = {"g": COUNT}
    calibrations.save(Fitted("lite", galleries, uncalibrated(FITTED_ON), crossing), tmp_path)

    async def run() -> None:
        locator = await Locator.open(Settings(data_dir=tmp_path), role="service")
        try:
            gallery = await locator.galleries.create("g", "lite", DIMENSION)
            await gallery.upsert(points())
            seen = await found(locator, jpeg)
            assert seen.look is not None
            vector = (await locator.embed_image(jpeg)).vector
            np.testing.assert_allclose(seen.look.vector, bridge.apply(crossing, vector), atol=1e-6)
            answer = await locator.locate(jpeg, OPTIONS)
            assert answer.calibration == FITTED_ON
            by_rule = await locator.locate(jpeg, replace(OPTIONS, rule=Rule.G3_CLEAN))
            assert by_rule.calibration is None
            elsewhere = replace(OPTIONS, filter=Filter(exclude_contributors=("nobody",)))
            assert (await locator.locate(jpeg, elsewhere)).calibration == FITTED_ON
        finally:
            await locator.close()

    asyncio.run(run())


def test_a_calibration_without_its_bridge_is_damaged(tmp_path: Path, crossing: Bridge) -> None:
    calibrations.save(Fitted("lite", {"g": 1}, uncalibrated(FITTED_ON), crossing), tmp_path)
    (held,) = (tmp_path / "calibrations").glob("*.npz")
    whole = held.read_bytes()
    bridge.save(replace(crossing, weight=0.6), held)
    with pytest.raises(ModelUnavailable, match="damaged"):
        Calibrations.load(tmp_path, "lite")
    held.write_bytes(whole)
    assert Calibrations.load(tmp_path, "lite").of([_gallery("g", 1)]) is not None
    assert calibrations.remove(tmp_path, "lite", ["g"])
    assert list((tmp_path / "calibrations").iterdir()) == []


@pytest.mark.parametrize(
    ("galleries", "holds"),
    [
        ([("a", 100), ("b", 50)], True),
        ([("b", 50), ("a", 100)], True),
        ([("a", 200), ("b", 100)], True),
        ([("a", 251), ("b", 50)], False),
        ([("a", 25), ("b", 49)], False),
        ([("a", 150)], False),
        ([("a", 100), ("b", 50), ("c", 0)], False),
    ],
)
def test_a_calibration_is_of_its_galleries_and_their_size(
    tmp_path: Path, galleries: list[tuple[str, int]], holds: bool
) -> None:
    for encoder in ("lite", "lite.large", "other"):
        figures = uncalibrated(replace(FITTED_ON, dataset=encoder))
        calibrations.save(Fitted(encoder, {"a": 100, "b": 50}, figures), tmp_path)
    of = Calibrations.load(tmp_path, "lite").of([_gallery(*one) for one in galleries])
    assert (of is not None) == holds
    if of is not None:
        assert of.figures.fitted_on.dataset == "lite"


def _gallery(name: str, count: int) -> GalleryInfo:
    return GalleryInfo(name, 1, "lite", DIMENSION, count)


def test_encoders_that_lead_to_the_same_ground_share_it(
    tmp_path: Path, aligned_model: Callable[[Path], str]
) -> None:
    settings = Settings(data_dir=tmp_path)
    galleries = Galleries(DataDirectory(tmp_path), settings)
    lite, colours = (models.find(name, tmp_path) for name in ("lite", aligned_model(tmp_path)))
    opened = partial(LocationSpace.open, calibrated=False, keeps_up=False)
    space = opened(lite, galleries, settings)
    beside = opened(colours, galleries, settings, beside=space)
    assert beside.map is space.map
    elsewhere = replace(lite, location_model="trained-here")
    alone = opened(elsewhere, galleries, settings, beside=space)
    with pytest.raises(ModelUnavailable):
        _ = alone.map
