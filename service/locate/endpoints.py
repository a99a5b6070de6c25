"""POST /v1/locate: where was this photo taken?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from fastapi import APIRouter, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from geofix.engine.locate import Locator
from geofix.engine.types import Lane, LocateOptions, StageEvent
from geofix.errors import (
    EmptyPhoto,
    GeofixError,
    InvalidCoordinate,
    InvalidOption,
    InvalidRequest,
    NotFound,
    Overloaded,
    PhotoTooLarge,
    Unavailable,
    UnencodablePhoto,
    UnreadablePhoto,
    UnsupportedContentType,
    UnsupportedFormat,
)
from service import precision, uploads
from service.auth.access import caller_of
from service.disconnect import unless_disconnected
from service.locate.answering import located, told
from service.locate.options import (
    Options,
    Refinement,
    from_strings,
    query_parameters,
)
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
    UnencodablePhoto,
    Unavailable,
    Overloaded,
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
    locator.batcher.admit(Lane.INTERACTIVE)
    data, options = await _understand(request)
    asked = _asked(request, options)
    if EVENT_STREAM in request.headers.get("accept", ""):
        await locator.check(asked)
        return EventSourceResponse(_stages(request, locator, data, options), ping=15)
    with locator.courtesy.present(Lane.INTERACTIVE):
        answer = await located(request, locator, data, asked)
        text = await told(request, answer, options, "locate")
    return Response(text, media_type=uploads.JSON)


@router.post(
    "/locate/{answer_id}/refine",
    operation_id="refine",
    summary="Another answer for the same photo, without sending it again",
    response_model=Answer,
    responses=responses(
        InvalidRequest,
        NotFound,
        PhotoTooLarge,
        UnsupportedContentType,
        InvalidOption,
        InvalidCoordinate,
        Unavailable,
    ),
    openapi_extra={
        "requestBody": {
            "content": {uploads.JSON: {"schema": {"$ref": "#/components/schemas/Refinement"}}},
        }
    },
)
async def refine(request: Request, answer_id: str) -> Response:
    """Other filters, generators or galleries for a photo that was located with `keep`.

    Only vectors and candidates are kept, for ten minutes and until the service stops; a generator
    that needs the photo must have been asked the first time. The new answer has an id of its own,
    to tell the truth about; refine the first one again.
    """
    locator = locator_of(request)
    options = await _refinement(request)
    asked = _asked(request, options)
    prediction = await unless_disconnected(request, locator.refine(answer_id, asked))
    return Response(await told(request, prediction, options, "refine"), media_type=uploads.JSON)


def _asked(request: Request, options: Refinement) -> LocateOptions:
    """The engine's options, on the account of whoever asks. Raises PrecisionCapped."""
    caller = caller_of(request)
    precision.check(options, caller.cap_km)
    asked = options.engine(neighbours=settings_of(request).neighbours)
    return replace(asked, account=caller.account, keep=asked.keep and not caller.no_store)


async def _refinement(request: Request) -> Refinement:
    if not await request.body():
        return Refinement()
    return await uploads.read_json(request, Refinement, known=Options.model_fields)


async def _understand(request: Request) -> tuple[bytes, Options]:
    """The photo and the options of a request, whatever form they came in."""
    query = request.query_params.multi_items()
    match uploads.content_type(request):
        case "image/*":
            options = from_strings(query)
            return await uploads.read_photo(request), options
        case uploads.MULTIPART:
            form = await uploads.read_form(request, max_photos=1)
            return form.photo, from_strings([*query, *form.fields])
        case uploads.JSON:
            if query:
                raise InvalidOption("Beside a JSON body, options stand under 'options'.")
            wanted = await uploads.read_json(request, LocateRequest, known=Options.model_fields)
            return await uploads.from_base64(wanted.photo), wanted.options
        case _:
            raise uploads.unsupported(request, "image/*", uploads.MULTIPART, uploads.JSON)


async def _stages(
    request: Request, locator: Locator, data: bytes, options: Options
) -> AsyncIterator[ServerSentEvent]:
    """The stages as they finish, then the answer or the problem; stops the work when closed."""
    asked = _asked(request, options)
    cap_km = caller_of(request).cap_km
    finished: asyncio.Queue[StageEvent | None] = asyncio.Queue()
    work = asyncio.create_task(locator.locate(data, asked, finished.put_nowait))
    work.add_done_callback(lambda _: finished.put_nowait(None))
    try:
        while (event := await finished.get()) is not None:
            stage = precision.hushed(Stage.of(event), cap_km)
            yield ServerSentEvent(event="stage", data=stage.model_dump_json())
        text = await told(request, await work, options, "locate")
        yield ServerSentEvent(event="answer", data=text)
    except GeofixError as error:
        wait_s = error.retry_after_s if isinstance(error, Unavailable) else None
        yield _problem(problem_of(error, request), wait_s)
    except Exception as error:
        yield _problem(unexpected(error, request))
    finally:
        work.cancel()


def _problem(problem: Problem, wait_s: int | None = None) -> ServerSentEvent:
    """The problem as an event; its ``retry`` stands for the header Retry-After, in ms."""
    retry = None if wait_s is None else 1000 * wait_s
    return ServerSentEvent(event="problem", data=problem.model_dump_json(), retry=retry)
