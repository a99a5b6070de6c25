"""All channels' candidates in one pool, and the pool as one distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geofix.engine import background, posterior, region, verify
from geofix.engine.types import Candidate, Filter, Float64Array, Proposal, Query
from geofix.geo.places import country_codes
from geofix.geo.priors import earth


@dataclass(frozen=True, slots=True)
class Pool:
    """Every candidate that the filter leaves, with its country."""

    candidates: tuple[Candidate, ...]
    latlon: Float64Array
    countries: tuple[str, ...]


def gather(retrieved: Sequence[Candidate], proposals: Sequence[Proposal], query: Query) -> Pool:
    """Neighbours' and generators' candidates, neighbours first, without those ruled out."""
    proposed = [candidate for proposal in proposals for candidate in proposal.candidates]
    candidates = [*retrieved, *proposed]
    latlon = np.array([(c.lat, c.lon) for c in candidates], dtype=np.float64).reshape(-1, 2)
    known = [neighbour.country for neighbour in query.neighbours]
    known += country_codes(latlon[len(known) :])
    inside = region.contains(query.filter, latlon, known)
    kept = np.flatnonzero(inside)
    return Pool(tuple(candidates[i] for i in kept), latlon[kept], tuple(known[i] for i in kept))


def fuse(
    pool: Pool,
    proposals: Sequence[Proposal],
    where: Filter,
    trust: verify.Trust,
    look: verify.Look | None = None,
) -> posterior.Posterior:
    """Candidates and prior, both weighed by what the clues say of countries and cells."""
    prior = background.background(where)
    land = earth()
    cell_weight = np.zeros(len(land.cells))
    weighed = [proposal.cells for proposal in proposals if proposal.cells is not None]
    for weights in weighed:
        cell_weight += weights
    country_weight: dict[str, float] = {}
    for proposal in proposals:
        for code, weight in proposal.countries.items():
            country_weight[code] = country_weight.get(code, 0.0) + weight
    by_cell = np.array([country_weight.get(code, 0.0) for code in prior.codes])[prior.country]
    by_candidate = np.array([country_weight.get(code, 0.0) for code in pool.countries])
    odds, widths = verify.weigh(pool.candidates, trust, look)
    odds += by_candidate[:, None]
    if weighed and pool.candidates:
        at = land.cells.locate(pool.latlon)
        odds += np.where(at >= 0, cell_weight[at], 0.0)[:, None]
    if look is not None:
        cell_weight += look.log_ratio  # candidates have it among their evidence
    behind = cell_weight[prior.cell] + by_cell
    return posterior.mixture(pool.latlon, widths, odds, prior, behind)
