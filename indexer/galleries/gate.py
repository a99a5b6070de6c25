"""Whether a new version of a gallery may take the place of the one in use."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geofix.engine.gallery import canaries
from geofix.engine.gallery.ledger import LedgerView
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.types import Filter, Float32Array, Float64Array, Int64Array, Point
from geofix.geo.coordinates import haversine_km

LEAST_RECALL = 0.98
K = 50
_QUERIES = 100
_SAME = 1e-5
"""Difference of two similarities that are one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was measured, and what speaks against the version."""

    figures: dict[str, float]
    reason: str
    """Empty when nothing does."""


async def validate(
    source: LedgerView,
    target: RecordedGallery,
    missing: frozenset[str],
    most_missing: float,
    labelled: tuple[Sequence[Point], Sequence[Point]],
) -> Verdict:
    """Compare ``target`` with the ledger of the version in use.

    ``missing`` photos could not be encoded again, of which ``most_missing`` is the largest share
    that is let pass. ``labelled`` are the same photos as the version in use and as this one
    encodes them.
    """
    wanted = await asyncio.to_thread(source.ids)
    held = await asyncio.to_thread(target.ledger.ids)
    count = await target.count()
    recall = await _recall(target)
    then = await asyncio.to_thread(_accuracy, source, labelled[0])
    now = await canaries.accuracy(target, labelled[1])
    figures = {
        "points": float(count),
        "missing": float(len(missing)),
        "recall": recall,
        "canaries": float(len(labelled[0])),
        "accuracy_before": then,
        "accuracy": now,
    }
    return Verdict(figures, await _reason(target, figures, wanted, held, missing, most_missing))


async def _reason(
    target: RecordedGallery,
    figures: dict[str, float],
    wanted: set[str],
    held: set[str],
    missing: frozenset[str],
    most_missing: float,
) -> str:
    if figures["points"] != len(held):
        return f"The index holds {figures['points']:.0f} photos, its ledger {len(held)}."
    # What comes and goes while this is counted is brought in step when the version is handed over.
    lost = len((wanted & missing) - held)
    if lost > most_missing * len(wanted):
        return f"{lost} of {len(wanted)} photos could not be encoded again."
    if figures["recall"] < LEAST_RECALL:
        return f"Its recall at {K} is {figures['recall']:.3f}; {LEAST_RECALL} is asked for."
    if figures["accuracy"] < figures["accuracy_before"]:
        return (
            f"Of the labelled photos it places {figures['accuracy']:.1%} within 200 km, the "
            f"version in use {figures['accuracy_before']:.1%}."
        )
    return await canaries.own_fault(target)


async def _recall(target: RecordedGallery) -> float:
    """Recall at 50 of the index against the comparison of every vector of its ledger."""
    queries = await asyncio.to_thread(_sample, target.ledger)
    if not len(queries):
        return 1.0
    best = await asyncio.to_thread(_nearest, target.ledger, queries)
    found = wanted = 0
    for query, similarities in zip(queries, best, strict=True):
        known = similarities[np.isfinite(similarities)]
        hits = await target.search(query, len(known), Filter())
        wanted += len(known)
        found += sum(hit.similarity >= known.min() - _SAME for hit in hits)
    return found / wanted


def _sample(ledger: LedgerView) -> Float32Array:
    """A hundred vectors, evenly over the ledger."""
    total = len(ledger.ids())
    rows = np.unique(np.linspace(0, total - 1, _QUERIES).astype(int)) if total else np.empty(0)
    chosen: list[Float32Array] = []
    start = 0
    for batch in ledger.vectors():
        here = rows[(rows >= start) & (rows < start + len(batch.ids))].astype(int) - start
        chosen += list(batch.image[here])
        start += len(batch.ids)
    return np.array(chosen, dtype=np.float32)


def _nearest(ledger: LedgerView, queries: Float32Array) -> Float32Array:
    """float32 [Q, 50]: the greatest similarities, by comparing all; -inf where there are fewer."""
    best = np.full((len(queries), K), -np.inf, dtype=np.float32)
    for batch in ledger.vectors():
        both = np.concatenate([best, queries @ batch.image.T], axis=1)
        best = np.partition(both, both.shape[1] - K, axis=1)[:, -K:]
    return best


def _accuracy(ledger: LedgerView, labelled: Sequence[Point]) -> float:
    """As ``canaries.accuracy``, by comparing all."""
    if not labelled:
        return 1.0
    queries = np.array([canary.image for canary in labelled])
    best = np.full(len(labelled), -np.inf, dtype=np.float32)
    places: Float64Array = np.full((len(labelled), 2), np.nan)
    row: Int64Array = np.arange(len(labelled))
    for batch in ledger.vectors():
        similarity = queries @ batch.image.T
        for number, canary in enumerate(labelled):
            if canary.id in batch.ids:
                similarity[number, batch.ids.index(canary.id)] = -np.inf
        first = np.argmax(similarity, axis=1)
        better = similarity[row, first] > best
        best[better] = similarity[row, first][better]
        places[better] = batch.latlon[first[better]]
    truth = np.array([(canary.lat, canary.lon) for canary in labelled])
    known = np.isfinite(best)
    km = haversine_km((truth[known, 0], truth[known, 1]), (places[known, 0], places[known, 1]))
    return float((km <= canaries.WITHIN_KM).sum() / len(labelled))
