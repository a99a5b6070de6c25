"""What a generation says: a legal position with its provenance, or the reason it was rejected.

Any text is read without an exception. Four notations are tried, the surest first: a JSON object,
numbers labelled latitude and longitude, angles with hemispheres, a bare pair. The first notation
that is found decides; of several pairs in it the last is the answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from geofix.engine.generators.lmm.degrees import normalise
from geofix.engine.generators.lmm.notations import (
    PLACEHOLDER,
    Pair,
    bare,
    hemispheres,
    json_pair,
    json_values,
    labelled,
)

MAX_CHARACTERS = 16_000
"""Only the end of a longer text is read: the answer comes last."""
PRECISIONS = ("street", "city", "region", "country")
_NULL_ISLAND_DEGREES = 0.01


class Rejection(StrEnum):
    """Why a generation is no candidate."""

    EMPTY = "empty"
    REFUSAL = "refusal"
    UNFINISHED = "unfinished"
    TEMPLATE_ECHO = "template-echo"
    NO_COORDINATES = "no-coordinates"
    NOT_FINITE = "not-finite"
    OUT_OF_RANGE = "out-of-range"
    NULL_ISLAND = "null-island"


@dataclass(frozen=True, slots=True)
class Guess:
    """A legal position that a model gave."""

    lat: float
    lon: float
    """In [-180, 180)."""
    notation: str
    """How it was written: ``json``, ``labelled``, ``hemispheres`` or ``pair``."""
    swapped: bool = False
    """Latitude and longitude came in the wrong order and were put right."""
    decimals: int = 0
    """Digits after the point, of the number that has fewer."""
    confidence: float | None = None
    """As stated by the model, 0 to 1."""
    precision: str = ""
    """One of PRECISIONS as stated, else empty."""
    country: str = ""
    """As stated: a code or a name."""
    place: str = ""


class Atlas(Protocol):
    """What is asked of the map to tell a swapped pair."""

    def lies_in(self, lat: float, lon: float, country: str) -> bool | None:
        """Whether a position lies in the country so named; None when the name is unknown."""
        ...


def read(
    text: str, *, finished: bool | None = None, atlas: Atlas | None = None
) -> Guess | Rejection:
    """Read one generation.

    Args:
        text: what the model wrote, of any length and content.
        finished: whether the server says that the model came to its end; None when it does not say.
        atlas: settles which order of a pair fits the country that the answer names.
    """
    answer = _without_thinking(text)
    if answer is None:
        return Rejection.UNFINISHED
    answer = answer[-MAX_CHARACTERS:]
    plain = normalise(answer)[-MAX_CHARACTERS:]
    if not plain:
        return Rejection.EMPTY
    verdict = _read_json(answer, atlas)
    if verdict is not None:
        return verdict
    for notation in (labelled, hemispheres, bare):
        found = notation(plain)
        if found is not None:
            pair, end = found
            if _cut_off(plain, end, finished):
                return Rejection.UNFINISHED
            return _judge(pair, atlas)
    return _why_nothing(plain, finished)


def _read_json(text: str, atlas: Atlas | None) -> Guess | Rejection | None:
    """The last legal position in the text's JSON values, else why the first one is not legal."""
    verdict: Guess | Rejection | None = None
    for value in json_values(text):
        pair = json_pair(value)
        if pair is None:
            continue
        judged = _judge(pair, atlas)
        if verdict is None or isinstance(judged, Guess):
            verdict = judged
    return verdict


# --- the text around the answer ---------------------------------------------------------------

_TAG = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad)"
_THINKING_ENDS = re.compile(rf"</{_TAG}>|◁/think▷|<\|channel\|>final<\|message\|>", re.IGNORECASE)
_THINKING_STARTS = re.compile(
    rf"<{_TAG}>|◁think▷|<\|channel\|>(?:analysis|commentary)", re.IGNORECASE
)
_REFUSAL = re.compile(
    r"\b(?:sorry|apologi[sz]e|can(?:no|')t|cannot|unable|not able|won't|will not|decline|refuse)\b",
    re.IGNORECASE,
)


