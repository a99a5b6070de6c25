"""One way to ask where photos were taken, whoever owns the model.

``RemoteEngine`` asks a running service; ``service.locate.local.LocalEngine`` is the engine of the
process itself. Answers are JSON texts here and options strings, as in a query string: their
models are the service's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from geofix.errors import EngineLost, GeofixError, Unavailable
from geofix.remote.client import RefusedError, Service

REFERENCES_PATH = "/v1/internal/locate"
KEY_HEADER = "Geofix-Worker-Key"
MAX_REFERENCES = 1000


class Reference(BaseModel):
    """Where the bytes of a photo lie; in the words of ``geofix.jobs.types.Source``."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)

    path: Annotated[str, Field(min_length=1, max_length=2000)]
    start: Annotated[int, Field(ge=0)] = 0
    length: Annotated[int, Field(ge=0)] | None = None
    prefix: str = ""


class ReferencesRequest(BaseModel):
    """What a worker asks: photos by their place in the object store."""

    model_config = ConfigDict(extra="forbid")

    references: Annotated[tuple[Reference, ...], Field(max_length=MAX_REFERENCES)]
    options: dict[str, str] = {}
    account: str = ""


class Fault(BaseModel):
    """Why one photo has no answer: a problem document without the request it came up in."""

    model_config = ConfigDict(frozen=True)

    type: str
    title: str
    status: int
    detail: str
    retry_after_s: float | None = None
    """Seconds to wait where the engine was busy; None for what waiting cannot change."""

    @classmethod
    def of(cls, error: GeofixError) -> Self:
        """The problem of a deliberate error."""
        return cls(
            type=error.problem_type,
            title=error.title,
            status=error.status,
            detail=str(error),
            retry_after_s=error.retry_after_s if isinstance(error, Unavailable) else None,
        )


class Located(BaseModel):
    """What became of one photo of several: an answer, or the problem in its place."""

    model_config = ConfigDict(frozen=True)

    index: int
    """Position of the photo in the request."""
    answer: str = ""
    """The JSON text of the answer; empty when there is a fault."""
    fault: Fault | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.answer) == (self.fault is not None):
            raise ValueError("an item has either an answer or a fault")
        return self


class Engine(Protocol):
    """Something that says where photos were taken."""

    async def locate(self, data: bytes, options: Mapping[str, str]) -> str:
        """The JSON text of the answer for a photo's bytes; options as in a query string.

        Raises a GeofixError where there is none.
        """
        ...

    def locate_references(
        self, references: Sequence[Reference], options: Mapping[str, str], account: str = ""
    ) -> AsyncIterator[Located]:
        """Answers for photos in the object store, in the order they finish.

        They run on the batch lane. Raises RefusedError where no photo will do, for example for
        want of the gallery; Unavailable where the engine cannot be asked; EngineLost when it stops
        in the middle: what has not been yielded by then has no answer.
        """
        ...


class RemoteEngine:
    """The engine of a running service."""

    def __init__(self, service: Service, worker_key: str = "") -> None:
        self._service = service
        self._headers = {KEY_HEADER: worker_key} if worker_key else None

    async def locate(self, data: bytes, options: Mapping[str, str]) -> str:
        """As ``Engine.locate``."""
        response = await self._service.ask(
            "POST", "/v1/locate", files={"photo": ("photo", data)}, data=options
        )
        return response.text

    async def locate_references(
        self, references: Sequence[Reference], options: Mapping[str, str], account: str = ""
    ) -> AsyncIterator[Located]:
        """As ``Engine.locate_references``."""
        request = ReferencesRequest(
            references=tuple(references), options=dict(options), account=account
        )
        answering = False
        try:
            async with self._service.stream(
                "POST", REFERENCES_PATH, json=request.model_dump(mode="json"), headers=self._headers
            ) as response:
                answering = True
                async for line in response.aiter_lines():
                    if line:
                        yield _located(line)
        except RefusedError as error:
            if error.http_status in {401, 403}:
                raise Unavailable(
                    "The service does not know this worker: give both the same GEOFIX_WORKER_KEY."
                ) from error
            if error.http_status >= 500:
                raise Unavailable(str(error)) from error
            raise
        except Unavailable as error:
            if not answering:
                raise
            raise EngineLost("The engine stopped while it worked on this photo.") from error


def _located(line: str) -> Located:
    try:
        return Located.model_validate_json(line)
    except ValidationError as error:
        raise Unavailable("What the service answered is no answer of this version.") from error
