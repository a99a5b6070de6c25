"""/v1/jobs: many photos at once, worked on in the background."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from geofix.errors import (
    Conflict,
    IdempotencyMismatch,
    InvalidArchive,
    InvalidOption,
    InvalidRequest,
    NotFound,
    StorageFull,
    Unavailable,
    UnsupportedContentType,
    UploadTooLarge,
)
from geofix.jobs.types import State
from geofix.jobs.webhooks import secret_of
from service import uploads
from service.auth.access import caller_of
from service.jobs.intake import ARCHIVE_TYPES, NDJSON
from service.jobs.parameters import query_parameters
from service.jobs.running import jobs_of
from service.jobs.schemas import JobAnswer, JobList
from service.jobs.submitting import submit
from service.problems import responses

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

JobId = Annotated[str, Path(max_length=100, description="As `POST /v1/jobs` answered it.")]

_BINARY = {"type": "string", "format": "binary"}
_PARAMETERS = query_parameters()
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name of this request: sent again within a day, it makes no second job.",
    "schema": {"type": "string", "maxLength": 255},
}
_BODY = {
    "required": True,
    "content": {
        uploads.MULTIPART: {
            "schema": {
                "type": "object",
                "description": "Many photos or one archive.",
                "properties": {
                    "photo": {"type": "array", "items": _BINARY},
                    "archive": _BINARY,
                    **{str(p["name"]): {"type": "string"} for p in _PARAMETERS},
                },
            }
        },
        **{kind: {"schema": _BINARY} for kind in ARCHIVE_TYPES[:1] + ARCHIVE_TYPES[2:4]},
        NDJSON: {"schema": {"type": "string", "description": "One `Line` a line."}},
    },
}


@router.post(
    "",
    operation_id="createJob",
    summary="Locate many photos in the background",
    status_code=202,
    response_model=JobAnswer,
    responses=responses(
        InvalidRequest,
        NotFound,
        Conflict,
        UploadTooLarge,
        UnsupportedContentType,
        InvalidOption,
        InvalidArchive,
        IdempotencyMismatch,
        Unavailable,
        StorageFull,
    ),
    openapi_extra={"requestBody": _BODY, "parameters": [*_PARAMETERS, _IDEMPOTENCY]},
)
async def create_job(request: Request) -> Response:
    """Send photos as multipart files named `photo`, a zip or tar (as the body or as a file named
    `archive`), or NDJSON. When this answers, the job is stored and will be done.

    Options stand beside them, as further fields or in the query string.
    """
    jobs = jobs_of(request)
    job, again = await submit(request, jobs.store)
    await jobs.start(job.id)
    webhook = job.manifest.webhook
    secret = await secret_of(jobs.store, job.manifest.owner) if webhook else None
    headers = {"Location": f"/v1/jobs/{job.id}"}
    if again:
        headers["Idempotent-Replayed"] = "true"
    answer = JobAnswer.of(job, secret=secret)
    return Response(answer.model_dump_json(), 202, headers, media_type=uploads.JSON)


@router.get(
    "",
    operation_id="listJobs",
    summary="Your jobs, newest first",
    response_model=JobList,
    responses=responses(InvalidOption, Unavailable),
)
async def list_jobs(
    request: Request,
    after: Annotated[str, Query(max_length=100, description="`next_cursor` of a page.")] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    state: Annotated[list[State] | None, Query(description="Only jobs in these states.")] = None,
) -> JobList:
    """A page of jobs; follow `next_cursor` while `has_more`."""
    page, cursor = await jobs_of(request).store.jobs(
        caller_of(request).account, states=frozenset(state or ()), after=after, limit=limit
    )
    return JobList(
        data=[JobAnswer.of(job) for job in page],
        has_more=bool(cursor),
        next_cursor=cursor or None,
    )


@router.get(
    "/{job_id}",
    operation_id="getJob",
    summary="A job as it stands",
    response_model=JobAnswer,
    responses=responses(NotFound, Unavailable),
)
async def get_job(request: Request, job_id: JobId) -> JobAnswer:
    """Its state, the counts of its photos, and when it will be done."""
    return JobAnswer.of(await jobs_of(request).store.get(job_id, caller_of(request).account))


@router.post(
    "/{job_id}/cancel",
    operation_id="cancelJob",
    summary="Stop a job",
    response_model=JobAnswer,
    responses=responses(NotFound, Conflict, Unavailable),
)
async def cancel_job(request: Request, job_id: JobId) -> JobAnswer:
    """Work stops within seconds; results that exist by then stay."""
    return JobAnswer.of(await jobs_of(request).cancel(job_id, caller_of(request).account))


@router.post(
    "/{job_id}/retry",
    operation_id="retryJob",
    summary="Try the failed photos of a job again",
    status_code=202,
    response_model=JobAnswer,
    responses=responses(NotFound, Conflict, Unavailable),
)
async def retry_job(request: Request, job_id: JobId) -> JobAnswer:
    """The job must have ended; photos that have an answer keep it."""
    jobs = jobs_of(request)
    job = await jobs.store.retry(job_id, caller_of(request).account)
    await jobs.start(job.id)
    return JobAnswer.of(job)


@router.delete(
    "/{job_id}",
    operation_id="deleteJob",
    summary="Delete a job with its photos and results",
    status_code=204,
    responses=responses(NotFound, Unavailable),
)
async def delete_job(request: Request, job_id: JobId) -> Response:
    """Everything of it is gone when this answers; a running job stops."""
    await jobs_of(request).store.delete(job_id, caller_of(request).account)
    return Response(status_code=204)
