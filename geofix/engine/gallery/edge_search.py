"""Searching and counting in a Qdrant Edge shard: the true top k for every filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import qdrant_edge as qe

from geofix.engine.gallery.conditions import conditions
from geofix.engine.gallery.edge_points import conditions_filter, to_neighbour
from geofix.engine.gallery.port import Space
from geofix.engine.region import contains
from geofix.engine.types import Filter, Float32Array, Neighbour

EXACT_FLOATS = 16_000_000
"""Numbers that a search without a filter compares one by one: 3 ms. Beyond, it uses the graph."""
_EXACT_FILTERED_FLOATS = 256_000_000
"""The same with a filter, where the graph may be cut into pieces: 60 ms."""
_EF = 512
"""Width of the search in the graph: recall 0.998 at 100 000 points."""


def search(
    shard: qe.EdgeShard,
    vector: Float32Array,
    k: int,
    where: Filter,
    gallery: str,
    exact_floats: int = EXACT_FLOATS,
    space: Space = "image",
) -> list[Neighbour]:
    """The k most similar points that pass the filter, best first.

    Points are read in the order of their similarity, and more of them as long as too few lie
    inside a drawn area; a result of the graph that falls short is searched for again, exactly.
    """
    condition = conditions_filter(conditions(where))
    query = qe.Query.Nearest(vector.tolist(), using=space)
    matching = shard.count(qe.CountRequest(exact=False, filter=condition))
    limit = exact_floats if condition is None else _EXACT_FILTERED_FLOATS
    exact = space == "gps" or matching * len(vector) <= limit  # places have no graph
    wanted = 2 * k if where.draws_area else k
    while True:
        hits = shard.query(
            qe.QueryRequest(
                limit=wanted,
                query=query,
                filter=condition,
                params=_params(wanted, exact=exact),
                with_payload=["lat", "lon"],
            )
        )
        inside = _inside(hits, where)
        if len(inside) < k and len(hits) < wanted and not exact:
            exact = True  # the graph found fewer than there are
        elif len(inside) >= k or len(hits) < wanted:
            return _neighbours(shard, inside[:k], gallery)
        else:
            wanted *= 4


def _neighbours(
    shard: qe.EdgeShard, hits: Sequence[qe.ScoredPoint], gallery: str
) -> list[Neighbour]:
    records = shard.retrieve([hit.id for hit in hits], True, ["gps"])
    by_id: Mapping[str, qe.Record] = {str(record.id): record for record in records}
    ordered = sorted(hits, key=lambda hit: (-hit.score, str(hit.id)))
    return [to_neighbour(hit.score, by_id[str(hit.id)], gallery) for hit in ordered]


def _params(wanted: int, *, exact: bool) -> qe.SearchParams:
    if exact:
        return qe.SearchParams(exact=True)
    rescored = qe.QuantizationSearchParams(rescore=True, oversampling=2.0)
    return qe.SearchParams(hnsw_ef=max(_EF, 4 * wanted), quantization=rescored)


def _inside(hits: Sequence[qe.ScoredPoint], where: Filter) -> list[qe.ScoredPoint]:
    if not where.draws_area or not hits:
        return list(hits)
    payloads = [hit.payload or {} for hit in hits]
    latlon = np.array([(payload["lat"], payload["lon"]) for payload in payloads])
    return [hit for hit, kept in zip(hits, contains(where.area, latlon, ()), strict=True) if kept]


def count(shard: qe.EdgeShard, where: Filter) -> int:
    """How many points pass the filter, exactly."""
    condition = conditions_filter(conditions(where))
    if not where.draws_area:
        return shard.count(qe.CountRequest(filter=condition))
    total, offset = 0, None
    while True:
        page, offset = shard.scroll(qe.ScrollRequest(offset, 10_000, condition, ["lat", "lon"]))
        payloads = [record.payload or {} for record in page]
        latlon = np.array([(p["lat"], p["lon"]) for p in payloads]).reshape(-1, 2)
        total += int(contains(where.area, latlon, ()).sum())
        if offset is None:
            return total
