"""An operator's calibration of an aligned encoder, on findings whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from geofix.engine.choosing.conclude import Findings, weighed
from geofix.engine.choosing.scorer import Scorer, shipped
from geofix.engine.choosing.verify import Look
from geofix.engine.encoder import LocationEncoder
from geofix.engine.location.location_map import LocationMap
from geofix.engine.types import (
    Calibration,
    Candidate,
    Channel,
    Embedding,
    Filter,
    Float64Array,
    GalleryInfo,
    Neighbour,
    Photo,
    Proposal,
    Query,
)
from geofix.geo.coordinates import Coordinate
from geofix.geo.priors import earth, photo_prior
from indexer.evaluation import examples, refit
from indexer.evaluation.datasets import LabelledPhoto
from indexer.evaluation.examples import Example
from indexer.evaluation.likelihood import MapWeights, mean_log_likelihood

FITTED_ON = Calibration("test", 220, "2026-01-01")
NEIGHBOURS = 12


class World:
    """Photos that say little of their place beyond its coarse scale, and a gallery."""

    def __init__(self) -> None:
        self.encoder = LocationEncoder.load()
        self.map = LocationMap.build(self.encoder.encode)
        rng = np.random.default_rng(0)
        land = earth().cells.latlon
        self.truth: Float64Array = land[rng.choice(len(land), 220, p=photo_prior())]
        self.gallery = self.truth + rng.normal(0.0, 0.05, self.truth.shape)
        self.gps = self.encoder.encode(self.gallery)
        fog = rng.standard_normal((len(self.truth), 512)) * 2.0 / np.sqrt(512.0)
        vectors = self.encoder.encode(self.truth) + fog
        self.vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def example(self, i: int) -> Example:
        similar = self.gps @ self.vectors[i]
        rows = np.argsort(-similar)[:NEIGHBOURS]
        neighbours = tuple(
            Neighbour(
                id=str(j),
                gallery="g",
                lat=float(self.gallery[j, 0]),
                lon=float(self.gallery[j, 1]),
                similarity=float(similar[j]),
                gps=self.gps[j],
            )
            for j in rows.tolist()
        )
        photo = Photo(np.empty((0, 0, 3), np.uint8), "", 1, 1, "JPEG")
        query = Query(photo, Embedding(self.vectors[i]), neighbours, Filter())
        look = Look.at(self.vectors[i], self.encoder.encode, self.map)
        info = GalleryInfo("g", 1, "aligned", 4, len(self.gallery))
        found = Findings(query, "aligned", (info,), self.proposals(i), look=look)
        label = LabelledPhoto(str(i), lambda: b"", Coordinate(*self.truth[i].tolist()))
        return Example(label, found)

    def proposals(self, i: int) -> tuple[Proposal, ...]:
        """What text and attributes say: a place 30 km off, its country, and a map."""
        lat, lon = self.truth[i].tolist()
        sign = Candidate(min(lat + 0.3, 89.0), lon, Channel.TEXT, 0.2, 12.0, "sign")
        cells = np.random.default_rng(i).normal(0.0, 0.5, len(photo_prior())).astype(np.float32)
        return (
            Proposal(Channel.TEXT, (sign,), countries={"FR": 1.0, "US": -0.5}),
            Proposal(Channel.ATTRIBUTES, cells=cells),
        )


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_weights_are_fitted_to_what_the_engine_says(world: World) -> None:
    """The likelihood that is maximised is the posterior's own density at the truth."""
    scorer = shipped()
    weights = MapWeights(scorer.map_weight, scorer.prior_weight)
    for i in range(20):
        example = world.example(i)
        ours = mean_log_likelihood([examples.labelled(example, weights)], scorer)
        _, fused = weighed(example.found)
        assert ours == pytest.approx(fused.log_density(example.truth), abs=1e-3)


def test_it_fits_weights_where_that_helps_photos_they_have_not_seen(world: World) -> None:
    given = [world.example(i) for i in range(len(world.truth))]
    fitted = refit.refit(given, FITTED_ON)
    assert isinstance(fitted, Scorer)
    assert fitted.fitted_on is FITTED_ON
    before = np.mean([examples.answer(one, shipped())[1] for one in given])
    after = np.mean([examples.answer(one, fitted)[1] for one in given])
    assert after > before
    held = [examples.answer(one, fitted)[0].mass_at_truth <= fitted.radii[0.9] for one in given]
    assert 0.85 <= np.mean(held) <= 0.97


def test_photos_of_one_contributor_are_never_on_both_sides() -> None:
    labels = [f"person {i % 30}" for i in range(300)]
    fold = refit._fold(labels, seed=0)
    assert {len(set(fold[i::30].tolist())) for i in range(30)} == {1}
    assert np.bincount(fold).tolist() == [150, 150]
