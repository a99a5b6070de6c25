"""All channels' candidates in one pool, and the pool as one distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geofix.engine import region
from geofix.engine.choosing import background, posterior, verify
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
    by_candidate, by_cell = clues(pool, proposals, prior, look)
    odds, widths = verify.weigh(pool.candidates, trust, look)
    odds += by_candidate[:, None]
    if look is not None and look.scorer is not None:
        by_cell += look.log_ratio[prior.cell]  # candidates have it among their evidence
    return posterior.mixture(pool.latlon, widths, odds, prior, by_cell)


def clues(
    pool: Pool,
    proposals: Sequence[Proposal],
    prior: posterior.Background,
    look: verify.Look | None,
) -> tuple[Float64Array, Float64Array]:
    """What speaks for places, whatever candidates stand there.

    Natural-log likelihood ratios of the pool's candidates [n] and of the prior's cells [N].
    """
    land = earth()
    maps = [proposal.cells for proposal in proposals if proposal.cells is not None]
    cell_weight = np.zeros(len(land.cells))
    for weights in maps:
        cell_weight += weights
    if look is not None and look.scorer is None:
        cell_weight += look.log_ratio
    country_weight: dict[str, float] = {}
    for proposal in proposals:
        for code, weight in proposal.countries.items():
            country_weight[code] = country_weight.get(code, 0.0) + weight
    by_cell = np.array([country_weight.get(code, 0.0) for code in prior.codes])[prior.country]
    by_candidate = np.array([country_weight.get(code, 0.0) for code in pool.countries])
    if cell_weight.any() and pool.candidates:
        at = land.cells.locate(pool.latlon)
        by_candidate += np.where(at >= 0, cell_weight[at], 0.0)
    return by_candidate, cell_weight[prior.cell] + by_cell
