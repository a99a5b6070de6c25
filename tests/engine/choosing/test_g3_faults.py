"""Nine faults of G3: for each, a case that G3's rule gets wrong and Geofix gets right.

G3's side is ``geofix.engine.choosing.published``, its procedure as published; ours is what the
engine runs. Location vectors are those of the built-in encoder.
"""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from geofix.engine.choosing import published, verify
from geofix.engine.choosing.background import background
from geofix.engine.choosing.posterior import mixture
from geofix.engine.encoder import LocationEncoder
from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.records import point_id
from geofix.engine.generators import router
from geofix.engine.generators.lmm.prompts import shortest
from geofix.engine.generators.lmm.reading import Guess, Rejection, read
from geofix.engine.generators.lmm.votes import candidates as voted
from geofix.engine.location.location_map import LocationMap
from geofix.engine.types import (
    Candidate,
    Channel,
    Filter,
    Float32Array,
    Float64Array,
    Neighbour,
    Point,
)
from geofix.geo.coordinates import haversine_km

PARIS = (48.8566, 2.3522)
TOKYO = (35.6762, 139.6503)
ACCRA = (5.6037, -0.1870)


@pytest.fixture(scope="module")
def encoder() -> LocationEncoder:
    return LocationEncoder.load()


@lru_cache(maxsize=1)
def the_map(encoder: LocationEncoder) -> LocationMap:
    return LocationMap.build(encoder.encode)


def at(encoder: LocationEncoder, *places: tuple[float, float]) -> Float32Array:
    return encoder.encode(np.array(places))


def json_answer(lat: float, lon: float) -> str:
    return f'{{"latitude": {lat:.4f}, "longitude": {lon:.4f}}}'


def g3_answer(
    encoder: LocationEncoder, vector: Float32Array, texts: list[str], first: tuple[float, float]
) -> Float64Array:
    rows = published.g3_candidates(texts, first)
    return published.g3(rows, published.g3_similarities(vector, rows, encoder.encode))


def geofix_answer(
    encoder: LocationEncoder,
    vector: Float32Array,
    texts: list[str],
    neighbours: list[tuple[float, float]],
) -> Float64Array:
    """What the engine answers for a photo seen in location space."""
    gps = at(encoder, *neighbours)
    retrieved = [
        Candidate(*place, Channel.RETRIEVAL, float(v @ vector), 25.0, str(i), gps=v)
        for i, (place, v) in enumerate(zip(neighbours, gps, strict=True))
    ]
    readings = [read(text) for text in texts]
    guesses = [(str(i), g) for i, g in enumerate(readings) if isinstance(g, Guess)]
    pool = [*retrieved, *voted(guesses, len(texts))]
    look = verify.Look.at(vector, encoder.encode, the_map(encoder))
    odds, widths = verify.weigh(pool, verify.Trust(), look)
    behind = background(Filter())
    latlon = np.array([(c.lat, c.lon) for c in pool])
    return mixture(latlon, widths, odds, behind, look.log_ratio[behind.cell]).answer()


def off_km(answer: Float64Array, place: tuple[float, float]) -> float:
    return float(haversine_km(answer, place))


def test_1_a_swapped_pair_is_put_right_instead_of_winning_as_nan(encoder: LocationEncoder) -> None:
    texts = [json_answer(*TOKYO), json_answer(TOKYO[1], TOKYO[0]), json_answer(*TOKYO)]
    vector = at(encoder, TOKYO)[0]
    theirs = g3_answer(encoder, vector, texts, PARIS)
    assert theirs.tolist() == [0.0, TOKYO[0]]
    swapped = read(texts[1])
    assert isinstance(swapped, Guess)
    assert (swapped.lat, swapped.lon, swapped.swapped) == (*TOKYO, True)
    assert off_km(geofix_answer(encoder, vector, texts, [PARIS]), TOKYO) < 1.0


