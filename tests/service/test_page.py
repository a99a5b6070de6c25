"""The page's own addresses: settings, names on the map, and the page itself with its policy."""

from __future__ import annotations

import re

import httpx
import pytest

from geofix.settings import Settings
from service.page.endpoints import content_security_policy
from service.page.files import page_files


def test_the_page_is_served_or_says_how_to_build_it(client: httpx.Client) -> None:
    page = client.get("/")
    if page_files():
        assert page.status_code == 200
        assert page.headers["content-encoding"] == "gzip"
        assert "script-src 'self';" in page.headers["content-security-policy"]
        again = client.get("/", headers={"If-None-Match": page.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    else:
        assert page.status_code == 404
        assert "make web" in page.json()["detail"]
    assert client.get("/assets/..%2f..%2ffiles.py").status_code == 404
    assert client.get("/assets/none.js").json()["type"] == "urn:geofix:problem:not-found"


def test_the_reference_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    assert "//" not in policy + page.text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 4
    for name in loaded:
        if name != "data:,":
            file = client.get(name)
            assert (file.status_code, file.headers["content-encoding"]) == (200, "gzip")
            assert len(file.content) > 50
    assert "validatorUrl: null" in client.get("/docs/start.js").text
    assert client.get("/docs/none.js").json()["type"] == "urn:geofix:problem:not-found"
    assert client.get("/redoc").status_code == 404


def test_nothing_but_the_operators_tiles_may_come_from_elsewhere() -> None:
    alone = content_security_policy(Settings(page_tiles=""))
    assert "http" not in alone
    assert "unsafe" not in alone
    tiled = content_security_policy(Settings(page_tiles="https://{s}.tiles.test/{z}/{x}/{y}.png"))
    assert "img-src 'self' blob: data: https://*.tiles.test;" in tiled


def test_the_page_knows_its_limits(client: httpx.Client) -> None:
    assert client.get("/page/settings").json()["max_body_bytes"] == Settings().max_body_bytes


@pytest.mark.parametrize(
    ("bbox", "name"),
    [("2,48,3,49", "Paris"), ("177,-19,-179,-17", "Suva"), ("-180,-90,180,90", "Shanghai")],
)
def test_the_largest_places_of_a_box_are_named(client: httpx.Client, bbox: str, name: str) -> None:
    places = client.get("/page/labels", params={"bbox": bbox, "limit": 5}).json()["places"]
    assert name in [place["name"] for place in places]
    assert len(places) <= 5
    people = [place["population"] for place in places]
    assert people == sorted(people, reverse=True)


@pytest.mark.parametrize("bbox", ["", "1,2,3", "a,b,c,d", "nan,0,1,1", "0,0,inf,1"])
def test_a_box_that_is_none_is_refused(client: httpx.Client, bbox: str) -> None:
    response = client.get("/page/labels", params={"bbox": bbox})
    assert response.status_code == 422
    assert response.json()["type"] == "urn:geofix:problem:invalid-option"
