"""One labelled photo through the engine, and all that the measures need of what came out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from geofix.engine.choosing.conclude import Findings, conclude, weighed
from geofix.engine.locate import Locator
from geofix.engine.stages import Stopwatch
from geofix.engine.types import Channel, Float64Array, LocateOptions, Prediction
from geofix.geo.coordinates import Coordinate
from geofix.geo.places import continent, country_codes
from indexer.evaluation.datasets import LabelledPhoto, Skipped
from indexer.evaluation.metrics import gain_over_uniform_bits
from indexer.evaluation.searched_area import area_km2

_BLANK = 2.0
"""Standard deviation of the pixels, of 255, below which a picture shows nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One answered photo, in JSON's types."""

    photo: str
    set: str
    lat: float
    lon: float
    country: str
    """ISO alpha-2 of the truth; empty on the open sea."""
    continent: str
    answer_lat: float
    answer_lon: float
    distance_km: float
    radius_50_km: float
    radius_90_km: float
    within: Mapping[str, float]
    """Probability of each of LEVELS_KM."""
    area_km2: float
    """Searched before the truth is found."""
    gain_uniform_bits: float
    """Of the posterior at the truth over the uniform sphere."""
    gain_prior_bits: float
    """The same over the land × population prior."""
    channel_bits: Mapping[str, float]
    """What each channel that spoke tells by itself, over the prior."""
    sha256: str
    calibrated: str
    """What the probabilities were fitted on; empty for nothing."""
    abstained: str = ""
    """The abstention's cause."""
    degraded: tuple[str, ...] = ()
    calls: int = 0
    """Of a language model."""
    tokens: int = 0
    cost_usd: float = 0.0
    latency_ms: float = field(default=0.0, compare=False)


async def measure(
    locator: Locator, photo: LabelledPhoto, data: bytes, options: LocateOptions
) -> Measured | Skipped:
    """Locate one photo and hold the answer to the truth; a blank picture is skipped.

    Raises what ``Locator.locate`` raises.
    """
    clock = Stopwatch()
    found = await locator.find(data, options, clock)
    prediction = await clock.stage("posterior", asyncio.to_thread(conclude, found, options))
    latency_ms = clock.total()["total"]
    if float(found.query.photo.pixels.std()) < _BLANK:
        return Skipped(photo.key, "a blank picture")
    return await asyncio.to_thread(_judged, photo, found, prediction, latency_ms)


def _judged(
    photo: LabelledPhoto, found: Findings, prediction: Prediction, latency_ms: float
) -> Measured:
    truth = np.array([photo.at.lat, photo.at.lon])
    country = country_codes(truth[None])[0]
    _, said = weighed(found)
    density, prior = said.log_density(truth), _log_density(_without(found), truth)
    return Measured(
        photo=photo.key,
        set=photo.set,
        lat=photo.at.lat,
        lon=photo.at.lon,
        country=country,
        continent=continent(country),
        answer_lat=prediction.lat,
        answer_lon=prediction.lon,
        distance_km=photo.at.distance_km(Coordinate(prediction.lat, prediction.lon)),
        radius_50_km=prediction.radius_50_km,
        radius_90_km=prediction.radius_90_km,
        within={f"{km:g}": probability for km, probability in prediction.within.items()},
        area_km2=area_km2(said, truth),
        gain_uniform_bits=float(gain_over_uniform_bits(density)),
        gain_prior_bits=_bits(density - prior),
        channel_bits={
            name: _bits(_log_density(alone, truth) - prior)
            for name, alone in sorted(_by_channel(found).items())
        },
        sha256=prediction.photo.sha256,
        calibrated=prediction.calibration.dataset if prediction.calibration else "",
        abstained=prediction.abstention.cause if prediction.abstention else "",
        degraded=tuple(f"{one.channel}: {one.cause}" for one in prediction.degraded),
        calls=len(prediction.calls),
        tokens=sum(call.tokens_in + call.tokens_out for call in prediction.calls),
        cost_usd=float(sum(call.cost_usd for call in prediction.calls)),
        latency_ms=latency_ms,
    )


def _by_channel(found: Findings) -> dict[str, Findings]:
    """The findings of each channel alone; what location space shows counts as retrieval."""
    nothing = _without(found)
    alone = {str(one.channel): replace(nothing, proposals=(one,)) for one in found.proposals}
    if found.query.neighbours or found.look is not None:
        alone[str(Channel.RETRIEVAL)] = replace(found, proposals=())
    return alone


def _without(found: Findings) -> Findings:
    return replace(found, query=replace(found.query, neighbours=()), proposals=(), look=None)


def _log_density(found: Findings, truth: Float64Array) -> float:
    _, said = weighed(found)
    return said.log_density(truth)


def _bits(nats: float) -> float:
    return float(nats / np.log(2.0))