@pytest.mark.parametrize(
    ("text", "lat", "lon"),
    [
        ("48, 2.35", 48.0, 2.35),
        ("latitude: 48,8566; longitude: 2,3522", 48.8566, 2.3522),
        ('{"latitude": 48, "longitude": 2}', 48.0, 2.0),
        ("33.8568° S, 151.2153° E", -33.8568, 151.2153),
    ],
)
def test_2_every_notation_is_read(text: str, lat: float, lon: float) -> None:
    assert off_km(np.array(published.g3_read(text)), (lat, lon)) > 1000.0
    ours = read(text)
    assert isinstance(ours, Guess)
    assert (ours.lat, ours.lon) == pytest.approx((lat, lon))


def test_2_an_answer_without_position_does_not_compete(encoder: LocationEncoder) -> None:
    texts = ["I'm sorry, I can't tell where this is."] * 3
    sao_tome, nairobi = (0.34, 6.73), (-1.29, 36.82)
    vector = at(encoder, sao_tome)[0]
    assert g3_answer(encoder, vector, texts, nairobi).tolist() == [0.0, 0.0]
    assert off_km(geofix_answer(encoder, vector, texts, [nairobi]), sao_tome) < 100.0


def test_3_an_echoed_template_is_rejected_and_ours_holds_no_number(
    encoder: LocationEncoder,
) -> None:
    echo = '{"lat": 0.0, "lon": 0.0}'
    assert published.g3_read(echo) == (0.0, 0.0)
    assert read(echo) is Rejection.NULL_ISLAND
    template = shortest()
    assert not re.search(r"\d+\.\d+", template)
    assert isinstance(read(template), Rejection)


def test_4_a_later_neighbour_can_be_the_answer(encoder: LocationEncoder) -> None:
    around_tokyo = [TOKYO, (35.69, 139.70), (35.66, 139.73), (35.71, 139.77)]
    there = at(encoder, *around_tokyo)
    elsewhere = at(encoder, PARIS)[0]
    mixed = there.mean(axis=0) + 1.2 * elsewhere  # one look-alike far away leads by a little
    vector = (mixed / np.linalg.norm(mixed)).astype(np.float32)
    assert elsewhere @ vector > (there @ vector).max()
    theirs = g3_answer(encoder, vector, [json_answer(35.70, 139.75)] * 2, PARIS)
    assert off_km(theirs, PARIS) < 1.0
    ours = geofix_answer(encoder, vector, [json_answer(35.70, 139.75)] * 2, [PARIS, *around_tokyo])
    assert off_km(ours, TOKYO) < 25.0


def points(vectors: Float32Array, places: list[tuple[float, float]], by: list[str]) -> list[Point]:
    return [
        Point(point_id("g", str(i)), str(i), *place, vector, contributor=name)
        for i, (vector, place, name) in enumerate(zip(vectors, places, by, strict=True))
    ]


def test_5_a_point_keeps_its_place_when_others_go(tmp_path: Path, encoder: LocationEncoder) -> None:
    places = [ACCRA, PARIS, TOKYO]
    vectors = at(encoder, *places)

    # G3 keeps vectors in one file and places in another, joined by row number.
    rows_left = vectors
    table_left = np.delete(np.array(places), 0, axis=0)
    first = table_left[int(np.argmax(rows_left @ vectors[1]))]
    theirs = g3_answer(encoder, vectors[1], ["no idea"], (float(first[0]), float(first[1])))
    assert off_km(theirs, PARIS) > 1000.0

    async def ours() -> tuple[float, float]:
        gallery = await EdgeGallery.open(tmp_path, name="g", encoder="e", dimension=512)
        await gallery.upsert(points(vectors, places, ["a", "b", "c"]))
        await gallery.delete([point_id("g", "0")])
        best = (await gallery.search(vectors[1], 1, Filter()))[0]
        await gallery.close()
        return best.lat, best.lon

    assert off_km(np.array(asyncio.run(ours())), PARIS) < 0.01


