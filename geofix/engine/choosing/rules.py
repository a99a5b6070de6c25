"""Choosing by a published rule instead of the posterior, to hold the two against each other."""

from __future__ import annotations

import numpy as np

from geofix.engine import region
from geofix.engine.choosing import published
from geofix.engine.choosing.verify import Look
from geofix.engine.types import Filter, Float64Array, Neighbour, Proposal, Query, Rule
from geofix.geo.places import country_codes


def choose(
    rule: Rule,
    query: Query,
    proposals: tuple[Proposal, ...],
    look: Look | None,
    nearest: Neighbour | None,
) -> Float64Array | None:
    """The position (lat, lon) that a published rule chooses; None where it has no candidate.

    ``nearest`` is the gallery photo whose place is most like the photo, for GeoCLIP's rule.
    Without a ``look`` nothing can be compared. The rules as published know no filter: where the
    query's restricts the place, only candidates inside it compete.
    """
    if rule is Rule.GEOCLIP:
        return None if nearest is None else np.array([nearest.lat, nearest.lon])
    if look is None:
        return None
    read = [position for proposal in proposals for position in proposal.read_as_g3]
    first = [(neighbour.lat, neighbour.lon) for neighbour in query.neighbours[:1]]
    latlon = _inside(np.array([*read, *first], dtype=np.float64).reshape(-1, 2), query.filter)
    similarity = published.g3_similarities(look.vector, latlon, look.encode)
    if rule is Rule.G3_CLEAN:
        sound = published.well_formed(latlon) & np.isfinite(similarity)
        latlon, similarity = latlon[sound], similarity[sound]
    return published.g3(latlon, similarity) if len(latlon) else None


def _inside(latlon: Float64Array, where: Filter) -> Float64Array:
    if not where.restricts_place:
        return latlon
    legal = latlon[published.well_formed(latlon)]
    kept: Float64Array = legal[region.contains(where, legal, country_codes(legal))]
    return kept
