"""What looks wrong in a gallery: copies, placeholders, and positions that cannot be.

Nothing is removed here: each finding names a photo and says why, and whoever keeps the gallery
decides. Pictures are compared by their perceptual hash, and confirmed by their vectors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geofix.engine.choosing.evidence import BoolArray
from geofix.engine.types import Float64Array, Int64Array, Point
from geofix.geo import cells
from geofix.geo.coordinates import haversine_km
from geofix.geo.places import country_codes
from geofix.geo.priors import earth

SPREAD_KM = 25.0
"""One picture at places farther apart than this is no photo of either."""
_ALIKE_BITS, _ALIKE_COSINE = 6, 0.7
_CROPPED_BITS, _CROPPED_COSINE = 12, 0.93
"""Recompressed and shrunk copies differ in up to 4 bits of 64, cropped ones in up to 12;
unrelated photos in 10 or more, with a cosine below 0.89."""
_BANDS = 8
_CROWD = 64
"""Pictures of equal hash bits that are compared with each other; more are no evidence."""
_NULL_DEGREES = 0.01
_NEIGHBOURHOOD = 5
"""S2 level whose cells, 290 km wide, tell whether photos lie near a position."""
_FEW = 3


class Flag(StrEnum):
    """What may be wrong with a photo."""

    NEAR_DUPLICATE = "near_duplicate"
    PLACEHOLDER = "placeholder"
    """The same picture stands at places far apart."""
    NULL_ISLAND = "null_island"
    SWAPPED = "swapped"
    """Latitude and longitude seem to be exchanged."""
    AT_SEA = "at_sea"


@dataclass(frozen=True, slots=True)
class Facts:
    """Points without their vectors, column by column."""

    ids: pa.Array[pa.StringScalar]
    keys: pa.Array[pa.StringScalar]
    latlon: Float64Array
    """[n, 2] degrees."""
    country: npt.NDArray[np.str_]
    """[n]: as stated, or else as the position says."""
    phash: npt.NDArray[np.uint64]
    """[n]: 0 where there is none."""
    added_at: npt.NDArray[np.str_]
    """[n]: ISO 8601 in UTC."""

    @classmethod
    def of(cls, table: pa.Table) -> Facts:
        """From a table with the columns of FACTS."""
        whole = table.combine_chunks()
        column = {name: whole.column(name).combine_chunks() for name in FACTS}
        hashes = [int(text or "0", 16) for text in column["phash"].to_pylist()]
        return cls(
            ids=column["id"],
            keys=column["key"],
            latlon=np.stack([column["lat"].to_numpy(), column["lon"].to_numpy()], axis=1),
            country=np.array(column["country"].to_pylist(), dtype="U2"),
            phash=np.array(hashes, dtype=np.uint64),
            added_at=np.array(column["added_at"].to_pylist(), dtype="U20"),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def key(self, i: int) -> str:
        """The source's name of point ``i``."""
        return str(self.keys[i].as_py())

    def id(self, i: int) -> str:
        """The id of point ``i``."""
        return str(self.ids[i].as_py())


FACTS = ("id", "key", "lat", "lon", "country", "phash", "added_at")


@dataclass(frozen=True, slots=True)
class Finding:
    """One photo and what is wrong with it."""

    id: str
    key: str
    flag: Flag
    reason: str


async def review(
    facts: Facts, get: Callable[[Sequence[str]], Awaitable[list[Point]]], since: str = ""
) -> list[Finding]:
    """Everything that looks wrong among the points added ``since`` a moment, in their order.

    They are compared with all points. ``get`` fetches points with their vectors, for the few
    whose hashes are alike.
    """
    if not len(facts):
        return []
    flagged = await asyncio.to_thread(positions, facts)
    flagged += copies(facts, await _confirmed(facts, get))
    return [
        Finding(facts.id(i), facts.key(i), flag, reason)
        for i, flag, reason in sorted(flagged)
        if facts.added_at[i] >= since
    ]


Flagged = tuple[int, Flag, str]
"""Which point, what is wrong with it, and why it is thought to be so."""


def positions(facts: Facts) -> list[Flagged]:
    """Points at (0, 0), at sea, or where latitude and longitude seem to be exchanged."""
    latlon = facts.latlon
    null = np.asarray((np.abs(latlon) < _NULL_DEGREES).all(axis=1), dtype=np.bool_)
    here = np.array(country_codes(latlon), dtype=np.str_)
    afloat = (earth().cells.locate(latlon) < 0) & (here == "")
    swapped: BoolArray = _swapped(facts, here, afloat) & ~null
    found: list[Flagged] = []
    for i in np.flatnonzero(null | afloat | swapped).tolist():
        lat, lon = latlon[i]
        if null[i]:
            found.append((i, Flag.NULL_ISLAND, "It lies at (0, 0), which stands for no position."))
        elif swapped[i]:
            reason = f"{lat:g}, {lon:g} does not fit; exchanged, {lon:g}, {lat:g} would."
            found.append((i, Flag.SWAPPED, reason))
        else:
            found.append((i, Flag.AT_SEA, "It lies on open sea."))
    return found


