"""How good the engine's whole answers are on labelled photos."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from geofix.engine.locate import Locator
from geofix.engine.types import LocateOptions
from geofix.errors import InvalidPhoto
from geofix.geo.coordinates import haversine_km
from indexer.evaluation import figures
from indexer.evaluation.datasets import LabelledPhoto, Skipped, Truth, failure
from indexer.evaluation.independence import LeaveOut, apart, searched
from indexer.evaluation.journal import Journal
from indexer.evaluation.measuring import Measured, measure
from indexer.evaluation.report import Report

_OUTCOME: TypeAdapter[Measured | Skipped] = TypeAdapter(Measured | Skipped)
_INTERVAL = (
    "percentile bootstrap over photos, 5000 resamples (ECE, surest half and risk: 1000), seed 0"
)
_PLACEHOLDER_KM = 25.0
"""One file that stands for places farther apart than this was not taken at any of them."""


async def measure_answers(
    locator: Locator,
    truth: Truth,
    options: LocateOptions,
    *,
    leave_out: LeaveOut = LeaveOut.NOTHING,
    journal: Path | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Report:
    """Locate every photo and measure the answers; ``progress`` is called after each.

    With a ``journal``, a run that was killed goes on where it stopped. Photos that cannot be read
    are skipped. Raises what ``Locator.locate`` raises otherwise, and Conflict for a journal of
    another measurement.
    """
    depends_on = await _depends_on(locator, truth, options, leave_out)
    outcomes: dict[str, Measured | Skipped] = {}
    with ExitStack() as stack:
        kept = None
        if journal is not None:
            kept = stack.enter_context(
                Journal(journal, json.dumps(depends_on, sort_keys=True), _OUTCOME)
            )
            outcomes.update(kept.done)
        for photo in truth.photos:
            if photo.key not in outcomes:
                outcomes[photo.key] = await _outcome(locator, photo, options, leave_out)
                if kept is not None:
                    kept.add(photo.key, outcomes[photo.key])
            progress()
    ordered = [outcomes[photo.key] for photo in truth.photos]
    measured, placeholders = _without_placeholders([o for o in ordered if isinstance(o, Measured)])
    skipped = (*truth.skipped, *(o for o in ordered if isinstance(o, Skipped)), *placeholders)
    return _report(measured, skipped, depends_on)


async def _outcome(
    locator: Locator, photo: LabelledPhoto, options: LocateOptions, leave_out: LeaveOut
) -> Measured | Skipped:
    try:
        data = photo.read()
        asked = await apart(locator, photo, data, options, leave_out)
        return await measure(locator, photo, data, asked)
    except (InvalidPhoto, OSError) as error:
        return Skipped(photo.key, failure(error))


def _without_placeholders(
    photos: Sequence[Measured],
) -> tuple[list[Measured], tuple[Skipped, ...]]:
    """Drop files that stand for places far apart, as "photo no longer available" does."""
    by_file: dict[str, list[Measured]] = {}
    for photo in photos:
        by_file.setdefault(photo.sha256, []).append(photo)
    placeholders = {
        sha256 for sha256, same in by_file.items() if _spread_km(same) > _PLACEHOLDER_KM
    }
    return (
        [photo for photo in photos if photo.sha256 not in placeholders],
        tuple(
            Skipped(photo.photo, "a placeholder: the same file stands for places far apart")
            for photo in photos
            if photo.sha256 in placeholders
        ),
    )


def _spread_km(photos: Sequence[Measured]) -> float:
    latlon = np.array([(photo.lat, photo.lon) for photo in photos])
    return float(haversine_km(latlon[0], latlon).max())


async def _depends_on(
    locator: Locator, truth: Truth, options: LocateOptions, leave_out: LeaveOut
) -> dict[str, str]:
    """Everything the figures depend on, for people and to tell measurements apart."""
    infos = [await gallery.info() for gallery in await searched(locator, options)]
    labels = [(p.key, p.at.lat, p.at.lon, p.contributor, p.set) for p in truth.photos]
    return {
        "rule": str(options.rule),
        "encoder": f"{locator.encoder.name} ({locator.encoder.card.sha256[:12]})",
        "galleries": ", ".join(f"{i.name} version {i.version} ({i.count} photos)" for i in infos)
        or "none",
        "neighbours": str(options.neighbours),
        "left out of a photo's search": _LEFT_OUT[leave_out],
        "generators": ", ".join(options.generators),
        "truths": hashlib.sha256(json.dumps(labels).encode()).hexdigest()[:12],
    }


_LEFT_OUT: Mapping[LeaveOut, str] = {
    LeaveOut.NOTHING: "nothing",
    LeaveOut.ITSELF: "the same file",
    LeaveOut.RELATED: "the same file, the same contributor's photos, near-duplicates",
}


def _report(
    measured: Sequence[Measured], skipped: tuple[Skipped, ...], depends_on: Mapping[str, str]
) -> Report:
    about = {"photos": f"{len(measured)} measured, {len(skipped)} skipped", **depends_on}
    about["interval"] = _INTERVAL
    if not measured:
        return Report("Answers", about, (), skipped=skipped)
    fitted = sorted({photo.calibrated for photo in measured} - {""})
    about["calibrated"] = f"on {', '.join(fitted)}" if fitted else "no"
    return Report(
        title="Answers",
        about=about,
        figures=figures.figures(measured),
        timings=figures.timings(measured),
        skipped=skipped,
        photos=tuple(_row(photo) for photo in measured),
        groups=figures.groups(measured),
        curves=figures.curves(measured),
    )


def _row(photo: Measured) -> Mapping[str, object]:
    row = asdict(photo)
    del row["latency_ms"]
    return row
