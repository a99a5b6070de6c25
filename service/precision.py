"""The precision cap: what a key that may know a place only roughly is told.

A capped answer is made from three things alone: the cell of a fixed grid that the position lies
in, two radii and a few probabilities in coarse steps, and what says nothing of the place. The grid
is S2's, at the finest level whose narrowest cell is still as wide as the cap. So repeats,
crops, other generators and longer lists fall into the same cells, and what could place a photo
inside its cell is left out: other clusters, neighbours, the heat map, readings, the shares of
countries and cities. Options that choose what is searched are refused, since an edge that can be
moved would find the position by halving.
"""

from __future__ import annotations

import math
from functools import lru_cache

from geofix.errors import PrecisionCapped
from geofix.geo import cells
from geofix.geo.coordinates import EARTH_RADIUS_KM
from geofix.geo.places import Locality, reverse
from service.locate.options import Refinement
from service.locate.schemas import Answer, Evidence, Place, Position, Stage

_NARROWEST = 2.0 * math.sqrt(2.0) / 3.0
_LONGEST_DIAGONAL = 2.438654594434021
"""Of S2's cells, times 2^-level and the Earth's radius (S2's metrics, quadratic projection)."""
_STEP = 0.05
"""Of the probabilities that a capped answer tells."""
_HARMLESS = frozenset(
    {"neighbours", "generators", "rule", "budget_s", "heatmap", "candidates", "keep"}
)
"""Options that choose neither what is searched nor where; a new one must be put here to be used."""


def check(options: Refinement, cap_km: float | None) -> None:
    """Raise PrecisionCapped for options with which a cap could be got round."""
    told = sorted(options.model_dump(exclude_defaults=True).keys() - _HARMLESS)
    if cap_km is not None and told:
        raise PrecisionCapped(
            f"The key answers no finer than {cap_km:g} km, so it cannot choose what is searched: "
            f"leave out {', '.join(told)}."
        )


def coarsened(answer: Answer, cap_km: float | None) -> Answer:
    """The answer as somebody with this cap may know it; the answer itself without one."""
    if cap_km is None:
        return answer
    level = _level(cap_km)
    token = cells.token(answer.position.lat, answer.position.lon, level)
    reach_km = _LONGEST_DIAGONAL * EARTH_RADIUS_KM * 2.0**-level / 2.0
    centre = cells.centre(token)
    return Answer(
        id=answer.id,
        position=Position(lat=centre.lat, lon=centre.lon),
        radius_50_km=_radius(answer.radius_50_km, cap_km, reach_km),
        radius_90_km=_radius(answer.radius_90_km, cap_km, reach_km),
        within=_within(answer.within, reach_km),
        abstention=answer.abstention,
        place=Place.model_validate(_names(token)),
        continents=(),
        countries=(),
        regions=(),
        cities=(),
        clusters=(),
        heatmap=None,
        evidence=Evidence(neighbours=(), text=(), attributes=answer.evidence.attributes),
        degraded=answer.degraded,
        calibrated=answer.calibrated,
        rule=answer.rule,
        encoder=answer.encoder,
        galleries=answer.galleries,
        photo=answer.photo,
        timings_ms={"total": answer.timings_ms["total"]},
    )


def hushed(stage: Stage, cap_km: float | None) -> Stage:
    """A stage as it may be told to somebody with this cap: that it is over, not what it found."""
    return stage if cap_km is None else Stage(stage=stage.stage, ms=stage.ms, detail={})


def _level(cap_km: float) -> int:
    """The finest level none of whose cells is narrower than the cap."""
    level = math.floor(math.log2(_NARROWEST * EARTH_RADIUS_KM / cap_km))
    return min(max(level, 0), cells.MAX_LEVEL)


def _radius(km: float, cap_km: float, reach_km: float) -> float:
    """A radius that holds about the cell's centre as ``km`` does about the position.

    ``reach_km`` is the farthest a position may lie from its cell's centre. The radius goes up in
    doublings of the cap.
    """
    doublings = max(math.ceil(math.log2(max(km, cap_km) / cap_km)), 0)
    return round(reach_km + cap_km * 2.0**doublings, 1)


def _within(within: dict[str, float], reach_km: float) -> dict[str, float]:
    """Probabilities that hold about the cell's centre; distances the cell blurs are left out."""
    told = {}
    for distance in within:
        sure = [p for km, p in within.items() if float(km) + reach_km <= float(distance)]
        if sure:
            told[distance] = round(math.floor(max(sure) / _STEP) * _STEP, 2)
    return told


@lru_cache(maxsize=4096)
def _names(token: str) -> Locality:
    """The country and region of a cell's centre, whatever lies elsewhere in the cell."""
    centre = cells.centre(token)
    place = reverse(centre.lat, centre.lon)
    return Locality(place.country, place.country_name, place.region, True, "", None)
