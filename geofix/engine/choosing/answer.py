"""From the posterior to what a person is told: shares, clusters, heat map, abstention."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geofix.engine.choosing import kernels
from geofix.engine.choosing.posterior import Posterior
from geofix.engine.types import (
    Abstention,
    Candidate,
    Cluster,
    Float64Array,
    HeatCell,
    Int64Array,
    Share,
)
from geofix.geo import cells
from geofix.geo.coordinates import apart_km, from_unit, to_unit
from geofix.geo.places import CONTINENTS, NOWHERE, Locality, continent, country_name, reverse
from geofix.geo.priors import cell_countries, earth

_CLUSTER_KM = 25.0
_NAMED_CLUSTERS = 4
_SHARES_LISTED = 10
_SMALLEST_SHARE = 1e-3
_KERNELS_SPREAD = 16
_SMALLEST_SPREAD = 4e-3
_HEAT_CELLS = 700
_COARSEST_HEAT, _FINEST_HEAT = 4, 14
_LEVEL_0_KM = 7842.0
"""Mean edge of an S2 cell of level 0."""
_HEAT_SHARE = 0.99
_REGION_KM = 100.0
_CITY_KM = 15.0
_ABSTAIN_KM = 200.0


@dataclass(frozen=True, slots=True)
class Spread:
    """The posterior as weighted points: kernels' rings first, then background cells."""

    ring_mass: Float64Array
    """[n·RINGS]."""
    ring_leaf: npt.NDArray[np.uint64]
    """[n·RINGS], the S2 leaf cell each lies in."""
    ring_cell: Int64Array
    """[n·RINGS], index into ``earth()``'s cells, −1 at sea."""
    ring_kernel: Int64Array
    ring_candidate: Int64Array
    light: Int64Array
    """Kernels too light for rings: they lie where their centre lies."""


@dataclass(frozen=True, slots=True)
class Named:
    """A cluster and the names of its place."""

    cluster: Cluster
    place: Locality
    """``NOWHERE`` for a cluster too unlikely to be named."""
    in_region: float
    """Of its probability, what lies within 100 km of its candidates."""
    in_city: float
    """What lies within 15 km."""


def spread(posterior: Posterior) -> Spread:
    """Lay the heavier kernels out as points."""
    mass = posterior.kernels.mass
    heaviest = np.argsort(-mass, kind="stable")[:_KERNELS_SPREAD]
    heavy = heaviest[mass[heaviest] >= _SMALLEST_SPREAD]
    centres = posterior.kernels.unit[posterior.kernels.candidate[heavy]]
    unit = kernels.samples(centres, posterior.kernels.width_km[heavy])
    flat = unit.reshape(-1, 3)
    leaf = cells.cell_ids(from_unit(flat), cells.MAX_LEVEL)
    land = earth().cells
    return Spread(
        np.repeat(mass[heavy] / kernels.RINGS, kernels.RINGS),
        leaf,
        land.find(cells.parents(leaf, land.level)),
        np.repeat(heavy, kernels.RINGS).astype(np.int64),
        np.repeat(posterior.kernels.candidate[heavy], kernels.RINGS),
        np.setdiff1d(np.arange(len(mass)), heavy),
    )


def country_mass(
    posterior: Posterior, points: Spread, centre_countries: Sequence[str]
) -> dict[str, float]:
    """Probability by ISO alpha-2; what falls on no country is left out."""
    codes = np.append(cell_countries(), "")
    centre = np.asarray(centre_countries, dtype=np.str_)
    near = _near_centre(posterior, points)
    ring_codes = np.where(near, centre[points.ring_candidate], codes[points.ring_cell])
    at_sea = ring_codes == ""
    ring_codes[at_sea] = centre[points.ring_candidate][at_sea]
    mass: defaultdict[str, float] = defaultdict(float)
    _add(mass, ring_codes, points.ring_mass)
    light = points.light
    _add(mass, centre[posterior.kernels.candidate[light]], posterior.kernels.mass[light])
    behind = posterior.background
    held = np.bincount(behind.country, behind.mass, len(behind.codes))
    for code, share in zip(behind.codes, held.tolist(), strict=True):
        mass[code] += share
    mass.pop("", None)
    return dict(mass)


def country_shares(mass: Mapping[str, float]) -> tuple[Share, ...]:
    """The likeliest countries."""
    return _ranked((code, country_name(code), share) for code, share in mass.items())


def continent_shares(mass: Mapping[str, float]) -> tuple[Share, ...]:
    """Probability by continent, from all countries."""
    held: defaultdict[str, float] = defaultdict(float)
    for code, probability in mass.items():
        held[continent(code)] += probability
    held.pop("", None)
    return _ranked((code, CONTINENTS[code], share) for code, share in held.items())


