"""Points, conditions and collections as a Qdrant server takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from qdrant_client import AsyncQdrantClient, models

from geofix.engine.gallery.captured import span
from geofix.engine.gallery.conditions import KEYWORDS, Conditions, cell_tokens
from geofix.engine.gallery.port import Quantization
from geofix.engine.gallery.records import GPS_DIMENSION, SHOWN, TEXT_FIELDS
from geofix.engine.types import Float32Array, Neighbour, Point
from geofix.settings import QdrantLayout

EF = 512
"""Width of a search in the graph: recall 0.998 at 100 000 points."""
MOST_FOUND = 1_000_000
"""Results, or values of a field, that one request may ask for: an area may hold few of many."""
_LONGEST_MATCH = 10_000
"""Values that one condition may name: excluded ids, and the cells of an area."""
_WRITE_BATCH = 1000


async def create_collection(
    client: AsyncQdrantClient,
    name: str,
    dimension: int,
    layout: QdrantLayout,
    quantization: Quantization = Quantization.INT8,
) -> None:
    """Make a collection for image vectors of ``dimension``, with all its indexes.

    Full vectors lie on the disk and their int8 copies in memory; a search rescores with the full
    ones. Segments up to ``full_scan_threshold`` are compared one by one where a filter leaves
    little: the planner would otherwise walk a graph that the filter has cut into pieces.
    """
    on_disk = layout.on_disk
    await client.create_collection(
        name,
        vectors_config={
            "image": models.VectorParams(
                size=dimension, distance=models.Distance.DOT, on_disk=on_disk
            ),
            # Never searched, only read: no graph, no copy in memory.
            "gps": models.VectorParams(
                size=GPS_DIMENSION,
                distance=models.Distance.DOT,
                on_disk=True,
                hnsw_config=models.HnswConfigDiff(m=0),
            ),
        },
        shard_number=layout.shards,
        replication_factor=layout.replicas,
        write_consistency_factor=layout.replicas // 2 + 1,
        on_disk_payload=on_disk,
        hnsw_config=models.HnswConfigDiff(
            m=16, ef_construct=128, full_scan_threshold=400_000, on_disk=False
        ),
        quantization_config=_quantized(quantization),
        strict_mode_config=models.StrictModeConfig(
            enabled=True,
            max_query_limit=MOST_FOUND,
            unindexed_filtering_retrieve=False,
            unindexed_filtering_update=False,
            search_max_hnsw_ef=4 * MOST_FOUND,
            search_allow_exact=True,
            search_max_oversampling=4.0,
            upsert_max_batchsize=_WRITE_BATCH,
            condition_max_size=_LONGEST_MATCH,
        ),
    )
    for field in KEYWORDS:
        await client.create_payload_index(name, field, models.PayloadSchemaType.KEYWORD)
    await client.create_payload_index(name, "captured", models.PayloadSchemaType.FLOAT)
    await client.create_payload_index(name, "location", models.PayloadSchemaType.GEO)


def _quantized(
    wanted: Quantization,
) -> models.ScalarQuantization | models.BinaryQuantization | None:
    if wanted is Quantization.INT8:
        int8 = models.ScalarQuantizationConfig(
            type=models.ScalarType.INT8, quantile=0.99, always_ram=True
        )
        return models.ScalarQuantization(scalar=int8)
    if wanted is Quantization.BINARY:
        bits = models.BinaryQuantizationConfig(always_ram=True)
        return models.BinaryQuantization(binary=bits)
    return None


def to_points(points: Sequence[Point]) -> list[models.PointStruct]:
    """Points with their vectors and payloads; empty texts are left out."""
    tokens = cell_tokens([(point.lat, point.lon) for point in points])
    return [_to_point(point, cell) for point, cell in zip(points, tokens, strict=True)]


def _to_point(point: Point, cell: list[str]) -> models.PointStruct:
    payload: dict[str, object] = {
        "lat": point.lat,
        "lon": point.lon,
        "location": {"lat": point.lat, "lon": point.lon},
        "cell": cell,
    }
    payload.update({name: text for name in TEXT_FIELDS if (text := getattr(point, name))})
    if point.captured_at:
        payload["captured"] = span(point.captured_at)[0]
    vectors: dict[str, models.Vector] = {"image": point.image.tolist()}
    if point.gps is not None:
        vectors["gps"] = point.gps.tolist()
    return models.PointStruct(id=point.id, vector=vectors, payload=payload)


def from_record(record: models.Record) -> Point:
    """The point of a record read with payload and vectors."""
    payload = record.payload or {}
    image = _vector(record.vector, "image")
    assert image is not None  # noqa: S101 - every point has one
    return Point(
        id=str(record.id),
        lat=payload["lat"],
        lon=payload["lon"],
        image=image,
        gps=_vector(record.vector, "gps"),
        **{name: str(payload.get(name, "")) for name in TEXT_FIELDS},
    )


def to_neighbour(hit: models.ScoredPoint, gallery: str) -> Neighbour:
    """A search result read with payload and location vector."""
    payload = hit.payload or {}
    return Neighbour(
        id=str(hit.id),
        gallery=gallery,
        lat=payload["lat"],
        lon=payload["lon"],
        similarity=min(1.0, max(-1.0, hit.score)),
        gps=_vector(hit.vector, "gps"),
        thumbnail=False,  # no index knows
        **{name: str(payload.get(name, "")) for name in SHOWN},
    )


def to_filter(wanted: Conditions) -> models.Filter | None:
    """The conditions as Qdrant's filter; None when there are none."""
    must: list[models.Condition] = [_any_of(*pair) for pair in wanted.any_of]
    must_not: list[models.Condition] = [_any_of(*pair) for pair in wanted.none_of]
    if wanted.captured:
        first, last = wanted.captured
        must.append(models.FieldCondition(key="captured", range=models.Range(gte=first, lte=last)))
    if wanted.without_ids:
        must_not.append(models.HasIdCondition(has_id=list(wanted.without_ids)))
    return models.Filter(must=must, must_not=must_not) if must or must_not else None


def _any_of(field: str, values: Sequence[str]) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))


def search_params(wanted: int, *, exact: bool) -> models.SearchParams:
    """How a search for so many results compares."""
    if exact:
        return models.SearchParams(exact=True)
    rescored = models.QuantizationSearchParams(rescore=True, oversampling=2.0)
    return models.SearchParams(hnsw_ef=max(EF, 4 * wanted), quantization=rescored)


def _vector(vectors: models.VectorStructOutput | None, name: str) -> Float32Array | None:
    assert vectors is None or isinstance(vectors, Mapping)  # noqa: S101 - all are named
    values = vectors.get(name) if vectors else None
    return None if values is None else np.array(values, dtype=np.float32)
