from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofix.geo.coordinates import haversine_km
from geofix.geo.gazetteer import Gazetteer, Kind, gazetteer
from geofix.geo.keys import KeyIndex
from geofix.geo.names import confusable_key, search_key


@pytest.fixture(scope="module")
def known() -> Gazetteer:
    found = gazetteer()
    found.warm_up()
    return found


@pytest.mark.parametrize(
    ("spellings", "key"),
    [
        (("São Paulo", "SAO PAULO", "SAOPAULO", "sao-paulo", "Ｓａｏ　Ｐａｕｌｏ"), "saopaulo"),
        (("Ελλάδα", "ΕΛΛΆΔΑ", "ΕΛΛΑΔΑ"), "ελλαδα"),
        (("Αθήνας", "ΑΘΗΝΑΣ"), "αθηνασ"),
        (("Straße", "STRASSE"), "strasse"),
        (("Łódź", "Lodz"), "lodz"),
        (("København", "Kobenhavn"), "kobenhavn"),
        (("İstanbul", "ISTANBUL", "ıstanbul"), "istanbul"),
        (("ｶﾞｰﾅ", "ガーナ"), "ガーナ"),
        (("القاهرة", "القاهره", "القَاهِرة"), "القاهره"),
        (("Йошкар-Ола", "ИОШКАР ОЛА"), "иошкарола"),
        (("L’Aquila", "L'AQUILA", "L Aquila"), "laquila"),
        (("", "!?", " ", "–"), ""),
    ],
)
def test_spellings_of_one_name_have_one_key(spellings: tuple[str, ...], key: str) -> None:
    assert [search_key(spelling) for spelling in spellings] == [key] * len(spellings)


def test_marks_that_make_another_letter_stay() -> None:
    assert search_key("がぎ") != search_key("かぎ")
    assert search_key("दिल्ली") == "दिल्ली"


@given(st.text())
def test_keys_are_stable(text: str) -> None:
    key = search_key(text)
    assert search_key(key) == key
    assert not any(character.isspace() for character in key)


def test_lookalikes_fold_together() -> None:
    assert confusable_key(search_key("B0RDEAUX")) == confusable_key(search_key("Bordeaux"))
    assert confusable_key(search_key("L1SB0A")) == confusable_key(search_key("Lisboa"))


@pytest.mark.parametrize(
    ("text", "name", "country"),
    [
        ("Paris", "Paris", "FR"),
        ("SAO PAULO", "São Paulo", "BR"),
        ("SAOPAULO", "São Paulo", "BR"),
        ("Sao Paolo", "São Paulo", "BR"),
        ("MUENCHEN", "Munich", "DE"),
        ("München", "Munich", "DE"),
        ("Münchn", "Munich", "DE"),
        ("KOLN", "Köln", "DE"),
        ("B0RDEAUX", "Bordeaux", "FR"),
        ("L1SBOA", "Lisbon", "PT"),
        ("1stanbul", "Istanbul", "TR"),
        ("GarmischPartenkirehen", "Garmisch-Partenkirchen", "DE"),
        ("Reykjavlk", "Reykjavík", "IS"),
        ("Coimbra", "Coimbra", "PT"),
        ("Wroclaw", "Wrocław", "PL"),
        ("LODZ", "Łódź", "PL"),
        ("Newyork", "New York City", "US"),
        ("Αθήνα", "Athens", "GR"),
        ("ΑΘΗΝΑ", "Athens", "GR"),
        ("Θεσσαλονίκη", "Thessaloníki", "GR"),
        ("東京", "Tokyo", "JP"),
        ("京都市", "Kyoto", "JP"),
        ("北京", "Beijing", "CN"),
        ("Москва", "Moscow", "RU"),
        ("القاهرة", "Cairo", "EG"),
        ("서울", "Seoul", "KR"),
        ("กรุงเทพ", "Bangkok", "TH"),
        ("ירושלים", "Jerusalem", "IL"),
        ("Deutschland", "Germany", "DE"),
        ("日本", "Japan", "JP"),
        ("Ελλάδα", "Greece", "GR"),
        ("USA", "United States", "US"),
        ("Bayern", "Bavaria", "DE"),
        ("Bretagne", "Brittany", "FR"),
    ],
)
def test_the_place_a_sign_names_comes_first(
    known: Gazetteer, text: str, name: str, country: str
) -> None:
    best = known.search(text)[0]
    assert (best.place.name, best.place.country) == (name, country)
    assert best.score > 0.6


def test_scores_are_ordered_and_bounded(known: Gazetteer) -> None:
    for text in ("Springfield", "Springfeild", "San Jose", "Saint-Denis"):
        matches = known.search(text, limit=20)
        scores = [match.score for match in matches]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < match.score <= match.similarity <= 1 for match in matches)
        rows = [(match.place.geoname_id, match.place.name, match.place.kind) for match in matches]
        assert len(rows) == len(set(rows))


