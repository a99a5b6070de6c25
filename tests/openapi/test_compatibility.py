from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openapi.compatibility import PRESENT, RELEASED, breaks, series

_ROOT = Path(__file__).resolve().parents[2]

Document = dict[str, Any]


@pytest.fixture(scope="module")
def released() -> Document:
    document: Document = json.loads((_ROOT / RELEASED).read_text("utf-8"))
    return document


def test_nothing_that_was_released_is_broken(released: Document) -> None:
    present = json.loads((_ROOT / PRESENT).read_text("utf-8"))
    if series(released["info"]["version"]) == series(present["info"]["version"]):
        assert breaks(released, present) == []


def test_a_document_does_not_break_itself(released: Document) -> None:
    assert breaks(released, copy.deepcopy(released)) == []


def _locate(document: Document) -> Document:
    operation: Document = document["paths"]["/v1/locate"]["post"]
    return operation


def _schema(document: Document, name: str) -> Document:
    schema: Document = document["components"]["schemas"][name]
    return schema


_BREAKING: dict[str, tuple[Callable[[Document], object], str]] = {
    "a path is gone": (
        lambda d: d["paths"].pop("/v1/feedback"),
        "POST /v1/feedback: is gone",
    ),
    "a method is gone": (
        lambda d: d["paths"]["/v1/jobs/{job_id}"].pop("delete"),
        "DELETE /v1/jobs/{job_id}: is gone",
    ),
    "an operation has another name": (
        lambda d: _locate(d).update(operationId="find"),
        "POST /v1/locate: its operationId locate is now find",
    ),
    "a key opens nothing any more": (
        lambda d: _locate(d).update(security=[{"bearer": []}]),
        "callers must say who they are in another way",
    ),
    "a parameter is gone": (
        lambda d: _locate(d)["parameters"].pop(0),
        "parameter gallery is gone",
    ),
    "a parameter must be given": (
        lambda d: _locate(d)["parameters"][0].update(required=True),
        "parameter gallery must be given now",
    ),
    "a parameter has a smaller range": (
        lambda d: d["paths"]["/v1/jobs"]["get"]["parameters"][1]["schema"].update(maximum=50),
        "parameter limit: maximum 100 against 50",
    ),
    "a form of the body is gone": (
        lambda d: _locate(d)["requestBody"]["content"].pop("image/*"),
        "body: is no image/* any more",
    ),
    "a body must be sent": (
        lambda d: d["paths"]["/v1/locate/{answer_id}/refine"]["post"]["requestBody"].update(
            required=True
        ),
        "a body must be sent now",
    ),
    "a field must be sent": (
        lambda d: _schema(d, "Truth")["required"].append("source"),
        "body.source must be given now",
    ),
    "a field is refused": (
        lambda d: _schema(d, "Options")["properties"].pop("country"),
        "body.options.country is gone",
    ),
    "a field takes another type": (
        lambda d: _schema(d, "Truth")["properties"]["source"].update(type="integer"),
        "body.source: may be string, which is not integer",
    ),
    "a field takes no null": (
        lambda d: _schema(d, "Options")["properties"]["bbox"]["anyOf"].pop(),
        "body.options.bbox: null is refused",
    ),
    "a value is refused": (
        lambda d: _schema(d, "Rule")["enum"].remove("g3"),
        "body.options.rule: 'g3' is not one of",
    ),
    "an answer lacks a field": (
        lambda d: _schema(d, "Answer")["properties"].pop("heatmap"),
        "answer 200.heatmap is gone",
    ),
    "an answer may lack a field": (
        lambda d: _schema(d, "Answer")["required"].remove("position"),
        "answer 200.position may be missing now",
    ),
    "an answer has another type deep inside": (
        lambda d: _schema(d, "Position")["properties"]["lat"].update(type="string"),
        "answer 200.position.lat: may be string, which is not number",
    ),
    "an answer says a new word": (
        lambda d: _schema(d, "Channel")["enum"].append("guess"),
        "'guess' is not one of",
    ),
    "an answer may be null": (
        lambda d: _schema(d, "Answer")["properties"].update(
            place={"anyOf": [{"$ref": "#/components/schemas/Place"}, {"type": "null"}]}
        ),
        "answer 200.place: null is new",
    ),
    "an event holds something else": (
        lambda d: _schema(d, "Stage")["properties"].pop("ms"),
        "answer 200, a part of the stream: object is new",
    ),
    "a status is never answered": (
        lambda d: d["paths"]["/v1/feedback"]["post"]["responses"].pop("201"),
        "never answers 201 any more",
    ),
    "an answer has no table": (
        lambda d: d["paths"]["/v1/jobs/{job_id}/results"]["get"]["responses"]["200"]["content"].pop(
            "text/csv"
        ),
        "answer 200: is no text/csv any more",
    ),
}


@pytest.mark.parametrize("case", _BREAKING)
def test_what_breaks_callers_is_found(released: Document, case: str) -> None:
    change, expected = _BREAKING[case]
    changed = copy.deepcopy(released)
    change(changed)
    found = breaks(released, changed)
    assert any(expected in line for line in found), found


_HARMLESS: dict[str, Callable[[Document], object]] = {
    "a new path": lambda d: d["paths"].update({"/v2": {"get": {"operationId": "new"}}}),
    "a new parameter": lambda d: _locate(d)["parameters"].append(
        {"name": "new", "in": "query", "required": False, "schema": {"type": "string"}}
    ),
    "a field that may be sent": lambda d: _schema(d, "Truth")["properties"].update(
        new={"type": "string"}
    ),
    "a field that need not be sent": lambda d: _schema(d, "Truth")["required"].remove("lat"),
    "a wider range": lambda d: _schema(d, "Truth")["properties"]["id"].update(maxLength=200),
    "a new word that may be sent": lambda d: d["paths"]["/v1/jobs/{job_id}/results"]["get"][
        "parameters"
    ][1].update(schema={"type": "string"}),
    "a field that is answered": lambda d: _schema(d, "Answer")["properties"].update(
        new={"type": "string"}
    ),
    "another failure": lambda d: _locate(d)["responses"].update({"418": {"description": "Tea."}}),
    "other words": lambda d: _locate(d).update(summary="Where?", description="So."),
}


@pytest.mark.parametrize("case", _HARMLESS)
def test_what_breaks_nobody_is_let_pass(released: Document, case: str) -> None:
    changed = copy.deepcopy(released)
    _HARMLESS[case](changed)
    assert changed != released
    assert breaks(released, changed) == []


def test_a_series_holds_the_versions_within_which_nothing_breaks() -> None:
    assert [series(v) for v in ("0.1.0", "0.1.9", "0.2.0", "1.4.2", "2.0.0")] == [
        *("0.1", "0.1", "0.2", "1", "2")
    ]
