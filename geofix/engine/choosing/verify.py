"""How much each candidate is worth: its log odds against the prior over the whole Earth.

Retrieved candidates share one trust. How it is divided follows from their similarities; how large
it is follows from how far the best neighbour stands out of the others, and from how many of those
agree with it: against a gallery that does not know the place all neighbours are about equally
(un)like the photo and lie anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geofix.engine.choosing import evidence
from geofix.engine.choosing.scorer import Scorer, shipped
from geofix.engine.location import location_map
from geofix.engine.location.location_map import Encode, LocationMap
from geofix.engine.types import (
    Candidate,
    Channel,
    Float32Array,
    Float64Array,
    Int64Array,
    Neighbour,
)
from geofix.geo.coordinates import haversine_km
from geofix.geo.priors import earth


@dataclass(frozen=True, slots=True)
class Trust:
    """How similarities become log odds where nothing was fitted; set by hand, for any encoder."""

    temperature: float = 0.04
    """Cosine difference that makes a neighbour e times likelier than another."""
    typical: float = 0.5
    """Cosine between photos of unrelated places, used while there are few neighbours."""
    neutral: float = 0.55
    """Closeness at which retrieval weighs as much as the prior."""
    slope: float = 20.0
    """Log odds per unit of closeness."""
    agreement: float = 0.4
    """Closeness that full agreement of the other neighbours with the best one is worth."""
    exact_km: float = 0.05
    """Kernel width of a neighbour that equals the photo."""
    vague_km: float = 1000.0
    """Kernel width of a neighbour that is no closer than an unrelated photo."""


_TAIL_FROM = 5
"""Neighbours from this rank on are taken for unrelated."""
_TAIL_NEEDED = 5
_NEAR_KM = 25.0


def closeness(similarities: Float64Array, trust: Trust) -> Float64Array:
    """Where each similarity [n], best first, lies between unrelated (0) and identical (1)."""
    tail = similarities[_TAIL_FROM:]
    unrelated = float(np.median(tail)) if len(tail) >= _TAIL_NEEDED else trust.typical
    close: Float64Array = np.clip((similarities - unrelated) / max(1.0 - unrelated, 1e-6), 0.0, 1.0)
    return close


def retrieved(neighbours: Sequence[Neighbour], trust: Trust) -> tuple[Candidate, ...]:
    """Every neighbour as a candidate, its kernel as wide as its closeness allows."""
    similarities = np.array([n.similarity for n in neighbours])
    close = closeness(similarities, trust)
    widths = trust.exact_km * (trust.vague_km / trust.exact_km) ** (1.0 - close)
    return tuple(
        Candidate(n.lat, n.lon, Channel.RETRIEVAL, n.similarity, float(width), n.id, gps=n.gps)
        for n, width in zip(neighbours, widths, strict=True)
    )


def log_odds(candidates: Sequence[Candidate], trust: Trust) -> Float64Array:
    """Natural-log odds [n] of each candidate against everything that no candidate names."""
    odds = np.empty(len(candidates))
    is_retrieved = np.array([c.channel is Channel.RETRIEVAL for c in candidates], dtype=bool)
    score = np.array([c.score for c in candidates])
    if is_retrieved.any():
        latlon = np.array([(c.lat, c.lon) for c in candidates])[is_retrieved]
        odds[is_retrieved] = _retrieval_log_odds(score[is_retrieved], latlon, trust)
    stated = np.clip(score[~is_retrieved], 0.001, 0.98)
    odds[~is_retrieved] = np.log(stated / (1.0 - stated))
    return odds


@dataclass(frozen=True, slots=True)
class Look:
    """A photo as location space shows it."""

    vector: Float32Array
    """[512], length 1."""
    encode: Encode
    """Encodes the positions that come without a stored vector."""
    map: LocationMap
    expected: Float64Array | None
    """[N]: where the galleries make one expect photos; None: as the photo prior has them."""
    log_ratio: Float64Array
    """[N]: natural log of what each cell of ``earth()`` gains over the photo prior."""
    scorer: Scorer | None
    """What weighs candidates. None: nothing was fitted for such looks; then the map alone speaks,
    for candidates and for all that lies between them."""

    @classmethod
    def at(
        cls,
        vector: Float32Array,
        encode: Encode,
        location_map: LocationMap,
        expected: Float64Array | None = None,
        scorer: Scorer | None = None,
    ) -> Look:
        """Look at a photo; without a scorer, with the one that is shipped.

        ``expected`` is the gallery's, of ``location_map.expected_places``; None where unknown.
        """
        scorer = scorer or shipped()
        ratio = location_map.log_ratio(vector, scorer.map_weight, scorer.prior_weight, expected)
        return cls(vector, encode, location_map, expected, ratio, scorer)

    @classmethod
    def across(
        cls,
        vector: Float32Array,
        encode: Encode,
        location_map: LocationMap,
        expected: Float64Array,
        map_weight: float,
    ) -> Look:
        """Look at a photo through a bridge, whose map is worth ``map_weight``."""
        ratio = location_map.log_ratio(vector, map_weight, 1.0)
        return cls(vector, encode, location_map, expected, ratio, None)

    def under(self, scorer: Scorer) -> Look:
        """The same look, weighed by a scorer."""
        return Look.at(self.vector, self.encode, self.map, self.expected, scorer)


def weigh(
    candidates: Sequence[Candidate], trust: Trust, look: Look | None
) -> tuple[Float64Array, Float64Array]:
    """Natural-log odds [n, S] of the candidates on each scale, and kernel widths [n, S] in km.

    Without a look and its scorer there is one scale, the candidate's own. With them, neighbours
    and generations have the scorer's; what other channels state stays as it is, on its own scale.
    """
    seen = compared_by_look(candidates)
    if look is None or look.scorer is None or not seen.any():
        own = np.array([c.width_km for c in candidates])
        return log_odds(candidates, trust)[:, None], own[:, None]
    scales = np.array(look.scorer.widths_km)
    odds = np.full((len(candidates), len(scales)), -np.inf)
    widths = np.tile(scales, (len(candidates), 1))
    others = [c for c, s in zip(candidates, seen, strict=True) if not s]
    odds[~seen, 0] = log_odds(others, trust)
    widths[~seen, 0] = [c.width_km for c in others]
    compared = [c for c, s in zip(candidates, seen, strict=True) if s]
    odds[seen] = look.scorer.log_odds(*compare(compared, look))
    return odds, widths


def scorer_for(candidates: Sequence[Candidate], look: Look | None) -> Scorer | None:
    """The scorer whose calibration holds for a pool: None where it weighs no candidate."""
    if look is None or not compared_by_look(candidates).any():
        return None
    return look.scorer


def compared_by_look(candidates: Sequence[Candidate]) -> evidence.BoolArray:
    """Which candidates [n] are compared with the photo; others say themselves how sure they are."""
    seen = (Channel.RETRIEVAL, Channel.LMM)
    return np.array([c.channel in seen for c in candidates], dtype=bool)


def compare(
    candidates: Sequence[Candidate], look: Look
) -> tuple[evidence.Evidence, evidence.BoolArray]:
    """What a look says of neighbours and generations, and which of them [n] are neighbours."""
    latlon = np.array([(c.lat, c.lon) for c in candidates], dtype=np.float64)
    is_retrieved = np.array([c.channel is Channel.RETRIEVAL for c in candidates], dtype=bool)
    gps = _vectors(candidates, latlon, look.encode)
    similarity = evidence.similarities(look.vector, gps)
    cell = earth().cells.locate(latlon)
    faded = look.map.faded(look.vector, location_map.nearest_cells(latlon, cell), gps)
    found = look_around(latlon, cell, is_retrieved, similarity, gps, faded, look.log_ratio)
    return found, is_retrieved


def look_around(
    latlon: Float64Array,
    cell: Int64Array,
    is_retrieved: evidence.BoolArray,
    similarity: Float64Array,
    gps: Float32Array,
    faded: Float64Array,
    log_ratio: Float64Array,
) -> evidence.Evidence:
    """Evidence on candidates in the cells [n] of ``earth()``, −1 at sea.

    The location map's ``log_ratio`` [N] of all cells is part of it.
    """
    density = location_map.log_density(log_ratio)
    return evidence.gather(
        latlon,
        is_retrieved,
        similarity,
        gps,
        faded,
        location_map.at(density, cell),
        float(density.max()),
    )


def _vectors(candidates: Sequence[Candidate], latlon: Float64Array, encode: Encode) -> Float32Array:
    """Location vectors [n, 512]: those stored with the candidates, the others encoded."""
    missing = np.array([c.gps is None for c in candidates], dtype=bool)
    encoded = iter(encode(latlon[missing]) if missing.any() else ())
    return np.stack([next(encoded) if c.gps is None else c.gps for c in candidates])


def _retrieval_log_odds(
    similarities: Float64Array, latlon: Float64Array, trust: Trust
) -> Float64Array:
    order = np.argsort(-similarities, kind="stable")
    ranked = similarities[order]
    stands_out = closeness(ranked, trust)[0] + trust.agreement * _agreement(
        ranked, latlon[order], trust
    )
    share = (ranked - ranked[0]) / trust.temperature
    share -= np.log(np.exp(share).sum())
    odds = np.empty_like(ranked)
    odds[order] = share + trust.slope * (stands_out - trust.neutral)
    return odds


def _agreement(ranked: Float64Array, latlon: Float64Array, trust: Trust) -> float:
    """How much oftener than by chance the other neighbours lie near the best one, 0 to 1.

    Chance is how many of them lie there whatever their similarity: in a gallery of one city all
    neighbours are near each other, which says nothing.
    """
    if len(ranked) <= _TAIL_FROM:
        return 0.0
    near = haversine_km(latlon[0], latlon[1:]) <= _NEAR_KM
    weight = np.exp((ranked[1:] - ranked[0]) / trust.temperature)
    lift = float((weight * near).sum() / max(weight.sum(), 1e-300)) - float(near.mean())
    return max(lift, 0.0)