def _swapped(facts: Facts, here: npt.NDArray[np.str_], afloat: BoolArray) -> npt.NDArray[np.bool_]:
    """Whether each position makes sense only with its numbers exchanged.

    That is so where its country is stated and is the one at the exchanged position, where it lies
    at sea and the exchanged one on land, and where the other photos lie at the exchanged one.
    """
    latlon, stated = facts.latlon, facts.country
    can: BoolArray = (np.abs(latlon[:, 1]) <= 90.0) & (np.abs(latlon[:, 0] - latlon[:, 1]) > 1.0)
    exchanged = np.where(can[:, None], latlon[:, ::-1], latlon)
    there = np.array(country_codes(exchanged), dtype=np.str_)
    by_country = (stated != "") & (stated != here) & (stated == there)
    by_sea = afloat & (there != "")
    around, around_there = _crowds(latlon, exchanged)
    by_crowd = (around_there >= _FEW) & (around_there >= 1.5 * around) & (here != there)
    swapped: BoolArray = can & (by_country | by_sea | by_crowd)
    return swapped


def _crowds(latlon: Float64Array, exchanged: Float64Array) -> tuple[Int64Array, Int64Array]:
    """How many of the points lie in the cell of each point, and of its exchanged position."""
    own = cells.cell_ids(latlon, _NEIGHBOURHOOD)
    held, counts = np.unique(own, return_counts=True)

    def count(ids: npt.NDArray[np.uint64]) -> Int64Array:
        at = np.minimum(np.searchsorted(held, ids), len(held) - 1)
        return np.where(held[at] == ids, counts[at], 0).astype(np.int64)

    return count(own), count(cells.cell_ids(exchanged, _NEIGHBOURHOOD))


def copies(facts: Facts, alike: Sequence[tuple[int, int]]) -> list[Flagged]:
    """Groups of pictures that are alike: placeholders where they lie far apart, else duplicates.

    The first of a group of duplicates is not one itself.
    """
    found: list[Flagged] = []
    for group in _groups(len(facts), alike):
        first = group[0]
        widest = float(haversine_km(facts.latlon[first], facts.latlon[group]).max())
        if widest > SPREAD_KM:
            reason = f"The same picture stands at {len(group)} places, {widest:.0f} km apart."
            found += [(i, Flag.PLACEHOLDER, reason) for i in group]
        else:
            reason = f"Nearly the same picture as {facts.key(first)}."
            found += [(i, Flag.NEAR_DUPLICATE, reason) for i in group[1:]]
    return found


async def _confirmed(
    facts: Facts, get: Callable[[Sequence[str]], Awaitable[list[Point]]]
) -> list[tuple[int, int]]:
    """Pairs whose hashes are alike and whose vectors agree."""
    pairs = await asyncio.to_thread(lambda: list(_alike_hashes(facts.phash)))
    if not pairs:
        return []
    wanted = sorted({i for a, b, _ in pairs for i in (a, b)})
    points = await get([facts.id(i) for i in wanted])
    vectors = {point.id: point.image for point in points}
    confirmed = []
    for a, b, bits in pairs:
        one, other = vectors.get(facts.id(a)), vectors.get(facts.id(b))
        least = _ALIKE_COSINE if bits <= _ALIKE_BITS else _CROPPED_COSINE
        if one is not None and other is not None and float(one @ other) >= least:
            confirmed.append((a, b))
    return confirmed


def _alike_hashes(hashes: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int, int]]:
    """Pairs of 64-bit hashes that differ in few bits, with how many.

    Two hashes that differ in fewer bits than there are bands agree in one band at least, so that
    only those that share a band are compared.
    """
    known = np.flatnonzero(hashes)
    values = hashes[known]
    seen: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        bits = (values >> np.uint64(8 * band)) & np.uint64(0xFF)
        order = np.argsort(bits, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(bits[order])) + 1):
            for a, b, apart in _within(values[rows]):
                pair = (int(known[rows[a]]), int(known[rows[b]]))
                if pair not in seen:
                    seen.add(pair)
                    yield min(pair), max(pair), apart


def _within(values: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int, int]]:
    for a in range(len(values) - 1):
        apart = np.bitwise_count(values[a + 1 :] ^ values[a])
        for step in np.flatnonzero(apart <= _CROPPED_BITS)[:_CROWD]:
            yield a, a + 1 + int(step), int(apart[step])


def _groups(count: int, pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Connected points, each group ascending."""
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    members: dict[int, list[int]] = {}
    for i in sorted({i for pair in pairs for i in pair}):
        members.setdefault(root(i), []).append(i)
    return list(members.values())
