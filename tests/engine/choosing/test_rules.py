"""The published rules as options of a locate: what they choose, and what then holds."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geofix.engine.choosing.conclude import Findings, conclude
from geofix.engine.choosing.verify import Look
from geofix.engine.encoder import LocationEncoder
from geofix.engine.gallery.ingest import Ingest
from geofix.engine.gallery.offers import Offer
from geofix.engine.gallery.records import point_id
from geofix.engine.gallery.sight import OwnSight
from geofix.engine.locate import Locator
from geofix.engine.location.location_map import LocationMap
from geofix.engine.types import (
    Channel,
    Embedding,
    Filter,
    GalleryInfo,
    LocateOptions,
    Neighbour,
    Photo,
    Prediction,
    Proposal,
    Query,
    Rule,
)
from geofix.errors import InvalidOption
from geofix.geo.coordinates import haversine_km
from geofix.settings import Settings

PARIS, TOKYO, ACCRA = (48.8566, 2.3522), (35.6762, 139.6503), (5.6037, -0.1870)
SWAPPED = (139.6503, 35.6762)


@pytest.fixture(scope="module")
def look() -> Look:
    """A photo that location space takes for Paris."""
    encoder = LocationEncoder.load()
    vector = encoder.encode(np.array([PARIS]))[0]
    return Look.at(vector, encoder.encode, LocationMap.build(encoder.encode))


def found(
    look: Look, *generations: tuple[float, float], where: Filter | None = None, first: bool = True
) -> Findings:
    """Generations as G3 reads them, and one neighbour in Accra."""
    photo = Photo(np.zeros((8, 8, 3), dtype=np.uint8), "ab", 8, 8, "JPEG")
    neighbour = Neighbour("n", "default", *ACCRA, 0.9, country="GH")
    query = Query(
        photo, Embedding(np.full(4, 0.5, np.float32)), (neighbour,) * first, where or Filter()
    )
    said = Proposal(Channel.LMM, read_as_g3=generations)
    info = GalleryInfo("default", 1, "aligned", 4, 1)
    return Findings(query, "aligned", (info,), (said,), look=look)


def answered(rule: Rule, findings: Findings) -> Prediction:
    return conclude(findings, LocateOptions(rule=rule, heatmap=False))


def test_g3_takes_the_most_similar_of_generations_and_best_neighbour(look: Look) -> None:
    near = (48.9, 2.4)
    answer = answered(Rule.G3, found(look, TOKYO, near, (0.0, 0.0)))
    assert (answer.lat, answer.lon) == near
    assert answer.rule is Rule.G3


def test_g3_falls_for_a_swapped_pair_and_g3_clean_does_not(look: Look) -> None:
    findings = found(look, PARIS, SWAPPED)
    fooled, clean = answered(Rule.G3, findings), answered(Rule.G3_CLEAN, findings)
    assert (fooled.lat, fooled.lon) == (0.0, SWAPPED[1])
    assert (clean.lat, clean.lon) == PARIS


def test_radii_are_the_posteriors_around_the_rules_position_and_not_called_calibrated(
    look: Look,
) -> None:
    findings = found(look, SWAPPED)
    own, fooled = answered(Rule.GEOFIX, findings), answered(Rule.G3, findings)
    assert own.calibration is not None
    assert fooled.calibration is None
    away = float(haversine_km((fooled.lat, fooled.lon), (own.lat, own.lon)))
    assert fooled.radius_90_km >= away - own.radius_90_km
    assert fooled.within[200.0] < own.within[200.0]
    assert fooled.countries == own.countries


@pytest.mark.parametrize("rule", [Rule.G3, Rule.G3_CLEAN])
def test_a_rule_keeps_to_the_filter(look: Look, rule: Rule) -> None:
    findings = found(look, PARIS, SWAPPED, (0.0, 0.0), TOKYO, where=Filter(countries=("JP",)))
    answer = answered(rule, findings)
    assert (answer.lat, answer.lon) == TOKYO


@pytest.mark.parametrize("rule", [Rule.G3, Rule.G3_CLEAN, Rule.GEOCLIP])
def test_a_rule_without_candidates_abstains(look: Look, rule: Rule) -> None:
    answer = answered(rule, found(look, first=False))
    assert answer.abstention is not None
    assert answer.abstention.cause == "no-evidence"
    assert "no candidate" in answer.abstention.detail


# --- through the whole engine ------------------------------------------------------------------


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((160, 160)).save(buffer, "JPEG")
    return buffer.getvalue()


PLACES = [tuple(row) for row in np.random.default_rng(5).uniform(-60, 70, (30, 2)).tolist()]


async def filled(settings: Settings) -> Locator:
    locator = await Locator.open(settings)
    encoder = locator.encoder
    locator._directory.acquire("test")
    gallery = await locator.galleries.create("default", encoder.name, encoder.dimension)
    ingest = Ingest(gallery, "default", OwnSight(encoder), locator.location_encoder)
    await ingest.take(
        [Offer(str(i), lambda i=i: jpeg(i), place) for i, place in enumerate(PLACES)]  # type: ignore[misc]
    )
    return locator


class Swapping(BaseHTTPRequestHandler):
    """A language model that gives latitude and longitude in the wrong order, whatever is asked."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"content": f'{{"latitude": {SWAPPED[0]}, "longitude": {SWAPPED[1]}}}'}
        body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def swapping() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Swapping)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def test_rules_through_the_engine(
    tmp_path: Path, aligned_model: Callable[[Path], str], swapping: str, look: Look
) -> None:
    """GeoCLIP's is the most similar place of the whole gallery, also beyond the neighbours.

    G3 asks the language model for every photo, and falls for what it swaps.
    """
    settings = Settings(
        data_dir=tmp_path,
        model=aligned_model(tmp_path),
        neighbours=3,
        lmm_base_url=swapping,
        lmm_model="swapping",
    )

    async def ask() -> None:
        locator = await filled(settings)
        try:
            encoded = locator.location_encoder.encode(np.array(PLACES))
            for seed in (100, 101, 102):
                vector = (await locator.embed_image(jpeg(seed))).location
                assert vector is not None
                order = np.argsort(-(encoded @ vector))
                options = LocateOptions(
                    neighbours=3, generators=("none",), heatmap=False, rule=Rule.GEOCLIP
                )
                answer = await locator.locate(jpeg(seed), options)
                assert (answer.lat, answer.lon) == pytest.approx(PLACES[order[0]])
                without = Filter(exclude_ids=(point_id("default", str(order[0])),))
                options = LocateOptions((), 3, ("none",), without, heatmap=False, rule=Rule.GEOCLIP)
                answer = await locator.locate(jpeg(seed), options)
                assert (answer.lat, answer.lon) == pytest.approx(PLACES[order[1]])
                options = LocateOptions((), 3, ("none",), heatmap=False, rule=Rule.G3)
                answer = await locator.locate(jpeg(seed), options)
                first = answer.neighbours[0]
                assert (answer.lat, answer.lon) == (first.lat, first.lon)
            options = LocateOptions((), 3, ("auto",), heatmap=False, rule=Rule.G3)
            fooled = await locator.locate(jpeg(103), options)
            assert fooled.calls
            assert (fooled.lat, fooled.lon) == (0.0, SWAPPED[1])
            clean = await locator.locate(jpeg(103), replace(options, rule=Rule.G3_CLEAN))
            first = clean.neighbours[0]
            assert (clean.lat, clean.lon) == (first.lat, first.lon)
        finally:
            await locator.close()

    asyncio.run(ask())


@pytest.mark.parametrize("rule", [Rule.G3, Rule.G3_CLEAN, Rule.GEOCLIP])
def test_an_encoder_that_sees_no_places_cannot_follow_a_published_rule(
    tmp_path: Path, rule: Rule
) -> None:
    async def ask() -> None:
        locator = await Locator.open(Settings(data_dir=tmp_path))
        options = LocateOptions(generators=("none",), rule=rule)
        try:
            with pytest.raises(InvalidOption, match="sees no places"):
                await locator.check(options)
            with pytest.raises(InvalidOption, match=str(rule)):
                await locator.locate(jpeg(0), options)
        finally:
            await locator.close()

    asyncio.run(ask())
