from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from geofix.settings import Settings
from service.app import create_app
from service.locate.options import Options
from service.openapi import DEFAULT, document

_ROOT = Path(__file__).resolve().parents[2]


def _refs(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            yield from _refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _refs(value)


def test_the_committed_document_is_the_services() -> None:
    committed = (_ROOT / DEFAULT).read_text("utf-8")
    assert committed == document(), "Run `python -m service.openapi` and commit the result."


def test_the_service_serves_it(client: httpx.Client) -> None:
    assert client.get("/openapi.json").json() == json.loads(document())


def test_every_reference_leads_somewhere() -> None:
    schemas = json.loads(document())["components"]["schemas"]
    names = {ref.removeprefix("#/components/schemas/") for ref in _refs(json.loads(document()))}
    assert names
    assert names <= schemas.keys()


@pytest.mark.parametrize("path", ["/v1/locate", "/v1/embed/image", "/v1/embed/location"])
def test_failures_are_described_as_problems(path: str) -> None:
    responses = create_app(Settings()).openapi()["paths"][path]["post"]["responses"]
    failures = {status: r for status, r in responses.items() if status != "200"}
    assert {"400", "413", "415", "422", "500", "503"} <= failures.keys()
    assert all([*r["content"]] == ["application/problem+json"] for r in failures.values())


def test_every_option_is_described_in_all_three_forms() -> None:
    operation = create_app(Settings()).openapi()["paths"]["/v1/locate"]["post"]
    assert {p["name"] for p in operation["parameters"]} == {*Options.model_fields}
    body = operation["requestBody"]["content"]
    assert {*Options.model_fields} < {*body["multipart/form-data"]["schema"]["properties"]}
    assert body["application/json"]["schema"]["$ref"].endswith("/LocateRequest")