def clusters(
    posterior: Posterior,
    candidates: Sequence[Candidate],
    centre_countries: Sequence[str],
    listed: int,
) -> tuple[Named, ...]:
    """Candidates within 25 km of a likelier one, likeliest cluster first."""
    mass = posterior.kernels.by_candidate()
    in_region, in_city = (posterior.kernels.held_within(km) for km in (_REGION_KM, _CITY_KM))
    unit = to_unit(np.array([(c.lat, c.lon) for c in candidates]).reshape(-1, 2))
    near = apart_km(unit, unit)
    free = np.ones(len(mass), dtype=bool)
    groups: list[Int64Array] = []
    for leader in np.argsort(-mass, kind="stable"):
        if free[leader]:
            members = np.flatnonzero(free & (near[leader] <= _CLUSTER_KM))
            free[members] = False
            groups.append(members[np.argsort(-mass[members], kind="stable")])
    groups.sort(key=lambda members: -float(mass[members].sum()))
    named = []
    for rank, members in enumerate(groups[:listed]):
        lead = candidates[members[0]]
        place = reverse(lead.lat, lead.lon) if rank < _NAMED_CLUSTERS else None
        cluster = Cluster(
            lead.lat,
            lead.lon,
            float(mass[members].sum()),
            tuple(sorted({candidates[m].channel for m in members.tolist()})),
            tuple(candidates[m] for m in members.tolist()),
            centre_countries[members[0]],
            place.city if place else "",
        )
        named.append(
            Named(
                cluster,
                place or NOWHERE,
                float(in_region[members].sum()),
                float(in_city[members].sum()),
            )
        )
    return tuple(named)


def region_shares(named: Sequence[Named]) -> tuple[tuple[Share, ...], tuple[Share, ...]]:
    """Probability by region and by city, as far as the named clusters speak for them."""
    regions: defaultdict[tuple[str, str], float] = defaultdict(float)
    cities: defaultdict[tuple[str, str], float] = defaultdict(float)
    for one in named:
        if one.place.region:
            regions[(one.place.country, one.place.region)] += one.in_region
        if one.place.city:
            cities[(one.place.country, one.place.city)] += one.in_city
    return (
        _ranked((code, name, p) for (code, name), p in regions.items()),
        _ranked((code, name, p) for (code, name), p in cities.items()),
    )


def heatmap(posterior: Posterior, points: Spread, radius_90_km: float) -> tuple[HeatCell, ...]:
    """The likeliest S2 cells that together hold 99 %, of a size that suits the radius."""
    land = earth().cells
    level = _heat_level(radius_90_km)
    ids = cells.parents(points.ring_leaf, level)
    mass = points.ring_mass
    if level <= land.level:
        ids = np.concatenate([ids, cells.parents(land.ids, level)[posterior.background.cell]])
        mass = np.concatenate([mass, posterior.background.mass])
    unique, at = np.unique(ids, return_inverse=True)
    held = np.bincount(at, mass, len(unique))
    order = np.argsort(-held, kind="stable")[:_HEAT_CELLS]
    enough = int(np.searchsorted(np.cumsum(held[order]), _HEAT_SHARE * held.sum())) + 1
    kept = order[:enough]
    return tuple(
        HeatCell(token, share)
        for token, share in zip(cells.tokens_of(unique[kept]), held[kept].tolist(), strict=True)
    )


def abstention(
    within: Mapping[float, float],
    sure_enough: float,
    *,
    galleries_empty: bool,
    candidates: int,
    filtered: bool,
) -> Abstention | None:
    """Why the answer should not be acted on, or None when it may be.

    ``within`` holds the probability of each of LEVELS_KM; an answer is given when that of 200 km
    is at least ``sure_enough``, and not by the filter's doing alone.
    """
    if filtered and candidates == 0:
        return Abstention(
            "no-evidence", "Only the filter says where: nothing in the photo or the gallery does."
        )
    if within[_ABSTAIN_KM] >= sure_enough:
        return None
    if galleries_empty and candidates == 0:
        return Abstention(
            "empty-gallery",
            "The gallery is empty and the photo shows no readable place: there is nothing to "
            "compare it with.",
        )
    if candidates == 0 or within[2500.0] < sure_enough:
        return Abstention("no-evidence", "Nothing in the photo or the gallery points to a place.")
    return Abstention("ambiguous", "Several far-apart places fit the photo about equally well.")


def _near_centre(posterior: Posterior, points: Spread) -> npt.NDArray[np.bool_]:
    rings = kernels.ring_radii_km(posterior.kernels.width_km)
    near: npt.NDArray[np.bool_] = rings[points.ring_kernel[:: kernels.RINGS]].ravel() <= _CITY_KM
    return near


def _heat_level(radius_90_km: float) -> int:
    """The level whose cells are about a quarter of the radius wide."""
    level = np.floor(np.log2(_LEVEL_0_KM / max(radius_90_km / 4.0, 0.1)))
    return int(np.clip(level, _COARSEST_HEAT, _FINEST_HEAT))


def _add(
    mass: defaultdict[str, float],
    codes: npt.NDArray[np.str_],
    weights: Float64Array,
) -> None:
    unique, at = np.unique(codes, return_inverse=True)
    for code, share in zip(unique, np.bincount(at, weights, len(unique)), strict=True):
        mass[str(code)] += float(share)


def _ranked(shares: Iterable[tuple[str, str, float]]) -> tuple[Share, ...]:
    ranked = sorted(shares, key=lambda s: (-s[2], s[1]))
    return tuple(
        Share(code, name, min(p, 1.0))
        for code, name, p in ranked[:_SHARES_LISTED]
        if p >= _SMALLEST_SHARE
    )
