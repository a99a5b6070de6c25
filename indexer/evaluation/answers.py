"""How good the engine's whole answers are on labelled photos."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from geofix.engine.gallery.ingest import Ingest, Offer
from geofix.engine.locate import Locator
from geofix.engine.types import LEVELS_KM, Float64Array, LocateOptions, Prediction
from geofix.errors import InvalidPhoto
from geofix.geo.coordinates import Coordinate
from geofix.settings import Settings
from indexer.evaluation import metrics
from indexer.evaluation.datasets import LabelledPhoto, Skipped, Truth
from indexer.evaluation.report import Figure, Report

OWN_GALLERY = "evaluation"
"""Name of the gallery made of the measured photos themselves."""
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Answered:
    """One photo, the engine's answer and how far it is from the truth."""

    photo: LabelledPhoto
    prediction: Prediction
    distance_km: float


@asynccontextmanager
async def own_gallery(settings: Settings, truth: Truth) -> AsyncIterator[Locator]:
    """An engine whose gallery holds the labelled photos themselves, in a temporary directory.

    Leaving each photo out of its own search (see ``measure_answers``) then measures retrieval
    without another gallery.
    """
    with tempfile.TemporaryDirectory(prefix="geofix-evaluation-") as folder:
        models = settings.data_dir / "models"
        if models.is_dir():
            (Path(folder) / "models").symlink_to(models.resolve(), target_is_directory=True)
        ours = settings.model_copy(update={"data_dir": Path(folder), "gallery": OWN_GALLERY})
        locator = await Locator.open(ours, role="evaluate")
        try:
            await _fill(locator, truth.photos)
            yield locator
        finally:
            await locator.close()


async def _fill(locator: Locator, photos: Sequence[LabelledPhoto]) -> None:
    encoder = locator.encoder
    gallery = await locator.galleries.create(OWN_GALLERY, encoder.name, encoder.dimension)
    ingest = Ingest(gallery, OWN_GALLERY, encoder, locator.location_encoder)
    offers = [Offer(p.key, p.read, (p.at.lat, p.at.lon), contributor=p.contributor) for p in photos]
    for start in range(0, len(offers), _BATCH):
        await ingest.take(offers[start : start + _BATCH])


async def measure_answers(
    locator: Locator,
    truth: Truth,
    options: LocateOptions,
    *,
    leave_one_out: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> Report:
    """Locate every photo and measure the answers; ``progress`` is called after each.

    With ``leave_one_out`` gallery points of the same file as the photo are not looked at. Photos
    that cannot be read are skipped. Raises what ``Locator.locate`` raises otherwise.
    """
    answered: list[Answered] = []
    skipped = list(truth.skipped)
    for photo in truth.photos:
        try:
            data = photo.read()
            asked = await _without_itself(locator, data, options) if leave_one_out else options
            prediction = await locator.locate(data, asked)
        except (InvalidPhoto, OSError) as error:
            skipped.append(Skipped(photo.key, str(error)))
        else:
            away = photo.at.distance_km(Coordinate(prediction.lat, prediction.lon))
            answered.append(Answered(photo, prediction, away))
        progress()
    return Report(
        title="Answers, left out of their own gallery" if leave_one_out else "Answers",
        about=_about(answered, skipped, options),
        figures=_figures(answered) if answered else (),
        timings=_timings(answered) if answered else (),
        skipped=tuple(skipped),
        photos=tuple(_row(one) for one in answered),
    )


async def _without_itself(locator: Locator, data: bytes, options: LocateOptions) -> LocateOptions:
    sha256 = hashlib.sha256(data).hexdigest()
    own: list[str] = []
    for name in options.galleries:
        gallery = await locator.galleries.open(name)
        own += await gallery.ids_by("sha256", [sha256])
    excluded = (*options.filter.exclude_ids, *own)
    return replace(options, filter=replace(options.filter, exclude_ids=excluded))


def _about(
    answered: Sequence[Answered], skipped: Sequence[Skipped], options: LocateOptions
) -> dict[str, str]:
    about = {"photos": f"{len(answered)} measured, {len(skipped)} skipped"}
    if answered:
        last = answered[-1].prediction
        about["encoder"] = last.encoder
        about["galleries"] = ", ".join(
            f"{gallery.name} version {gallery.version} ({gallery.count} photos)"
            for gallery in last.galleries
        )
        calibration = last.calibration
        about["calibrated"] = f"on {calibration.dataset}" if calibration else "no"
    about["generators"] = ", ".join(options.generators)
    about["interval"] = "percentile bootstrap over photos, 5000 resamples, seed 0"
    return about


def _figures(answered: Sequence[Answered]) -> tuple[Figure, ...]:
    away = np.array([one.distance_km for one in answered])
    score = metrics.geo_score(away)
    radius_50 = np.array([one.prediction.radius_50_km for one in answered])
    radius_90 = np.array([one.prediction.radius_90_km for one in answered])
    abstained = np.array([one.prediction.abstention is not None for one in answered])
    surest = metrics.risk_coverage(-radius_50, away > LEVELS_KM[1])
    half = (len(answered) + 1) // 2 - 1
    loss = metrics.risk_coverage(-radius_50, 1.0 - score / 5000.0)
    return (
        *(_share(f"Acc@{km:g} km", away <= km) for km in LEVELS_KM),
        Figure.of("median error", metrics.bootstrap(away, metrics.median), "km"),
        Figure.of("mean error", metrics.bootstrap(away), "km"),
        Figure.of("GeoScore", metrics.bootstrap(score)),
        _share("truth within the 50 % radius", away <= radius_50),
        _share("truth within the 90 % radius", away <= radius_90),
        Figure("median 50 % radius", float(np.median(radius_50)), "km"),
        Figure("median 90 % radius", float(np.median(radius_90)), "km"),
        *(Figure(f"ECE at {km:g} km", _calibration_error(answered, km)) for km in LEVELS_KM),
        Figure("Acc@25 km of the surest half", 1.0 - float(surest.y[half]), "%"),
        Figure("area under risk (1 − GeoScore/5000) and coverage", metrics.area_under(loss)),
        _share("abstained", abstained),
    )


def _share(name: str, hits: metrics.BoolArray) -> Figure:
    return Figure.of(name, metrics.bootstrap(hits), "%")


def _calibration_error(answered: Sequence[Answered], km: float) -> float:
    claimed = [one.prediction.within[km] for one in answered]
    hit = [one.distance_km <= km for one in answered]
    return metrics.expected_calibration_error(claimed, hit)


def _timings(answered: Sequence[Answered]) -> tuple[Figure, ...]:
    total: Float64Array = np.array([one.prediction.timings_ms["total"] for one in answered])
    return (
        Figure("latency, median", float(np.median(total)), "ms"),
        Figure("latency, 95th percentile", float(np.quantile(total, 0.95)), "ms"),
    )


def _row(one: Answered) -> dict[str, object]:
    answer = one.prediction
    return {
        "photo": one.photo.key,
        "lat": one.photo.at.lat,
        "lon": one.photo.at.lon,
        "answer_lat": answer.lat,
        "answer_lon": answer.lon,
        "distance_km": one.distance_km,
        "radius_50_km": answer.radius_50_km,
        "radius_90_km": answer.radius_90_km,
        "within": {f"{km:g}": probability for km, probability in answer.within.items()},
        "abstained": answer.abstention.cause if answer.abstention else "",
        "degraded": [f"{one.channel}: {one.cause}" for one in answer.degraded],
    }
