"""Every rule on the same simulated photos and candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.simulation import language_model, photos, searching
from benchmarks.simulation.language_model import Habits
from benchmarks.simulation.photos import Fading, Photos
from benchmarks.simulation.world import CapsuleEncoder, World, unit
from geofix.engine.choosing import background, evidence, posterior, published, verify
from geofix.engine.choosing.evidence import BoolArray, Evidence
from geofix.engine.choosing.scorer import Scorer
from geofix.engine.generators.lmm.reading import Guess, read
from geofix.engine.location import location_map
from geofix.engine.location.location_map import LocationMap
from geofix.engine.types import LEVELS_KM, Filter, Float32Array, Float64Array, Int64Array
from geofix.geo.coordinates import haversine_km
from geofix.geo.priors import earth
from indexer.evaluation import searched_area
from indexer.evaluation.calibrate import Outcome
from indexer.evaluation.likelihood import Labelled, MapWeights


@dataclass(frozen=True, slots=True)
class Case:
    """One photo as the rules see it."""

    truth: Float64Array
    """(lat, lon)."""
    vector: Float32Array
    """[512], the photo's in location space."""
    texts: tuple[str, ...]
    """What the language model wrote."""
    written: Float32Array
    """[t, 512]: location vectors of the positions that G3 reads in the texts and can encode."""
    latlon: Float64Array
    """[n, 2]: neighbours, then the generations that Geofix reads."""
    cell: Int64Array
    """[n] of ``earth()``, −1 at sea."""
    retrieved: BoolArray
    similarity: Float64Array
    gps: Float32Array
    faded: Float64Array


@dataclass(frozen=True, slots=True)
class Trial:
    """Simulated photos with the language model's answers."""

    photos: Photos
    pairs: Float64Array
    """[P, 20, 2] as written; NaN: none."""
    cases: tuple[Case, ...]
    map: LocationMap
    expected: Float64Array
    """[N], where the gallery's photos make one expect others."""

    def log_ratio(self, case: Case, weight: float, prior_weight: float) -> Float64Array:
        """What the location map says of one photo."""
        return self.map.log_ratio(case.vector, weight, prior_weight, self.expected)


@dataclass(slots=True)
class Results:
    """What the rules answered, float64 [P] each."""

    distance_km: dict[str, Float64Array] = field(default_factory=dict)
    """From each rule's answer to the truth; ``pool`` is the best candidate of all, ``g3-pool`` the
    best of those that G3 chooses from."""
    within: dict[float, Float64Array] = field(default_factory=dict)
    """Geofix's calibrated probabilities."""
    radius_50_km: Float64Array = field(default_factory=lambda: np.empty(0))
    radius_90_km: Float64Array = field(default_factory=lambda: np.empty(0))
    answers: Float64Array = field(default_factory=lambda: np.empty((0, 2)))
    """[P, 2], Geofix's."""
    g3_confidence: Float64Array = field(default_factory=lambda: np.empty(0))
    """The cosine of the candidate that g3-clean chose."""
    area_km2: Float64Array = field(default_factory=lambda: np.empty(0))
    """Searched before the truth is found, by Geofix's map."""
    geoclip_area_km2: Float64Array = field(default_factory=lambda: np.empty(0))


def simulate(
    world: World,
    rows: Int64Array,
    encoder: CapsuleEncoder,
    habits: Habits,
    fading: Fading,
    seed: int,
) -> Trial:
    """Photos at the places ``rows``, their neighbours and generations."""
    seen = photos.simulate(world, rows, fading, seed=seed)
    gallery = world.gallery_latlon
    texts, pairs = language_model.generate(seen.truth, gallery, habits, seed=seed + 1)
    guesses = [[read(text) for text in of_photo] for of_photo in texts]
    positions = [[(g.lat, g.lon) for g in row if isinstance(g, Guess)] for row in guesses]
    read_by_g3 = [published.g3_candidates(row, (0.0, 0.0))[:-1] for row in texts]
    vectors = _encoded(encoder, [np.array(p).reshape(-1, 2) for p in positions])
    written = _encoded(encoder, [_projectable(p) for p in read_by_g3])
    stored = world.gallery_vectors()
    cases = []
    for i, found in enumerate(seen.neighbours):
        latlon = np.concatenate([gallery[found], np.array(positions[i]).reshape(-1, 2)])
        gps = np.concatenate([stored[found], vectors[i]])
        cell = earth().cells.locate(latlon)
        cases.append(
            Case(
                truth=seen.truth[i],
                vector=seen.vectors[i],
                texts=texts[i],
                written=written[i],
                latlon=latlon,
                cell=cell,
                retrieved=np.arange(len(latlon)) < len(found),
                similarity=evidence.similarities(seen.vectors[i], gps),
                gps=gps,
                faded=world.map.faded(
                    seen.vectors[i], location_map.nearest_cells(latlon, cell), gps
                ),
            )
        )
    expected = location_map.expected_places(earth().cells.locate(gallery))
    return Trial(seen, pairs, tuple(cases), world.map, expected)


