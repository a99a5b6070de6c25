"""A job's photos as NDJSON: one line a photo, in base64 or by where it lies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from geofix.errors import InvalidRequest, UploadTooLarge
from geofix.jobs.types import Source


class Line(BaseModel):
    """One photo of a job."""

    model_config = ConfigDict(extra="forbid")

    custom_id: Annotated[
        str, Field(min_length=1, max_length=512, description="Your name of it, unique in the job.")
    ]
    photo: Annotated[str | None, Field(description="The photo's file in base64.")] = None
    reference: Annotated[
        str | None,
        Field(max_length=2000, description="Its URL below a prefix that the operator allows."),
    ] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.photo is None) == (self.reference is None):
            raise ValueError("give either 'photo' or 'reference'")
        return self


async def lines(chunks: AsyncIterator[bytes], *, longest: int) -> AsyncIterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1. Raises UploadTooLarge."""
    number, begun = 0, bytearray()
    async for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        for end in whole:
            number += 1
            begun += end
            if begun.strip():
                yield number, bytes(begun)
            begun.clear()
        begun += rest
        if len(begun) > longest:
            raise UploadTooLarge(f"Line {number + 1} is longer than a photo may be.")
    if begun.strip():
        yield number + 1, bytes(begun)


def parse(number: int, text: bytes) -> Line:
    """One line. Raises InvalidRequest, naming it."""
    try:
        return Line.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])[:80]
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidRequest(f"Line {number}: {path + ': ' if path else ''}{reason}.") from error


def source(reference: str, prefixes: Sequence[str]) -> Source:
    """Where a referenced photo lies. Raises InvalidRequest for one outside the prefixes."""
    for prefix in prefixes:
        folder = prefix if prefix.endswith("/") else f"{prefix}/"
        path = reference.removeprefix(folder)
        parts = path.split("/")
        if path != reference and not {"", ".", ".."} & {*parts} and not set(path) & set("%\\?#"):
            return Source(path=path, prefix=prefix)
    raise InvalidRequest("a reference lies outside the prefixes that the operator allows")
