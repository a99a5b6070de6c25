"""Names of places in lines that were read."""

from __future__ import annotations

import pytest

from geofix.engine.generators.text import toponyms
from geofix.engine.generators.text.lines import Line
from geofix.engine.generators.text.toponyms import Named, candidate, find
from geofix.engine.generators.text.trust import judge
from geofix.engine.types import Channel
from geofix.geo.gazetteer import Gazetteer, gazetteer


@pytest.fixture(scope="module")
def places() -> Gazetteer:
    return gazetteer()


def named(places: Gazetteer, *texts: str, within: tuple[str, ...] = ()) -> list[Named]:
    lines = [
        Line(
            text=text,
            confidences=(0.99,) * len(text),
            centres=tuple(0.4 + 0.6 * i for i in range(len(text))),
            length=0.6 * len(text) + 0.3,
            height=40.0,
            box=((0, 0), (1, 0), (1, 1), (0, 1)),
        )
        for text in texts
    ]
    return find(judge(lines), places, within)


@pytest.mark.parametrize(
    ("text", "name", "country"),
    [
        ("Coimbra", "Coimbra", "PT"), ("KRAKÓW", "Kraków", "PL"), ("KRAKOW", "Kraków", "PL"),
        ("Göteborg", "Gothenburg", "SE"), ("Warszawa Centralna", "Warsaw", "PL"),
        ("Zürich HB", "Zürich", "CH"), ("Rio de Janeiro", "Rio de Janeiro", "BR"),
        ("Foz do Iguaçu", "Foz do Iguaçu", "BR"), ("Trondheim 42", "Trondheim", "NO"),
        ("ΘEΣΣAΛONIKH", "Thessaloníki", "GR"), ("大阪駅", "Osaka", "JP"),
        ("北京路", "Beijing", "CN"),
        ("New York", "New York City", "US"), ("Line 7 Hamburg", "Hamburg", "DE"),
    ],
)  # fmt: skip
def test_a_name_gives_its_place_first(
    places: Gazetteer, text: str, name: str, country: str
) -> None:
    best = named(places, text)[0]
    assert (best.place.name, best.place.country) == (name, country)
    assert best.score > 0.25


@pytest.mark.parametrize(
    "text",
    ["STOP", "BAR", "HOTEL", "OPEN", "EXIT", "TAXI", "PARKING", "Toyota", "Sale", "Police", "Nice",
     "University", "12", "WC", "A1"],
)  # fmt: skip
def test_common_words_and_brands_are_hardly_places(places: Gazetteer, text: str) -> None:
    assert max((found.score for found in named(places, text)), default=0.0) < 0.35


def test_an_ambiguous_name_shares_its_score(places: Gazetteer) -> None:
    found = named(places, "Valencia")
    assert {"ES", "VE"} <= {one.place.country for one in found}
    assert sum(one.score for one in found) <= 1.0


def test_a_filter_leaves_only_its_countries(places: Gazetteer) -> None:
    assert {one.place.country for one in named(places, "Valencia", within=("VE",))} == {"VE"}


@pytest.mark.parametrize("text", ["MOCKBA", "XAPKOB", "POCTOB", "OMCK"])
def test_homoglyphs_name_no_place(places: Gazetteer, text: str) -> None:
    assert named(places, text) == []


def test_there_are_never_too_many(places: Gazetteer) -> None:
    towns = ["Springfield", "Victoria", "Santiago", "Valencia", "Georgetown", "Córdoba", "Mérida",
             "Cartagena", "Guadalajara", "Alexandria"]  # fmt: skip
    assert len(named(places, *towns)) <= toponyms.MOST_CANDIDATES


def test_a_candidate_is_as_wide_as_its_town(places: Gazetteer) -> None:
    hamburg, coimbra = (candidate(named(places, text)[0]) for text in ("Hamburg", "Coimbra"))
    assert hamburg.channel is Channel.TEXT
    assert hamburg.width_km > coimbra.width_km >= 3
    assert 0 < coimbra.score <= 1
    assert "Coimbra" in coimbra.source
