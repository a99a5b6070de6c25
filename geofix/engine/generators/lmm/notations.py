"""The four ways in which a model writes a position, each found in text of any content.

Every function here is total: whatever the text, it returns a pair, its end, or nothing. Whether
the pair is a position on Earth is judged elsewhere.
"""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from geofix.engine.generators.lmm.degrees import ANGLE, Angle, angle, angle_of

PLACEHOLDER = re.compile(r"<[^<>]{0,40}(?:latitude|longitude|degrees)[^<>]{0,60}>", re.IGNORECASE)
"""What the prompt's template holds where the answer shall hold a number."""

_MAX_JSON_STARTS = 200
_LAT_WORDS = frozenset(
    {"lat", "latitude", "latitud", "latitudine", "lattitude", "breitengrad", "широта"}
    | {"纬度", "緯度"}
)
_LON_WORDS = frozenset(
    {"lon", "lng", "long", "longitude", "longitud", "longitudine", "längengrad", "долгота"}
    | {"经度", "經度"}
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two angles in the order in which they claim to be latitude and longitude."""

    lat: Angle
    lon: Angle
    notation: str
    fields: Mapping[str, object]
    """What else the answer states, by lower-case name."""


# --- JSON -------------------------------------------------------------------------------------

_DECODER = json.JSONDecoder()
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SEPARATORS = re.compile(r"[\W\d_]+")
_FINAL = re.compile(r"answer|final|predict|best|result|position|location|coord|output")


def json_values(text: str) -> Iterator[object]:
    """Every outermost JSON object or array in the text, in order."""
    at, starts = _json_start(text, 0), 0
    while at >= 0 and starts < _MAX_JSON_STARTS:
        starts += 1
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield value
        at = _json_start(text, end)


def json_pair(root: object) -> Pair | None:
    """The shallowest latitude and longitude in a JSON value; answer-like branches go first."""
    outer = _fields(root) if isinstance(root, dict) else {}
    queue: deque[object] = deque([root])
    while queue:
        value = queue.popleft()
        if isinstance(value, list):
            queue.extend(value)
        if not isinstance(value, dict):
            continue
        fields = _fields(value)
        lat, lon = _named(fields, _LAT_WORDS), _named(fields, _LON_WORDS)
        if value.get("type") == "Point" and isinstance(value.get("coordinates"), list):
            lon, lat = [*value["coordinates"], None, None][:2]  # GeoJSON: longitude first
        north, east = angle_of(lat), angle_of(lon)
        if north is not None and east is not None:
            return Pair(north, east, "json", {**outer, **fields})
        branches = sorted(fields.items(), key=lambda field: _FINAL.search(field[0]) is None)
        queue.extend(inner for _, inner in branches)
    return None


def _json_start(text: str, at: int) -> int:
    starts = [found for found in (text.find("{", at), text.find("[", at)) if found >= 0]
    return min(starts, default=-1)


def _fields(value: Mapping[str, object]) -> dict[str, object]:
    """The members by name: lower case, words apart."""
    return {
        _SEPARATORS.sub(" ", _CAMEL.sub(" ", key)).strip().lower(): inner
        for key, inner in value.items()
    }


def _named(fields: Mapping[str, object], words: frozenset[str]) -> object:
    return next((value for name, value in fields.items() if words & set(name.split())), None)


# --- text -------------------------------------------------------------------------------------

_ANGLE = re.compile(ANGLE, re.IGNORECASE)
_LABELLED = re.compile(
    rf"(?<![^\W\d_])(?:(?P<lat>{'|'.join(_LAT_WORDS)})|(?P<lon>{'|'.join(_LON_WORDS)}))(?![^\W\d_])"
    r"(?:_\w{1,20})?(?: ?\([^()]{0,30}\))?[^\w\[\]{},;+-]{0,8}"
    r"(?:(?:is|of|about|around|approximately|approx\.?) ){0,2}[^\w\[\]{},;+-]{0,4}"
    rf"(?P<angle>{ANGLE}|[-+]?(?:nan|inf(?:inity)?)\b)",
    re.IGNORECASE,
)
_INTEGERS = re.compile(r"(?:^|[(\[]) ?([-+]?\d{1,3}),([-+]?\d{1,3}) ?(?:$|[)\]])")
_BETWEEN = re.compile(r" ?[,;/|] ?| (?:and|und|et|y|e) | ")
_FIELD = re.compile(
    r"(?<![a-z])(country|place|city|confidence|precision)(?:[ _](?:code|name))?"
    r"[\"'* ]{0,3}[:=][\"'* ]{0,3}((?:(?!\. )[^\"*,;:{}()\[\]]){1,80})",
    re.IGNORECASE,
)


def labelled(text: str) -> tuple[Pair, int] | None:
    """The last latitude and longitude that follow each other, each with its label."""
    best: tuple[Pair, int] | None = None
    previous: re.Match[str] | None = None
    for match in _LABELLED.finditer(text):
        if previous is None or bool(previous["lat"]) == bool(match["lat"]):
            previous = match
            continue
        lat, lon = (previous, match) if previous["lat"] else (match, previous)
        best = _pair(lat["angle"], lon["angle"], "labelled", text), match.end()
        previous = None
    return best


def hemispheres(text: str) -> tuple[Pair, int] | None:
    """The last two neighbouring angles that bear a hemisphere letter or a degree sign."""

    def marked(first: str, second: str, between: str, enclosed: bool) -> bool:
        return "°" in first + second or any(_angle(found).axis for found in (first, second))

    return _neighbours(text, "hemispheres", marked)


def bare(text: str) -> tuple[Pair, int] | None:
    """The last two numbers that can hardly be anything but a position."""

    def plausible(first: str, second: str, between: str, enclosed: bool) -> bool:
        fewer, more = sorted(_angle(found).decimals for found in (first, second))
        if re.search(r"[,;/|]", between):
            return enclosed or fewer > 0 or more > 1
        return fewer > 1

    found = _neighbours(text, "pair", plausible)
    if found is not None:
        return found
    integers = _INTEGERS.search(text)  # "48,2" is no decimal when it is all there is
    if integers is None:
        return None
    return _pair(integers[1], integers[2], "pair", text), integers.end()


def _neighbours(
    text: str, notation: str, accept: Callable[[str, str, str, bool], bool]
) -> tuple[Pair, int] | None:
    best: tuple[re.Match[str], re.Match[str]] | None = None
    previous: re.Match[str] | None = None
    for match in _ANGLE.finditer(text):
        if previous is None or not _BETWEEN.fullmatch(text, previous.end(), match.start()):
            previous = match
            continue
        start, end = previous.start(), match.end()
        enclosed = text[start - 1 : start] in "([" and text[end : end + 1] in ")]"
        between = text[previous.end() : match.start()]
        if accept(previous[0], match[0], between, enclosed):
            best = previous, match
            previous = None  # its numbers are used up: a third one may be an altitude
        else:
            previous = match
    if best is None:
        return None
    return _pair(best[0][0], best[1][0], notation, text), best[1].end()


def _pair(lat: str, lon: str, notation: str, text: str) -> Pair:
    fields = {match[1].lower(): match[2].strip() for match in _FIELD.finditer(text)}
    return Pair(_angle(lat), _angle(lon), notation, fields)


def _angle(text: str) -> Angle:
    found = angle(text)
    return found if found is not None else Angle(math.nan, "", 0)
