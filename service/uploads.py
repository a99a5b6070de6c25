"""Reading photos and options out of a request's body, whatever form it came in."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from geofix.errors import (
    EmptyPhoto,
    InvalidRequest,
    UnsupportedContentType,
)
from service.refusals import refusal

Body = TypeVar("Body", bound=BaseModel)

MULTIPART = "multipart/form-data"
JSON = "application/json"
_MOST_FIELDS = 50


class _InMemory(MultiPartParser):
    """Keeps files in memory: the body is bounded, and an upload must not touch the disk."""

    spool_max_size = 2**62


@dataclass(frozen=True, slots=True)
class Form:
    """The photos and the other fields of a multipart body."""

    photos: tuple[bytes, ...]
    """At least one; each may be empty."""
    fields: tuple[tuple[str, str], ...]

    @property
    def photo(self) -> bytes:
        """The only photo. Raises EmptyPhoto."""
        return not_empty(self.photos[0])


def content_type(request: Request) -> str:
    """The body's media type, lower case, without parameters.

    ``image/*`` stands for any picture: what it really is, its bytes say.
    """
    header = request.headers.get("content-type", "")
    name = parse_options_header(header)[0].decode("latin-1").lower()
    return "image/*" if name.startswith("image/") else name


def unsupported(request: Request, *accepted: str) -> UnsupportedContentType:
    """The error for a body of another type than those accepted."""
    given = request.headers.get("content-type", "")[:100] or "none"
    return UnsupportedContentType(
        f"Content-Type {given!r} is not understood here. Send {', '.join(accepted)}."
    )


async def read_json(request: Request, model: type[Body], known: Collection[str] = ()) -> Body:
    """The JSON body as its model. Raises UnsupportedContentType, and what ``refusal`` gives."""
    if content_type(request) != JSON:
        raise unsupported(request, JSON)
    body = await request.body()
    try:
        return await asyncio.to_thread(model.model_validate_json, body, strict=True)
    except ValidationError as error:
        raise refusal(error, known) from error


async def read_photo(request: Request) -> bytes:
    """The whole body as one photo. Raises EmptyPhoto."""
    return not_empty(await request.body())


async def read_form(request: Request, *, max_photos: int) -> Form:
    """The parts of a multipart body: files named ``photo``, everything else a text field.

    Raises InvalidRequest for a malformed body, another file, or too many parts.
    """
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=max_photos + _MOST_FIELDS,  # options may come as files by mistake
        max_fields=_MOST_FIELDS,
        max_part_size=65_536,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(f"The multipart body cannot be read: {error.message}") from error
    except UnicodeError as error:
        raise InvalidRequest("The multipart body's charset cannot be read. Use UTF-8.") from error
    try:
        return await _parts(form, max_photos)
    finally:
        await form.close()


async def _parts(form: FormData, max_photos: int) -> Form:
    photos: list[bytes] = []
    fields: list[tuple[str, str]] = []
    for name, part in form.multi_items():
        if isinstance(part, str):
            fields.append((name, part))
        elif name == "photo":
            photos.append(await part.read())
        else:
            raise InvalidRequest(
                f"The part {name[:80]!r} is a file. Only the photo is one, in a part named "
                "'photo'; options are sent as text, without a file name."
            )
    if any(name == "photo" for name, _ in fields):
        raise InvalidRequest("The part 'photo' holds text. Send it as a file, with a file name.")
    if not photos:
        raise InvalidRequest("No file part named 'photo' is in the body.")
    if len(photos) > max_photos:
        wanted = "Exactly one part" if max_photos == 1 else f"At most {max_photos} parts"
        raise InvalidRequest(f"{wanted} named 'photo' can be sent; these are {len(photos)}.")
    return Form(tuple(photos), tuple(fields))


async def from_base64(text: str) -> bytes:
    """The photo in a base64 string (RFC 4648 §4; line breaks are allowed).

    Raises InvalidRequest when it is malformed, EmptyPhoto when nothing is in it.
    """
    return not_empty(await asyncio.to_thread(_decode, text))


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(
            "The photo is not valid base64. Send the standard alphabet with padding, "
            "without a data: prefix."
        ) from error


def not_empty(data: bytes) -> bytes:
    if not data:
        raise EmptyPhoto("No bytes came. Send the photo's file as it is.")
    return data
