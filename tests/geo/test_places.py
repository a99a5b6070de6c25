from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofix.errors import InvalidCoordinate
from geofix.geo.coordinates import destination
from geofix.geo.gazetteer import gazetteer
from geofix.geo.places import continent, country_codes, country_name, reverse

KNOWN = [
    ("Paris", 48.8566, 2.3522, "FR", "Île-de-France", "Paris"),
    ("the Eiffel Tower", 48.8584, 2.2945, "FR", "Île-de-France", "Paris"),
    ("Versailles", 48.8049, 2.1204, "FR", "Île-de-France", "Versailles"),
    ("Times Square", 40.7580, -73.9855, "US", "New York", "New York City"),
    ("Shibuya crossing", 35.6595, 139.7005, "JP", "Tokyo", "Tokyo"),
    ("the Cologne cathedral", 50.9413, 6.9583, "DE", "North Rhine-Westphalia", "Köln"),
    ("St Peter's, an enclave", 41.9022, 12.4539, "VA", "", "Vatican City"),
    ("the Colosseum", 41.8902, 12.4922, "IT", "Lazio", "Rome"),
    ("Lesotho, an enclave", -29.31, 27.48, "LS", "", "Maseru"),
    ("San Marino, an enclave", 43.9361, 12.4473, "SM", "", "San Marino"),
    ("Büsingen, German inside Switzerland", 47.6969, 8.6889, "DE", "", "Büsingen"),
    ("Campione, Italian inside Switzerland", 45.9689, 8.9708, "IT", "Lombardy", "Campione"),
    ("Schaffhausen", 47.6959, 8.6380, "CH", "Schaffhausen", "Schaffhausen"),
    ("Hong Kong", 22.2855, 114.1577, "HK", "", ""),
    ("Shenzhen across the border", 22.5431, 114.0579, "CN", "Guangdong", "Shenzhen"),
    ("Macau", 22.1987, 113.5439, "MO", "", ""),
    ("Pristina", 42.6629, 21.1655, "XK", "Pristina", "Pristina"),
    ("Suva", -18.1416, 178.4419, "FJ", "Central", "Suva"),
    ("Taveuni, west of the antimeridian", -16.80, 179.95, "FJ", "Northern", ""),
    ("Taveuni, east of the antimeridian", -16.85, -179.97, "FJ", "Northern", ""),
    ("Wrangel Island beyond 180", 71.2, -179.5, "RU", "Chukotka", ""),
    ("Chukotka on 180 itself", 68.0, 180.0, "RU", "Chukotka", ""),
    ("Attu, America beyond 180", 52.9, 172.9, "US", "Alaska", ""),
    ("Longyearbyen", 78.2232, 15.6267, "SJ", "", "Longyearbyen"),
    ("Ceuta", 35.8894, -5.3198, "ES", "Ceuta", "Ceuta"),
    ("Melilla", 35.2923, -2.9381, "ES", "Melilla", "Melilla"),
    ("northern Nicosia", 35.1955, 33.3623, "CY", "", "Nicosia"),
    ("Simferopol", 44.95, 34.1, "UA", "", "Simferopol"),
    ("Laayoune", 27.1536, -13.2033, "EH", "", "Laayoune"),
    ("Ramallah", 31.9038, 35.2034, "PS", "", "Ramallah"),
    ("Réunion", -20.8789, 55.4481, "RE", "", "Saint-Denis"),
    ("Cayenne", 4.9224, -52.3135, "GF", "", "Cayenne"),
    ("Honolulu", 21.3069, -157.8583, "US", "Hawaii", "Honolulu"),
    ("Monaco", 43.7384, 7.4246, "MC", "", "Monaco"),
    ("Gibraltar", 36.1408, -5.3536, "GI", "", "Gibraltar"),
    ("Kaliningrad", 54.7104, 20.4522, "RU", "", "Kaliningrad"),
    ("Brazzaville", -4.2634, 15.2429, "CG", "", "Brazzaville"),
    ("Kinshasa over the river", -4.3217, 15.3125, "CD", "Kinshasa", "Kinshasa"),
    ("Detroit", 42.3314, -83.0458, "US", "Michigan", "Detroit"),
    ("Windsor over the river", 42.3149, -83.0364, "CA", "Ontario", "Windsor"),
    ("Singapore", 1.2903, 103.8519, "SG", "", "Singapore"),
    ("Malé, an atoll", 4.1755, 73.5093, "MV", "", "Male"),
    ("Pohnpei, an atoll missing in Natural Earth", 6.9639, 158.2081, "FM", "", ""),
    ("Tristan da Cunha", -37.0675, -12.3115, "SH", "", "Edinburgh of the Seven Seas"),
    ("Sydney harbour, on the water", -33.852, 151.25, "AU", "New South Wales", ""),
    ("San Francisco bay, on the water", 37.82, -122.37, "US", "California", ""),
    ("the South Pole", -90.0, 0.0, "AQ", "Antarctica", ""),
    ("the South Pole by another longitude", -90.0, 123.0, "AQ", "Antarctica", ""),
    ("McMurdo", -77.85, 166.67, "AQ", "Antarctica", ""),
]


