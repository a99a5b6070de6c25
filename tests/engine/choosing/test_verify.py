"""Verification on the real location encoder: similarity, hubness, agreement, published rules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofix.engine.choosing import evidence, published, verify
from geofix.engine.encoder import LocationEncoder
from geofix.engine.location.location_map import (
    LocationMap,
    expected_by_token,
    expected_places,
    log_density,
    nearest_cells,
)
from geofix.engine.types import Candidate, Channel, Float32Array, Float64Array
from geofix.geo import cells
from geofix.geo.coordinates import haversine_km
from geofix.geo.priors import earth, photo_prior

PARIS = (48.8566, 2.3522)
TOKYO = (35.6762, 139.6503)
NAIROBI = (-1.2864, 36.8172)


@pytest.fixture(scope="module")
def encoder() -> LocationEncoder:
    return LocationEncoder.load()


@pytest.fixture(scope="module")
def around(encoder: LocationEncoder) -> LocationMap:
    return LocationMap.build(encoder.encode)


def seen(encoder: LocationEncoder, place: tuple[float, float], fog: float = 0.0) -> Float32Array:
    """A photo of a place in location space, through isotropic noise of length ``fog``."""
    noise = np.random.default_rng(1).standard_normal(512) * fog / np.sqrt(512.0)
    vector = encoder.encode(np.array([place]))[0] + noise.astype(np.float32)
    unit: Float32Array = vector / np.linalg.norm(vector)
    return unit


def generated(*places: tuple[float, float]) -> list[Candidate]:
    return [Candidate(*p, Channel.LMM, 0.5, 25.0, str(i)) for i, p in enumerate(places)]


def neighbours(encoder: LocationEncoder, *places: tuple[float, float]) -> list[Candidate]:
    return [
        Candidate(*p, Channel.RETRIEVAL, 0.5, 25.0, str(i), gps=gps)
        for i, (p, gps) in enumerate(zip(places, encoder.encode(np.array(places)), strict=True))
    ]


def best(odds: Float64Array) -> int:
    """The candidate with the most mass over all scales."""
    return int(np.argmax(np.logaddexp.reduce(odds, axis=1)))


def test_every_candidate_is_compared_and_stored_vectors_are_not_encoded_again(
    encoder: LocationEncoder, around: LocationMap
) -> None:
    asked: list[Float64Array] = []

    def encode(latlon: Float64Array) -> Float32Array:
        asked.append(latlon)
        return encoder.encode(latlon)

    pool = [*neighbours(encoder, PARIS, NAIROBI), *generated(TOKYO)]
    look = verify.Look.at(seen(encoder, TOKYO), encode, around)
    odds, widths = verify.weigh(pool, verify.Trust(), look)
    assert look.scorer is not None
    assert odds.shape == widths.shape == (3, len(look.scorer.widths_km))
    assert np.isfinite(odds).all()
    assert best(odds) == 2
    assert [a.tolist() for a in asked] == [[list(TOKYO)]]


def test_agreement_outweighs_a_lone_candidate(
    encoder: LocationEncoder, around: LocationMap
) -> None:
    crowd = [(48.85, 2.35), (48.86, 2.34), (48.85, 2.33), (48.87, 2.36), (48.84, 2.35)]
    look = verify.Look.at(seen(encoder, (47.0, 11.0), 3.0), encoder.encode, around)
    together, _ = verify.weigh([*generated(*crowd), *generated(NAIROBI)], verify.Trust(), look)
    alone, _ = verify.weigh([*generated(PARIS), *generated(NAIROBI)], verify.Trust(), look)
    gained = np.logaddexp.reduce(together, axis=1)
    before = np.logaddexp.reduce(alone, axis=1)
    assert gained[0] - gained[-1] > before[0] - before[-1]
    assert best(together) < len(crowd)


def test_other_channels_keep_what_they_state(encoder: LocationEncoder, around: LocationMap) -> None:
    clue = Candidate(*PARIS, Channel.TEXT, 0.8, 12.0, "sign")
    look = verify.Look.at(seen(encoder, TOKYO), encoder.encode, around)
    odds, widths = verify.weigh([clue, *generated(TOKYO)], verify.Trust(), look)
    stated, own = verify.weigh([clue], verify.Trust(), None)
    assert odds[0, 0] == stated[0, 0]
    assert (widths[0, 0], own[0, 0]) == (12.0, 12.0)
    assert np.isneginf(odds[0, 1:]).all()


def test_without_a_look_each_candidate_has_its_own_width(encoder: LocationEncoder) -> None:
    pool = generated(PARIS, TOKYO)
    odds, widths = verify.weigh(pool, verify.Trust(), None)
    assert odds.shape == widths.shape == (2, 1)
    assert verify.scorer_for(pool, None) is None


def test_hubs_lose_by_csls() -> None:
    """Two candidates are equally like the photo, but one is like everything."""
    reference = np.zeros((40, 64), dtype=np.float32)
    reference[:, :32] = np.random.default_rng(0).uniform(0.2, 1.0, (40, 32))
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    hub = reference.mean(axis=0) / np.linalg.norm(reference.mean(axis=0))
    special = np.eye(64, dtype=np.float32)[50]
    photo = (hub + special) / np.float32(np.sqrt(2.0))
    candidates = np.stack([hub, special])
    similarity = evidence.similarities(photo, candidates)
    assert similarity[0] == pytest.approx(similarity[1], abs=1e-6)
    corrected = evidence.csls(similarity, candidates, reference)
    assert corrected[1] > corrected[0] + 0.5


def test_csls_without_reference_keeps_the_order() -> None:
    similarity = np.array([0.2, 0.5, 0.1])
    none = np.empty((0, 4), dtype=np.float32)
    corrected = evidence.csls(similarity, np.eye(3, 4, dtype=np.float32), none)
    assert np.argsort(corrected).tolist() == np.argsort(similarity).tolist()


def test_the_map_is_a_distribution_that_leans_towards_the_photo(
    encoder: LocationEncoder, around: LocationMap
) -> None:
    look = verify.Look.at(seen(encoder, NAIROBI, 1.0), encoder.encode, around)
    share = photo_prior() * np.exp(look.log_ratio)
    assert share.sum() == pytest.approx(1.0)
    near = haversine_km(earth().cells.latlon, NAIROBI) < 1000.0
    assert share[near].sum() > 5.0 * photo_prior()[near].sum()
    likeliest = earth().cells.latlon[int(np.argmax(log_density(look.log_ratio)))]
    assert float(haversine_km(likeliest, NAIROBI)) < 1500.0


@given(
    places=st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 179.9)), min_size=1, max_size=12),
    retrieved=st.integers(0, 12),
)
def test_any_legal_pool_gives_finite_evidence(
    places: list[tuple[float, float]], retrieved: int
) -> None:
    n = len(places)
    rng = np.random.default_rng(n)
    gps = rng.standard_normal((n, 16)).astype(np.float32)
    gps /= np.linalg.norm(gps, axis=1, keepdims=True)
    similarity = evidence.similarities(gps[0], gps)
    told = evidence.gather(
        np.array(places), np.arange(n) < retrieved, similarity, gps, similarity, np.zeros(n), 0.0
    )
    assert np.isfinite(told.features).all()
    assert np.isfinite(told.context).all()


# --- published rules ---------------------------------------------------------------------------


def test_g3_takes_the_greatest_cosine_and_the_first_nan_before_it(
    encoder: LocationEncoder,
) -> None:
    vector = seen(encoder, PARIS)
    rows = np.array([TOKYO, PARIS, (95.0, 10.0), (-120.0, 200.0), NAIROBI])
    similarity = published.g3_similarities(vector, rows, encoder.encode)
    assert np.isnan(similarity).tolist() == [False, False, True, True, False]
    assert published.g3(rows, similarity).tolist() == [0.0, 10.0]
    assert published.g3(rows[3:], similarity[3:]).tolist() == [0.0, 0.0]
    assert published.g3(rows[:2], similarity[:2]).tolist() == list(PARIS)
    assert published.g3_clean(rows, similarity).tolist() == list(PARIS)


def test_g3_takes_the_first_of_equals_and_keeps_what_is_not_a_number() -> None:
    rows = np.array([TOKYO, PARIS, NAIROBI])
    assert published.g3(rows, np.array([0.2, 0.5, 0.5])).tolist() == list(PARIS)
    nowhere = np.array([(float("nan"), 200.0), PARIS])
    answer = published.g3(nowhere, np.array([float("nan"), 0.9]))
    assert np.isnan(answer[0])
    assert answer[1] == 0.0
    assert published.g3_clean(nowhere, np.array([0.95, 0.9])).tolist() == list(PARIS)


@pytest.mark.parametrize(
    ("lat", "lon", "has_one"),
    [
        (90.0, 0.0, True),
        (-90.0, 0.0, True),
        (90.0000001, 0.0, True),
        (90.0001, 0.0, False),
        (300.0, 0.0, False),
        (0.0, 200.0, True),
        (0.0, 572.0, True),
        (0.0, 572.957763671875, True),
        (0.0, 572.9578247070312, False),  # the next number in single precision: over ten radians
        (0.0, 573.0, False),
        (0.0, -720.0, False),
        (float("inf"), 0.0, False),
    ],
)
def test_g3_projects_what_proj_projects_in_single_precision(
    encoder: LocationEncoder, lat: float, lon: float, has_one: bool
) -> None:
    rows = np.array([(lat, lon)])
    assert published.projectable(rows).tolist() == [has_one]
    similarity = published.g3_similarities(seen(encoder, PARIS), rows, encoder.encode)
    assert np.isfinite(similarity).tolist() == [has_one]


def test_g3_clean_drops_null_island_however_well_it_fits(encoder: LocationEncoder) -> None:
    vector = seen(encoder, (0.0, 0.0))
    rows = np.array([(0.0, 0.0), PARIS])
    similarity = published.g3_similarities(vector, rows, encoder.encode)
    assert published.g3(rows, similarity).tolist() == [0.0, 0.0]
    assert published.g3_clean(rows, similarity).tolist() == list(PARIS)
    with pytest.raises(ValueError, match="well-formed"):
        published.g3_clean(rows[:1], similarity[:1])


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ('{"latitude": 48.85, "longitude": -2.35}', (48.85, -2.35)),
        ("about +1.5 or 2.5, maybe 3.5", (1.5, 2.5)),
        ("48 and 2", (0.0, 0.0)),
        ("only 3.25", (0.0, 0.0)),
        ("", (0.0, 0.0)),
    ],
)
def test_g3_reads_the_first_two_numbers_with_a_point(text: str, pair: tuple[float, float]) -> None:
    assert published.g3_read(text) == pair


def test_geoclip_takes_the_most_similar_and_its_softmax_sums_to_one() -> None:
    rows = np.array([PARIS, TOKYO, NAIROBI])
    similarity = np.array([0.1, 0.3, 0.2])
    assert published.geoclip(rows, similarity).tolist() == list(TOKYO)
    shares = published.geoclip_probabilities(similarity)
    assert shares.sum() == pytest.approx(1.0)
    assert shares[1] / shares[2] == pytest.approx(np.exp(3.969))


def test_fading_does_not_hide_a_place(encoder: LocationEncoder, around: LocationMap) -> None:
    """A photo that shows only what its region has in common is still like its own place."""
    places = np.array([NAIROBI, PARIS, TOKYO])
    gps = encoder.encode(places)
    region = around.vectors[earth().cells.locate(places[:1])[0]]
    faded = around.faded(
        (region / np.linalg.norm(region)).astype(np.float32), nearest_cells(places), gps
    )
    plain = evidence.similarities(region / np.linalg.norm(region), gps)
    assert int(np.argmax(faded)) == 0
    assert (faded >= -1.0).all()
    assert (faded <= 1.0 + 1e-6).all()
    assert faded[0] - faded[1:].max() > plain[0] - plain[1:].max()


def test_photos_are_expected_where_a_gallery_has_them() -> None:
    nairobi = np.full((5000, 2), NAIROBI)
    at = earth().cells.locate(nairobi)
    shares = expected_places(at)
    assert shares.sum() == pytest.approx(1.0)
    assert shares[at[0]] == pytest.approx(5000 / (5000 + len(shares)), abs=0.01)
    np.testing.assert_allclose(expected_places(at[:0]), photo_prior())
    tokens = {cells.token(*NAIROBI, 5): 9999, cells.token(*NAIROBI, 8): 5000}
    np.testing.assert_allclose(expected_by_token(tokens, 8), shares)
    np.testing.assert_allclose(expected_by_token({}, 8), photo_prior())