@pytest.mark.parametrize(
    ("place", "generated", "decoy", "agreeing"),
    [
        # A pole is a whole edge of the map: its two sides, 2 km apart, are far from each other.
        ((-89.99, 0.0), [(-89.99, 179.9), (-89.98, 120.0)], (-75.1, 0.1), []),
        # Two sides of ±180° are one island, and a width of the map lies between them.
        (
            (-16.80, 179.95),
            [*[(-16.80, -179.95)] * 4, (-17.20, 178.50)],
            (-17.20, 178.50),
            [(-16.80, -179.95), (-16.70, -179.99)],
        ),
    ],
    ids=["pole", "date line"],
)
def test_6_poles_and_the_date_line_are_places(
    encoder: LocationEncoder,
    place: tuple[float, float],
    generated: list[tuple[float, float]],
    decoy: tuple[float, float],
    agreeing: list[tuple[float, float]],
) -> None:
    """A flat projection tears them apart: Mercator, and the built-in encoder's Equal Earth, too.

    What lies across the seam is then less like the photo than what lies far off on its own side.
    Ours counts on the sphere who agrees with whom.
    """
    vector = at(encoder, place)[0]
    texts = [json_answer(*one) for one in generated]
    assert off_km(g3_answer(encoder, vector, texts, decoy), place) > 100.0
    assert off_km(geofix_answer(encoder, vector, texts, [decoy, *agreeing]), place) < 25.0


def test_7_one_row_repeated_in_the_gallery_is_no_crowd(encoder: LocationEncoder) -> None:
    """A placeholder picture under many places: the rows agree on the picture, not on a place."""
    rng = np.random.default_rng(3)
    scattered = [
        (float(a), float(b))
        for a, b in zip(rng.uniform(-50, 60, 30), rng.uniform(-170, 170, 30), strict=True)
    ]
    around = [(48.85, 2.35), (48.86, 2.36), (48.87, 2.33), (48.84, 2.38)]
    vector = at(encoder, PARIS)[0]
    placeholder = scattered[0]
    # G3 takes the first row as it comes, whatever the photo's location vector says of it, and
    # with generations that cannot be read it is left with (0, 0) or that row.
    theirs = g3_answer(encoder, vector, ["no idea"] * 4, placeholder)
    assert off_km(theirs, PARIS) > 1000.0
    ours = geofix_answer(encoder, vector, ["no idea"] * 4, [*scattered, *around])
    assert off_km(ours, PARIS) < 25.0


def test_8_the_photographers_own_photos_can_be_left_out(
    tmp_path: Path, encoder: LocationEncoder
) -> None:
    places = [PARIS, (48.8, 2.2), TOKYO]
    vectors = at(encoder, *places)

    async def ours() -> tuple[Neighbour, Neighbour]:
        gallery = await EdgeGallery.open(tmp_path, name="g", encoder="e", dimension=512)
        await gallery.upsert(points(vectors, places, ["ann", "ben", "cem"]))
        leaked = (await gallery.search(vectors[0], 1, Filter()))[0]
        kept = (await gallery.search(vectors[0], 1, Filter(exclude_contributors=("ann",))))[0]
        await gallery.close()
        return leaked, kept

    # The index that G3 searches knows no contributor: its first row is the photographer's own,
    # and a photo that nobody placed counts as placed to the metre.
    leaked, kept = asyncio.run(ours())
    assert leaked.contributor == "ann"
    theirs = g3_answer(encoder, vectors[0], ["no idea"], (leaked.lat, leaked.lon))
    assert off_km(theirs, PARIS) < 0.01
    assert kept.contributor == "ben"
    without = geofix_answer(encoder, vectors[0], ["no idea"], [(kept.lat, kept.lon)])
    assert off_km(without, (kept.lat, kept.lon)) < 1.0


def test_9_every_answer_paid_for_counts_and_a_sure_photo_pays_for_none() -> None:
    # G3 reads the first 5 of each prompt's 10 answers; here the model finds its way late.
    prompt = [json_answer(*TOKYO)] * 5 + [json_answer(*PARIS)] * 5
    read_by_g3 = published.g3_candidates(prompt[:5], TOKYO)
    assert (haversine_km(read_by_g3, PARIS) > 1000.0).all()
    guesses = [(str(i), g) for i, g in enumerate(map(read, prompt)) if isinstance(g, Guess)]
    ours = voted(guesses, len(prompt))
    assert len(ours) == 10
    assert sum(off_km(np.array((c.lat, c.lon)), PARIS) < 1.0 for c in ours) == 5
    sure = router.Signals(margin=0.95, entropy_bits=0.2, text=False, landmark=0.0, affordable=True)
    assert not router.decide(["auto"], sure).ask
