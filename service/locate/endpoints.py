"""POST /v1/locate: where was this photo taken?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from pydantic import ValidationError
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from geofix.engine.locate import Locator
from geofix.engine.types import LocateOptions, Prediction, StageEvent
from geofix.errors import (
    EmptyPhoto,
    GeofixError,
    InvalidCoordinate,
    InvalidOption,
    InvalidRequest,
    NotFound,
    PhotoTooLarge,
    Unavailable,
    UnreadablePhoto,
    UnsupportedContentType,
    UnsupportedFormat,
)
from service import uploads
from service.disconnect import unless_disconnected
from service.locate.options import Options, from_strings, invalid_option, query_parameters
from service.locate.schemas import Answer, LocateRequest, Stage
from service.problems import Problem, problem_of, responses, unexpected
from service.running import locator_of, settings_of

router = APIRouter(prefix="/v1", tags=["locate"])

EVENT_STREAM = "text/event-stream"

_FAILURES = (
    InvalidRequest,
    EmptyPhoto,
    NotFound,
    PhotoTooLarge,
    UnsupportedFormat,
    UnsupportedContentType,
    InvalidOption,
    InvalidCoordinate,
    UnreadablePhoto,
    Unavailable,
)
_BINARY = {"type": "string", "format": "binary"}
_BODY = {
    "required": True,
    "content": {
        uploads.MULTIPART: {
            "schema": {
                "type": "object",
                "required": ["photo"],
                "properties": {
                    "photo": _BINARY,
                    **{name: {"type": "string"} for name in Options.model_fields},
                },
            }
        },
        "image/*": {"schema": _BINARY},
        uploads.JSON: {"schema": {"$ref": "#/components/schemas/LocateRequest"}},
    },
}


@router.post(
    "/locate",
    operation_id="locate",
    summary="Where was this photo taken?",
    response_model=Answer,
    responses={
        200: {
            "description": "The answer; with `Accept: text/event-stream`, `stage` events as the "
            "stages finish, then one `answer` or, where the photo fails, one `problem` event.",
            "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
        },
        **responses(*_FAILURES),
    },
    openapi_extra={"requestBody": _BODY, "parameters": query_parameters()},
)
async def locate(request: Request) -> Response:
    """Send the photo as a multipart file named `photo`, as the raw body, or in JSON.

    Options stand beside it: as further fields, in the query string, or under `options`.
    """
    locator = locator_of(request)
    data, options = await _understand(request)
    asked = options.engine(neighbours=settings_of(request).neighbours)
    if EVENT_STREAM in request.headers.get("accept", ""):
        await locator.check(asked)
        return EventSourceResponse(_stages(request, locator, data, asked), ping=15)
    prediction = await unless_disconnected(request, locator.locate(data, asked))
    text = await asyncio.to_thread(_json, prediction)
    return Response(text, media_type=uploads.JSON)


async def _understand(request: Request) -> tuple[bytes, Options]:
    """The photo and the options of a request, whatever form they came in."""
    query = request.query_params.multi_items()
    match uploads.content_type(request):
        case "image/*":
            options = from_strings(query)
            return await uploads.read_photo(request), options
        case uploads.MULTIPART:
            form = await uploads.read_form(request, max_photos=1)
            return form.photos[0], from_strings([*query, *form.fields])
        case uploads.JSON:
            if query:
                raise InvalidOption("Beside a JSON body, options stand under 'options'.")
            body = await request.body()
            wanted = await asyncio.to_thread(_parse, body)
            return await uploads.from_base64(wanted.photo), wanted.options
        case _:
            raise uploads.unsupported(request, "image/*", uploads.MULTIPART, uploads.JSON)


def _parse(body: bytes) -> LocateRequest:
    try:
        return LocateRequest.model_validate_json(body, strict=True)
    except ValidationError as error:
        malformed = uploads.invalid_json(error)
        is_option = isinstance(malformed, InvalidOption)
        raise (invalid_option(error) if is_option else malformed) from error


async def _stages(
    request: Request, locator: Locator, data: bytes, options: LocateOptions
) -> AsyncIterator[ServerSentEvent]:
    """The stages as they finish, then the answer or the problem; stops the work when closed."""
    finished: asyncio.Queue[StageEvent | None] = asyncio.Queue()
    work = asyncio.create_task(locator.locate(data, options, finished.put_nowait))
    work.add_done_callback(lambda _: finished.put_nowait(None))
    try:
        while (event := await finished.get()) is not None:
            yield ServerSentEvent(event="stage", data=Stage.of(event).model_dump_json())
        text = await asyncio.to_thread(_json, await work)
        yield ServerSentEvent(event="answer", data=text)
    except GeofixError as error:
        yield _problem(problem_of(error, request))
    except Exception as error:
        yield _problem(unexpected(error, request))
    finally:
        work.cancel()


def _json(prediction: Prediction) -> str:
    return Answer.of(prediction).model_dump_json()


def _problem(problem: Problem) -> ServerSentEvent:
    return ServerSentEvent(event="problem", data=problem.model_dump_json())