def labelled(trial: Trial, weights: MapWeights) -> list[Labelled]:
    """The trial's photos as calibration takes them."""
    cell = location_map.nearest_cells(trial.photos.truth)
    area = earth().cells.area_km2
    photos = []
    for case, home in zip(trial.cases, cell.tolist(), strict=True):
        ratio = trial.log_ratio(case, *weights)
        density = location_map.log_density(ratio)
        photos.append(
            Labelled(
                evidence=_evidence(case, ratio),
                retrieved=case.retrieved,
                distance_km=haversine_km(case.truth, case.latlon),
                log_background=float(density[home] - np.log(area.sum())),
            )
        )
    return photos


def map_steps(trial: Trial) -> tuple[Float32Array, Int64Array]:
    """For fitting the location map: steps [P, N] of each cell, and the true cells [P]."""
    steps = np.stack([trial.map.steps(case.vector) for case in trial.cases])
    return steps.astype(np.float32), location_map.nearest_cells(trial.photos.truth)


def fused(trial: Trial, case: Case, scorer: Scorer) -> posterior.Posterior:
    """Geofix's posterior, exactly as the engine builds it."""
    prior = background.background(Filter())
    ratio = trial.log_ratio(case, scorer.map_weight, scorer.prior_weight)
    odds = scorer.log_odds(_evidence(case, ratio), case.retrieved)
    widths = np.broadcast_to(np.array(scorer.widths_km), odds.shape)
    return posterior.mixture(case.latlon, widths, odds, prior, ratio[prior.cell])


def outcome(trial: Trial, case: Case, scorer: Scorer) -> Outcome:
    """What a scorer's posterior says of one photo."""
    said = fused(trial, case, scorer)
    best = said.answer()
    distance = float(haversine_km(best, case.truth))
    profile = said.profile(best)
    return Outcome(profile.within(distance), {km: profile.within(km) for km in LEVELS_KM}, distance)


def _evidence(case: Case, ratio: Float64Array) -> Evidence:
    return verify.look_around(
        case.latlon, case.cell, case.retrieved, case.similarity, case.gps, case.faded, ratio
    )


def run(trial: Trial, world: World, scorer: Scorer) -> Results:
    """All rules but Bayes's."""
    found = Results()
    rows = [
        {**_published(trial, i), **_chosen(trial, case, scorer)}
        for i, case in enumerate(trial.cases)
    ]
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    for rule in ("geoclip", "g3", "g3-clean", "geofix", "g3-pool", "pool"):
        found.distance_km[rule] = table[rule]
    found.within = {km: table[f"within {km:g}"] for km in LEVELS_KM}
    found.radius_50_km, found.radius_90_km = table["radius 50"], table["radius 90"]
    found.answers = np.stack([table["lat"], table["lon"]], axis=1)
    found.g3_confidence = table["g3 confidence"]
    found.area_km2 = table["area"]
    found.geoclip_area_km2 = searching.geoclip_areas_km2(trial.photos, world)
    return found


def _published(trial: Trial, i: int) -> Mapping[str, float]:
    case, vector = trial.cases[i], trial.photos.vectors[i]
    first = case.latlon[0]
    rows = published.g3_candidates(case.texts, first)
    vectors = iter(np.concatenate([case.written, case.gps[:1]]))
    similarity = published.g3_similarities(
        vector, rows, lambda points: np.stack([next(vectors) for _ in points])
    )
    legal = np.isfinite(similarity) & (rows != 0.0).any(axis=1)
    neighbours, likeness = case.latlon[case.retrieved], case.similarity[case.retrieved]
    answers = {
        "geoclip": published.geoclip(neighbours, likeness),
        "g3": published.g3(rows, similarity),
        "g3-clean": published.g3_clean(rows, similarity),
    }
    distances = {rule: float(haversine_km(at, case.truth)) for rule, at in answers.items()}
    return {
        **distances,
        "g3-pool": float(haversine_km(case.truth, rows[legal]).min()),
        "pool": float(haversine_km(case.truth, case.latlon).min()),
        "g3 confidence": float(similarity[legal].max()),
    }


def _chosen(trial: Trial, case: Case, scorer: Scorer) -> Mapping[str, float]:
    said = fused(trial, case, scorer)
    best = said.answer()
    profile = said.profile(best)
    within = scorer.within({km: profile.within(km) for km in LEVELS_KM})
    return {
        "geofix": float(haversine_km(best, case.truth)),
        "lat": float(best[0]),
        "lon": float(best[1]),
        "radius 50": profile.radius_km(scorer.radii[0.5]),
        "radius 90": profile.radius_km(scorer.radii[0.9]),
        "area": searched_area.area_km2(said, case.truth),
        **{f"within {km:g}": p for km, p in within.items()},
    }


def _projectable(rows: Float64Array) -> Float64Array:
    return rows[published.projectable(rows)]


def _encoded(encoder: CapsuleEncoder, rows: list[Float64Array]) -> list[Float32Array]:
    """Location vectors of several lists of positions, encoded together."""
    sizes = [len(r) for r in rows]
    together = unit(encoder.encode(np.concatenate(rows)).sum(axis=0))
    return list(np.split(together, np.cumsum(sizes)[:-1]))
