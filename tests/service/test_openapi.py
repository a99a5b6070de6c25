from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from geofix.settings import Settings
from service.app import create_app
from service.description import operations
from service.locate.options import Options
from service.openapi import DEFAULT, document

_ROOT = Path(__file__).resolve().parents[2]


_DOCUMENT = json.loads((_ROOT / DEFAULT).read_text("utf-8"))
_OPERATIONS = {operation["operationId"]: operation for operation in operations(_DOCUMENT)}


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


def test_every_reference_leads_somewhere_and_everything_is_referred_to() -> None:
    components = _DOCUMENT["components"]
    held = {
        f"#/components/{kind}/{n}" for kind in ("schemas", "examples") for n in components[kind]
    }
    assert {*_refs(_DOCUMENT)} == held


def test_it_is_openapi() -> None:
    assert [*OpenAPIV31SpecValidator(_DOCUMENT).iter_errors()] == []


@pytest.mark.parametrize("operation", _OPERATIONS)
def test_every_operation_is_described(operation: str) -> None:
    described = _OPERATIONS[operation]
    assert described["summary"]
    assert described["description"]
    assert described["tags"]
    assert all(parameter["description"] for parameter in described.get("parameters", ()))
    for status, response in described["responses"].items():
        assert response["description"] not in {"", "Successful Response"}
        if status >= "400":
            told = response["content"]
            assert [*told] == ["application/problem+json"]
            assert told["application/problem+json"]["examples"]
    open_to_all = operation in {"healthz", "readyz", "metrics", "pageSettings", "pageLabels"}
    assert described["security"] == ([] if open_to_all else [{"key": []}, {"bearer": []}])


@pytest.mark.parametrize("operation", _OPERATIONS)
def test_every_body_has_an_example_that_fits(operation: str) -> None:
    described = _OPERATIONS[operation]
    bodies = [described.get("requestBody", {})]
    bodies += [r for status, r in described["responses"].items() if status < "400"]
    for body in bodies:
        for media_type, content in body.get("content", {}).items():
            if media_type == "application/json":
                assert "example" in content, "Show one in service/examples.json."
                _fits(content["example"], content["schema"])
            if "x-itemSchema" in content:
                assert content["example"]


def test_what_streams_consist_of_is_told() -> None:
    streams = {"text/event-stream", "application/x-ndjson"}
    told = [
        "x-itemSchema" in content
        for operation in _OPERATIONS.values()
        for body in [operation.get("requestBody", {}), *operation["responses"].values()]
        for media_type, content in body.get("content", {}).items()
        if media_type in streams
    ]
    assert told == [True] * 5


def _fits(example: object, schema: dict[str, object]) -> None:
    whole = {**schema, "components": _DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole).validate(example)


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