@pytest.mark.parametrize(
    ("lat", "lon", "country", "region", "city"),
    [pytest.param(*row[1:], id=row[0]) for row in KNOWN],
)
def test_known_positions(lat: float, lon: float, country: str, region: str, city: str) -> None:
    found = reverse(lat, lon)
    assert found.country == country
    assert found.country_name
    if region:
        assert found.region == region
    if city:
        assert found.city == city
        assert found.city_km is not None
        assert found.city_km < 30


@pytest.mark.parametrize(
    ("lat", "lon"),
    [(0, 0), (90, 0), (90, 180), (30, -40), (-50, -140), (0, -160), (0, 180), (42.0, 50.5)],
)
def test_the_open_sea_has_no_names(lat: float, lon: float) -> None:
    found = reverse(lat, lon)
    assert (found.country, found.country_name, found.region, found.city) == ("", "", "", "")
    assert found.city_km is None
    assert not found.region_approximate


@settings(max_examples=200, deadline=None)
@given(st.floats(-90, 90), st.floats(-720, 720))
def test_every_legal_position_has_an_answer(lat: float, lon: float) -> None:
    found = reverse(lat, lon)
    assert (found.country == "") == (found.country_name == "")
    assert (found.city == "") == (found.city_km is None)
    assert found.country or not (found.region or found.city)
    assert found.region or not found.region_approximate


@pytest.mark.parametrize(("lat", "lon"), [(91, 0), (-90.01, 0), (math.nan, 0), (0, math.inf)])
def test_illegal_positions_are_refused(lat: float, lon: float) -> None:
    with pytest.raises(InvalidCoordinate):
        reverse(lat, lon)
    with pytest.raises(InvalidCoordinate):
        country_codes([(lat, lon)])


def test_countries_of_many_points() -> None:
    points = [(row[1], row[2]) for row in KNOWN]
    assert country_codes(points) == [row[3] for row in KNOWN]
    assert country_codes([(row[1], row[2] + 360) for row in KNOWN]) == [row[3] for row in KNOWN]
    assert country_codes(np.empty((0, 2))) == []


def test_countries_agree_with_the_gazetteer() -> None:
    """Of GeoNames' places, at least 99.9 % lie in the country GeoNames puts them in."""
    known = gazetteer()
    sample = [known.place(row) for row in range(0, known.cities, 20)]
    codes = country_codes([(place.lat, place.lon) for place in sample])
    right = sum(code == place.country for code, place in zip(codes, sample, strict=True))
    assert right >= 0.999 * len(sample)
    assert "" not in codes


def test_regions_agree_with_the_gazetteer() -> None:
    known = gazetteer()
    sample = [known.place(row) for row in range(0, known.cities, 400)]
    right = sum(reverse(place.lat, place.lon).region == place.region for place in sample)
    assert right >= 0.97 * len(sample)


def test_countries_reach_a_little_out_to_sea() -> None:
    lisbon_coast = (38.70, -9.48)
    assert country_codes([destination(lisbon_coast, 270, 10)]) == ["PT"]
    assert country_codes([destination(lisbon_coast, 270, 60)]) == [""]


def test_regions_that_changed_since_their_polygons_are_approximate() -> None:
    kenya = reverse(-0.3031, 36.0800)  # Natural Earth still draws the provinces of before 2013
    assert (kenya.country, kenya.region) == ("KE", "Nakuru County")
    assert kenya.region_approximate
    assert not reverse(48.137, 11.575).region_approximate


def test_names_of_countries() -> None:
    assert country_name("FR") == "France"
    assert country_name("xk") == "Kosovo"
    assert country_name("") == country_name("ZZ") == ""
    assert [continent(code) for code in ("FR", "US", "JP", "AQ", "", "ZZ")] == [
        "EU",
        "NA",
        "AS",
        "AN",
        "",
        "",
    ]


def test_a_city_too_far_away_is_none() -> None:
    attu = reverse(52.9, 172.9)
    assert (attu.country, attu.city, attu.city_km) == ("US", "", None)
