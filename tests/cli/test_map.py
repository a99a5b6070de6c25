from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
import shapely

from geofix.cli.map import page
from service.locate.schemas import Answer

Answering = Callable[..., Answer]


class _Elements(HTMLParser):
    """The start tags of a document, and the text of its script elements by id."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self._script: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._script = dict(attrs).get("id") or "code" if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._script = None


def _parsed(html: str) -> _Elements:
    elements = _Elements()
    elements.feed(html)
    return elements


@pytest.mark.parametrize(
    ("lat", "lon"), [(48.85, 2.35), (-17.8, 179.99), (-17.8, -180.0), (90.0, 0.0), (-90.0, 7.0)]
)
def test_a_map_holds_its_answer_and_needs_no_network(
    answering: Answering, lat: float, lon: float
) -> None:
    html = page([("photo.jpg", answering(lat, lon))])
    elements = _parsed(html)
    assert len(html.encode()) < 2_000_000
    assert not [attrs for _, attrs in elements.tags if {"src", "href"} & attrs.keys()]
    assert not re.search(r"https?://", html)
    assert "default-src 'none'" in html
    data = json.loads(elements.scripts["data"])
    assert data["answers"][0]["answer"]["position"] == {"lat": lat, "lon": lon}
    assert data["answers"][0]["answer"]["heatmap"]["features"]
    assert data["labels"]


def test_no_string_becomes_markup(answering: Answering) -> None:
    name = '"><script>alert(1)</script>'
    elements = _parsed(page([(name, answering(48.85, 2.35))]))
    tags = [tag for tag, _ in elements.tags]
    assert tags.count("script") == 3
    assert "img" not in tags
    data = json.loads(elements.scripts["data"])
    assert data["answers"][0]["name"] == name
    assert "{{data}}" in data["answers"][0]["answer"]["evidence"]["text"][0]["text"]


def test_several_answers_share_a_map(answering: Answering) -> None:
    elements = _parsed(page([("a.jpg", answering(48.85, 2.35)), ("b.jpg", answering(35.7, 139.7))]))
    data = json.loads(elements.scripts["data"])
    assert [answer["name"] for answer in data["answers"]] == ["a.jpg", "b.jpg"]
    assert {"Paris", "Tokyo"} <= {label[0] for label in data["labels"]}


def test_the_land_is_where_it_is() -> None:
    rings = json.loads(files("geofix.cli.map").joinpath("world.json").read_text("utf-8"))
    polygons = [
        shapely.Polygon(np.array(ring).reshape(-1, 2).cumsum(axis=0) / 100.0) for ring in rings
    ]
    assert all(polygon.exterior.is_ccw for polygon in polygons)
    assert np.diff([polygon.area for polygon in polygons]).max() < 0.05  # enclaves lie on top
    tree = shapely.STRtree(polygons)

    def is_land(lat: float, lon: float) -> bool:
        return len(tree.query(shapely.Point(lon, lat), predicate="within")) > 0

    for lat, lon in [(48.85, 2.35), (-25.3, 131.0), (64.8, -18.5), (-80.0, 20.0), (66.5, -179.0),
                     (66.5, 179.0), (-29.6, 28.2), (35.4, 138.7)]:  # fmt: skip
        assert is_land(lat, lon), (lat, lon)
    for lat, lon in [(0.0, 0.0), (45.0, -30.0), (-40.0, 100.0), (0.0, 180.0), (85.0, 0.0)]:
        assert not is_land(lat, lon), (lat, lon)
