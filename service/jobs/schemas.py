"""A job as callers see it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from geofix.jobs.types import Job, Priority, State
from service.locate.schemas import Answer


class RequestCounts(BaseModel):
    """The photos of a job."""

    model_config = ConfigDict(from_attributes=True)

    total: int
    completed: int
    failed: int


class WebhookAnswer(BaseModel):
    """Who is called when the job has ended."""

    url: str
    secret: Annotated[
        str | None,
        Field(description="What calls are signed with (Standard Webhooks); told on creation."),
    ] = None


class JobProblem(BaseModel):
    """Why a job failed as a whole, or a photo of it."""

    model_config = ConfigDict(from_attributes=True)

    type: str
    title: str
    status: int
    detail: str


class JobAnswer(BaseModel):
    """A job as it stands."""

    id: str
    object: Literal["job"] = "job"
    state: State
    request_counts: RequestCounts
    timestamps: Annotated[
        dict[State, datetime], Field(description="When each state was reached (last time).")
    ]
    eta: Annotated[datetime | None, Field(description="When it will be done at the present rate.")]
    created_at: datetime
    expires_at: datetime
    deleted_at: Annotated[
        datetime | None, Field(description="When it will be deleted, once it has ended.")
    ]
    priority: Priority
    options: dict[str, str]
    webhook: WebhookAnswer | None
    skipped: Annotated[
        dict[str, str], Field(description="Entries of the archive that were no photos; 100 at most")
    ]
    skipped_count: int
    round: Annotated[int, Field(description="How often the job was retried.")]
    redeliveries: Annotated[
        int, Field(description="Chunks that were started again after a worker was lost.")
    ]
    duplicates: Annotated[
        int, Field(description="Results that were computed twice; each was kept once.")
    ]
    problem: JobProblem | None

    @classmethod
    def of(cls, job: Job, *, secret: str | None = None) -> Self:
        """The job as it is told."""
        m = job.manifest
        return cls(
            id=job.id,
            state=job.state,
            request_counts=RequestCounts.model_validate(job.counts),
            timestamps={state: _time(at) for state, at in job.since.items()},
            eta=None if job.eta is None else _time(job.eta),
            created_at=_time(m.created_at),
            expires_at=_time(job.expires_at),
            deleted_at=None if job.ended_at is None else _time(job.ended_at + m.kept_for_s),
            priority=m.priority,
            options=dict(m.options),
            webhook=WebhookAnswer(url=m.webhook.url, secret=secret) if m.webhook else None,
            skipped=dict(m.skipped),
            skipped_count=m.skipped_count,
            round=job.round,
            redeliveries=job.redeliveries,
            duplicates=job.duplicates,
            problem=JobProblem.model_validate(job.problem) if job.problem else None,
        )


class JobList(BaseModel):
    """A page of jobs, newest first."""

    object: Literal["list"] = "list"
    data: list[JobAnswer]
    has_more: bool
    next_cursor: Annotated[str | None, Field(description="`after` of the next page.")]


class Progress(BaseModel):
    """The data of a job's event: where the job stands."""

    state: State
    request_counts: RequestCounts


class ResultLine(BaseModel):
    """A line of a job's results: the answer for one photo."""

    index: Annotated[int, Field(description="The photo's place in the job, from 0.")]
    custom_id: str
    answer: Answer


class ErrorLine(BaseModel):
    """A line of a job's errors: why one photo failed."""

    index: Annotated[int, Field(description="The photo's place in the job, from 0.")]
    custom_id: str
    problem: JobProblem


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, tz=UTC)
