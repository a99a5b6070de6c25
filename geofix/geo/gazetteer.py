"""Finding places by name: exactly first, then allowing for what readers of photos get wrong.

Names are GeoNames' (with all alternate names), Natural Earth's (regions, 25 languages) and CLDR's
(countries, every language). They are found by their keys (``geofix.geo.names``), so case, accents,
spaces and punctuation do not matter; where no name has the key, names within a few edits are
looked for.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geofix.geo.coordinates import EARTH_RADIUS_KM, Coordinate, Float64Array, to_unit
from geofix.geo.keys import KeyIndex
from geofix.geo.names import is_ideographic, search_key
from geofix.geo.place import Kind, Place, PlaceMatch
from geofix.geo.tables import classified, strings, table

__all__ = ["COORDINATE_SCALE", "Gazetteer", "Kind", "Place", "PlaceMatch", "gazetteer"]

Int64Array = npt.NDArray[np.int64]

COORDINATE_SCALE = 100_000
"""Coordinates are kept as whole hundred-thousandths of a degree."""
LONGEST_KEY = 60
"""Longer texts are sentences, not names."""

_SAME_NAME = 1.0
_SAME_KEY = 0.98
"""The letters agree, but accents, spaces or punctuation do not."""
_WITHOUT_SUFFIX = 0.95
"""The text has an administrative suffix that the name lacks, as 京都市 for 京都."""
_OTHER_NAME = 0.99
"""The name found is not the one GeoNames calls the place by."""
_REGION = 0.97
"""A region gives way to the city it is named after."""
_CODE = 0.8
"""Capitals such as BAR among a city's names are airport codes; in a photo they seldom are."""
_CONFUSED = 0.25
"""Cost of a look-alike character, in edits."""
_LEAST_SIMILAR = 0.6
_SIZE_WEIGHT = 0.25
"""How much of the score the smallest place loses to the largest."""
_LARGEST = 1e7
"""People beyond which a place's size no longer raises its score."""
_ADMINISTRATIVE_SUFFIXES = "市区區町村县縣郡州省府都県道시군구"
_LEARNT_BY_LENGTH = (0.5, 0.7, 0.85)
"""What a name of one, two, three letters is worth: such texts are seldom places."""


@dataclass(frozen=True, slots=True)
class _Hit:
    similarity: float
    name: str
    key: str


