"""Errors as RFC 9457 problem details: every answer that is not 2xx is one of these."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geofix.errors import GeofixError, QuotaExceeded, Unauthenticated, Unavailable
from geofix.observability import requests
from service.refusals import refusal
from service.request_id import request_id

MEDIA_TYPE = "application/problem+json"

log = logging.getLogger("geofix.service")

_ROUTING: Mapping[int, tuple[str, str, str]] = {
    404: ("not-found", "There is no such thing here", "No resource has this path."),
    405: (
        "method-not-allowed",
        "The method is not allowed here",
        "This path answers to other methods; the Allow header lists them.",
    ),
}


_SECONDS = {"schema": {"type": "integer"}, "description": "Seconds after which to try again."}
_HEADERS = {
    401: {
        "WWW-Authenticate": {"schema": {"type": "string"}, "description": "How to say who asks."}
    },
    429: {"Retry-After": _SECONDS},
    503: {"Retry-After": _SECONDS},
}


class Problem(BaseModel):
    """What went wrong and what to do about it (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:geofix:problem:unreadable-photo",
                "title": "The photo is damaged",
                "status": 422,
                "detail": "The JPEG ends early. Send the whole file.",
                "instance": "urn:uuid:0b6b2d66-0a53-4f0e-9a53-7f9d6d7f5a6e",
            }
        }
    )

    type: str = Field(description="A stable URN naming the kind of problem.")
    title: str = Field(description="The kind of problem in words; the same for every occurrence.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    detail: str = Field(description="What is wrong this time, and what to do.")
    instance: str = Field(description="The request's id, also in the header X-Request-ID.")


class Unexpected:
    """ASGI middleware that answers with a problem where an error was not foreseen."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if scope["type"] != "http" or started:
                raise
            request = Request(scope)
            await _response(unexpected(error, request), request)(scope, receive, send)


def problem_of(error: GeofixError, request: Request) -> Problem:
    """The problem details of a deliberate error."""
    return _problem(request, error.status, error.slug, error.title, str(error))


def responses(*errors: type[GeofixError]) -> dict[int | str, dict[str, object]]:
    """OpenAPI ``responses`` of an operation that can fail with these errors (and with 500)."""
    by_status: dict[int, list[type[GeofixError]]] = {500: [GeofixError]}
    for error in errors:
        by_status.setdefault(error.status, []).append(error)
    return {status: _response_of(kinds) for status, kinds in sorted(by_status.items())}


def _response_of(kinds: list[type[GeofixError]]) -> dict[str, object]:
    told: dict[str, object] = {
        "description": "; ".join(f"{kind.title} (`{kind.slug}`)" for kind in kinds),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": f"#/components/schemas/{Problem.__name__}"},
                "examples": {
                    kind.slug: {"$ref": f"#/components/examples/{kind.slug}"} for kind in kinds
                },
            }
        },
    }
    if headers := _HEADERS.get(kinds[0].status):
        told["headers"] = headers
    return told


def examples(slugs: frozenset[str]) -> dict[str, object]:
    """Examples of these problems by slug, as OpenAPI has them."""
    return {
        kind.slug: {
            "summary": kind.title,
            "value": {
                "type": f"urn:geofix:problem:{kind.slug}",
                "title": kind.title,
                "status": kind.status,
                "detail": f"{kind.title}: a sentence about this time, and what to do.",
                "instance": "urn:uuid:0b6b2d66-0a53-4f0e-9a53-7f9d6d7f5a6e",
            },
        }
        for kind in sorted(_kinds(GeofixError), key=lambda kind: (kind.status, kind.slug))
        if kind.slug in slugs
    }


def _kinds(error: type[GeofixError]) -> set[type[GeofixError]]:
    """An error and those below it; what a module derives for itself tells callers nothing new."""
    below = (kind for kind in error.__subclasses__() if kind.__module__ == error.__module__)
    return {error}.union(*map(_kinds, below))


def install(app: FastAPI) -> None:
    """Make every failure of ``app`` answer with problem details."""
    app.exception_handler(GeofixError)(_deliberate)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_routing)
    app.exception_handler(ClientDisconnect)(_unheard)
    app.add_middleware(Unexpected)


async def _deliberate(request: Request, error: GeofixError) -> Response:
    headers = {}
    if isinstance(error, QuotaExceeded | Unavailable):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="geofix"'
    return _response(problem_of(error, request), request, headers)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    return await _deliberate(request, refusal(error))


async def _routing(request: Request, error: HTTPException) -> Response:
    slug, title, detail = _ROUTING.get(
        error.status_code, ("invalid-request", "The request cannot be understood", error.detail)
    )
    headers = dict(error.headers or {})
    if error.status_code == 405 and (methods := _methods(request)):
        headers["Allow"] = ", ".join(methods)
    problem = _problem(request, error.status_code, slug, title, detail)
    return _response(problem, request, headers)


def _methods(request: Request) -> list[str]:
    """The methods that the operations of this path have; the router knows the first one alone."""
    paths: dict[str, dict[str, object]] = request.app.openapi()["paths"]
    return sorted(
        method.upper()
        for template, operations in paths.items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), request.url.path)
        for method in operations
    )


async def _unheard(request: Request, error: ClientDisconnect) -> Response:
    return Response(status_code=499)  # nobody is there to read it; the log of a proxy may


def unexpected(error: Exception, request: Request) -> Problem:
    """The problem details of an error nobody foresaw; what it was goes to the log alone."""
    log.error("request %s failed", request_id(request.scope), exc_info=error)
    return problem_of(
        GeofixError("Something went wrong on our side. Quote the request's id when you report it."),
        request,
    )


def _problem(request: Request, status: int, slug: str, title: str, detail: str) -> Problem:
    requests.refused(slug)
    return Problem(
        type=f"urn:geofix:problem:{slug}",
        title=title,
        status=status,
        detail=detail,
        instance=f"urn:uuid:{request_id(request.scope)}",
    )


def _response(
    problem: Problem, request: Request, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        problem.model_dump_json(),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={"X-Request-ID": request_id(request.scope), **(headers or {})},
    )
