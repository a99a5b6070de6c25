"""The engine's findings on labelled photos, kept so that they can be weighed again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geofix.engine.choosing import background, pooling, posterior, verify
from geofix.engine.choosing.conclude import Findings, weighed
from geofix.engine.choosing.evidence import CONTEXT, FEATURES, Evidence
from geofix.engine.choosing.scorer import Scorer
from geofix.engine.locate import Locator
from geofix.engine.location import bridge, bridges, location_map
from geofix.engine.location.bridge import Bridge
from geofix.engine.stages import Stopwatch
from geofix.engine.types import (
    LEVELS_KM,
    Float32Array,
    Float64Array,
    GalleryInfo,
    Int64Array,
    LocateOptions,
)
from geofix.errors import InvalidPhoto
from geofix.geo.coordinates import haversine_km
from indexer.evaluation.calibrate import Outcome
from indexer.evaluation.datasets import LabelledPhoto, Skipped, Truth, failure
from indexer.evaluation.independence import LeaveOut, apart
from indexer.evaluation.likelihood import Labelled, MapWeights

_NOTHING = Evidence(np.zeros((0, len(FEATURES))), np.zeros(len(CONTEXT)))
_NO_PIXELS = np.empty((0, 0, 3), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled photo and everything that its answer is concluded from."""

    photo: LabelledPhoto
    found: Findings
    """Without the photo's pixels."""

    @property
    def truth(self) -> Float64Array:
        """(lat, lon) degrees."""
        return np.array([self.photo.at.lat, self.photo.at.lon])


@dataclass(frozen=True, slots=True)
class Examined:
    """What the engine found on a set."""

    examples: tuple[Example, ...]
    skipped: tuple[Skipped, ...]
    galleries: tuple[GalleryInfo, ...]
    bridge: Bridge | None
    """Through which the photos were seen in location space, where the encoder is not aligned."""


async def examine(
    locator: Locator,
    truth: Truth,
    options: LocateOptions,
    leave_out: LeaveOut = LeaveOut.RELATED,
    progress: Callable[[], None] = lambda: None,
) -> Examined:
    """Look at every photo as ``locate`` does, with what is to be left out of the galleries.

    A bridge has seen the photos of its gallery: those are looked at through one that has not.
    ``progress`` is called after each. Photos that cannot be read are skipped.
    """
    infos = await locator.galleries_of(options)
    crossing = await locator.space.bridge_of(infos)
    unseen = await _unseen(locator, crossing, infos) if crossing is not None else {}
    examples: list[Example] = []
    skipped = list(truth.skipped)
    for photo in truth.photos:
        try:
            data = await asyncio.to_thread(photo.read)
            asked = await apart(locator, photo, data, options, leave_out)
            found = await locator.find(data, asked, Stopwatch())
        except (InvalidPhoto, OSError) as error:
            skipped.append(Skipped(photo.key, failure(error)))
        else:
            own = [unseen[id_] for id_ in asked.filter.exclude_ids if id_ in unseen]
            examples.append(Example(photo, _kept(found, crossing, own)))
        progress()
    return Examined(tuple(examples), tuple(skipped), infos, crossing)


def _kept(found: Findings, crossing: Bridge | None, own: Sequence[Float32Array]) -> Findings:
    """Findings without pixels, and with the look of a bridge that has not seen the photo."""
    query = replace(found.query, photo=replace(found.query.photo, pixels=_NO_PIXELS))
    look = found.look
    if own and crossing is not None and look is not None and look.expected is not None:
        look = verify.Look.across(own[0], look.encode, look.map, look.expected, crossing.weight)
    return replace(found, query=query, look=look)


async def _unseen(
    locator: Locator, crossing: Bridge, infos: Sequence[GalleryInfo]
) -> Mapping[str, Float32Array]:
    """By id, the location vectors of the bridge's own photos, each without its contributor."""
    largest = max(infos, key=lambda info: info.count)
    points = await bridges.sample(await locator.galleries.open(largest.name))
    images, locations, _ = bridges.arrays(points)
    labels = [point.contributor or point.id for point in points]
    across = await asyncio.to_thread(bridge.left_out, crossing, images, locations, labels)
    return {point.id: vector for point, vector in zip(points, across, strict=True)}


def answer(example: Example, scorer: Scorer | None) -> tuple[Outcome, float]:
    """What is said of a photo, weighed by a scorer or else as it was found.

    With it comes the natural log of the probability per km² at the truth.
    """
    found = example.found
    if scorer is not None and found.look is not None:
        found = replace(found, look=found.look.under(scorer))
    _, fused = weighed(found)
    best = fused.answer()
    profile = fused.profile(best)
    distance = float(haversine_km(best, example.truth))
    within = {km: profile.within(km) for km in LEVELS_KM}
    outcome = Outcome(profile.within(distance), within, distance)
    return outcome, fused.log_density(example.truth)


def map_steps(
    examples: Sequence[Example],
) -> tuple[Float32Array, Int64Array, Float64Array | None]:
    """For fitting the location map: steps [P, N] of each cell, the true cells [P], and where the
    galleries make one expect photos [N].
    """
    looks = [example.found.look for example in examples if example.found.look is not None]
    steps = [look.map.steps(look.vector) for look in looks]
    truth = np.stack([example.truth for example in examples])
    return np.stack(steps).astype(np.float32), location_map.nearest_cells(truth), looks[0].expected


def labelled(example: Example, weights: MapWeights) -> Labelled:
    """The photo as weights are fitted to it; a scorer must have weighed its candidates."""
    found = example.found
    assert found.look is not None and found.look.scorer is not None  # noqa: S101, PT018 - as said
    look = found.look.under(
        replace(found.look.scorer, map_weight=weights.weight, prior_weight=weights.prior_weight)
    )
    trust = verify.Trust()
    pool = pooling.gather(
        verify.retrieved(found.query.neighbours, trust), found.proposals, found.query
    )
    prior = background.background(found.query.filter)
    by_candidate, by_cell = pooling.clues(pool, found.proposals, prior, look)
    seen = verify.compared_by_look(pool.candidates)
    others = [c for c, s in zip(pool.candidates, seen, strict=True) if not s]
    stated, widths = verify.weigh(others, trust, None)
    stated += by_candidate[~seen][:, None]
    by_cell = by_cell + look.log_ratio[prior.cell]
    rest = posterior.mixture(pool.latlon[~seen], widths, stated, prior, by_cell)
    with np.errstate(divide="ignore"):
        whole = np.logaddexp.reduce(np.concatenate([np.log(prior.mass) + by_cell, stated.ravel()]))
    compared = [c for c, s in zip(pool.candidates, seen, strict=True) if s]
    evidence, retrieved = _NOTHING, np.zeros(0, dtype=np.bool_)
    if compared:
        evidence, retrieved = verify.compare(compared, look)
    return Labelled(
        evidence=evidence,
        retrieved=retrieved,
        distance_km=haversine_km(example.truth, pool.latlon[seen]),
        log_background=rest.log_density(example.truth),
        offset=by_candidate[seen] - whole,
    )