class Gazetteer:
    """The places and their names, loaded as they are needed. Safe to share between threads."""

    def __init__(self) -> None:
        self._rows = table("places")
        self._country, self._codes = classified(self._rows, "country")
        self._region, self._region_names = classified(self._rows, "region")
        self._region_index = {name: at for at, name in enumerate(self._region_names)}
        scaled = [self._rows[axis].to_numpy() for axis in ("lat", "lon")]
        self._latlon: Float64Array = np.stack(scaled, axis=1) / COORDINATE_SCALE
        self._population: Int64Array = self._rows["population"].to_numpy().astype(np.int64)
        self._kinds: npt.NDArray[np.int8] = self._rows["kind"].to_numpy()
        self.cities = int((self._kinds == Kind.CITY.value).sum())
        """The first so many rows are cities, country by country."""

    def __len__(self) -> int:
        return len(self._rows)

    def warm_up(self) -> None:
        """Load what the first searches would."""
        self._keys.warm_up()
        _ = self._names, self._places_of_names, self._unit

    def place(self, row: int) -> Place:
        """The place in a row of the table."""
        facts = self._rows.slice(row, 1).to_pylist()[0]
        return Place(
            geoname_id=facts["geoname_id"],
            name=facts["name"],
            country=facts["country"],
            region=facts["region"],
            lat=float(self._latlon[row, 0]),
            lon=float(self._latlon[row, 1]),
            population=facts["population"],
            kind=Kind(facts["kind"]),
            radius_km=round(facts["radius_km"], 2),
        )

    def search(self, name: str, limit: int = 10, countries: Iterable[str] = ()) -> list[PlaceMatch]:
        """Places called so, best first; only those in ``countries`` where any are given.

        A text without letters, or longer than a name can be, finds nothing.
        """
        key = search_key(name[: 4 * LONGEST_KEY])
        if not 0 < len(key) <= LONGEST_KEY or limit < 1:
            return []
        allowed = self._allowed(countries)
        hits = self._exact(key, name, allowed)
        if not hits and len(key) > 2 and key[-1] in _ADMINISTRATIVE_SUFFIXES:
            hits = self._exact(key[:-1], "", allowed, _WITHOUT_SUFFIX)
        if not hits:
            hits = self._fuzzy(key, allowed)
        return self._ranked(hits, limit)

    def nearest(self, lat: float, lon: float, k: int = 1) -> list[tuple[Place, float]]:
        """The k nearest cities with their distances in km, nearest first."""
        distances = self.distances_km(lat, lon, slice(0, self.cities))
        k = max(0, min(k, len(distances)))
        order = np.argsort(distances, kind="stable")[:k]
        return [(self.place(int(row)), float(distances[row])) for row in order]

    def rows_of(self, country: str) -> slice:
        """The rows of a country's cities."""
        return self._slices.get(country, slice(0, 0))

    def distances_km(self, lat: float, lon: float, rows: slice) -> Float64Array:
        """float64 [rows]: distances of those rows' places from a position."""
        at = Coordinate(lat, lon)
        chord = np.linalg.norm(self._unit[rows] - to_unit((at.lat, at.lon)), axis=1)
        arc = 2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2.0, 1.0))
        return np.asarray(arc, dtype=np.float64)

    def positions(self, rows: slice) -> Float64Array:
        """(lat, lon) in degrees, [N, 2], of the places in these rows."""
        return self._latlon[rows]

    def populations(self, rows: slice) -> Int64Array:
        """int64 [rows]: people in those rows' places."""
        return self._population[rows]

    def region_numbers(self, rows: slice) -> Int64Array:
        """int64 [rows]: numbers of those rows' regions, see ``region_name``."""
        return self._region[rows]

    def region_name(self, number: int) -> str:
        """Name of a region from ``region_numbers``."""
        return self._region_names[number]

    def region_number(self, name: str) -> int:
        """Number of the regions called so, -1 for none."""
        return self._region_index.get(name, -1)

    def _allowed(self, countries: Iterable[str]) -> npt.NDArray[np.bool_] | None:
        """bool [codes]: which countries' places may be found; None for all."""
        wanted = {code.upper() for code in countries}
        if not wanted:
            return None
        return np.array([code in wanted for code in self._codes])

    def _exact(
        self,
        key: str,
        text: str,
        allowed: npt.NDArray[np.bool_] | None,
        same_key: float = _SAME_KEY,
    ) -> dict[int, _Hit]:
        index = self._keys.find(key)
        if index is None:
            return {}
        hits = self._hits(index, key, same_key, allowed)
        written = _plain(text)
        return {
            row: _Hit(_SAME_NAME, hit.name, key) if _plain(hit.name) == written else hit
            for row, hit in hits.items()
        }

    def _fuzzy(self, key: str, allowed: npt.NDArray[np.bool_] | None) -> dict[int, _Hit]:
        hits: dict[int, _Hit] = {}
        for near in self._keys.similar(key, _edits_allowed(key)):
            cost = near.edits + _CONFUSED * near.confused
            similarity = _SAME_KEY * (1.0 - cost / max(len(key), len(near.key)))
            if similarity < _LEAST_SIMILAR:
                continue
            for row, hit in self._hits(near.index, near.key, similarity, allowed).items():
                if row not in hits or hits[row].similarity < similarity:
                    hits[row] = hit
        return hits

    def _hits(
        self, index: int, key: str, similarity: float, allowed: npt.NDArray[np.bool_] | None
    ) -> dict[int, _Hit]:
        hits = {}
        for at in self._keys.names(index):
            row = int(self._places_of_names[at])
            if allowed is None or allowed[self._country[row]]:
                hits[row] = _Hit(similarity, str(self._names[at]), key)
        return hits

    def _ranked(self, hits: dict[int, _Hit], limit: int) -> list[PlaceMatch]:
        scored = sorted(
            (
                (self._score(row, hit), int(self._population[row]), -row)
                for row, hit in hits.items()
            ),
            reverse=True,
        )
        return [
            PlaceMatch(self.place(-row), score, hits[-row].name, hits[-row].similarity)
            for score, _, row in scored[:limit]
        ]

    def _score(self, row: int, hit: _Hit) -> float:
        size = min(math.log1p(int(self._population[row])) / math.log1p(_LARGEST), 1.0)
        score = hit.similarity * (1.0 - _SIZE_WEIGHT * (1.0 - size))
        if search_key(str(self._rows["name"][row])) != hit.key:
            score *= _OTHER_NAME
        if int(self._kinds[row]) == Kind.REGION.value:
            score *= _REGION
        if _is_code(hit.name) and int(self._kinds[row]) == Kind.CITY.value:
            score *= _CODE
        worth = len(hit.key) * (2 if is_ideographic(hit.key) else 1)
        if worth <= len(_LEARNT_BY_LENGTH):
            score *= _LEARNT_BY_LENGTH[worth - 1]
        return score

    @cached_property
    def _slices(self) -> dict[str, slice]:
        codes = self._country[: self.cities]
        starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
        ends = np.r_[starts[1:], len(codes)]
        return {
            self._codes[int(codes[start])]: slice(int(start), int(end))
            for start, end in zip(starts, ends, strict=True)
        }

    @cached_property
    def _keys(self) -> KeyIndex:
        return KeyIndex()

    @cached_property
    def _names(self) -> pa.StringArray:
        return strings(self._name_rows, "name")

    @cached_property
    def _places_of_names(self) -> npt.NDArray[np.int32]:
        return np.asarray(self._name_rows["place"].to_numpy(), dtype=np.int32)

    @cached_property
    def _name_rows(self) -> pa.Table:
        return table("names")

    @cached_property
    def _unit(self) -> Float64Array:
        return to_unit(self._latlon)


@cache
def gazetteer() -> Gazetteer:
    """The gazetteer, loaded once."""
    return Gazetteer()


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _is_code(name: str) -> bool:
    return len(name) <= 4 and name.isascii() and name.isupper()


def _edits_allowed(key: str) -> int:
    """How many edits a reading of this length may be off: about one in four letters."""
    letters = len(key) * (2 if is_ideographic(key) else 1)
    if letters < 4:
        return 0
    if letters < 7:
        return 1
    return 2 if letters < 12 else 3
