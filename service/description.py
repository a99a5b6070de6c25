"""The OpenAPI document made whole: what FastAPI cannot know of bodies, events and failures.

Examples lie in ``examples.json``; each was an answer of the service, with its lists cut short.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service import problems
from service.embed.schemas import ImagesRequest, LocationsRequest
from service.feedback.schemas import Truth
from service.jobs.lines import Line
from service.jobs.schemas import ErrorLine, Progress, ResultLine
from service.locate.options import Refinement
from service.locate.schemas import Answer, LocateRequest, Stage
from service.problems import Problem

Node = dict[str, Any]
"""A part of the document, as FastAPI types it."""

TEXT = """Where was this photo taken? A position with a radius, the evidence for it, and an honest
"can't tell".

Every failure is an `application/problem+json` document (RFC 9457); every response carries the
request's id in `X-Request-ID`. Streams (`text/event-stream`, `application/x-ndjson`) name what
their events or lines hold under `x-itemSchema`, which reads as OpenAPI 3.2's `itemSchema`.

A service on `127.0.0.1` asks nobody for a key; any other asks everybody."""

_BODIES: tuple[type[BaseModel], ...] = (
    *(LocateRequest, Refinement, Stage, Truth, ImagesRequest, LocationsRequest),
    *(Line, ResultLine, ErrorLine, Progress, Problem),
)
"""Models that operations name in their OpenAPI without FastAPI knowing of them."""

_TAGS = {
    "locate": "One photo: where it was taken.",
    "feedback": "What was true.",
    "embed": "Vectors of photos and of coordinates.",
    "galleries": "The photos that answers are searched in.",
    "jobs": "Many photos at once, in the background.",
    "health": "For whoever starts, balances and watches the service.",
    "page": "For the web page.",
}
_PARAMETERS = {
    **{name: field.description for name, field in Refinement.model_fields.items()},
    "name": "The gallery's name.",
    "photo_id": "The photo's id, as it was answered when it was added.",
    "answer_id": "The answer's `id`; it was asked with `keep`.",
    "snapshot": "The snapshot's name, as the list has it.",
    "contributor": "Whose photos.",
    "source": "Only photos of these sources, separated by commas.",
    "licence": "Only photos under these licences, separated by commas.",
    "captured_from": "Only photos captured from this year, month, day or time on (ISO 8601).",
    "captured_to": "Only photos captured up to this year, month, day or time (ISO 8601).",
    "limit": "How many at most.",
    "last-event-id": "Id of the last event that came; the stream goes on behind it.",
}
"""What FastAPI's own descriptions leave out."""
_BOUNDS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
"""What pydantic calls the bounds of numbers that something else looks at first."""


_EVENTS = "text/event-stream"
_LINES = "application/x-ndjson"
_SCHEMAS = "#/components/schemas/"


def _events(**models: type[BaseModel]) -> Node:
    """The schema of a server-sent event, by its kind."""
    kinds = [
        {
            "type": "object",
            "properties": {
                "event": {"const": kind},
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {"$ref": f"{_SCHEMAS}{model.__name__}"},
                },
            },
        }
        for kind, model in models.items()
    ]
    return {"oneOf": kinds}


def _lines(model: type[BaseModel]) -> Node:
    return {"$ref": f"{_SCHEMAS}{model.__name__}"}


_ITEMS = {
    ("locate", "200", _EVENTS): _events(stage=Stage, answer=Answer, problem=Problem),
    ("createJob", "request", _LINES): _lines(Line),
    ("jobResults", "200", _LINES): _lines(ResultLine),
    ("jobErrors", "200", _LINES): _lines(ErrorLine),
    ("jobEvents", "200", _EVENTS): _events(state=Progress, progress=Progress),
}
"""What a stream consists of."""


def complete(document: Node) -> Node:
    """Add to FastAPI's document what it lacks."""
    components = document.setdefault("components", {})
    _, schemas = models_json_schema(
        [(model, "validation") for model in _BODIES], ref_template=f"{_SCHEMAS}{{model}}"
    )
    components.setdefault("schemas", {}).update(schemas["$defs"])
    components["examples"] = problems.examples(_problems(document))
    document["servers"] = [{"url": "/", "description": "The service that says this."}]
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    examples = json.loads((files("service") / "examples.json").read_text("utf-8"))
    for operation in operations(document):
        operation.setdefault("security", [])
        for parameter in operation.get("parameters", []):
            parameter.setdefault("description", _PARAMETERS.get(parameter["name"], ""))
        _say_what_comes_back(operation, components["schemas"])
        _show(operation, examples.get(operation["operationId"], {}))
    _name_bounds(document)
    return document


def operations(document: Node) -> Iterator[Node]:
    """Every operation of a document."""
    for path in document["paths"].values():
        yield from path.values()


def _problems(document: Node) -> frozenset[str]:
    """The slugs of all problems that operations name."""
    return frozenset(
        slug
        for operation in operations(document)
        for response in operation["responses"].values()
        for slug in response.get("content", {}).get(problems.MEDIA_TYPE, {}).get("examples", ())
    )


def _say_what_comes_back(operation: Node, schemas: Node) -> None:
    """In the words of the model, where FastAPI knows no better than "Successful Response"."""
    for status, response in operation["responses"].items():
        if response["description"] == "Successful Response":
            of_json = response.get("content", {}).get("application/json", {})
            name = of_json.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1]
            text = schemas.get(name, {}).get("description", operation["summary"])
            response["description"] = "Done." if status == "204" else text.split("\n\n")[0]


def _show(operation: Node, examples: Node) -> None:
    """Put examples beside schemas, and say what streams consist of."""
    for where, body in {
        "request": operation.get("requestBody", {}),
        **operation["responses"],
    }.items():
        shown = examples.get("responses", {}).get(where, {}) or examples.get(where, {})
        for media_type, content in body.get("content", {}).items():
            if media_type in shown:
                content["example"] = shown[media_type]
            if item := _ITEMS.get((operation["operationId"], where, media_type)):
                content["x-itemSchema"] = item


def _name_bounds(node: object) -> None:
    if isinstance(node, list):
        for part in node:
            _name_bounds(part)
    if isinstance(node, dict):
        if node.get("type") in ("number", "integer"):
            for ours, name in _BOUNDS.items():
                if ours in node:
                    node[name] = node.pop(ours)
        for part in node.values():
            _name_bounds(part)
