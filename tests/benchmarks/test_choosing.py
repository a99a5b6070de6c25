"""The simulation on a few photos: its structure, and that choosing well pays in it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import choosing
from benchmarks.simulation import language_model, report, trial
from benchmarks.simulation.language_model import Habits
from benchmarks.simulation.photos import Fading, simulate
from benchmarks.simulation.world import CapsuleEncoder, World, build, unit
from geofix.engine.choosing.pooling import Pool, fuse
from geofix.engine.choosing.scorer import shipped
from geofix.engine.choosing.verify import Look, Trust
from geofix.engine.encoder import LocationEncoder
from geofix.engine.types import Candidate, Channel, Filter, Float32Array, Float64Array
from geofix.geo.coordinates import haversine_km
from geofix.geo.places import country_codes

QUERIES = 140
PLACES = 6000


@pytest.fixture(scope="module")
def encoder() -> CapsuleEncoder:
    return CapsuleEncoder()


@pytest.fixture(scope="module")
def world(encoder: CapsuleEncoder) -> World:
    return build(encoder, QUERIES, places=PLACES)


@pytest.fixture(scope="module")
def measured(world: World, encoder: CapsuleEncoder) -> report.Figures:
    return choosing.measure(world, encoder, world.measure, 0.35, shipped(), bayes_photos=25)


def test_the_capsules_sum_to_the_location_encoder(encoder: CapsuleEncoder) -> None:
    places = np.array([(48.85, 2.35), (-33.9, 151.2), (0.0, 0.0)])
    together = unit(encoder.encode(places).sum(axis=0))
    np.testing.assert_allclose(together, LocationEncoder.load().encode(places), atol=1e-5)


def test_queries_and_gallery_share_no_place(world: World) -> None:
    assert len(np.unique(world.latlon, axis=0)) == len(world.latlon) == PLACES
    parts = [set(part.tolist()) for part in (world.gallery, world.fit, world.measure)]
    assert [len(part) for part in parts] == [PLACES - 2 * QUERIES, QUERIES, QUERIES]
    assert len(set.union(*parts)) == PLACES


def test_a_photo_without_fading_and_noise_finds_its_surroundings(world: World) -> None:
    clear = Fading(
        middle_mean=20.0,
        middle_spread=0.0,
        fine_mean=20.0,
        fine_spread=0.0,
        noise=0.0,
        confused=0.0,
    )
    seen = simulate(world, world.measure, clear, neighbours=5)
    found = haversine_km(seen.truth, world.gallery_latlon[seen.neighbours[:, 0]])
    possible = haversine_km(seen.truth[:, None], world.gallery_latlon[None]).min(axis=1)
    assert np.median(found / np.maximum(possible, 1.0)) < 2.0
    assert (np.diff(seen.similarities, axis=1) <= 0.0).all()


def test_the_language_model_errs_as_often_as_it_should() -> None:
    truth = np.tile([[48.0, 11.0]], (600, 1))
    places = np.random.default_rng(0).uniform(-60, 60, (500, 2))
    texts, pairs = language_model.generate(truth, places, Habits(nameable=1.0))
    assert {len(row) for row in texts} == {20}
    missing = np.isnan(pairs[..., 0])
    null = (pairs == 0.0).all(axis=2)
    assert missing.mean() == pytest.approx(0.03, abs=0.01)
    assert null.mean() == pytest.approx(0.03, abs=0.01)
    legal = ~missing & ~null
    off = haversine_km(truth[0], np.where(legal[..., None], pairs, 0.0))
    # 81 % of all answers name the place, of which 1.7 % lie more than 25 km off.
    assert (off[legal] <= 25.0).mean() == pytest.approx(0.81 / 0.94 * 0.983, abs=0.02)
    turned = haversine_km(truth[0], np.where(legal[..., None], pairs[..., ::-1], 0.0))
    assert (turned[legal] <= 25.0).mean() == pytest.approx(0.03 / 0.94, abs=0.01)


def test_geofix_beats_the_published_rules(measured: report.Figures) -> None:
    assert measured.over["g3-clean"][200.0].low > 0.0
    assert measured.over["geoclip"][200.0].low > 0.0
    assert measured.over["g3"][2500.0].low > 0.0


def test_no_rule_beats_the_best_candidate_or_bayes_in_geoscore(measured: report.Figures) -> None:
    assert measured.geo_score["pool"].value > measured.geo_score["geofix"].value
    for km, best in measured.accuracy["pool"].items():
        assert best.value >= measured.accuracy["g3-pool"][km].value
        assert measured.accuracy["g3-pool"][km].value >= measured.accuracy["g3-clean"][km].value
    assert measured.bayes["bayes"][750.0].value >= measured.bayes["g3-clean"][750.0].value


def test_the_posterior_is_the_one_that_the_engine_makes(
    world: World, encoder: CapsuleEncoder
) -> None:
    taken = trial.simulate(world, world.measure[:4], encoder, Habits(), Fading(), seed=3)

    def encode(latlon: Float64Array) -> Float32Array:
        return unit(encoder.encode(latlon).sum(axis=0))

    for case in taken.cases:
        candidates = tuple(
            Candidate(lat, lon, Channel.RETRIEVAL if is_neighbour else Channel.LMM, 0.5, 25.0, "")
            for (lat, lon), is_neighbour in zip(case.latlon.tolist(), case.retrieved, strict=True)
        )
        look = Look.at(case.vector, encode, taken.map, taken.expected, shipped())
        pool = Pool(candidates, case.latlon, tuple(country_codes(case.latlon)))
        engine = fuse(pool, (), Filter(), Trust(), look)
        ours = trial.fused(taken, case, shipped())
        np.testing.assert_allclose(ours.kernels.mass, engine.kernels.mass, rtol=1e-3, atol=1e-9)
        np.testing.assert_allclose(ours.background.mass, engine.background.mass, rtol=1e-3)
        assert haversine_km(ours.answer(), engine.answer()) < 0.1


def test_the_report_says_that_it_is_a_simulation(measured: report.Figures) -> None:
    text = report.markdown(measured)
    assert "simulation" in text.lower()
    assert all(rule in text for rule in ("geoclip", "g3-clean", "geofix", "Bayes rule"))
    assert json.loads(json.dumps(report.as_json(measured)))["photos"] == QUERIES


def test_a_scorer_can_be_fitted_on_it(world: World, encoder: CapsuleEncoder) -> None:
    many = np.concatenate([world.fit, world.gallery[:70]])
    fitted = choosing.fit(world, encoder, many)
    assert fitted.fitted_on.simulated
    assert fitted.fitted_on.photos == len(many)
    assert 0.3 < fitted.radii[0.5] < fitted.radii[0.9] < 1.0
    taken = trial.simulate(world, world.measure[:20], encoder, Habits(), Fading(), seed=5)
    said = trial.outcome(taken, taken.cases[0], fitted)
    assert 0.0 <= said.mass_at_truth <= 1.0