def test_population_ranks_equal_names(known: Gazetteer) -> None:
    countries = [match.place.country for match in known.search("Paris", limit=10)]
    assert countries.index("FR") < countries.index("US")
    london = [match.place.country for match in known.search("London", limit=10)]
    assert london.index("GB") < london.index("CA")


def test_accents_written_as_the_name_has_them_count(known: Gazetteer) -> None:
    accented = known.search("Nürnberg")[0]
    bare = known.search("Nurnberg")[0]
    assert accented.place == bare.place
    assert accented.similarity > bare.similarity
    assert accented.matched_name == "Nürnberg"


def test_errors_cost_and_lookalikes_cost_less(known: Gazetteer) -> None:
    right, lookalike, wrong = (
        known.search(text)[0] for text in ("Bordeaux", "B0rdeaux", "Bxrdeaux")
    )
    assert right.place == lookalike.place == wrong.place
    assert right.similarity > lookalike.similarity > wrong.similarity


def test_countries_restrict(known: Gazetteer) -> None:
    matches = known.search("Paris", countries=["US", "ca"])
    assert matches
    assert {match.place.country for match in matches} <= {"US", "CA"}
    assert known.search("Deutschland", countries=["JP"]) == []
    assert known.search("Paris", countries=["ZZ"]) == []


@pytest.mark.parametrize("text", ["", " ", "!!!", "—", "x" * 500, "Xyzzyqwertyuiop", "\x00"])
def test_texts_that_name_nothing(known: Gazetteer, text: str) -> None:
    assert known.search(text) == []


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80))
def test_any_text_can_be_searched(text: str) -> None:
    for match in gazetteer().search(text, limit=3):
        assert 0 < match.score <= 1


def test_limits(known: Gazetteer) -> None:
    assert len(known.search("Springfield", limit=3)) == 3
    assert known.search("Springfield", limit=0) == []


def test_kinds(known: Gazetteer) -> None:
    assert known.search("France")[0].place.kind is Kind.COUNTRY
    assert known.search("Toscana")[0].place.kind is Kind.REGION
    assert known.search("Marseille")[0].place.kind is Kind.CITY
    japan = known.search("Japan")[0].place
    assert 250 < japan.radius_km < 600
    assert japan.population > 1e8


def test_nearest_cities(known: Gazetteer) -> None:
    found = known.nearest(48.8566, 2.3522, 5)
    distances = [km for _, km in found]
    assert distances == sorted(distances)
    assert all(place.kind is Kind.CITY for place, _ in found)
    assert "Paris" in {place.name for place, _ in found}
    for place, km in found:
        there = haversine_km((48.8566, 2.3522), (place.lat, place.lon))
        assert km == pytest.approx(float(there), abs=1e-3)


@pytest.mark.parametrize(("lat", "lon"), [(90, 0), (-90, 50), (0, 180), (0, -180)])
def test_nearest_at_the_ends_of_the_map(known: Gazetteer, lat: float, lon: float) -> None:
    (place, km), *_ = known.nearest(lat, lon)
    assert km < 4000
    assert known.nearest(lat, lon + 360)[0][0] == place


def test_nearest_crosses_the_antimeridian(known: Gazetteer) -> None:
    place, km = known.nearest(-16.8, -179.99)[0]
    assert (place.country, place.lon > 0) == ("FJ", True)
    assert km < 100


def test_fuzzy_search_finds_what_a_full_scan_finds(known: Gazetteer) -> None:
    """The bit sets skip no key that is near enough."""
    from rapidfuzz.distance import Levenshtein

    index = KeyIndex()
    everything = [str(key) for key in index._keys.to_pylist()]
    for key in ("bordaeux", "b0rdeux", "garmischpartenkirehen", "θεσαλονικη", "нижнийновгрод"):
        folded = confusable_key(key)
        truth = {
            other
            for other in everything
            if abs(len(other) - len(key)) <= 2
            and Levenshtein.distance(folded, confusable_key(other), score_cutoff=2) <= 2
        }
        assert truth
        assert {near.key for near in index.similar(key, 2)} == truth


def test_searches_are_quick_enough_for_a_sign(known: Gazetteer) -> None:
    """Twenty misread strings within the time a text reader has, with room for a busy machine."""
    texts = ["Bordeux", "Garmisch Partenkirchn", "Los Angles", "Thesaloniki", "Reykjavlk"] * 4
    started = time.process_time()
    for text in texts:
        known.search(text)
    assert time.process_time() - started < 1.0
