"""Points and conditions as Qdrant Edge writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import qdrant_edge as qe

from geofix.engine.gallery.captured import span
from geofix.engine.gallery.conditions import Conditions, cell_tokens
from geofix.engine.gallery.records import SHOWN, TEXT_FIELDS
from geofix.engine.types import Float32Array, Neighbour, Point


def to_points(points: Sequence[Point]) -> list[qe.Point]:
    """Points with their vectors and payloads; empty texts are left out."""
    tokens = cell_tokens([(point.lat, point.lon) for point in points])
    return [_to_point(point, cell) for point, cell in zip(points, tokens, strict=True)]


def _to_point(point: Point, cell: list[str]) -> qe.Point:
    payload: dict[str, object] = {"lat": point.lat, "lon": point.lon, "cell": cell}
    payload.update({name: text for name in TEXT_FIELDS if (text := getattr(point, name))})
    if point.captured_at:
        payload["captured"] = span(point.captured_at)[0]
    vectors: dict[str, qe.NamedVector] = {"image": point.image.tolist()}
    if point.gps is not None:
        vectors["gps"] = point.gps.tolist()
    return qe.Point(point.id, vectors, payload)


def from_record(record: qe.Record) -> Point:
    """The point of a record read with payload and vectors."""
    payload = record.payload or {}
    image = _vector(record, "image")
    assert image is not None  # noqa: S101 - every point has one
    return Point(
        id=str(record.id),
        lat=payload["lat"],
        lon=payload["lon"],
        image=image,
        gps=_vector(record, "gps"),
        **{name: str(payload.get(name, "")) for name in TEXT_FIELDS},
    )


def to_neighbour(similarity: float, record: qe.Record, gallery: str) -> Neighbour:
    """A search result, from a record read with payload and location vector."""
    payload = record.payload or {}
    return Neighbour(
        id=str(record.id),
        gallery=gallery,
        lat=payload["lat"],
        lon=payload["lon"],
        similarity=min(1.0, max(-1.0, similarity)),
        gps=_vector(record, "gps"),
        thumbnail=False,  # no index knows
        **{name: str(payload.get(name, "")) for name in SHOWN},
    )


def conditions_filter(wanted: Conditions) -> qe.Filter | None:
    """The conditions as Edge's filter; None when there are none."""
    must: list[qe.ConditionType] = [
        qe.FieldCondition(field, match=qe.MatchAny(list(values))) for field, values in wanted.any_of
    ]
    must_not: list[qe.ConditionType] = [
        qe.FieldCondition(field, match=qe.MatchAny(list(values)))
        for field, values in wanted.none_of
    ]
    if wanted.captured:
        first, last = wanted.captured
        must.append(qe.FieldCondition("captured", range=qe.RangeFloat(gte=first, lte=last)))
    if wanted.without_ids:
        must_not.append(qe.HasIdCondition(set(wanted.without_ids)))
    return qe.Filter(must=must, must_not=must_not) if must or must_not else None


def _vector(record: qe.Record, name: str) -> Float32Array | None:
    vectors = record.vector
    assert vectors is None or isinstance(vectors, Mapping)  # noqa: S101 - all are named
    values = vectors.get(name) if vectors else None
    return None if values is None else np.array(values, dtype=np.float32)
