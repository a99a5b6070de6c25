"""/v1/jobs/{id}/results, /errors and /events: what comes of a job, while it runs and after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response, StreamingResponse

from geofix.errors import InvalidOption, NotFound, Unavailable
from geofix.jobs.store import JobStore, check_event_id
from geofix.jobs.types import Outcome
from service import precision
from service.auth.access import caller_of
from service.jobs import formats
from service.jobs.endpoints import JobId
from service.jobs.formats import MEDIA_TYPES, SUFFIXES, Format, Result
from service.jobs.running import jobs_of
from service.locate.schemas import Answer
from service.problems import responses

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_AT_ONCE = 64
_TEXT = {"schema": {"type": "string"}}


@router.get(
    "/{job_id}/results",
    operation_id="jobResults",
    summary="The answers of a job, in the order of its photos",
    response_class=Response,
    responses={
        200: {
            "description": "Those there are so far; photos that failed are under `errors`.",
            "content": {kind.split(";")[0]: _TEXT for kind in MEDIA_TYPES.values()},
        },
        **responses(NotFound, InvalidOption, Unavailable),
    },
)
async def job_results(
    request: Request,
    job_id: JobId,
    format: Annotated[Format, Query(description="How they are written.")] = Format.NDJSON,
) -> Response:
    """NDJSON holds whole answers; CSV, GeoJSON and GeoParquet their main facts."""
    store, caller = jobs_of(request).store, caller_of(request)
    await store.get(job_id, caller.account)
    suffix = SUFFIXES.get(format, format.value)
    return StreamingResponse(
        _file(store, job_id, formats.writer(format), caller.cap_km),
        media_type=MEDIA_TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="{job_id}.{suffix}"'},
    )


@router.get(
    "/{job_id}/errors",
    operation_id="jobErrors",
    summary="The photos of a job that failed, and why",
    response_class=Response,
    responses={
        200: {"description": "NDJSON.", "content": {MEDIA_TYPES[Format.NDJSON]: _TEXT}},
        **responses(NotFound, Unavailable),
    },
)
async def job_errors(request: Request, job_id: JobId) -> Response:
    """One line a photo, with a problem as a single request would have had."""
    store = jobs_of(request).store
    await store.get(job_id, caller_of(request).account)
    return StreamingResponse(_errors(store, job_id), media_type=MEDIA_TYPES[Format.NDJSON])


@router.get(
    "/{job_id}/events",
    operation_id="jobEvents",
    summary="What happens to a job, as it happens",
    response_class=Response,
    responses={
        200: {
            "description": "`state` and `progress` events, from the first one on, or from behind "
            "the one that `Last-Event-ID` names; the stream ends with the job.",
            "content": {"text/event-stream": _TEXT},
        },
        204: {"description": "The job has ended and there are no further events."},
        **responses(NotFound, InvalidOption, Unavailable),
    },
)
async def job_events(
    request: Request,
    job_id: JobId,
    last_event_id: Annotated[str, Header(max_length=40)] = "",
) -> Response:
    """Every event comes once, also to a client that drops and resumes."""
    store = jobs_of(request).store
    job = await store.get(job_id, caller_of(request).account)
    check_event_id(last_event_id)
    if job.state.terminal and not await store.live.events(job_id, last_event_id, 1):
        return Response(status_code=204)
    return EventSourceResponse(_events(store, job_id, last_event_id), ping=15)


async def _file(
    store: JobStore, job_id: str, writer: formats.Writer, cap_km: float | None
) -> AsyncIterator[bytes]:
    yield await asyncio.to_thread(writer.start)
    async for batch in _batches(store.outcomes(job_id)):
        yield await asyncio.to_thread(_written, writer, batch, cap_km)
    yield await asyncio.to_thread(writer.end)


def _written(writer: formats.Writer, batch: list[Outcome], cap_km: float | None) -> bytes:
    results: list[Result] = [
        (outcome, precision.coarsened(Answer.model_validate_json(outcome.answer), cap_km))
        for outcome in batch
        if outcome.problem is None
    ]
    return writer.write(results)


async def _errors(store: JobStore, job_id: str) -> AsyncIterator[bytes]:
    async for batch in _batches(store.outcomes(job_id)):
        yield b"".join(formats.error_line(outcome) for outcome in batch if outcome.problem)


async def _batches(outcomes: AsyncIterator[Outcome]) -> AsyncIterator[list[Outcome]]:
    batch: list[Outcome] = []
    async for outcome in outcomes:
        batch.append(outcome)
        if len(batch) >= _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


async def _events(store: JobStore, job_id: str, after: str) -> AsyncIterator[ServerSentEvent]:
    try:
        async for event in store.events(job_id, after):
            if event is not None:
                yield ServerSentEvent(event=event.kind, data=event.data, id=event.id)
    except (NotFound, Unavailable):
        return  # deleted, or to be resumed: the client comes again and is told
