"""A map of answers: one HTML file that opens without any network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

from geofix.geo.places import gazetteer
from service.locate.schemas import Answer

_LARGEST_PLACES = 500
_NEAREST_PLACES = 150

LatLon = tuple[float, float]
Named = tuple[str, Answer]
"""A photo's name and where it was taken."""


def page(answers: Sequence[Named]) -> str:
    """The HTML document: a globe with the answers, their heat maps and their evidence."""
    points = [(answer.position.lat, answer.position.lon) for _, answer in answers]
    data = {
        "labels": _labels(points),
        "answers": [
            {"name": name, "answer": answer.model_dump(mode="json")} for name, answer in answers
        ],
    }
    parts = files(__package__)
    html = parts.joinpath("page.html").read_text("utf-8")
    for name, text in {
        "world": parts.joinpath("world.json").read_text("utf-8"),
        "style": parts.joinpath("page.css").read_text("utf-8"),
        "script": parts.joinpath("page.js").read_text("utf-8"),
        "data": _embedded(data),
    }.items():
        html = html.replace(f"{{{{{name}}}}}", text)
    return html


def _embedded(data: object) -> str:
    """JSON that no string in it can break out of a script element with."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _labels(points: Sequence[LatLon]) -> list[tuple[str, float, float]]:
    """Names of the world's largest places and of those near the answers, the largest first."""
    names = gazetteer()
    places = {place.geoname_id: place for place in names.largest(_LARGEST_PLACES)}
    for lat, lon in points:
        places |= {place.geoname_id: place for place in names.nearest(lat, lon, _NEAREST_PLACES)}
    by_size = sorted(places.values(), key=lambda place: -place.population)
    return [(place.name, round(place.lat, 4), round(place.lon, 4)) for place in by_size]