def _without_thinking(text: str) -> str | None:
    """The text after the model's thinking; None when the thinking never ends."""
    end = 0
    for match in _THINKING_ENDS.finditer(text):
        end = match.end()
    answer = text[end:]
    start = _THINKING_STARTS.search(answer)
    if start is None:
        return answer
    return answer[: start.start()].strip() or None


def _cut_off(text: str, end: int, finished: bool | None) -> bool:
    """Whether the number that ends here may have lost digits: 13 of 139.7 is another place."""
    if finished is None:
        finished = text.count("{") <= text.count("}")
    return not finished and not text[end:].strip(" .,eE+-")


def _why_nothing(text: str, finished: bool | None) -> Rejection:
    if PLACEHOLDER.search(text):
        return Rejection.TEMPLATE_ECHO
    if _REFUSAL.search(text):
        return Rejection.REFUSAL
    return Rejection.UNFINISHED if finished is False else Rejection.NO_COORDINATES


# --- the position -----------------------------------------------------------------------------


def _judge(pair: Pair, atlas: Atlas | None) -> Guess | Rejection:
    lat, lon = pair.lat.degrees, pair.lon.degrees
    if not (math.isfinite(lat) and math.isfinite(lon)):
        return Rejection.NOT_FINITE
    if pair.lat.axis and pair.lat.axis == pair.lon.axis:
        return Rejection.NO_COORDINATES
    country = _text(pair.fields, "country", "country code", "country name", "iso code")
    swapped = _is_swapped(pair, country, atlas)
    if swapped:
        lat, lon = lon, lat
    if not _legal(lat, lon):
        return Rejection.OUT_OF_RANGE
    if abs(lat) < _NULL_ISLAND_DEGREES and abs(lon) < _NULL_ISLAND_DEGREES:
        return Rejection.NULL_ISLAND
    precision = _text(pair.fields, "precision").lower()
    return Guess(
        lat=lat,
        lon=-180.0 if lon == 180.0 else lon,
        notation=pair.notation,
        swapped=swapped,
        decimals=min(pair.lat.decimals, pair.lon.decimals),
        confidence=_confidence(pair.fields),
        precision=precision if precision in PRECISIONS else "",
        country=country,
        place=_text(pair.fields, "place", "place name", "city", "location", "landmark", "name"),
    )


def _legal(lat: float, lon: float) -> bool:
    return abs(lat) <= 90.0 and abs(lon) <= 180.0


def _is_swapped(pair: Pair, country: str, atlas: Atlas | None) -> bool:
    """Letters settle the order; then the one legal order; then the country that was named."""
    if pair.lat.axis or pair.lon.axis:
        return pair.lat.axis == "lon" or pair.lon.axis == "lat"
    lat, lon = pair.lat.degrees, pair.lon.degrees
    if not _legal(lon, lat):
        return False
    if not _legal(lat, lon):
        return True
    if atlas is None or not country:
        return False
    return atlas.lies_in(lat, lon, country) is False and bool(atlas.lies_in(lon, lat, country))


def _text(fields: Mapping[str, object], *names: str) -> str:
    """The first of these fields that is a text: one short line without control characters."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip() and not PLACEHOLDER.search(value):
            return "".join(c for c in normalise(value[:200]) if c.isprintable())[:80]
    return ""


def _confidence(fields: Mapping[str, object]) -> float | None:
    value = fields.get("confidence", fields.get("probability"))
    if isinstance(value, str):
        percent = "%" in value
        try:
            value = float(normalise(value).replace("%", "").replace(",", "."))
        except ValueError:
            return None
        value = value / 100.0 if percent else value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not 0 <= value <= 100:  # false for NaN, too
        return None
    return float(value if value <= 1 else value / 100.0)
