"""A map of answers: one HTML file that opens without any network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from geofix.geo.places import gazetteer
from service.locate.schemas import Answer

_LARGEST_CITIES = 400
_LARGEST_WITHIN_KM = {1500.0: 150, 300.0: 80, 40.0: 40}

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
    """Names of the world's largest cities and of the largest near the answers, largest first."""
    cities = gazetteer()
    everywhere = slice(0, cities.cities)
    people = cities.populations(everywhere)
    chosen = set(_largest(people, _LARGEST_CITIES))
    for lat, lon in points:
        distances = cities.distances_km(lat, lon, everywhere)
        for reach_km, count in _LARGEST_WITHIN_KM.items():
            chosen.update(_largest(np.where(distances <= reach_km, people, -1), count))
    places = [cities.place(row) for row in sorted(chosen, key=lambda row: -people[row])]
    return [(place.name, round(place.lat, 4), round(place.lon, 4)) for place in places]


def _largest(people: npt.NDArray[np.int64], count: int) -> list[int]:
    """Rows of the most people; negative numbers do not count."""
    rows = np.argsort(-people, kind="stable")[:count]
    return [int(row) for row in rows if people[row] >= 0]
